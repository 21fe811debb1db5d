"""Rules of user_video_engagement: those of both engagement tables, and known durations."""

from typing import Final

from pyspark.sql import functions as F

from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.schemas import EVENT_DATE, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.quality.evaluate import (
    CheckContext,
    DayRule,
    Rule,
    RuleFinding,
    RuleFindings,
)
from vidagg_dagster.quality.rules.engagement import engagement_rules

MAX_UNKNOWN_DURATION_SHARE: Final = 0.10


def _known_durations(context: CheckContext) -> RuleFindings:
    rows = (
        context.tables.read(USER_VIDEO_ENGAGEMENT, context.days)
        .groupBy(EVENT_DATE)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(F.col("videoDuration").isNull()).alias("unknown"),
        )
        .collect()
    )
    return {
        row[EVENT_DATE]: RuleFinding(
            row["unknown"] if row["unknown"] > MAX_UNKNOWN_DURATION_SHARE * row["rows"] else 0,
            {
                "rows": row["rows"],
                "without a duration": row["unknown"],
                "share": round(row["unknown"] / row["rows"], 6),
                "limit": MAX_UNKNOWN_DURATION_SHARE,
            },
        )
        for row in rows
    }


RULES: Final[tuple[Rule, ...]] = (
    *engagement_rules(USER_VIDEO_ENGAGEMENT),
    DayRule(
        name="known_durations",
        severity=Severity.WARN,
        description=f"At most {MAX_UNKNOWN_DURATION_SHARE:.0%} of the rows are about a video of "
        "unknown duration; those have no percentage, score or tier. If it fails, complete the "
        "table that VIDAGG_VIDEO_METADATA names, or set VIDAGG_ESTIMATE_MISSING_DURATIONS.",
        evaluate=_known_durations,
    ),
)
