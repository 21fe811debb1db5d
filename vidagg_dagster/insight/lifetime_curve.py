"""The curve of a video over all days."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import LIFETIME_VIDEO_CURVE
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.table_spec import DATE
from vidagg_dagster.insight.bins import BINS, MIN_BIN_MS, UNKNOWN_BIN_MS
from vidagg_dagster.insight.curve import as_curve, seen_bins, stored_bins, watched_bins
from vidagg_dagster.spark.columns import floor_div, milliseconds


@dataclass(frozen=True)
class LifetimeCurve:
    """The rows of `lifetime_video_curve`.

    Attributes:
        rows: The rows.
        from_sessions: Videos whose days were counted again from their sessions.
    """

    rows: DataFrame
    from_sessions: tuple[str, ...]


def lifetime_curve(
    lifetime: DataFrame,
    curve: DataFrame,
    sessions: DataFrame,
    videos: DataFrame,
    parameters: EngagementParameters,
) -> LifetimeCurve:
    """Who saw what by the lifetime rows, how often by the days: `video_curve` adds up.

    Where it does not, the video's sessions of all days are counted again: its duration has changed,
    so that days have other bins; a day has no curve, because it was run while they were switched
    off; or a user was erased.
    """
    never = F.lit(None).cast(DATE)
    stale = _stale(lifetime, curve, videos)
    parts = [seen_bins(lifetime, never, videos)]
    if not stale:
        parts.append(stored_bins(curve, videos))
    else:
        rows = [(video,) for video in stale]
        of = F.broadcast(lifetime.sparkSession.createDataFrame(rows, "videoId string"))
        parts += [
            stored_bins(curve.join(of, on="videoId", how="left_anti"), videos),
            watched_bins(sessions, never, videos, parameters, only=of),
        ]
    return LifetimeCurve(as_curve(parts, LIFETIME_VIDEO_CURVE), stale)


def _stale(lifetime: DataFrame, curve: DataFrame, videos: DataFrame) -> tuple[str, ...]:
    """The videos whose daily bins are not those of now, or do not add up to the lifetime rows."""
    first_bin = F.when(F.col("binStartMs") == 0, F.col("binEndMs"))
    of_days = curve.groupBy("videoId").agg(
        F.min(first_bin).alias("shortest"),
        F.max(first_bin).alias("longest"),
        F.max("binEndMs").alias("furthest"),
        F.sum("watchMs").alias("daysMs"),
    )
    watched = F.sum(milliseconds(F.col("totalWatchTime"))).alias("lifetimeMs")
    both = of_days.join(
        lifetime.groupBy("videoId").agg(watched), on="videoId", how="full_outer"
    ).join(F.broadcast(videos.select("videoId", "durationMs")), on="videoId", how="left")
    end = F.least(F.col("width"), F.col("durationMs"))
    others = (
        (F.col("shortest") != end)
        | (F.col("longest") != end)
        | (F.col("furthest") > F.col("durationMs"))
        | (F.coalesce("daysMs", F.lit(0)) != F.coalesce("lifetimeMs", F.lit(0)))
    )
    found = both.withColumn("width", _width()).where(others).select("videoId").collect()
    return tuple(sorted(row["videoId"] for row in found))


def _width() -> Column:
    """How wide the bins of a video are now, as `sweep` makes them."""
    by_duration = F.greatest(F.lit(MIN_BIN_MS), floor_div(F.col("durationMs") + BINS - 1, BINS))
    return F.when(F.col("durationMs").isNotNull(), by_duration).otherwise(F.lit(UNKNOWN_BIN_MS))
