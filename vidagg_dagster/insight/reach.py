"""Reach: of the users who could have seen a video, how many did in the days after publication."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.insight_schemas import REACH_DAYS, VIDEO_REACH
from vidagg_dagster.core.table_spec import DATE, EVENT_DATE
from vidagg_dagster.spark.columns import half_up_hundredths

AUDIENCE, VISITORS = "audience", "visitors"
LAST: Final = REACH_DAYS[-1]


def video_reach(
    published: DataFrame,
    daily: DataFrame,
    audience: DataFrame | None,
    videos: DataFrame,
    read: Collection[date],
) -> DataFrame:
    """Days of publication and rows of `user_video_engagement` of all days -> `video_reach`.

    Args:
        published: `videoId` and `publishedDay`, a row per video.
        daily: All days.
        audience: `userId` and `videoId` of who should watch what; None where nobody told.
        videos: `videoId` and `videoTitle`.
        read: The days that were read.
    """
    reached = _reached(published, daily, audience)
    found = (
        published.join(F.broadcast(videos.select("videoId", "videoTitle")), "videoId", "left")
        .join(reached, "videoId", "left")
        .join(_visitors(published, daily), "publishedDay", "left")
        .join(_known(published, read), "publishedDay", "left")
    )
    if audience is None:
        found = found.withColumn("expected", F.lit(None).cast("bigint"))
    else:
        expected = audience.groupBy("videoId").agg(F.count(F.lit(1)).alias("expected"))
        found = found.join(expected, "videoId", "left")
    return found.withColumns(_denominators()).select(*_columns())


def _reached(published: DataFrame, daily: DataFrame, audience: DataFrame | None) -> DataFrame:
    """By video: users who watched any of it by each day; of its audience `expected<days>`."""
    since = F.datediff(EVENT_DATE, "publishedDay")
    first = (
        daily.where(F.col("totalWatchTime") > 0)
        .join(F.broadcast(published), on="videoId")
        .where((since >= 0) & (since <= LAST))
        .groupBy("videoId", "userId")
        .agg(F.min(since).alias("since"))
    )
    if audience is None:
        first = first.withColumn("asked", F.lit(False))
    else:
        asked = audience.select("videoId", "userId", F.lit(True).alias("asked"))
        first = first.join(asked, on=["videoId", "userId"], how="left")
    counts: list[Column] = []
    for days in REACH_DAYS:
        within = F.col("since") <= days
        counts.append(F.count_if(within).alias(f"all{days}"))
        counts.append(F.count_if(within & F.coalesce("asked", F.lit(False))).alias(f"asked{days}"))
    return first.groupBy("videoId").agg(*counts)


def _visitors(published: DataFrame, daily: DataFrame) -> DataFrame:
    """By day of publication: users with any event from it to the last of the days after it."""
    days = published.select("publishedDay").where(F.col("publishedDay").isNotNull()).distinct()
    spread = F.explode(F.sequence("publishedDay", F.date_add("publishedDay", LAST)))
    inside = days.select("publishedDay", spread.alias(EVENT_DATE))
    present = daily.select("userId", EVENT_DATE).distinct()
    return (
        present.join(F.broadcast(inside), on=EVENT_DATE)
        .groupBy("publishedDay")
        .agg(F.count_distinct("userId").alias("visitors"))
    )


def _known(published: DataFrame, read: Collection[date]) -> DataFrame:
    """By day of publication: whether all of the days after it that are asked for were read."""
    days = [row[0] for row in published.select("publishedDay").distinct().collect()]
    rows = [(day, *(_all_read(day, number, read) for number in REACH_DAYS)) for day in days if day]
    names = [T.StructField(f"known{number}", T.BooleanType()) for number in REACH_DAYS]
    schema = T.StructType([T.StructField("publishedDay", DATE), *names])
    return published.sparkSession.createDataFrame(rows, schema)


def _all_read(day: date, days: int, read: Collection[date]) -> bool:
    return all(day + timedelta(days=number) in read for number in range(days + 1))


def _denominators() -> dict[str, Column]:
    told = F.col("expected").isNotNull()
    # Nobody came while all of the days were read: that is none, and not unknown.
    visitors = F.when(F.col(f"known{LAST}"), F.coalesce("visitors", F.lit(0)))
    return {
        "couldSeeBy": F.when(told, AUDIENCE).otherwise(VISITORS),
        "couldSee": F.when(told, F.col("expected")).otherwise(visitors),
        **{
            f"reachedByDay{days}": F.when(
                F.col(f"known{days}"),
                F.coalesce(
                    F.when(told, F.col(f"asked{days}")).otherwise(F.col(f"all{days}")), F.lit(0)
                ),
            )
            for days in REACH_DAYS
        },
    }


def _columns() -> list[Column]:
    could = F.when(F.col("couldSee") > 0, F.col("couldSee"))
    shares = {
        f"reachPercentageByDay{days}": half_up_hundredths(F.col(f"reachedByDay{days}") * 100, could)
        for days in REACH_DAYS
    }
    return [
        shares.get(column.name, F.col(column.name)).cast(column.type).alias(column.name)
        for column in VIDEO_REACH.columns
    ]
