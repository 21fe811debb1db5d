"""`user_video_engagement`: what each user did with each video on a day."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import Metrics, StepName
from vidagg_dagster.core.schemas import EVENT_DATE, RAW_EVENTS, SESSIONS, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.metrics.engagement import duration_estimates
from vidagg_dagster.pipeline.numbers import NUMBERS, business_numbers, rounded
from vidagg_dagster.pipeline.settle import days_computed
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput, rows_counted
from vidagg_dagster.quality.evaluate import CheckContext, countable_ms
from vidagg_dagster.spark.arrow import Spread


def _compute(context: StepContext) -> StepOutput:
    days = context.every_day
    slicing = context.slicing(sum(context.tables.day_counts(RAW_EVENTS, days).values()))
    estimates = None
    if context.request.estimate_missing_durations:
        # An estimate is the largest position over all users and all days.
        slicing = replace(slicing, slices=1)
        other_days = ~F.col(EVENT_DATE).isin([F.lit(day) for day in days])
        estimates = duration_estimates(context.tables.read(USER_VIDEO_ENGAGEMENT).where(other_days))

    def of_slice(sessions: DataFrame, spread: Spread) -> DataFrame:
        return context.chain(spread).daily(sessions, context.videos, estimates)

    frames = slicing.each(context.tables.read(SESSIONS, days), of_slice)
    return StepOutput(settled=context.replace_days(USER_VIDEO_ENGAGEMENT, frames))


def most_watched(rows: DataFrame, *by: str) -> DataFrame:
    """The videos of engagement rows: seconds watched, title, users and completions."""
    return rows.groupBy(*by, "videoId").agg(
        (F.sum(countable_ms("totalWatchTime")) / F.lit(1000.0)).alias("watchSeconds"),
        F.max("videoTitle").alias("title"),
        # A user has one row.
        rows_counted().alias("users"),
        F.sum("completionCount").alias("completions"),
    )


def top_of_days(context: StepContext) -> DataFrame:
    """The most watched videos of each day."""
    return most_watched(context.tables.read(USER_VIDEO_ENGAGEMENT, context.days), EVENT_DATE)


def _numbers(context: StepContext, checks: CheckContext) -> Mapping[date | None, Metrics]:
    del checks
    rows = context.tables.read(USER_VIDEO_ENGAGEMENT, context.days)
    found = {row[EVENT_DATE]: row.asDict() for row in business_numbers(rows, EVENT_DATE).collect()}
    return {
        day: rounded({name: found.get(day, {}).get(name) for name in NUMBERS})
        for day in context.days
    }


STEP = Step(
    name=StepName.USER_VIDEO_ENGAGEMENT,
    table=USER_VIDEO_ENGAGEMENT,
    compute=_compute,
    reads=(SESSIONS,),
    settles=days_computed,
    top=top_of_days,
    numbers=_numbers,
)
