"""Everything that is stored is compared, from logs and sizes alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster.spark.session import engine_session, use
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, day
from vidagg_dagster_tests.support.stored_site import SPOILS, computed_site, told

SLOW = ("daily restored", "source changed")
"""They run steps; the slow lane has them."""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    require(SAIL)
    use(SAIL)
    return computed_site(engine_session(SAIL), tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(computed: Site, tmp_path: Path) -> Site:
    shutil.copytree(computed.folder, tmp_path / "site")
    return Site(tmp_path / "site")


def command(site: Site) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "verify"],
        env={"VIDAGG_DATA_ROOT": str(site.tables), "PYTHONPATH": str(REPO)},
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_found_where_all_agrees(site: Site) -> None:
    assert verify(site.tables, told(site)) == []
    done = command(site)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"all agrees in {site.tables}: {day(0)} to {day(1)}\n"


def test_a_folder_without_tables_agrees(tmp_path: Path) -> None:
    assert verify(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", [name for name in SPOILS if name not in SLOW])
def test_what_is_spoilt_is_found(sail: SparkSession, site: Site, name: str) -> None:
    table, spoil = SPOILS[name]
    history = told(site)
    spoil(sail, site)
    findings = verify(site.tables, history)
    assert table.name in {finding.table for finding in findings}
    others = [finding.text for finding in findings if finding.table != table.name]
    assert all("which replaced the day" in text for text in others), others
    assert all("Heals it: " in finding.line for finding in findings)


def test_the_command_ends_with_1_and_a_line_for_each_finding(site: Site) -> None:
    _, spoil = SPOILS["events missing"]
    spoil(None, site)  # type: ignore[arg-type]
    done = command(site)
    assert done.returncode == 1
    line, last = done.stdout.splitlines()
    assert line.startswith(f"raw_events of {day(0)}: ")
    assert line.endswith(f"--select '*' --partition {day(0)}")
    assert last == f"1 finding in {site.tables}"
