"""The numbers of the business that people follow from day to day, of engagement rows."""

from collections.abc import Mapping
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import Metrics
from vidagg_dagster.quality.evaluate import countable_ms

_MS_PER_HOUR: Final = 3_600_000.0
_MEAN: Final = "mean_percent_seen"

NUMBERS: Final = ("viewers", "plays", "watch_hours", "completions", _MEAN)
"""Viewers who watched, their sessions with a video, hours, ends, and how much of it they saw."""


def business_numbers(rows: DataFrame, *by: str) -> DataFrame:
    """Engagement rows -> viewers, plays, watch hours, completions and mean percentage."""
    values = (
        F.count_distinct(F.when(F.col("totalWatchTime") > 0, F.col("userId"))),
        F.sum("sessionCount"),
        F.sum(countable_ms("totalWatchTime")) / F.lit(_MS_PER_HOUR),
        F.sum("completionCount"),
        F.avg("uniqueWatchPercentage"),
    )
    named = [value.alias(name) for name, value in zip(NUMBERS, values, strict=True)]
    return rows.groupBy(*by).agg(*named)


def rounded(found: Mapping[str, int | float | None]) -> Metrics:
    """The numbers as people read them; what there is none of is 0, but for a mean."""
    return {
        name: None if value is None and name == _MEAN else round(value or 0, 1)
        for name, value in found.items()
    }


def percent(part: int, whole: int) -> float:
    """A share as a percentage with two decimals; 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0
