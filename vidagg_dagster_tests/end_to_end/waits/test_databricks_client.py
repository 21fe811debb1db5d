"""A day with the newest client of Databricks; all assets: ../slow/test_databricks_clients.py."""

from pathlib import Path
from typing import Final

import pytest

from vidagg_dagster.core.contract import StepName
from vidagg_dagster_tests.support.databricks_client import NEWEST, run_days

TO_LIFETIME_ROWS: Final = (
    StepName.RAW_EVENTS,
    StepName.SESSIONS,
    StepName.USER_VIDEO_ENGAGEMENT,
    StepName.AGGREGATED_ENGAGEMENT,
)


def test_a_day_up_to_its_lifetime_rows_gives_those_of_a_local_run(
    wheel: Path, delta_jars: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_days(
        NEWEST,
        [0],
        wheel=wheel,
        jars=delta_jars,
        folder=tmp_path,
        monkeypatch=monkeypatch,
        steps=TO_LIFETIME_ROWS,
    ) as ran:
        assert ran.rows["aggregated_user_video_engagement"]
        assert ran.rows == ran.expected
