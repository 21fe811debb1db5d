"""Live tables as one task on a cluster.

Where the session is the JVM's own, Structured Streaming finds what is new. Through Spark Connect,
as on serverless compute, a function of this process cannot be called with batches: there the task
looks into the folder itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.live.batch import Taken
from vidagg_dagster.live.compare import compare_in_catalog
from vidagg_dagster.live.contract import DayCompared, LiveReport, LiveTask
from vidagg_dagster.live.follow import Pace, Report, follow
from vidagg_dagster.live.stream import Messages, run_stream
from vidagg_dagster.spark.session import is_connect


def report_of(batches: Sequence[Taken], compared: Sequence[DayCompared] = ()) -> LiveReport:
    """The sums of some batches."""
    return LiveReport(
        batches=len(batches),
        events=sum(taken.events for taken in batches),
        ignored=sum(taken.ignored for taken in batches),
        rejected=sum(taken.rejected for taken in batches),
        too_old=sum(taken.too_old for taken in batches),
        compared=tuple(compared),
    )


def run_live(
    spark: SparkSession, task: LiveTask, told: Report, kafka_options: dict[str, str]
) -> LiveReport:
    """Take in what is new until the task's time is over; then compare closed days.

    Raises:
        VidaggError: A batch could not be taken in, or the source cannot be read.
    """
    batches: list[Taken] = []

    def report(taken: Taken) -> None:
        batches.append(taken)
        told(taken)

    pace = Pace(task.interval_s, seconds=task.minutes * 60)
    if not is_connect(spark):
        run_stream(
            spark, task.request, report, pace, messages=Messages.of(task.feed, kafka_options)
        )
    elif task.feed is None:
        follow(spark, task.request, report, pace)
    else:
        raise StepError(
            "messages of Kafka are read on a cluster in dedicated access mode: set "
            "VIDAGG_DATABRICKS_COMPUTE, or unset VIDAGG_LIVE_KAFKA_TOPIC"
        )
    first = task.request.oldest(datetime.now(UTC))
    return report_of(batches, compare_in_catalog(spark, task.request, first))
