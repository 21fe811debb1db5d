"""The audience: who should watch what by when, and how far they are, watched or not."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import AUDIENCE_STATUS, AUDIENCE_STATUSES
from vidagg_dagster.core.parameters import EngagementParameters


def audience_status(
    audience: DataFrame,
    lifetime: DataFrame,
    videos: DataFrame,
    last_day: date | None,
    parameters: EngagementParameters,
) -> DataFrame:
    """One row per row of `audience` (`userId`, `videoId`, `dueDate`), by the lifetime rows.

    `last_day` is the last one that was read: whether a due date has passed goes by it, and not by
    the clock.
    """
    titles = F.broadcast(videos.select("videoId", F.col("videoTitle").alias("title")))
    pairs = audience.join(lifetime, on=["userId", "videoId"], how="left").join(
        titles, on="videoId", how="left"
    )
    watched = F.coalesce("totalWatchTime", F.lit(0.0))
    share = F.col("uniqueWatchPercentage")
    not_started, in_progress, completed, unknown = AUDIENCE_STATUSES
    status = (
        F.when(watched <= 0, not_started)
        .when(share.isNull(), unknown)
        .when(share >= float(parameters.completion_coverage_percent), completed)
        .otherwise(in_progress)
    )
    columns = {
        "videoTitle": F.coalesce("title", "videoTitle"),
        "status": status,
        "overdue": (status != completed) & (F.col("dueDate") < F.lit(last_day)),
        "watchedPercentage": F.when(watched <= 0, F.lit(0.0)).otherwise(share),
        "totalWatchTime": watched,
        "totalUniqueSecondsWatched": F.coalesce("totalUniqueSecondsWatched", F.lit(0.0)),
        "completionCount": F.coalesce("completionCount", F.lit(0)),
    }
    return pairs.select(
        *[
            columns.get(c.name, F.col(c.name)).cast(c.type).alias(c.name)
            for c in AUDIENCE_STATUS.columns
        ]
    )
