"""Live rows against those of the daily run, for days that both have. No engine is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    LIVE_USER_VIDEO,
    PROCESSED_AT,
    QUALITY_REPORT,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.tables.views import connect, table_names

if TYPE_CHECKING:
    import duckdb

_COMPARED: Final = [name for name in USER_VIDEO_ENGAGEMENT.column_names if name != PROCESSED_AT]
_KEY: Final = USER_VIDEO_ENGAGEMENT.key


@dataclass(frozen=True)
class DayCompared:
    """A day that the daily run has closed.

    Attributes:
        day: The day.
        rows: Its live rows.
        only_live: Users and videos that only the live table has.
        only_daily: Those that only the table of the daily run has.
        differing: Those that both have, with different values.
        columns: The columns in which they differ.
    """

    day: date
    rows: int
    only_live: int = 0
    only_daily: int = 0
    differing: int = 0
    columns: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether all rows are the same."""
        return not (self.only_live or self.only_daily or self.differing)


def compare_closed_days(root: Path, first: date) -> list[DayCompared]:
    """Each day from `first` on that the live table has and the daily run has closed.

    Empty where a table is not there yet.
    """
    needed = {LIVE_USER_VIDEO.name, USER_VIDEO_ENGAGEMENT.name, QUALITY_REPORT.name}
    if not needed <= {*table_names(root)}:
        return []
    connection = connect(root, needed)
    try:
        return [_compared(connection, day) for day in _closed_days(connection, first)]
    finally:
        connection.close()


def _closed_days(connection: "duckdb.DuckDBPyConnection", first: date) -> list[date]:
    # A report always has rows, and is what a run of a day writes last.
    asked = (
        f"SELECT DISTINCT {EVENT_DATE} FROM {QUALITY_REPORT.name} WHERE {EVENT_DATE} >= ? "
        f"INTERSECT SELECT DISTINCT {EVENT_DATE} FROM {LIVE_USER_VIDEO.name} ORDER BY 1"
    )
    return [day for (day,) in connection.execute(asked, [first]).fetchall()]


def _compared(connection: "duckdb.DuckDBPyConnection", day: date) -> DayCompared:
    live, daily = _of_day(LIVE_USER_VIDEO.name), _of_day(USER_VIDEO_ENGAGEMENT.name)
    joined = f"({live}) AS live FULL JOIN ({daily}) AS daily USING ({', '.join(_KEY)})"
    values = [name for name in _COMPARED if name not in _KEY]
    both = "live.there AND daily.there"
    differ = [f'{both} AND live."{name}" IS DISTINCT FROM daily."{name}"' for name in values]
    counts = [
        "live.there",
        "live.there AND daily.there IS NULL",
        "daily.there AND live.there IS NULL",
        " OR ".join(f"({one})" for one in differ),
        *differ,
    ]
    asked = f"SELECT {', '.join(f'count_if({one})' for one in counts)} FROM {joined}"
    found: Sequence[int] = connection.execute(asked, [day, day]).fetchall()[0]
    rows, only_live, only_daily, differing = found[:4]
    columns = tuple(name for name, count in zip(values, found[4:], strict=True) if count)
    return DayCompared(day, rows, only_live, only_daily, differing, columns)


def _of_day(table: str) -> str:
    columns = ", ".join(f'"{name}"' for name in _COMPARED)
    return f"SELECT {columns}, true AS there FROM {table} WHERE {EVENT_DATE} = ?"
