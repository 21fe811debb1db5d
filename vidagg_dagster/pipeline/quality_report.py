"""`quality_report`: every measure of a day, zeros included."""

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import (
    INGESTION_COUNTS,
    QUALITY_REPORT,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.pipeline.user_video_engagement import top_of_days
from vidagg_dagster.quality.report import measure_days, report_frame


def _compute(context: StepContext) -> StepOutput:
    measured = measure_days(context.tables, context.days)
    frame = report_frame(context.spark, measured)
    context.tables.replace_days(QUALITY_REPORT, frame, context.days)
    return StepOutput(day_metrics={day: dict(values) for day, values in measured.items()})


STEP = Step(
    name=StepName.QUALITY_REPORT,
    table=QUALITY_REPORT,
    compute=_compute,
    reads=(INGESTION_COUNTS, SESSIONS, USER_VIDEO_ENGAGEMENT),
    top=top_of_days,
)
