"""Calendar days: neighbours, stretches, and days as text for people and for metadata."""

import json
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

ONE_DAY: Final = timedelta(days=1)

EARLIEST: Final = date(2000, 1, 1)
"""The first day on which an event is believed to have happened."""

MAX_STRETCHES: Final = 3
"""How many stretches a text names one by one."""


def with_day_before(days: Iterable[date]) -> list[date]:
    """The days and the one before each, sorted, each once."""
    given = set(days)
    return sorted(given | {day - ONE_DAY for day in given})


def days_after(days: Iterable[date]) -> list[date]:
    """The days that follow one of the days and are not among them, sorted."""
    given = set(days)
    return sorted({day + ONE_DAY for day in given} - given)


def stretches(days: Iterable[date], max_days: int = 0) -> list[list[date]]:
    """The days in order, each once, split at gaps and after `max_days` (0: no limit)."""
    parts: list[list[date]] = []
    for day in sorted(set(days)):
        follows = parts and parts[-1][-1] + ONE_DAY == day
        if follows and (not max_days or len(parts[-1]) < max_days):
            parts[-1].append(day)
        else:
            parts.append([day])
    return parts


def span_text(first: date | str, last: date | str) -> str:
    """The text of a range of days by its ends: `2026-01-01 to 2026-01-05`, or the only day."""
    return f"{first}" if first == last else f"{first} to {last}"


def days_text(days: Iterable[date]) -> str:
    """The text of any days; empty without any.

    Example:
        >>> days_text([date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 9)])
        '2026-01-01 to 2026-01-03, 2026-01-09'
    """
    parts = stretches(days)
    if len(parts) > MAX_STRETCHES:
        count = sum(len(part) for part in parts)
        return f"{count} days from {span_text(parts[0][0], parts[-1][-1])}"
    texts: list[str] = []
    for part in parts:
        # Two days in a row read better as two.
        texts += map(str, part) if len(part) <= 2 else [span_text(part[0], part[-1])]
    return ", ".join(texts)


def days_to_json(days: Iterable[date]) -> str:
    """The days as a JSON list of ISO dates, sorted, each once."""
    return json.dumps([day.isoformat() for day in sorted(set(days))])


def days_from_json(text: str) -> frozenset[date]:
    """The days of a text that `days_to_json` made."""
    return frozenset(date.fromisoformat(day) for day in json.loads(text))
