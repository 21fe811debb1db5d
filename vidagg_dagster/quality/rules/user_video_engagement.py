"""Rules of user_video_engagement: those of both engagement tables, and known durations."""

from typing import Final

from pyspark.sql import functions as F

from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.schemas import USER_VIDEO_ENGAGEMENT
from vidagg_dagster.quality.evaluate import Rule, ShareRule
from vidagg_dagster.quality.rules.engagement import engagement_rules

MAX_UNKNOWN_DURATION_SHARE: Final = 0.10


RULES: Final[tuple[Rule, ...]] = (
    *engagement_rules(USER_VIDEO_ENGAGEMENT),
    ShareRule(
        name="known_durations",
        severity=Severity.WARN,
        description=f"At most {MAX_UNKNOWN_DURATION_SHARE:.0%} of the rows are about a video of "
        "unknown duration; those have no percentage, score or tier. If it fails, complete the "
        "table that VIDAGG_VIDEO_METADATA names, or set VIDAGG_ESTIMATE_MISSING_DURATIONS.",
        violates=lambda: F.col("videoDuration").isNull(),
        limit=MAX_UNKNOWN_DURATION_SHARE,
        shown="without a duration",
    ),
)
