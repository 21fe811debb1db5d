"""Every test is in exactly one lane, by its folder and by what it computes on."""

import re

import pytest

from vidagg_dagster_tests.support.lanes import LANES, lane_of, lanes_below
from vidagg_dagster_tests.support.repository import REPO


@pytest.mark.parametrize(
    ("folders", "needs", "lane"),
    [
        (["metrics"], [], "sail"),
        (["cli"], [], "other"),
        (["metrics"], ["on_jvm"], "jvm"),
        (["metrics"], ["many_queries"], "sail"),
        (["metrics"], ["on_jvm", "many_queries"], "slow"),
        (["defs", "runs"], [], "runs"),
        (["defs", "runs"], ["on_jvm"], "runs"),
        (["defs", "runs"], ["on_postgres"], "waits"),
        (["databricks", "waits"], ["on_jvm"], "waits"),
        (["tables", "slow"], ["on_jvm", "on_postgres"], "slow"),
    ],
)
def test_a_folder_decides_the_lane_and_else_the_engine(
    folders: list[str], needs: list[str], lane: str
) -> None:
    assert lane_of(folders, **dict.fromkeys(needs, True)) == lane
    assert lane in lanes_below(folders)


def test_a_lane_reads_only_folders_that_may_hold_its_tests() -> None:
    assert lanes_below(["tables", "slow"]) == {"slow"}
    assert lanes_below(["metrics"]) == {"jvm", "sail", "waits", "slow"}
    assert "runs" not in lanes_below(["databricks", "waits"])


def test_every_lane_has_a_target_of_the_makefile() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    assert {*re.findall(r"^test-([a-z]+): (?:.*)##", makefile, re.M)} == {*LANES}
    assert {*re.findall(r"--lane=([a-z]+)", makefile)} == {*LANES}
