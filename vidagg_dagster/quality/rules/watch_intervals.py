"""Rules of watch_intervals: each interval by itself, and the clock of its session."""

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import EVENT_DATE, RAW_EVENTS, WATCH_INTERVALS
from vidagg_dagster.core.vocabulary import EVIDENCE, REPORTED_EVIDENCE
from vidagg_dagster.quality.evaluate import (
    CheckContext,
    DayRule,
    RowRule,
    Rule,
    RuleFinding,
    RuleFindings,
)
from vidagg_dagster.quality.rules.shared import (
    BROKEN_TABLE,
    keys_present,
    numbers_valid,
    one_row_per_key,
)

_SESSION: Final = (EVENT_DATE, "userId", "sessionId")


def _without_length() -> Column:
    return (
        (F.col("startMs") >= F.col("endMs"))
        | (F.col("watchMs") != F.col("endMs") - F.col("startMs"))
        | (F.col("openedAt") > F.col("closedAt"))
    )


def _watch_within_clock(context: CheckContext) -> RuleFindings:
    """Per session and day: watch time <= clock x rate + tolerance for each interval.

    What was reported has no clock.

    The rate is the greatest one that an event of the session declares, on the day or the day
    before, and at least the assumed one. It is at least 1, because what precedes a seek is
    credited at 1.
    """
    assumed_rate = max(1.0, context.parameters.max_playback_rate)
    watched = (
        context.tables.read(WATCH_INTERVALS, context.days)
        .where(F.col("evidence") != REPORTED_EVIDENCE)
        .groupBy(*_SESSION, "sessionStart")
        .agg(
            F.sum("watchMs").alias("watchMs"),
            F.sum("clockMs").alias("clockMs"),
            F.count(F.lit(1)).alias("intervals"),
        )
        .join(_declared_rates(context, assumed_rate), on=list(_SESSION), how="left")
    )
    rate = F.coalesce(F.col("rate"), F.lit(assumed_rate))
    # Clock time is rounded down to a millisecond, which is `rate` milliseconds of the video.
    slack_ms = F.col("intervals") * (F.lit(float(context.parameters.tolerance_ms)) + rate)
    too_much = watched.where(F.col("watchMs").cast("double") > rate * F.col("clockMs") + slack_ms)
    rows = too_much.groupBy(EVENT_DATE).agg(F.count(F.lit(1)).alias("n")).collect()
    return {row[EVENT_DATE]: RuleFinding(row["n"], {"sessions": row["n"]}) for row in rows}


def _declared_rates(context: CheckContext, assumed_rate: float) -> DataFrame:
    """Per session and day: the greatest declared rate, where it is above the assumed one."""
    that_day_and_next = F.array(F.col(EVENT_DATE), F.date_add(EVENT_DATE, 1))
    return (
        context.tables.read(RAW_EVENTS, context.days_and_before)
        .where(F.col("playbackRate") > assumed_rate)
        .select(
            F.explode(that_day_and_next).alias(EVENT_DATE), "userId", "sessionId", "playbackRate"
        )
        .groupBy(*_SESSION)
        .agg(F.max("playbackRate").alias("rate"))
    )


RULES: Final[tuple[Rule, ...]] = (
    keys_present(WATCH_INTERVALS),
    one_row_per_key(WATCH_INTERVALS),
    numbers_valid(WATCH_INTERVALS),
    RowRule(
        name="interval_has_length",
        description="An interval ends after it starts, does not end before it starts on the "
        f"clock, and watchMs is endMs - startMs. {BROKEN_TABLE}",
        violates=_without_length,
    ),
    RowRule(
        name="evidence_known",
        description=f"The evidence is {', '.join(EVIDENCE)}; anything else is in no total. "
        f"{BROKEN_TABLE}",
        violates=lambda: F.coalesce(~F.col("evidence").isin(*EVIDENCE), F.lit(True)),
    ),
    RowRule(
        name="within_video",
        description="No interval ends beyond the end of its video. If it fails, the video's "
        "duration changed in the metadata after sessions ran: run sessions of the day again.",
        violates=lambda: F.col("endMs") > F.col("durationMs"),
    ),
    DayRule(
        name="watch_within_clock",
        description="No session has more watch time than its clock allows: watch time <= time on "
        f"the clock x playback rate + tolerance for each interval. {BROKEN_TABLE}",
        evaluate=_watch_within_clock,
    ),
)
