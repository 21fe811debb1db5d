"""`lifetime_video_curve`, and the other tables over all days that are computed anew each time."""

from pyspark.sql import DataFrame

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.insight_schemas import (
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    VIDEO_CURVE,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.insight.cohorts import viewer_cohorts
from vidagg_dagster.insight.figures import lifetime_figures, most_watched
from vidagg_dagster.insight.lifetime_curve import lifetime_curve
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.pipeline.told import replace_told


def _compute(context: StepContext) -> StepOutput:
    tables, videos = context.tables, context.videos
    lifetime = tables.read(AGGREGATED_ENGAGEMENT)
    curve = lifetime_curve(
        lifetime,
        tables.read(VIDEO_CURVE),
        tables.read(SESSIONS),
        videos,
        context.request.parameters,
    )
    tables.replace_all(LIFETIME_VIDEO_CURVE, curve.rows)
    tables.replace_all(LIFETIME_VIDEO_ENGAGEMENT, lifetime_figures(lifetime, videos))
    read = tables.days_with_rows(INGESTION_COUNTS)
    tables.replace_all(VIEWER_COHORTS, viewer_cohorts(tables.read(USER_VIDEO_ENGAGEMENT), read))
    replace_told(context, lifetime, read)
    return StepOutput(
        taken_in=tables.day_counts(VIDEO_CURVE, context.days) if context.days else {},
        metrics={"videos_from_sessions": len(curve.from_sessions)},
    )


def _top(context: StepContext) -> DataFrame:
    return most_watched(context.tables.read(LIFETIME_VIDEO_ENGAGEMENT))


STEP = Step(
    name=StepName.LIFETIME_VIDEO_CURVE,
    table=LIFETIME_VIDEO_CURVE,
    compute=_compute,
    unit="bins",
    top=_top,
)
