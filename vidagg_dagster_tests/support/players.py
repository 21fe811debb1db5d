"""Players as lines of text, and the tables that the fold takes, without an engine."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import ALIASES, RANKS
from vidagg_dagster.metrics.coverage import Spans, unite
from vidagg_dagster.metrics.sessions import Settled, settle

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEN_O_CLOCK = 1_767_607_200_000_000
"""2026-01-05 10:00 in UTC, microseconds since 1970."""

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
    ]
)


@dataclass(frozen=True)
class Sent:
    """One event as a player sends it; positions in milliseconds."""

    us: int
    name: str
    position_ms: int
    rate: float | None = None
    seek_from_ms: int | None = None
    user: str = "u"
    session: str = "s"
    video: str = "v"


def sent(text: str, start_us: int = TEN_O_CLOCK, **whose: str) -> list[Sent]:
    """Events from lines or comma-separated parts `seconds name position [rate=2] [from=12]`."""
    events = []
    for line in text.replace(",", "\n").splitlines():
        words = line.split()
        if not words:
            continue
        seconds, name, position, *more = words
        options = dict(word.split("=") for word in more)
        told_from = options.get("from")
        events.append(
            Sent(
                us=start_us + round(float(seconds) * 1e6),
                name=ALIASES.get(name, name),
                position_ms=round(float(position) * 1000),
                rate=float(options["rate"]) if "rate" in options else None,
                seek_from_ms=None if told_from is None else round(float(told_from) * 1000),
                **{key: options.get(key, value) for key, value in {**_WHOSE, **whose}.items()},
            )
        )
    return events


_WHOSE = {"user": "u", "session": "s", "video": "v"}


def day_of(us: int, timezone: str) -> date:
    """The calendar day of an instant in a zone."""
    return (EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(timezone)).date()


def prepared(
    events: Iterable[Sent],
    durations: Mapping[str, int] | None = None,
    parameters: EngagementParameters | None = None,
    timezone: str = "UTC",
) -> pa.Table:
    """What `prepared` of the engine gives for events; durations in milliseconds by video."""
    timeout_us = (parameters or EngagementParameters()).session_timeout_ms * 1000
    rows = [
        {
            "event_date": day_of(event.us, timezone),
            "userId": event.user,
            "sessionId": event.session,
            "videoId": event.video,
            "us": event.us,
            "nameRank": RANKS[event.name],
            "sentPositionMs": event.position_ms,
            "seekFromMs": event.seek_from_ms,
            "durationMs": (durations or {}).get(event.video),
            "playbackRate": event.rate,
            "timesOutDay": day_of(event.us + timeout_us, timezone),
        }
        for event in events
    ]
    return pa.Table.from_pylist(rows, schema=PREPARED)


def settled(
    text: str,
    *,
    duration: float | None = None,
    parameters: EngagementParameters | None = None,
) -> Settled:
    """What the fold makes of one player; `duration` in seconds."""
    durations = {} if duration is None else {"v": round(duration * 1000)}
    table = prepared(sent(text), durations, parameters)
    return settle(table, None, parameters or EngagementParameters())


def totals(found: Settled) -> dict[str, Any]:
    """Seconds and counts over all visits: what SPEC's examples state."""
    spans, visits = found.intervals, found.visits
    united = unite(Spans(spans["start"] * 0, spans["start"], spans["end"]))
    return {
        "total": int((spans["end"] - spans["start"]).sum()) / 1000,
        "unique": int((united.end - united.start).sum()) / 1000,
        "clock": int(spans["clock"].sum()) / 1000,
        "skips": (
            int(visits["forward_skip_count"].sum()),
            int(visits["backward_skip_count"].sum()),
        ),
        "pauses": int(visits["pause_count"].sum()),
        "completions": int(visits["completion_count"].sum()),
        "open": int(visits["open_ended_count"].sum()),
        "tail": int(visits["tail_ms"].sum()) / 1000,
        "sessions": len(found.sessions.first_row),
    }
