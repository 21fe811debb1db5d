"""From the reference's events to engine frames, and from engine rows back to comparable values."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.metrics.engagement import user_video_engagement
from vidagg_dagster.metrics.timeline import sessions
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster_tests.support.arrow import frame_of, rows_of
from vidagg_dagster_tests.support.reference import (
    Event,
    IntervalRow,
    ReferenceParameters,
    Row,
    SessionRow,
    Settled,
    day_of,
    published,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RUN_TIME = datetime(2027, 1, 1, tzinfo=UTC)
UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")

_EVENT_SCHEMA = pa.schema(
    [
        ("event_date", pa.date32()),
        ("timestamp", UTC_MICROSECONDS),
        ("userId", pa.string()),
        ("sessionId", pa.string()),
        ("videoId", pa.string()),
        ("eventName", pa.string()),
        ("positionMs", pa.int64()),
        ("playbackRate", pa.float64()),
        ("seekFromMs", pa.int64()),
        ("eventId", pa.string()),
        ("sourceFile", pa.string()),
    ]
)
_VIDEO_SCHEMA = pa.schema(
    [("videoId", pa.string()), ("durationMs", pa.int64()), ("videoTitle", pa.string())]
)


def at(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def micros(value: datetime) -> int:
    return (value - EPOCH) // timedelta(microseconds=1)


def events_frame(
    spark: SparkSession, events: Sequence[Event], timezone: str, dimensions: Sequence[str] = ()
) -> DataFrame:
    """Deduplicated reference events as rows of `raw_events`; `device` is the only dimension."""
    rows = [
        {
            "event_date": day_of(event.us, timezone),
            "timestamp": at(event.us),
            "userId": event.user,
            "sessionId": event.session,
            "videoId": event.video,
            "eventName": event.name,
            "positionMs": event.position_ms,
            "playbackRate": event.rate,
            "seekFromMs": event.told_origin,
            "eventId": event.event_id,
            "sourceFile": "events.jsonl",
        }
        for event in events
    ]
    if not rows:
        return spark.createDataFrame([], RAW_EVENTS.struct)
    table = pa.Table.from_pylist(rows, schema=_EVENT_SCHEMA)
    devices = pa.array([event.device for event in events], pa.string())
    return frame_of(spark, table.append_column("device", devices) if dimensions else table)


def videos_frame(spark: SparkSession, durations: Mapping[str, int]) -> DataFrame:
    rows = [
        {"videoId": video, "durationMs": duration if duration > 0 else None, "videoTitle": None}
        for video, duration in durations.items()
    ]
    if not rows:
        return spark.createDataFrame([], "videoId string, durationMs bigint, videoTitle string")
    return frame_of(spark, pa.Table.from_pylist(rows, schema=_VIDEO_SCHEMA))


class Computed:
    """Sessions and daily rows that an engine computes from events, as frames over one input."""

    def __init__(
        self,
        spark: SparkSession,
        events: Sequence[Event],
        durations: Mapping[str, int],
        *,
        parameters: EngagementParameters | None = None,
        timezone: str = "UTC",
        days: Sequence[date] | None = None,
        dimensions: Sequence[str] = (),
        spread: Spread = ANY_SIZE,
    ) -> None:
        self.parameters = parameters or EngagementParameters()
        self.videos = videos_frame(spark, durations)
        self.sessions = sessions(
            events_frame(spark, events, timezone, dimensions),
            self.videos,
            days=days,
            parameters=self.parameters,
            timezone=timezone,
            dimensions=dimensions,
            spread=spread,
        )
        self.daily = user_video_engagement(
            self.sessions,
            self.videos,
            parameters=self.parameters,
            run_time=RUN_TIME,
            dimensions=dimensions,
            spread=spread,
        )


def session_rows(frame: DataFrame) -> list[SessionRow]:
    return sorted(
        SessionRow(
            user=row["userId"],
            session=row["sessionId"],
            session_start_us=micros(row["sessionStart"]),
            date=row["event_date"],
            continues=row["continuesFromPreviousDay"],
            event_count=row["eventCount"],
            duration_ms=row["durationMs"],
            video_count=row["videoCount"],
            watch_ms=row["watchMs"],
            device=row.get("device"),
        )
        for row in rows_of(frame)
    )


def reference_row(
    row: Row, duration_ms: int | None, parameters: ReferenceParameters
) -> dict[str, Any]:
    """The row that an engine must publish for a reference row, in the engine's own shapes."""
    expected: dict[str, Any] = dict(published(row, duration_ms, None, parameters))
    expected["watchedIntervals"] = [
        {"startMs": start, "endMs": end} for start, end in expected["watchedIntervals"]
    ]
    return expected


def settled_rows(
    settled: Settled, durations: Mapping[str, int], parameters: ReferenceParameters
) -> dict[tuple[str, str, date], dict[str, Any]]:
    return {
        key: reference_row(row, durations.get(key[1]), parameters)
        for key, row in settled.daily.items()
    }


def keyed(
    rows: Iterable[Mapping[str, Any]], key: Sequence[str], columns: Iterable[str] | None = None
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by key. Keys are unique. Only `columns` if given, else all except `processedAt`."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        name = tuple(row[column] for column in key)
        assert name not in found, f"two rows for {name}"
        wanted = columns or [c for c in row if c != "processedAt"]
        found[name] = {column: row[column] for column in wanted}
    return found


def interval_rows(frame: DataFrame) -> list[IntervalRow]:
    return sorted(
        IntervalRow(
            user=row["userId"],
            session=row["sessionId"],
            video=row["videoId"],
            date=row["event_date"],
            start_ms=row["startMs"],
            end_ms=row["endMs"],
            clock_ms=row["clockMs"],
            evidence=row["evidence"],
            opened_us=micros(row["openedAt"]),
            closed_us=micros(row["closedAt"]),
        )
        for row in rows_of(frame)
    )
