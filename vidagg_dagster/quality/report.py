"""The quality report: one row per day and measure, zeros included."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.core.vocabulary import EVIDENCE, REASONS
from vidagg_dagster.metrics.engagement import QUALITY_FLAGS, TIERS
from vidagg_dagster.quality.evaluate import countable_ms

if TYPE_CHECKING:
    from vidagg_dagster.tables.interface import Tables


@dataclass(frozen=True)
class Measure:
    """One line of a day's report."""

    name: str
    unit: str
    doc: str


def _measures() -> Iterator[Measure]:
    yield Measure("input", "rows", "Rows that were read.")
    yield Measure("accepted", "rows", "Rows that became events.")
    yield Measure("duplicates", "rows", "Rows that repeat an event of the day.")
    yield Measure("rejected", "rows", "Rows that are no usable event.")
    for reason in REASONS:
        yield Measure(f"rejected:{reason}", "rows", f"Rows rejected for {reason}.")
    yield Measure("sessions", "rows", "Sessions that began on the day.")
    yield Measure("sessions_continued", "rows", "Sessions that went on from the day before.")
    yield Measure(
        "pairs_without_valid_position",
        "rows",
        "Users and videos with events, all of them beyond the video: they have no row.",
    )
    yield Measure("rows", "rows", "Users and videos with engagement on the day.")
    yield Measure("users", "rows", "Users among them.")
    yield Measure("videos", "rows", "Videos among them.")
    yield Measure("watch_seconds", "seconds", "Content watched, replays included.")
    yield Measure("unique_seconds", "seconds", "Content watched, per user, video and day once.")
    yield Measure("clock_seconds", "seconds", "Time on the clock meanwhile.")
    yield Measure(
        "estimated_tail_seconds", "seconds", "Upper bound of what open ends may have watched."
    )
    for evidence in EVIDENCE:
        yield Measure(
            f"evidence_share:{evidence}", "share", f"Part of watch_seconds that is {evidence}."
        )
    yield Measure("completions", "rows", "Videos played to their end.")
    yield Measure("forward_skips", "rows", "Jumps ahead.")
    yield Measure("backward_skips", "rows", "Jumps back.")
    for flag in QUALITY_FLAGS:
        yield Measure(f"flag:{flag}", "rows", f"Rows flagged {flag}.")
    for tier in TIERS:
        yield Measure(f"tier:{tier}", "rows", f"Rows of tier {tier}.")
    yield Measure("unknown_duration_share", "share", "Part of the rows without a duration.")
    yield Measure("negative_watch_time", "rows", "Rows with a negative watch time; always 0.")


MEASURES: tuple[Measure, ...] = tuple(_measures())
"""Every measure of a day, in the order in which people should read them."""


def measure_days(tables: "Tables", days: Sequence[date]) -> dict[date, dict[str, float]]:
    """Every measure of every day, from the stored tables; a day without rows has zeros."""
    found: dict[date, dict[str, int]] = {day: {} for day in days}
    for row in tables.read(INGESTION_COUNTS, days).collect():
        found[row[EVENT_DATE]][row["measure"]] = row["value"]
    for frame in (
        _of_sessions(tables.read(SESSIONS, days)),
        _of_pairs(tables.read(SESSIONS, days)),
        _of_engagement(tables.read(USER_VIDEO_ENGAGEMENT, days)),
    ):
        for row in frame.collect():
            counted = row.asDict()
            found[counted.pop(EVENT_DATE)].update(counted)
    return {day: _measured(facts) for day, facts in found.items()}


def _measured(counted: Mapping[str, int | None]) -> dict[str, float]:
    """Integer sums -> measures. Divided only here, so that no order of addition shows."""
    sums = {name: value or 0 for name, value in counted.items()}
    watch_ms, rows = sums.get("watch_ms", 0), sums.get("rows", 0)

    def value(measure: Measure) -> float:
        if measure.unit == "seconds":
            return sums.get(measure.name.replace("_seconds", "_ms"), 0) / 1000
        if measure.name == "unknown_duration_share":
            return sums["unknown_durations"] / rows if rows else 0.0
        if measure.unit == "share":
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


def _count(condition: Column) -> Column:
    return F.count(F.when(condition, F.lit(1)))


def _of_sessions(sessions: DataFrame) -> DataFrame:
    return sessions.groupBy(EVENT_DATE).agg(
        _count(~F.col("continuesFromPreviousDay")).alias("sessions"),
        _count(F.col("continuesFromPreviousDay")).alias("sessions_continued"),
    )


def _of_pairs(sessions: DataFrame) -> DataFrame:
    pairs = (
        sessions.select(EVENT_DATE, "userId", F.explode("visits").alias("visit"))
        .groupBy(EVENT_DATE, "userId", F.col("visit.videoId").alias("videoId"))
        .agg(
            F.sum("visit.exceedingCount").alias("beyond"),
            F.sum(F.col("visit.eventCount") + F.col("visit.openEndedCount")).alias("believed"),
        )
    )
    return pairs.groupBy(EVENT_DATE).agg(
        _count((F.col("beyond") > 0) & (F.col("believed") == 0)).alias(
            "pairs_without_valid_position"
        )
    )


def _of_engagement(daily: DataFrame) -> DataFrame:
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
        *[total_ms(f"{name}Seconds").alias(f"evidence_share:{name}") for name in EVIDENCE],
        F.sum("completionCount").alias("completions"),
        F.sum("totalForwardSkips").alias("forward_skips"),
        F.sum("totalBackwardSkips").alias("backward_skips"),
        *[
            _count(F.array_contains("qualityFlags", flag)).alias(f"flag:{flag}")
            for flag in QUALITY_FLAGS
        ],
        *[_count(F.col("engagementTier") == tier).alias(f"tier:{tier}") for tier in TIERS],
        _count(F.col("videoDuration").isNull()).alias("unknown_durations"),
        _count(F.col("totalWatchTime") < 0).alias("negative_watch_time"),
    )
