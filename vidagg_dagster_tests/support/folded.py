"""What the fold makes of the reference's events, in the reference's own shapes; no engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from vidagg_dagster.core.dimensions import carried
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import RANK_OF
from vidagg_dagster.metrics.from_events import REASON_BITS, FromEvents
from vidagg_dagster.metrics.session_rows import SessionsOf
from vidagg_dagster_tests.support.reference import (
    DEFAULT_PARAMETERS,
    Event,
    IntervalRow,
    LifetimeRows,
    Row,
    SessionRow,
    day_of,
    deduplicate,
    lifetime_rows,
    settle,
)
from vidagg_dagster_tests.support.strategies import DURATIONS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PREPARED = pa.schema(
    [
        ("event_date", pa.date32()),
        ("userId", pa.string()),
        ("sessionId", pa.string()),
        ("videoId", pa.string()),
        ("us", pa.int64()),
        ("nameRank", pa.int32()),
        ("sentPositionMs", pa.int64()),
        ("seekFromMs", pa.int64()),
        ("durationMs", pa.int64()),
        ("playbackRate", pa.float64()),
        ("timesOutDay", pa.date32()),
        ("eventId", pa.string()),
        (REASON_BITS, pa.int32()),
    ]
)

FACTS = {
    "watchMs": "watch_ms",
    "uniqueMs": "unique_ms",
    "clockMs": "clock_ms",
    "maxPositionMs": "max_position_ms",
    "sessionCount": "session_count",
    "sessionMs": "session_duration_ms",
    "pauseCount": "pause_count",
    "forwardSkips": "forward_skips",
    "backwardSkips": "backward_skips",
    "completionCount": "completion_count",
    "observedMs": "observed_ms",
    "heartbeatMs": "heartbeat_ms",
    "bridgedMs": "bridged_ms",
    "clippedMs": "clipped_ms",
    "reportedMs": "reported_ms",
    "tailMs": "tail_ms",
    "openEndedCount": "open_ended_count",
    "exceedingCount": "exceeding_count",
    "noStartCount": "no_start_count",
}


def micros(value: datetime) -> int:
    return (value - EPOCH) // timedelta(microseconds=1)


def prepared(
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: EngagementParameters,
    timezone: str = "UTC",
) -> pa.Table:
    """What `timeline.prepared` gives for judged events."""
    timeout_us = parameters.session_timeout_ms * 1000
    rows = [
        {
            "event_date": day_of(event.us, timezone),
            "userId": event.user,
            "sessionId": event.session,
            "videoId": event.video,
            "us": event.us,
            "nameRank": RANK_OF[event.name],
            "sentPositionMs": event.position_ms,
            "seekFromMs": event.told_origin,
            "durationMs": durations.get(event.video) or None,
            "playbackRate": event.rate,
            "timesOutDay": day_of(event.us + timeout_us, timezone),
            "eventId": event.event_id,
            REASON_BITS: 0,
        }
        for event in events
    ]
    table = pa.Table.from_pylist(rows, schema=PREPARED)
    if not any(event.device for event in events):
        return table
    return table.append_column(
        carried("device"), pa.array([event.device for event in events], pa.string())
    )


def session_table(
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: EngagementParameters,
    timezone: str = "UTC",
    days: tuple[date, ...] | None = None,
) -> list[dict[str, Any]]:
    """Rows of `sessions` of events without duplicates."""
    table = prepared(events, durations, parameters, timezone)
    rows: list[dict[str, Any]] = SessionsOf(days, parameters)(table).to_pylist()
    return rows


def session_rows(rows: Iterable[Mapping[str, Any]]) -> list[SessionRow]:
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
        for row in rows
    )


def interval_rows(rows: Iterable[Mapping[str, Any]]) -> list[IntervalRow]:
    return sorted(
        IntervalRow(
            user=row["userId"],
            session=row["sessionId"],
            video=visit["videoId"],
            date=row["event_date"],
            start_ms=span["startMs"],
            end_ms=span["endMs"],
            clock_ms=span["clockMs"],
            evidence=span["evidence"],
            opened_us=micros(span["openedAt"]),
            closed_us=micros(span["closedAt"]),
        )
        for row in rows
        for visit in row["visits"]
        for span in visit["intervals"]
    )


def lifetime_of(
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: EngagementParameters | None = None,
    timezone: str = "UTC",
) -> LifetimeRows:
    """The rows that the fold makes of events with their duplicates."""
    chosen = parameters or EngagementParameters()
    table = FromEvents(chosen)(prepared(events, durations, chosen, timezone))
    found: LifetimeRows = {}
    for row in table.to_pylist():
        if row["userId"] is None:
            continue
        key = (row["userId"], row["videoId"])
        assert key not in found
        found[key] = replace(
            Row(**{theirs: row[ours] for ours, theirs in FACTS.items()}),
            intervals=[(span["startMs"], span["endMs"]) for span in row["watchedIntervals"]],
            first_us=row["firstWatchDate"] and micros(row["firstWatchDate"]),
            last_us=row["lastWatchDate"] and micros(row["lastWatchDate"]),
            played=row["lastPlayedAt"] and (micros(row["lastPlayedAt"]), row["resumeMs"]),
            devices=set(row.get(carried("device"), ())),
        )
    return found


def assert_folds_to_the_reference(
    events: Sequence[Event], timezone: str = "UTC", **changed: Any
) -> None:
    """Sessions, intervals and lifetime rows of the fold, all equal to the reference's."""
    parameters = EngagementParameters(**changed)
    expected = replace(DEFAULT_PARAMETERS, **changed)
    kept, _ = deduplicate(events, timezone)
    settled = settle(kept, DURATIONS, expected, timezone)
    rows = session_table(kept, DURATIONS, parameters, timezone)
    assert session_rows(rows) == sorted(settled.sessions)
    assert interval_rows(rows) == sorted(settled.intervals)
    assert lifetime_of(events, DURATIONS, parameters, timezone) == lifetime_rows(settled.daily)
