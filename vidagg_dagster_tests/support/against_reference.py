"""The engine beside the sequential reference: every row must be equal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.intervals import watch_intervals
from vidagg_dagster.metrics.lifetime import merge_days
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.engine_frames import (
    RUN_TIME,
    Computed,
    interval_rows,
    keyed,
    session_rows,
    settled_rows,
)
from vidagg_dagster_tests.support.reference import (
    DEFAULT_PARAMETERS,
    Event,
    deduplicate,
    lifetime_rows,
    published,
    settle,
)

DAILY_KEY = ("userId", "videoId", "event_date")
PAIR_KEY = ("userId", "videoId")

IN_THREE_PARTS = Spread(1_500_000)

however_parted = pytest.mark.parametrize(
    "spread", [Spread(), IN_THREE_PARTS], ids=["as the engine likes", "in three parts"]
)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Spans as pairs, the way scenarios write them."""
    spans = row.get("watchedIntervals")
    if spans is None:
        return row
    return {**row, "watchedIntervals": [(span["startMs"], span["endMs"]) for span in spans]}


def assert_equals_reference(
    spark: SparkSession,
    events: Sequence[Event],
    durations: dict[str, int],
    *,
    parameters: dict[str, Any] | None = None,
    timezone: str = "UTC",
    spread: Spread = ANY_SIZE,
) -> None:
    expected_parameters = replace(DEFAULT_PARAMETERS, **(parameters or {}))
    kept, _ = deduplicate(events, timezone)
    settled = settle(kept, durations, expected_parameters, timezone)
    computed = Computed(
        spark,
        kept,
        durations,
        parameters=EngagementParameters(**(parameters or {})),
        timezone=timezone,
        spread=spread,
    )
    assert session_rows(computed.sessions) == sorted(settled.sessions)
    assert interval_rows(watch_intervals(computed.sessions)) == sorted(settled.intervals)
    expected = settled_rows(settled, durations, expected_parameters)
    columns = list(next(iter(expected.values()), {}))
    assert keyed(rows_of(computed.daily), DAILY_KEY, columns) == expected

    merged = merge_days(
        computed.daily, parameters=computed.parameters, run_time=RUN_TIME, spread=spread
    )
    lifetime = {
        pair: published(row, durations.get(pair[1]), None, expected_parameters)
        for pair, row in lifetime_rows(settled.daily).items()
    }
    found = keyed(rows_of(merged), PAIR_KEY, columns)
    assert {pair: plain(row) for pair, row in found.items()} == lifetime
