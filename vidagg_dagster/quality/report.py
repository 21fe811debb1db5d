"""The quality report: one row per day and measure, zeros included."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.core.vocabulary import EVIDENCE, REASONS, REJECTED_PREFIX
from vidagg_dagster.metrics.engagement import QUALITY_FLAGS, TIERS
from vidagg_dagster.quality.evaluate import countable_ms
from vidagg_dagster.tables.interface import Tables

ROWS, SECONDS, SHARE = "rows", "seconds", "share"
"""The units of measures."""

_EVIDENCE_PREFIX: Final = "evidence_share:"
_FLAG_PREFIX: Final = "flag:"
_TIER_PREFIX: Final = "tier:"
_UNKNOWN_DURATION_SHARE: Final = "unknown_duration_share"
_PAIRS_WITHOUT_POSITION: Final = "pairs_without_valid_position"
_NEGATIVE_WATCH_TIME: Final = "negative_watch_time"


@dataclass(frozen=True)
class Measure:
    """One line of a day's report."""

    name: str
    unit: str
    doc: str


MEASURES: Final = (
    Measure("input", ROWS, "Rows that were read."),
    Measure("accepted", ROWS, "Rows that became events."),
    Measure("duplicates", ROWS, "Rows that repeat an event of the day."),
    Measure("ignored", ROWS, "Rows whose name the settings say to ignore."),
    Measure("rejected", ROWS, "Rows that are no usable event."),
    *(Measure(f"{REJECTED_PREFIX}{name}", ROWS, f"Rows rejected for {name}.") for name in REASONS),
    Measure("sessions", ROWS, "Sessions that began on the day."),
    Measure("sessions_continued", ROWS, "Sessions that went on from the day before."),
    Measure(
        _PAIRS_WITHOUT_POSITION,
        ROWS,
        "Users and videos with events, all of them beyond the video: they have no row.",
    ),
    Measure("rows", ROWS, "Users and videos with engagement on the day."),
    Measure("users", ROWS, "Users among them."),
    Measure("videos", ROWS, "Videos among them."),
    Measure("watch_seconds", SECONDS, "Content watched, replays included."),
    Measure("unique_seconds", SECONDS, "Content watched, per user, video and day once."),
    Measure("clock_seconds", SECONDS, "Time on the clock while it was watched."),
    Measure("estimated_tail_seconds", SECONDS, "Upper bound of what open ends may have watched."),
    *(
        Measure(f"{_EVIDENCE_PREFIX}{name}", SHARE, f"Part of watch_seconds that is {name}.")
        for name in EVIDENCE
    ),
    Measure("completions", ROWS, "Videos played to their end."),
    Measure("forward_skips", ROWS, "Jumps ahead."),
    Measure("backward_skips", ROWS, "Jumps back."),
    *(Measure(f"{_FLAG_PREFIX}{name}", ROWS, f"Rows flagged {name}.") for name in QUALITY_FLAGS),
    *(Measure(f"{_TIER_PREFIX}{name}", ROWS, f"Rows of tier {name}.") for name in TIERS),
    Measure(_UNKNOWN_DURATION_SHARE, SHARE, "Part of the rows without a duration."),
    Measure(_NEGATIVE_WATCH_TIME, ROWS, "Rows with a negative watch time; always 0."),
)
"""Every measure of a day, in the order in which people should read them."""


def measure_days(tables: Tables, days: Sequence[date]) -> dict[date, dict[str, float]]:
    """Every measure of every day, from the stored tables; a day without rows has zeros."""
    sums: dict[date, dict[str, int | None]] = {day: {} for day in days}
    for row in tables.rows(INGESTION_COUNTS, days):
        sums[row[EVENT_DATE]][row["measure"]] = row["value"]
    for frame in (
        _session_sums(tables.read(SESSIONS, days)),
        _pair_sums(tables.read(SESSIONS, days)),
        _engagement_sums(tables.read(USER_VIDEO_ENGAGEMENT, days)),
    ):
        for measured in frame.collect():
            found = measured.asDict()
            sums[found.pop(EVENT_DATE)].update(found)
    return {day: _measured(found) for day, found in sums.items()}


