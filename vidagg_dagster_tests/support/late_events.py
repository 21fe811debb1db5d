"""A file that was delivered late, and the times of runs that find it."""

from datetime import UTC, date, datetime

from vidagg_dagster.core.contract import StepResult
from vidagg_dagster_tests.support.small_site import FIRST_DAY

LATE = date(2026, 3, 1)
"""The day in the name of a file that was delivered late."""


def at(when: date, hour: int = 2) -> datetime:
    """The time of a run on a day."""
    return datetime(when.year, when.month, when.day, hour, tzinfo=UTC)


def follow_up(result: StepResult) -> list[int]:
    assert result.late is not None
    return [(when - FIRST_DAY).days for when in result.late.follow_up]
