"""The demo's clock: milliseconds since 1970, in UTC."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


def midnight_ms(day: date) -> int:
    """Midnight UTC of a day."""
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND_MS


def moment_of(at_ms: int) -> datetime:
    """The time, with its zone UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def day_of(at_ms: int) -> date:
    """The UTC day of a time."""
    return moment_of(at_ms).date()
