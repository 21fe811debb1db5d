"""Source rows that differ from one good row in what a test changes, and their classification."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import types as T

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.metrics.ingestion import (
    classify,
)

RUN_TIME = datetime(2024, 6, 1, 12, tzinfo=UTC)


START = date(2024, 1, 1)


DAY = date(2024, 3, 5)


GOOD: dict[str, Any] = {
    "timestamp": "2024-03-05T10:00:00Z",
    "userId": "u",
    "sessionId": "s",
    "videoId": "v",
    "eventName": "video_play",
    "currentTime": "1.5",
    "playbackRate": None,
    "seekFrom": None,
    "eventId": None,
    "typedTimestamp": None,
    "typedCurrentTime": None,
    "typedPlaybackRate": None,
    "typedSeekFrom": None,
    "payload": "the row",
    "sourceFile": "events.jsonl",
    "malformed": False,
}


_TYPES = {
    "typedTimestamp": T.TimestampType(),
    "typedCurrentTime": T.DoubleType(),
    "typedPlaybackRate": T.DoubleType(),
    "typedSeekFrom": T.DoubleType(),
    "malformed": T.BooleanType(),
}


SCHEMA = T.StructType([T.StructField(n, _TYPES.get(n, T.StringType())) for n in GOOD])


def source(spark: SparkSession, rows: Sequence[dict[str, Any]]) -> DataFrame:
    """A source frame. Each row is `GOOD` with the given columns changed."""
    filled = [tuple({**GOOD, **row}.values()) for row in rows]
    return spark.createDataFrame(filled, SCHEMA)


def judged(
    frame: DataFrame,
    *,
    zone: str = "UTC",
    unit: Any = None,
    timezone: str = "UTC",
    start_date: date | None = START,
    run_time: datetime | None = RUN_TIME,
    **spec: Any,
) -> DataFrame:
    return classify(
        frame,
        spec=SourceSpec(location="events", timezone=zone, timestamp_unit=unit, **spec),
        start_date=start_date,
        timezone=timezone,
        run_time=run_time,
    )


def by_user(
    spark: SparkSession, column: str, values: Sequence[Any], **kwargs: Any
) -> dict[Any, Row]:
    """The classified row of each value of one column. Users tell the rows apart."""
    rows = [{column: value, "userId": f"{at}"} for at, value in enumerate(values)]
    found = {int(row.userId): row for row in judged(source(spark, rows), **kwargs).collect()}
    assert len(found) == len(values)
    return {value: found[at] for at, value in enumerate(values)}


def outcome(row: Row) -> Any:
    """The reasons of a rejected row, or the position and time of an accepted one."""
    return row.reasons or (row.positionMs, row.timestamp)


def utc(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # frames give times in UTC without a zone


MOMENT = utc(2024, 3, 5, 10)  # 1709632800 s
