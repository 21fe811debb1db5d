"""`sessions`: the events of a day, with those of the day before as context, cut into sessions."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.days import with_day_before
from vidagg_dagster.core.schemas import RAW_EVENTS, SESSIONS
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.spark.arrow import Spread


def _compute(context: StepContext) -> StepOutput:
    days = with_day_before(context.days)

    def of_slice(events: DataFrame, spread: Spread) -> DataFrame:
        return context.chain(spread).sessions(events, context.videos, context.days)

    counted = sum(context.tables.day_counts(RAW_EVENTS, days).values())
    frames = context.slicing(counted).each(context.tables.read(RAW_EVENTS, days), of_slice)
    context.tables.replace_days(SESSIONS, frames, context.days)
    return StepOutput()


def _top(context: StepContext) -> DataFrame:
    visits = context.tables.read(SESSIONS, context.days).select(F.explode("visits").alias("visit"))
    starts = F.sum(F.col("visit.startsHere").cast("bigint"))
    return visits.groupBy(F.col("visit.videoId").alias("videoId")).agg(starts.alias("sessions"))


STEP = Step(
    name=StepName.SESSIONS,
    table=SESSIONS,
    compute=_compute,
    reads=(RAW_EVENTS,),
    unit="sessions",
    top=_top,
)
