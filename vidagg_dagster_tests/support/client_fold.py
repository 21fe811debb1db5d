"""One player of so many events that its fold is compiled: `python client_fold.py EVENTS`.

For an interpreter whose only Spark is a client; SPARK_REMOTE names its server. Prints the seconds
watched.
"""

import sys
from datetime import datetime

from pyspark.sql import functions as F

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster.spark.session import cluster_session

NOON_S = 1767614400
"""2026-01-05 12:00 UTC."""
STEP_MS = 200


def main(count: str) -> None:
    spark = cluster_session()
    at_ms = F.col("id") * STEP_MS
    last = int(count) - 1
    values = {
        "event_date": F.lit("2026-01-05").cast("date"),
        "timestamp": F.timestamp_micros(F.lit(NOON_S * 1_000_000) + at_ms * 1000),
        "userId": F.lit("u"),
        "sessionId": F.lit("s"),
        "videoId": F.lit("v"),
        "eventName": F.when(F.col("id") == 0, "video_play")
        .when(F.col("id") == last, "video_pause")
        .otherwise("video_progress"),
        "positionMs": at_ms,
    }
    events = spark.range(int(count)).select(
        *[
            values.get(column.name, F.lit(None)).cast(column.type).alias(column.name)
            for column in RAW_EVENTS.columns
        ]
    )
    chain = EngagementChain(
        parameters=EngagementParameters(), timezone="UTC", run_time=datetime(2026, 1, 6)
    )
    (row,) = chain.daily_from_events(events, read_videos(spark, None)).collect()
    print(row["totalWatchTime"])


if __name__ == "__main__":
    main(*sys.argv[1:])
