"""`quality_report`: every measure of a day, zeros included."""

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import (
    INGESTION_COUNTS,
    QUALITY_REPORT,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.pipeline.settle import days_reported
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.pipeline.user_video_engagement import top_of_days
from vidagg_dagster.quality.report import measure_days, report_frame


def _compute(context: StepContext) -> StepOutput:
    measured = measure_days(context.tables, context.every_day)
    settled = context.replace_days(QUALITY_REPORT, report_frame(context.spark, measured))
    return StepOutput(
        settled=settled,
        day_metrics={day: dict(values) for day, values in measured.items()},
    )


STEP = Step(
    name=StepName.QUALITY_REPORT,
    table=QUALITY_REPORT,
    compute=_compute,
    reads=(INGESTION_COUNTS, SESSIONS, USER_VIDEO_ENGAGEMENT),
    settles=days_reported,
    top=top_of_days,
)
