"""A day with the newest client of Databricks; ../slow/test_databricks_clients.py runs more."""

from pathlib import Path

import pytest

from vidagg_dagster_tests.support.databricks_client import NEWEST, run_days


def test_a_day_of_every_asset_gives_the_rows_of_a_local_run(
    wheel: Path, delta_jars: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_days(
        NEWEST, [0], wheel=wheel, jars=delta_jars, folder=tmp_path, monkeypatch=monkeypatch
    ) as ran:
        assert ran.rows == ran.expected
