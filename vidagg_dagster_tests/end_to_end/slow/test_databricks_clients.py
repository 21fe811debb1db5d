"""Two days and the first again with the real client of each serverless environment."""

import subprocess
from pathlib import Path

import pytest

from vidagg_dagster.metrics.compiled import COMPILED_FROM
from vidagg_dagster_tests.conftest import TESTS
from vidagg_dagster_tests.support.databricks_client import CLIENTS, run_days
from vidagg_dagster_tests.support.databricks_day import TWO_AND_THE_FIRST_AGAIN


@pytest.mark.parametrize("version", CLIENTS)
def test_two_days_and_the_first_again_give_the_rows_of_a_local_run(
    version: str,
    wheel: Path,
    delta_jars: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with run_days(
        version,
        TWO_AND_THE_FIRST_AGAIN,
        wheel=wheel,
        jars=delta_jars,
        folder=tmp_path,
        monkeypatch=monkeypatch,
    ) as ran:
        assert ran.rows == ran.expected
        if "numba" in CLIENTS[version].more:
            _the_fold_is_compiled(ran.python, ran.address)


def _the_fold_is_compiled(python: Path, address: str) -> None:
    """In the workers: numba keeps machine code beside the modules of the wheel."""
    script = TESTS / "support" / "client_fold.py"
    told = subprocess.run(
        [str(python), str(script), str(COMPILED_FROM + 1)],
        env={"SPARK_REMOTE": address},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "10000.0\n", told.stderr[-3000:]
    assert list(python.parents[1].rglob("vidagg_dagster/**/*.nbi"))
