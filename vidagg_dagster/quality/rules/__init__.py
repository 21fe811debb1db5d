"""What must always be true of each table: one module per table, all rules listed in `RULES`."""

from collections.abc import Mapping
from typing import Final

from vidagg_dagster.core.insight_schemas import LIFETIME_VIDEO_CURVE, VIDEO_CURVE
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    QUALITY_REPORT,
    RAW_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
)
from vidagg_dagster.quality.evaluate import Rule
from vidagg_dagster.quality.rules import (
    curve,
    lifetime,
    raw_events,
    report,
    sessions,
    user_video_engagement,
    watch_intervals,
)

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    RAW_EVENTS.name: raw_events.RULES,
    SESSIONS.name: sessions.RULES,
    WATCH_INTERVALS.name: watch_intervals.RULES,
    USER_VIDEO_ENGAGEMENT.name: user_video_engagement.RULES,
    AGGREGATED_ENGAGEMENT.name: lifetime.RULES,
    QUALITY_REPORT.name: report.RULES,
    VIDEO_CURVE.name: curve.DAILY_RULES,
    LIFETIME_VIDEO_CURVE.name: curve.LIFETIME_RULES,
}
"""Table name -> its rules, in the order in which people should read them."""
