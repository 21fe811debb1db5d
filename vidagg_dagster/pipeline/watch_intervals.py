"""`watch_intervals`: the credited intervals of the sessions, one row each."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import EVENT_DATE, SESSIONS, WATCH_INTERVALS
from vidagg_dagster.metrics.intervals import watch_intervals
from vidagg_dagster.pipeline.settle import days_computed
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput, rows_counted


def _compute(context: StepContext) -> StepOutput:
    sessions = context.tables.read(SESSIONS, context.every_day)
    return StepOutput(settled=context.replace_days(WATCH_INTERVALS, watch_intervals(sessions)))


def _with_durations(context: StepContext) -> DataFrame:
    """Intervals with the duration of their video, for the rules about both."""
    durations = F.broadcast(context.videos.select("videoId", "durationMs"))
    intervals = context.tables.read(WATCH_INTERVALS, context.days)
    return intervals.join(durations, "videoId", how="left")


def _top(context: StepContext) -> DataFrame:
    intervals = context.tables.read(WATCH_INTERVALS, context.days)
    return intervals.groupBy(EVENT_DATE, "videoId").agg(
        (F.sum("watchMs") / F.lit(1000.0)).alias("watchSeconds"),
        rows_counted().alias("intervals"),
    )


STEP = Step(
    name=StepName.WATCH_INTERVALS,
    table=WATCH_INTERVALS,
    compute=_compute,
    reads=(SESSIONS,),
    unit="intervals",
    settles=days_computed,
    validated=_with_durations,
    top=_top,
)
