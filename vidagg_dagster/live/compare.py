"""Live rows against those of the daily run, for days that both have: in a folder without an engine,
in a catalog by the engine. One statement of SQL, which DuckDB and Spark both read."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    LIVE_USER_VIDEO,
    PROCESSED_AT,
    QUALITY_REPORT,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.live.contract import DayCompared
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster.tables.views import connect, table_names

_TABLES: Final = (LIVE_USER_VIDEO, USER_VIDEO_ENGAGEMENT, QUALITY_REPORT)
_COMPARED: Final = [name for name in USER_VIDEO_ENGAGEMENT.column_names if name != PROCESSED_AT]
_KEY: Final = USER_VIDEO_ENGAGEMENT.key

_Ask = Callable[[str], Sequence[Sequence[Any]]]


def compare_closed_days(root: Path, first: date) -> list[DayCompared]:
    """Each day from `first` on that the live table has and the daily run has closed.

    Empty where a table is not there yet. No engine is started.
    """
    needed = {table.name for table in _TABLES}
    if not needed <= {*table_names(root)}:
        return []
    connection = connect(root, needed)
    try:
        return _compare(lambda asked: connection.execute(asked).fetchall(), first)
    finally:
        connection.close()


def compare_in_catalog(spark: SparkSession, request: LiveRequest, first: date) -> list[DayCompared]:
    """See `compare_closed_days`; of tables in a catalog, by the engine."""
    tables = open_tables(spark, request.store)
    if any(tables.version(table) < 0 for table in _TABLES):
        return []
    for table in _TABLES:
        tables.read(table).createOrReplaceTempView(table.name)
    try:
        return _compare(lambda asked: spark.sql(asked).collect(), first)
    finally:
        for table in _TABLES:
            spark.catalog.dropTempView(table.name)


def _compare(ask: _Ask, first: date) -> list[DayCompared]:
    return [_compared(ask, day) for day in _closed_days(ask, first)]


def _closed_days(ask: _Ask, first: date) -> list[date]:
    # A report always has rows, and is what a run of a day writes last.
    asked = (
        f"SELECT DISTINCT {EVENT_DATE} FROM {QUALITY_REPORT.name} "
        f"WHERE {EVENT_DATE} >= DATE '{first}' "
        f"INTERSECT SELECT DISTINCT {EVENT_DATE} FROM {LIVE_USER_VIDEO.name} ORDER BY 1"
    )
    return [day for (day,) in ask(asked)]


def _compared(ask: _Ask, day: date) -> DayCompared:
    live, daily = _of_day(LIVE_USER_VIDEO.name, day), _of_day(USER_VIDEO_ENGAGEMENT.name, day)
    joined = f"({live}) AS live FULL JOIN ({daily}) AS daily USING ({', '.join(_KEY)})"
    values = [name for name in _COMPARED if name not in _KEY]
    both = "live.there AND daily.there"
    differ = [f"{both} AND live.{name} IS DISTINCT FROM daily.{name}" for name in values]
    counts = [
        "live.there",
        "live.there AND daily.there IS NULL",
        "daily.there AND live.there IS NULL",
        " OR ".join(f"({one})" for one in differ),
        *differ,
    ]
    [found] = ask(f"SELECT {', '.join(f'count_if({one})' for one in counts)} FROM {joined}")
    rows, only_live, only_daily, differing = found[:4]
    return DayCompared(
        day=day,
        rows=rows,
        only_live=only_live,
        only_daily=only_daily,
        differing=differing,
        columns=tuple(name for name, count in zip(values, found[4:], strict=True) if count),
    )


def _of_day(table: str, day: date) -> str:
    columns = ", ".join(_COMPARED)
    return f"SELECT {columns}, true AS there FROM {table} WHERE {EVENT_DATE} = DATE '{day}'"
