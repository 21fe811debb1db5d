"""The forms in which an assignment table comes, and those that are refused."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.insight.experiments.run import read_assignments
from vidagg_dagster_tests.support.experiments import ASSIGNMENT, days, exposure

ROWS = pa.Table.from_pylist(
    [exposure("u", "control"), exposure("v", "treatment", 1)], schema=ASSIGNMENT
)
CSV = """experiment,unitId,variant,exposedAt
player-2,u,control,2026-01-05 00:00:00
player-2,v,treatment,2026-01-06T01:00:00+01:00
"""
JSON_LINES = """
{"experiment": "player-2", "unitId": "u", "variant": "control", "exposedAt": "2026-01-05T00:00:00Z"}
{"experiment": "player-2", "unitId": "v", "variant": "treatment", "exposedAt": "2026-01-06"}
"""
WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: path.write_text(CSV),
    "a.jsonl": lambda path: path.write_text(JSON_LINES),
    "a.parquet": lambda path: pq.write_table(ROWS, path),
    "delta": lambda path: write_deltalake(str(path), ROWS),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_gives_the_same_units(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    found = read_assignments(tmp_path / name)
    (one,) = found.experiments
    assert found.unusable == {}
    assert one.units["unitId"].to_pylist() == ["u", "v"]
    assert one.units["exposedAt"].to_pylist() == [days(0), days(1)]


def test_an_empty_table_has_no_experiment(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV.splitlines()[0] + "\n")
    assert read_assignments(tmp_path / "a.csv").experiments == ()


def test_a_time_that_cannot_be_read_is_one_unusable_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV + "player-2,w,control,yesterday\n")
    found = read_assignments(tmp_path / "a.csv")
    (one,) = found.experiments
    assert one.units["unitId"].to_pylist() == ["u", "v"]
    assert sum(found.unusable.values()) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "a,b\n1,2\n", "has no column experiment, unitId, variant, exposedAt"),
        ("a.jsonl", JSON_LINES + "{broken\n", "cannot be read"),
        ("a.parquet", "no Parquet", "cannot be read"),
        ("a.xlsx", "", "there is no such file of .csv, .jsonl, .parquet"),
    ],
)
def test_what_is_no_assignment_table_is_named(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(StepError, match=said):
        read_assignments(tmp_path / name)
