"""Dimensions are of the daily run: live tables do without them, and are the same otherwise."""

import json
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import LIVE_USER_VIDEO, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.live.batch import Batch, LiveTables
from vidagg_dagster.live.compare import compare_closed_days
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.support.live_site import (
    NOW,
    deliver,
    live_site,
    request_of,
    table_rows,
)
from vidagg_dagster_tests.support.small_site import day, peter

DAILY = (
    StepName.RAW_EVENTS,
    StepName.SESSIONS,
    StepName.USER_VIDEO_ENGAGEMENT,
    StepName.QUALITY_REPORT,
)


def test_live_rows_are_those_of_a_daily_run_with_dimensions(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = live_site(tmp_path)
    lines = [json.dumps({**row, "country": "AT"}) for row in peter(day(1))]
    name = deliver(site, "all.jsonl", lines)
    LiveTables(sail, request_of(site)).take(Batch("w", 1, [name]), NOW)
    for step in DAILY:
        request = site.request(step, [day(0), day(1)])
        run_step(sail, request.model_copy(update={"dimensions": {"country": None}}))
    connection = connect(site.tables, [USER_VIDEO_ENGAGEMENT.name])
    asked = f"SELECT DISTINCT country FROM {USER_VIDEO_ENGAGEMENT.name}"
    assert connection.execute(asked).fetchall() == [(["AT"],)]
    connection.close()
    assert "country" not in table_rows(sail, site, LIVE_USER_VIDEO)[0]
    [compared] = compare_closed_days(site.tables, day(1))
    assert compared.equal
    assert compared.rows == 1
