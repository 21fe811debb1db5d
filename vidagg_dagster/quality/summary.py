"""Summary of a result: counts, totals, averages, and signs of wrong data. For notebooks."""

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any, Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.metrics.engagement import QUALITY_FLAGS, TIERS
from vidagg_dagster.spark.columns import milliseconds

_TEXTS: Final = (0, 1, 7)
"""The columns of `readable_rows` that are aligned left."""

_FINITE: Final = (
    "totalWatchTime",
    "totalUniqueSecondsWatched",
    "totalClockTime",
    "maxPositionReached",
    "rewatchedSeconds",
    "engagementScore",
)
"""Columns that must hold numbers or null."""


def summary_stats(rows: DataFrame) -> dict[str, Any]:
    """Counts, totals (seconds), averages and signs of wrong data of lifetime rows.

    `negative_watch_time`, `null_keys`, `duplicate_keys` and `not_finite` count rows that must not
    exist. `tiers` and `quality_flags` hold rows by name, zeros included.
    """
    measures = _measures()
    tiers = {tier: F.count_if(F.col("engagementTier") == tier) for tier in TIERS}
    flags = {flag: F.count_if(F.array_contains("qualityFlags", flag)) for flag in QUALITY_FLAGS}
    row = rows.agg(
        *[measure.alias(name) for name, measure in measures.items()],
        F.struct(*[rows_.alias(tier) for tier, rows_ in tiers.items()]).alias("tiers"),
        F.struct(*[rows_.alias(flag) for flag, rows_ in flags.items()]).alias("quality_flags"),
    ).collect()[0]
    found: dict[str, Any] = row.asDict(recursive=True)
    found["duplicate_keys"] = found["total_rows"] - found.pop("distinct_keys")
    return found


def _measures() -> dict[str, Column]:
    return {
        "total_rows": F.count(F.lit(1)),
        "distinct_keys": F.count_distinct(F.struct(*AGGREGATED_ENGAGEMENT.key)),
        "unique_users": F.count_distinct("userId"),
        "unique_videos": F.count_distinct("videoId"),
        "total_watch_time": _total_seconds("totalWatchTime"),
        "total_unique_seconds_watched": _total_seconds("totalUniqueSecondsWatched"),
        "estimated_tail_seconds": _total_seconds("estimatedTailSeconds"),
        "total_sessions": F.sum("sessionCount"),
        "total_completions": F.sum("completionCount"),
        "completed_rows": F.count_if(F.col("completionCount") > 0),
        "replayed_rows": F.count_if(F.col("isReplay")),
        "avg_watch_percentage": F.avg("watchPercentage"),
        "avg_unique_watch_percentage": F.avg("uniqueWatchPercentage"),
        "avg_completion_percentage": F.avg("completionPercentage"),
        "avg_engagement_score": F.avg("engagementScore"),
        "rows_without_duration": F.count_if(F.col("videoDuration").isNull()),
        "negative_watch_time": F.count_if(
            (F.col("totalWatchTime") < 0)
            | F.coalesce(F.col("totalUniqueSecondsWatched") < 0, F.lit(False))
        ),
        "null_keys": F.count_if(
            reduce(or_, [F.col(name).isNull() for name in AGGREGATED_ENGAGEMENT.key])
        ),
        "not_finite": F.count_if(reduce(or_, [_not_finite(name) for name in _FINITE])),
    }


def _not_finite(name: str) -> Column:
    return F.coalesce(F.isnan(name) | (F.abs(name) == float("inf")), F.lit(False))


def _total_seconds(name: str) -> Column:
    return F.coalesce(F.sum(milliseconds(F.col(name))), F.lit(0)) / 1000.0


def readable_rows(rows: DataFrame, count: int) -> Iterator[str]:
    """The most watched of lifetime rows as lines of text, in the columns that people read."""
    found = rows.orderBy(F.col("totalWatchTime").desc(), "userId", "videoId").limit(count).collect()
    lines = [("user", "video", "watched", "seen", "sessions", "completed", "score", "tier")]
    for row in found:
        seen, score = row["uniqueWatchPercentage"], row["engagementScore"]
        lines.append(
            (
                row["userId"],
                row["videoTitle"] or row["videoId"],
                f"{row['totalWatchTime']:.0f} s",
                "" if seen is None else f"{seen:.0f} %",
                str(row["sessionCount"]),
                str(row["completionCount"]),
                "" if score is None else f"{score:.0f}",
                row["engagementTier"] or "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if at in _TEXTS else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
