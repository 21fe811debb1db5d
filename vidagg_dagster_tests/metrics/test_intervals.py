"""The credited intervals of sessions as rows, also where one session has very many."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import INTERVAL, SESSIONS, VISIT
from vidagg_dagster.metrics.intervals import watch_intervals

START = datetime(2026, 1, 5, tzinfo=UTC)


def interval(number: int) -> tuple[Any, ...]:
    opened = START + timedelta(seconds=number)
    values = {
        "startMs": 1000 * number,
        "endMs": 1000 * number + 1000,
        "clockMs": 1000,
        "evidence": "heartbeat",
        "openedAt": opened,
        "closedAt": opened + timedelta(seconds=1),
    }
    return tuple(values[field.name] for field in INTERVAL)


def test_memory_grows_with_the_intervals_of_a_visit_and_not_with_their_square(
    sail: SparkSession,
) -> None:
    """A screen that plays for hours. Sail failed at 17 280 intervals, after taking 12 GB."""
    intervals = [interval(number) for number in range(20_000)]
    known: dict[str, Any] = {"videoId": "v", "intervals": intervals}
    visit = tuple(known.get(field.name) for field in VISIT)
    row: dict[str, Any] = {
        "event_date": START.date(),
        "userId": "u",
        "sessionId": "s",
        "sessionStart": START,
        "visits": [visit],
    }
    sessions = sail.createDataFrame(
        [tuple(row.get(name) for name in SESSIONS.column_names)], SESSIONS.struct
    )
    found = watch_intervals(sessions).toArrow()
    assert found.num_rows == 20_000
    assert set(found["watchMs"].to_pylist()) == {1000}
    assert max(found["endMs"].to_pylist()) == 20_000_000
