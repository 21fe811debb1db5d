"""Figures of a video: who watched it and how much, of a day or of all days."""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import (
    LIFETIME_VIDEO_ENGAGEMENT,
    MIN_SIMILAR_VIDEOS,
    SIMILAR_LENGTHS_S,
    VIDEO_ENGAGEMENT,
)
from vidagg_dagster.core.table_spec import EVENT_DATE, TableSpec
from vidagg_dagster.spark.columns import floor_div, half_up_hundredths, milliseconds, seconds

_MS_PER_HOUR: Final = 3_600_000.0


def daily_figures(daily: DataFrame, videos: DataFrame) -> DataFrame:
    """Rows of `user_video_engagement` -> `video_engagement`."""
    return _in_columns(_figures(daily, videos, EVENT_DATE), VIDEO_ENGAGEMENT)


def lifetime_figures(lifetime: DataFrame, videos: DataFrame) -> DataFrame:
    """Rows of the lifetime table -> `lifetime_video_engagement`."""
    figures = _figures(
        lifetime,
        videos,
        firstDay=F.min(F.element_at("activeDays", 1)),
        lastDay=F.max(F.element_at("activeDays", -1)),
    )
    return _in_columns(_compared(figures), LIFETIME_VIDEO_ENGAGEMENT)


def most_watched(figures: DataFrame, *by: str) -> DataFrame:
    """The videos of either table: seconds watched, title, users and completions."""
    return figures.select(
        *by,
        "videoId",
        (F.col("watchHours") * F.lit(3600.0)).alias("watchSeconds"),
        F.col("videoTitle").alias("title"),
        "users",
        "completions",
    )


def _figures(rows: DataFrame, videos: DataFrame, *by: str, **more: Column) -> DataFrame:
    watched = F.col("totalWatchTime") > 0
    # As integers, so that no order of addition changes a sum.
    percentage = F.when(watched, F.round(F.col("uniqueWatchPercentage") * 100).cast("bigint"))
    summed = rows.groupBy(*by, "videoId").agg(
        F.max("videoTitle").alias("ownTitle"),
        F.max(milliseconds(F.col("videoDuration"))).alias("ownMs"),
        F.count(F.lit(1)).alias("users"),
        F.count_if(watched).alias("viewers"),
        F.sum("sessionCount").alias("plays"),
        F.sum(milliseconds(F.col("totalWatchTime"))).alias("watchMs"),
        F.sum(milliseconds(F.col("totalUniqueSecondsWatched"))).alias("uniqueMs"),
        F.sum("completionCount").alias("completions"),
        F.count_if(F.col("completionCount") > 0).alias("completedViewers"),
        F.sum(percentage).alias("percentages"),
        F.count(percentage).alias("counted"),
        F.percentile(percentage, F.lit(0.5)).alias("median"),
        *[column.alias(name) for name, column in more.items()],
    )
    described = F.broadcast(videos.select("videoId", "durationMs", "videoTitle"))
    return (
        summed.join(described, on="videoId", how="left")
        .withColumns(
            {
                "durationMs": F.coalesce("durationMs", "ownMs"),
                "videoTitle": F.coalesce("videoTitle", "ownTitle"),
                "counted": F.when(F.col("counted") > 0, F.col("counted")),
            }
        )
        .withColumn(
            "meanWatchedPercentage",
            floor_div(F.col("percentages") * 2 + F.col("counted"), F.col("counted") * 2)
            / F.lit(100.0),
        )
    )


def _compared(figures: DataFrame) -> DataFrame:
    """Adds the place of each video among those of similar length."""
    length = F.lit(0)
    for bound_s in SIMILAR_LENGTHS_S:
        length = length + (F.col("durationMs") > bound_s * 1000).cast("int")
    known = F.col("meanWatchedPercentage").isNotNull()
    similar = Window.partitionBy("length")
    place = F.percent_rank().over(similar.orderBy("meanWatchedPercentage"))
    return (
        figures.withColumn("length", F.when(known, length))
        .withColumns(
            {
                "place": place,
                "similarVideos": F.when(known, F.count(F.lit(1)).over(similar)),
            }
        )
        .withColumn(
            "relativeRetention",
            F.when(F.col("similarVideos") >= MIN_SIMILAR_VIDEOS, F.col("place")),
        )
    )


def _in_columns(figures: DataFrame, table: TableSpec) -> DataFrame:
    watch, unique, duration = F.col("watchMs"), F.col("uniqueMs"), F.col("durationMs")
    some = F.when(watch > 0, watch)
    columns = {
        "videoDuration": seconds(duration),
        "watchHours": watch.cast("double") / F.lit(_MS_PER_HOUR),
        "uniqueHours": unique.cast("double") / F.lit(_MS_PER_HOUR),
        "medianWatchedPercentage": F.floor(F.col("median") + F.lit(0.5)) / F.lit(100.0),
        "averageMinuteAudience": watch.cast("double") / duration,
        "rewatchedPercentage": half_up_hundredths((watch - unique) * 100, some),
    }
    return figures.select(
        *[columns.get(c.name, F.col(c.name)).cast(c.type).alias(c.name) for c in table.columns]
    )
