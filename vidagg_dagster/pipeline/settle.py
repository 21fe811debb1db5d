"""Which days have to be settled again because the day before them was replaced.

A day is computed with the day before as context: what was open at midnight. So the run of a day
also replaces the day that follows, where that one was computed before and comes out different. Then
any order of runs ends in the same rows.
"""

from collections.abc import Sequence
from datetime import date

from vidagg_dagster.core.schemas import INGESTION_COUNTS, QUALITY_REPORT, RAW_EVENTS, SESSIONS
from vidagg_dagster.tables.interface import Tables


def days_computed(tables: Tables, days: Sequence[date]) -> tuple[date, ...]:
    """Those of `days` whose sessions were computed.

    A day that was read and has no events counts as computed: the evening before may leave a tail
    in it. That a day has no rows in a later table says nothing; its only interval may begin on the
    evening before.
    """
    sessions = tables.day_counts(SESSIONS, days)
    without = [day for day in days if not sessions[day]]
    if without:
        read = tables.day_counts(INGESTION_COUNTS, without)
        events = tables.day_counts(RAW_EVENTS, without)
        without = [day for day in without if not read[day] or events[day]]
    return tuple(day for day in days if day not in without)


def days_reported(tables: Tables, days: Sequence[date]) -> tuple[date, ...]:
    """Those of `days` that have a quality report; a report always has rows."""
    counts = tables.day_counts(QUALITY_REPORT, days)
    return tuple(day for day in days if counts[day])
