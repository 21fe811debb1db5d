"""What tables that only the engine can read give in memory: see `Tables` for each."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import EVENT_DATE


def collected_rows(frame: DataFrame, days: Sequence[date] | None) -> list[dict[str, Any]]:
    """The rows of `days` (None: all): column -> value."""
    wanted = frame if days is None else frame.where(F.col(EVENT_DATE).isin(list(days)))
    return [row.asDict() for row in wanted.collect()]


def collected_days(frame: DataFrame) -> set[date]:
    """Every day that has a row."""
    return {row[EVENT_DATE] for row in frame.select(EVENT_DATE).distinct().collect()}


def collected_counts(frame: DataFrame, days: Sequence[date]) -> dict[date, int]:
    """Rows of each of `days`, 0 included, in a frame of these days."""
    rows = frame.groupBy(EVENT_DATE).agg(F.count(F.lit(1)).alias("rows"))
    counted = {row[EVENT_DATE]: row["rows"] for row in rows.collect()}
    return {**dict.fromkeys(days, 0), **counted}
