"""The curve of a video: what happened in each of its bins, of a day or of all days."""

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.insight_schemas import BIN_COUNTS
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.table_spec import EVENT_DATE, LONG, TableSpec
from vidagg_dagster.insight.sweep import SeenKernel, WatchedKernel
from vidagg_dagster.spark.arrow import Kernel, apply_to_parts
from vidagg_dagster.spark.compat import union

_BIN: Final = T.StructType(
    [
        T.StructField("day", T.DateType()),
        T.StructField("videoId", T.StringType()),
        T.StructField("durationMs", LONG),
        T.StructField("binStartMs", LONG),
        T.StructField("binEndMs", LONG),
        *[T.StructField(name, LONG) for name in BIN_COUNTS],
    ]
)

SEEN: Final = ("viewers", "uniqueMs", "lastSeenHere")
"""What follows from the union of each viewer; the other counts add up over visits and days."""


def daily_bins(
    daily: DataFrame, sessions: DataFrame, videos: DataFrame, parameters: EngagementParameters
) -> list[DataFrame]:
    """Rows of `user_video_engagement` and of `sessions` of the same days -> bins, to be added up.

    `as_curve` makes rows of `video_curve` of them.
    """
    seen = seen_bins(daily, F.col(EVENT_DATE), videos)
    watched = watched_bins(sessions, F.col(EVENT_DATE), videos, parameters)
    return [seen, watched]


def seen_bins(rows: DataFrame, day: Column, videos: DataFrame) -> DataFrame:
    """Engagement rows, one per viewer, -> bins with what is in `SEEN`, to be added up."""
    viewers = rows.select(
        day.alias("day"), "videoId", F.col("watchedIntervals").alias("spans")
    ).where(F.size("spans") > 0)
    return _bins(viewers, videos, SeenKernel())


def watched_bins(
    sessions: DataFrame,
    day: Column,
    videos: DataFrame,
    parameters: EngagementParameters,
    *,
    only: DataFrame | None = None,
) -> DataFrame:
    """Rows of `sessions` -> bins with the other counts, to be added up.

    `only` has the `videoId` of the videos to count; None: all.
    """
    visits = sessions.select(day.alias("day"), F.explode("visits").alias("visit"))
    # In a select of its own, as for `watch_intervals`.
    spans = visits.select(
        "day", F.col("visit.videoId").alias("videoId"), F.col("visit.intervals").alias("spans")
    ).where(F.size("spans") > 0)
    if only is not None:
        spans = spans.join(only, on="videoId", how="left_semi")
    kernel = WatchedKernel(parameters.forward_skip_ms, parameters.backward_skip_ms)
    return _bins(spans, videos, kernel)


def as_curve(parts: Sequence[DataFrame], table: TableSpec) -> DataFrame:
    """Bins of several parts, added up, in the columns of a curve."""
    summed = added_up(union(parts)).withColumns(
        {EVENT_DATE: F.col("day"), "rewatchMs": F.col("watchMs") - F.col("uniqueMs")}
    )
    return summed.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])


def added_up(bins: DataFrame) -> DataFrame:
    """One row per day, video and bin; the day is null in bins over all days."""
    by = ("day", "videoId", "binStartMs", "binEndMs")
    return bins.groupBy(*by).agg(*[F.sum(name).alias(name) for name in BIN_COUNTS])


def _bins(rows: DataFrame, videos: DataFrame, kernel: Kernel) -> DataFrame:
    durations = F.broadcast(videos.select("videoId", "durationMs"))
    described = rows.join(durations, on="videoId", how="left")
    return apply_to_parts(described.select("day", "videoId", "durationMs", "spans"), kernel, _BIN)
