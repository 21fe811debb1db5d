"""Chapters of videos: who reached, watched and watched again each, and who left in it."""

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import CHAPTER_ENGAGEMENT

_NO_END: Final = 2**62


def chapter_engagement(
    chapters: DataFrame, lifetime: DataFrame, intervals: DataFrame, videos: DataFrame
) -> DataFrame:
    """One row per row of `chapters` (`videoId`, `startMs`, `chapterTitle`), over all days.

    `lifetime` are the lifetime rows, `intervals` the rows of `watch_intervals` of all days. What
    was watched behind the duration belongs to the last chapter.
    """
    parts = _numbered(chapters, videos)
    seen = lifetime.where(F.size("watchedIntervals") > 0).select(
        "userId",
        "videoId",
        F.explode("watchedIntervals").alias("span"),
        F.element_at("watchedIntervals", -1)["endMs"].alias("last"),
    )
    spans = seen.select(
        "userId",
        "videoId",
        "last",
        F.col("span.startMs").alias("from"),
        F.col("span.endMs").alias("to"),
    )
    by_user = (
        spans.join(F.broadcast(parts), on="videoId")
        .groupBy("videoId", "chapter", "userId")
        .agg(
            F.sum(_overlap()).alias("ms"),
            F.max(F.col("last") > F.col("startMs")).alias("reaches"),
            F.max((F.col("last") > F.col("startMs")) & (F.col("last") <= F.col("until"))).alias(
                "leaves"
            ),
        )
    )
    unique = by_user.groupBy("videoId", "chapter").agg(
        F.count_if(F.col("reaches")).alias("reached"),
        F.count_if(F.col("ms") > 0).alias("viewers"),
        F.sum("ms").alias("uniqueMs"),
        F.count_if(F.col("leaves")).alias("leftHere"),
    )
    watched = (
        intervals.select("videoId", F.col("startMs").alias("from"), F.col("endMs").alias("to"))
        .join(F.broadcast(parts), on="videoId")
        .groupBy("videoId", "chapter")
        .agg(F.sum(_overlap()).alias("watchMs"))
    )
    counted = parts.join(unique, on=["videoId", "chapter"], how="left").join(
        watched, on=["videoId", "chapter"], how="left"
    )
    counts = ("reached", "viewers", "uniqueMs", "watchMs", "leftHere")
    rows = counted.withColumns({name: F.coalesce(name, F.lit(0)) for name in counts}).withColumn(
        "rewatchMs", F.col("watchMs") - F.col("uniqueMs")
    )
    return rows.select(
        *[F.col(c.name).cast(c.type).alias(c.name) for c in CHAPTER_ENGAGEMENT.columns]
    )


def _numbered(chapters: DataFrame, videos: DataFrame) -> DataFrame:
    """With number, end and title of the video; `until` is where the next one begins, if any."""
    in_order = Window.partitionBy("videoId").orderBy("startMs")
    described = chapters.join(
        F.broadcast(videos.select("videoId", "videoTitle", "durationMs")), on="videoId", how="left"
    ).withColumns(
        {
            "chapter": F.row_number().over(in_order).cast("bigint"),
            "next": F.lead("startMs").over(in_order),
        }
    )
    return described.select(
        "videoId",
        "videoTitle",
        "chapter",
        "chapterTitle",
        "startMs",
        F.coalesce(
            "next", F.when(F.col("durationMs") > F.col("startMs"), F.col("durationMs"))
        ).alias("endMs"),
        F.coalesce("next", F.lit(_NO_END)).alias("until"),
    )


def _overlap() -> Column:
    low, high = F.greatest("from", "startMs"), F.least("to", "until")
    return F.when(high > low, high - low).otherwise(F.lit(0))
