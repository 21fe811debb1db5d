"""`sessions`: the events of a day, with those of the day before as context, cut into sessions."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.days import with_day_before
from vidagg_dagster.core.schemas import EVENT_DATE, RAW_EVENTS, SESSIONS
from vidagg_dagster.pipeline.settle import days_computed
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.spark.arrow import Spread


def _compute(context: StepContext) -> StepOutput:
    days = with_day_before(context.every_day)

    def of_slice(events: DataFrame, spread: Spread) -> DataFrame:
        return context.chain(spread).sessions(events, context.videos, context.every_day)

    counted = sum(context.tables.day_counts(RAW_EVENTS, days).values())
    slicing = context.slicing(counted)
    with context.kept_in_slices(SESSIONS, context.tables.read(RAW_EVENTS, days), slicing) as events:
        frames = slicing.each(events, of_slice)
        return StepOutput(settled=context.replace_days(SESSIONS, frames))


def _top(context: StepContext) -> DataFrame:
    sessions = context.tables.read(SESSIONS, context.days)
    visits = sessions.select(EVENT_DATE, F.explode("visits").alias("visit"))
    starts = F.sum(F.col("visit.startsHere").cast("bigint"))
    video = F.col("visit.videoId").alias("videoId")
    return visits.groupBy(EVENT_DATE, video).agg(starts.alias("sessions"))


STEP = Step(
    name=StepName.SESSIONS,
    table=SESSIONS,
    compute=_compute,
    reads=(RAW_EVENTS,),
    unit="sessions",
    settles=days_computed,
    top=_top,
)
