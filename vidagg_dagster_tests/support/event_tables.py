"""Readable event tables: one line per event, as a person would write it down.

    10:00:00   peter  s1  video_001  play    0
    10:00:30   peter  s1  video_001  pause  30

Columns: time, user, session, video, event name (with or without `video_`), position in seconds;
then, optionally and in any order, a playback rate (`x2`), an event id (`id=abc`), the position
at which a seek began (`from=12`) and a dimension (`on=tv`). A time may carry a date before it
(`01-13 10:00:00`, else 01-12; the year is 2025) and a fraction of a second. Empty lines and
everything after `#` are left out.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from vidagg_dagster_tests.support.reference import EPOCH, NAME_ORDER, Event

YEAR, FIRST_DAY = "2025", "01-12"
ONE_MICROSECOND = timedelta(microseconds=1)


def parse_events(table: str, timezone: str = "UTC") -> list[Event]:
    """The events of a table, in the order of its lines. Its times are wall times of `timezone`.

    Raises ValueError naming the line that cannot be read.
    """
    events = []
    for line in table.splitlines():
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            events.append(_parse_line(text.split(), timezone))
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"cannot read the event {text!r}: {error}") from error
    return events


def _parse_line(words: list[str], timezone: str) -> Event:
    day = FIRST_DAY if ":" in words[0] else words.pop(0)
    if len(words) < 6:
        raise ValueError(
            "expected: [date] time user session video name position [xRATE] [id=ID] [from=S] "
            "[on=DEVICE]"
        )
    time, user, session, video, name, position, *options = words
    local = datetime.fromisoformat(f"{YEAR}-{day}T{time}").replace(tzinfo=ZoneInfo(timezone))
    canonical = name if name.startswith("video_") else f"video_{name}"
    if canonical not in NAME_ORDER:
        raise ValueError(f"unknown event name {name}")
    rate: float | None = None
    event_id: str | None = None
    seek_from_ms: int | None = None
    device: str | None = None
    for option in options:
        if option.startswith("x"):
            rate = float(option[1:])
        elif option.startswith("id="):
            event_id = option.removeprefix("id=")
        elif option.startswith("from="):
            seek_from_ms = _milliseconds(option.removeprefix("from="))
        elif option.startswith("on="):
            device = option.removeprefix("on=")
        else:
            raise ValueError(f"unknown column {option}")
    return Event(
        us=(local.astimezone(UTC) - EPOCH) // ONE_MICROSECOND,
        user=user,
        session=session,
        video=video,
        name=canonical,
        position_ms=_milliseconds(position),
        rate=rate,
        event_id=event_id,
        seek_from_ms=seek_from_ms,
        device=device,
    )


def _milliseconds(seconds: str) -> int:
    return int((Decimal(seconds) * 1000 + Decimal("0.5")) // 1)


def format_events(events: Iterable[Event]) -> str:
    """Events as a table that `parse_events` reads back; for the messages of failing tests."""
    lines = []
    for event in events:
        time = EPOCH + timedelta(microseconds=event.us)
        words = [
            time.strftime("%m-%d %H:%M:%S.%f"),
            event.user,
            event.session,
            event.video,
            event.name.removeprefix("video_"),
            str(Decimal(event.position_ms) / 1000),
        ]
        if event.rate is not None:
            words.append(f"x{event.rate}")
        if event.event_id is not None:
            words.append(f"id={event.event_id}")
        if event.seek_from_ms is not None:
            words.append(f"from={Decimal(event.seek_from_ms) / 1000}")
        if event.device is not None:
            words.append(f"on={event.device}")
        lines.append("  ".join(words))
    return "\n".join(lines)
