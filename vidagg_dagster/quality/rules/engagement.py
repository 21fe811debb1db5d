"""Rules that both engagement tables share: one row per user and video, of a day or of all days."""

from functools import reduce
from operator import add
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.quality.evaluate import RowRule, Rule, countable_ms
from vidagg_dagster.quality.rules.shared import (
    BROKEN_TABLE,
    keys_present,
    numbers_valid,
    one_row_per_key,
)

_NULL_WITHOUT_DURATION_OR_SESSION: Final = frozenset(
    {
        "videoDuration",
        "watchPercentage",
        "uniqueWatchPercentage",
        "completionPercentage",
        "resumePosition",
        "largestUnseenGap",
        "engagementScore",
        "avgWatchTimePerSession",
        "avgSessionDuration",
        "avgPausesPerSession",
    }
)


def engagement_rules(table: TableSpec) -> tuple[Rule, ...]:
    """The rules of an engagement table, in the order in which people should read them."""
    return (
        keys_present(table),
        one_row_per_key(table),
        numbers_valid(table, _NULL_WITHOUT_DURATION_OR_SESSION),
        *_ROW_RULES,
    )


def _unique_differs_from_intervals() -> Column:
    length_ms = F.aggregate(
        "watchedIntervals",
        F.lit(0).cast("bigint"),
        lambda total, span: total + span["endMs"] - span["startMs"],
    )
    return F.coalesce(length_ms != countable_ms("totalUniqueSecondsWatched"), F.lit(True))


def _intervals_overlap_or_touch() -> Column:
    """Folds the spans into the end of the last one; null from the first misplaced span on."""

    def follow(last_end: Column, span: Column) -> Column:
        in_place = (span["startMs"] > last_end) & (span["endMs"] > span["startMs"])
        return F.when(in_place, span["endMs"])

    return F.aggregate("watchedIntervals", F.lit(-1).cast("bigint"), follow).isNull()


def _evidence_off() -> Column:
    evidence = reduce(add, (countable_ms(f"{name}Seconds") for name in EVIDENCE))
    total = countable_ms("totalWatchTime")
    rewatched = total - countable_ms("totalUniqueSecondsWatched")
    return (evidence != total) | (countable_ms("rewatchedSeconds") != rewatched)


def _score_out_of_range() -> Column:
    too_high = F.coalesce(F.col("engagementScore") > 100, F.lit(False))
    return too_high | (F.col("engagementScore").isNull() != F.col("engagementTier").isNull())


_ROW_RULES: Final = (
    RowRule(
        name="unique_within_total",
        description="Watch time without replays is never more than watch time with replays. "
        f"{BROKEN_TABLE}",
        violates=lambda: F.col("totalUniqueSecondsWatched") > F.col("totalWatchTime"),
    ),
    RowRule(
        name="unique_within_duration",
        description="Nobody watches more of a video than there is. If it fails, its duration "
        "changed in the metadata: run the days before the change again.",
        violates=lambda: F.col("totalUniqueSecondsWatched") > F.col("videoDuration"),
    ),
    RowRule(
        name="unique_equals_intervals",
        description="totalUniqueSecondsWatched is the length of watchedIntervals, to the "
        f"millisecond. {BROKEN_TABLE}",
        violates=_unique_differs_from_intervals,
    ),
    RowRule(
        name="intervals_disjoint",
        description="watchedIntervals are sorted, none is empty, and no two overlap or touch. "
        f"{BROKEN_TABLE}",
        violates=_intervals_overlap_or_touch,
    ),
    RowRule(
        name="evidence_adds_up",
        description="observed + heartbeat + bridged + clipped + reported = totalWatchTime, and "
        f"rewatchedSeconds = total - unique, to the millisecond. {BROKEN_TABLE}",
        violates=_evidence_off,
    ),
    RowRule(
        name="position_within_duration",
        description="maxPositionReached is within the video. If it fails, the video's duration "
        "changed in the metadata: run the days before the change again.",
        violates=lambda: F.col("maxPositionReached") > F.col("videoDuration"),
    ),
    RowRule(
        name="first_before_last",
        description=f"firstWatchDate is not after lastWatchDate. {BROKEN_TABLE}",
        violates=lambda: F.col("firstWatchDate") > F.col("lastWatchDate"),
    ),
    RowRule(
        name="score_in_range",
        description=f"engagementScore lies between 0 and 100 and has a tier. {BROKEN_TABLE}",
        violates=_score_out_of_range,
    ),
)
