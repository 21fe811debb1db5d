"""`video_curve`: each bin of each video on a day; and `video_engagement`, the video as a whole."""

from pyspark.sql import DataFrame

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.insight_schemas import VIDEO_CURVE, VIDEO_ENGAGEMENT
from vidagg_dagster.core.schemas import EVENT_DATE, SESSIONS, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.insight.curve import daily_curve
from vidagg_dagster.insight.figures import daily_figures, most_watched
from vidagg_dagster.pipeline.settle import days_computed
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput


def _compute(context: StepContext) -> StepOutput:
    days, videos = context.every_day, context.videos
    daily = context.tables.read(USER_VIDEO_ENGAGEMENT, days)
    sessions = context.tables.read(SESSIONS, days)
    curve = daily_curve(daily, sessions, videos, context.request.parameters)
    settled = {*context.replace_days(VIDEO_CURVE, curve)}
    settled |= {*context.replace_days(VIDEO_ENGAGEMENT, daily_figures(daily, videos))}
    return StepOutput(settled=tuple(sorted(settled)))


def _top(context: StepContext) -> DataFrame:
    return most_watched(context.tables.read(VIDEO_ENGAGEMENT, context.days), EVENT_DATE)


STEP = Step(
    name=StepName.VIDEO_CURVE,
    table=VIDEO_CURVE,
    compute=_compute,
    reads=(SESSIONS, USER_VIDEO_ENGAGEMENT),
    unit="bins",
    settles=days_computed,
    top=_top,
)
