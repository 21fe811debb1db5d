"""The curve of a video: what happened in each of its bins, of a day or of all days."""

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.insight_schemas import BIN_COUNTS, VIDEO_CURVE
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.table_spec import DATE, EVENT_DATE, LONG, TableSpec
from vidagg_dagster.insight.bins import BinsKernel, StoredBinsKernel, added_up
from vidagg_dagster.insight.sweep import SeenKernel, WatchedKernel
from vidagg_dagster.spark.arrow import ANY_SIZE, Kernel, apply_to_parts
from vidagg_dagster.spark.compat import union

_VIDEO: Final = [
    T.StructField("day", T.DateType()),
    T.StructField("videoId", T.StringType()),
    T.StructField("durationMs", LONG),
]

COUNTED: Final = T.StructType(
    [
        *_VIDEO,
        T.StructField("bins", LONG),
        *[T.StructField(name, T.ArrayType(LONG)) for name in BIN_COUNTS],
    ]
)
"""What is counted in the bins of a video, see `bins.counted`. Rows of one video add up."""

_BIN: Final = T.StructType(
    [
        *_VIDEO,
        T.StructField("binStartMs", LONG),
        T.StructField("binEndMs", LONG),
        *[T.StructField(name, LONG) for name in BIN_COUNTS],
    ]
)

SEEN: Final = ("viewers", "uniqueMs", "lastSeenHere")
"""What follows from the union of each viewer; the other counts add up over visits and days."""


def daily_curve(
    daily: DataFrame, sessions: DataFrame, videos: DataFrame, parameters: EngagementParameters
) -> DataFrame:
    """Rows of `user_video_engagement` and of `sessions` of the same days -> `video_curve`."""
    seen = seen_bins(daily, F.col(EVENT_DATE), videos)
    watched = watched_bins(sessions, F.col(EVENT_DATE), videos, parameters)
    return as_curve([seen, watched], VIDEO_CURVE)


def seen_bins(rows: DataFrame, day: Column, videos: DataFrame) -> DataFrame:
    """Engagement rows, one per viewer, -> `COUNTED` with what is in `SEEN`."""
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
    """Rows of `sessions` -> `COUNTED` with the other counts.

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


def stored_bins(curve: DataFrame, videos: DataFrame) -> DataFrame:
    """Rows of `video_curve` -> `COUNTED` over all days, in the bins of now, with the other counts.

    Only of videos whose bins are those of now, see `lifetime_curve`.
    """
    counts = tuple(name for name in BIN_COUNTS if name not in SEEN)
    never = F.lit(None).cast(DATE).alias("day")
    bins = _described(curve.select(never, "videoId", "binStartMs", *counts), videos)
    return apply_to_parts(bins, StoredBinsKernel(counts), added_up, COUNTED)


def as_curve(counted: Sequence[DataFrame], table: TableSpec) -> DataFrame:
    """`COUNTED` of several parts, added up, in the columns of a curve."""
    bins = ANY_SIZE.apply(union(counted), BinsKernel(), _BIN, by="videoId")
    summed = bins.withColumns(
        {EVENT_DATE: F.col("day"), "rewatchMs": F.col("watchMs") - F.col("uniqueMs")}
    )
    return summed.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])


def _bins(rows: DataFrame, videos: DataFrame, kernel: Kernel) -> DataFrame:
    described = _described(rows, videos).select("day", "videoId", "durationMs", "spans")
    return apply_to_parts(described, kernel, added_up, COUNTED)


def _described(rows: DataFrame, videos: DataFrame) -> DataFrame:
    durations = F.broadcast(videos.select("videoId", "durationMs"))
    return rows.join(durations, on="videoId", how="left")
