"""All steps, in the order of the graph. A new asset is a new module and one line here."""

from collections.abc import Mapping
from typing import Final

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.pipeline import (
    lifetime,
    lifetime_video_curve,
    quality_report,
    raw_events,
    sessions,
    user_video_engagement,
    video_curve,
    watch_intervals,
)
from vidagg_dagster.pipeline.step import Step

STEPS: Final[Mapping[StepName, Step]] = {
    step.name: step
    for step in (
        raw_events.STEP,
        sessions.STEP,
        watch_intervals.STEP,
        user_video_engagement.STEP,
        lifetime.STEP,
        quality_report.STEP,
        video_curve.STEP,
        lifetime_video_curve.STEP,
    )
}
"""Step name -> the step."""
