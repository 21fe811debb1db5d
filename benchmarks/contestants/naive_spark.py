"""The obvious solution: window functions on local Spark, one shuffle by player and one by pair.

Only totals, unique seconds and the largest position, from starts and stops: no validation, no
duplicates, no days, no sessions, no skips, no heartbeats. It is a floor, with different rows.
"""

from datetime import datetime
from pathlib import Path

from pyspark.sql import Window
from pyspark.sql import functions as F

from vidagg_dagster.spark.session import engine_session


def aggregate(events: Path, videos: Path, run_time: datetime, output: Path) -> int:
    """Write rows of user, video and four metrics as Parquet; returns their number."""
    del videos, run_time
    spark = engine_session("spark")
    player = Window.partitionBy("userId", "sessionId", "videoId").orderBy("timestamp")
    pairs = (
        spark.read.parquet(str(events))
        .where(F.col("userId").isNotNull() & F.col("timestamp").isNotNull())
        .withColumn("before", F.lag("eventName").over(player))
        .withColumn("start", F.lag("currentTime").over(player))
    )
    watched = pairs.where(
        F.col("before").isin("video_play", "video_resume")
        & F.col("eventName").isin("video_pause", "video_ended")
        & (F.col("currentTime") > F.col("start"))
    )
    by_start = (
        Window.partitionBy("userId", "videoId")
        .orderBy("start")
        .rowsBetween(Window.unboundedPreceding, -1)
    )
    reached = F.coalesce(F.max("currentTime").over(by_start), F.lit(0.0))
    rows = (
        watched.withColumn(
            "new",
            F.greatest(F.lit(0.0), F.col("currentTime") - F.greatest(F.col("start"), reached)),
        )
        .groupBy("userId", "videoId")
        .agg(
            F.sum(F.col("currentTime") - F.col("start")).alias("totalWatchTime"),
            F.sum("new").alias("totalUniqueSecondsWatched"),
            F.max("currentTime").alias("maxPositionReached"),
            F.count_distinct("sessionId").alias("sessionCount"),
        )
    )
    rows.write.mode("overwrite").parquet(str(output))
    return int(spark.read.parquet(str(output)).count())
