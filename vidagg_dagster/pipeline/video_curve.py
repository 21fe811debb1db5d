"""`video_curve`: each bin of each video on a day; and `video_engagement`, the video as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.insight_schemas import VIDEO_CURVE, VIDEO_ENGAGEMENT
from vidagg_dagster.core.schemas import EVENT_DATE, RAW_EVENTS, SESSIONS, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.insight.curve import added_up, as_curve, daily_bins
from vidagg_dagster.insight.figures import daily_figures, most_watched
from vidagg_dagster.pipeline.settle import days_computed
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput


def _compute(context: StepContext) -> StepOutput:
    days, videos = context.every_day, context.videos
    daily = context.tables.read(USER_VIDEO_ENGAGEMENT, days)
    sessions = context.tables.read(SESSIONS, days)
    bins = daily_bins(daily, sessions, videos, context.request.parameters)
    with _one_by_one(context, bins) as parts:
        settled = {*context.replace_days(VIDEO_CURVE, as_curve(parts, VIDEO_CURVE))}
    settled |= {*context.replace_days(VIDEO_ENGAGEMENT, daily_figures(daily, videos))}
    return StepOutput(settled=tuple(sorted(settled)))


@contextmanager
def _one_by_one(context: StepContext, bins: list[DataFrame]) -> Iterator[list[DataFrame]]:
    """The bins; of very large days added up one after the other, since each has all bins."""
    if context.slicing_of_stored(RAW_EVENTS, context.every_day).slices == 1:
        yield bins
    else:
        with context.tables.computed(VIDEO_CURVE, [added_up(part) for part in bins]) as kept:
            yield [kept]


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
