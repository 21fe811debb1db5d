"""A day with the newest client of serverless compute as the only Spark of the tasks.

The others, and further days, are in `slow/test_databricks_clients.py`.
"""

from pathlib import Path

import pytest

from vidagg_dagster_tests.support.databricks_clients import NEWEST, with_client
from vidagg_dagster_tests.support.small_site import day


def test_a_day_gives_the_rows_of_a_local_run(
    wheel: Path, delta_jars: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with with_client(NEWEST, wheel, delta_jars, tmp_path, monkeypatch) as running:
        running.gives_the_rows_of_a_local_run([day(0)])