def _measured(found: Mapping[str, int | None]) -> dict[str, float]:
    """Integer sums -> measures. Only here are they divided, so no order of addition shows."""
    sums = {name: value or 0 for name, value in found.items()}
    watch_ms, rows = sums.get("watch_ms", 0), sums.get("rows", 0)

    def value(measure: Measure) -> float:
        if measure.unit == SECONDS:
            return sums.get(measure.name.replace("_seconds", "_ms"), 0) / 1000
        if measure.name == _UNKNOWN_DURATION_SHARE:
            return sums["unknown_durations"] / rows if rows else 0.0
        if measure.unit == SHARE:
            return sums.get(measure.name, 0) / watch_ms if watch_ms else 0.0
        return float(sums.get(measure.name, 0))

    return {measure.name: value(measure) for measure in MEASURES}


def report_frame(spark: SparkSession, measured: Mapping[date, Mapping[str, float]]) -> DataFrame:
    """The measured days in the columns of `quality_report`."""
    rows = [
        (day, measure.name, values[measure.name], measure.unit)
        for day, values in measured.items()
        for measure in MEASURES
    ]
    return spark.createDataFrame(rows, QUALITY_REPORT.struct)


def _session_sums(sessions: DataFrame) -> DataFrame:
    continues = F.col("continuesFromPreviousDay")
    return sessions.groupBy(EVENT_DATE).agg(
        F.count_if(~continues).alias("sessions"),
        F.count_if(continues).alias("sessions_continued"),
    )


def _pair_sums(sessions: DataFrame) -> DataFrame:
    pairs = (
        sessions.select(EVENT_DATE, "userId", F.explode("visits").alias("visit"))
        .groupBy(EVENT_DATE, "userId", F.col("visit.videoId").alias("videoId"))
        .agg(
            F.sum("visit.exceedingCount").alias("beyond"),
            F.sum(F.col("visit.eventCount") + F.col("visit.openEndedCount")).alias("believed"),
        )
    )
    all_beyond = (F.col("beyond") > 0) & (F.col("believed") == 0)
    return pairs.groupBy(EVENT_DATE).agg(F.count_if(all_beyond).alias(_PAIRS_WITHOUT_POSITION))


def _engagement_sums(daily: DataFrame) -> DataFrame:
    def total_ms(name: str) -> Column:
        return F.sum(countable_ms(name))

    return daily.groupBy(EVENT_DATE).agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct("userId").alias("users"),
        F.count_distinct("videoId").alias("videos"),
        total_ms("totalWatchTime").alias("watch_ms"),
        total_ms("totalUniqueSecondsWatched").alias("unique_ms"),
        total_ms("totalClockTime").alias("clock_ms"),
        total_ms("estimatedTailSeconds").alias("estimated_tail_ms"),
        *[total_ms(f"{name}Seconds").alias(f"{_EVIDENCE_PREFIX}{name}") for name in EVIDENCE],
        F.sum("completionCount").alias("completions"),
        F.sum("totalForwardSkips").alias("forward_skips"),
        F.sum("totalBackwardSkips").alias("backward_skips"),
        *[
            F.count_if(F.array_contains("qualityFlags", name)).alias(f"{_FLAG_PREFIX}{name}")
            for name in QUALITY_FLAGS
        ],
        *[
            F.count_if(F.col("engagementTier") == name).alias(f"{_TIER_PREFIX}{name}")
            for name in TIERS
        ],
        F.count_if(F.col("videoDuration").isNull()).alias("unknown_durations"),
        F.count_if(F.col("totalWatchTime") < 0).alias(_NEGATIVE_WATCH_TIME),
    )
