"""Engagement rows: the daily one per user and video, and the columns derived from its sums."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.dimensions import carried
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
    with_dimensions,
)
from vidagg_dagster.core.vocabulary import EVIDENCE, VISIT_SUMS
from vidagg_dagster.metrics.intervals import merge_with_union
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster.spark.columns import floor_div, half_up_hundredths, milliseconds, seconds

QUALITY_FLAGS = (
    "position_exceeds_duration",
    "excessive_watch_time",
    "completed_without_sufficient_watch",
    "very_short_watch",
    "seek_repaired",
    "open_ended",
    "unknown_duration",
    "no_start",
)
"""In the order in which a row lists them; the first four can become `dataQualityFlag`."""
TIERS = ("High", "Medium", "Low", "Minimal")


def user_video_engagement(
    sessions: DataFrame,
    videos: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimates: DataFrame | None = None,
    unique: bool = True,
    dimensions: Sequence[str] = (),
    spread: Spread = ANY_SIZE,
) -> DataFrame:
    """One row per user, video and day of the given `sessions` rows, in the columns of the table.

    `videos` has `videoId`, `durationMs`, `videoTitle`. With `estimates` (`videoId`, `durationMs`:
    largest positions seen on other days) unknown durations are estimated. With `unique=False` the
    union of the intervals is not computed, and what follows from it is null. The `dimensions` of
    the sessions become sets.
    """
    happens = (F.col("eventCount") > 0) | (F.col("openEndedCount") > 0)
    columns = {carried(name): F.col(name) for name in dimensions}
    visits = sessions.select(
        EVENT_DATE,
        "userId",
        F.explode("visits").alias("visit"),
        *[column.alias(name) for name, column in columns.items()],
    ).select(EVENT_DATE, "userId", "visit.*", *columns)
    merged = merge_with_union(
        visits,
        [EVENT_DATE, "userId", "videoId"],
        "intervals",
        sums={name: F.col(field).cast("bigint") for name, field in VISIT_SUMS.items()},
        least={"firstWatchDate": F.col("firstEventTime")},
        greatest={"lastWatchDate": F.col("lastEventTime"), "maxPositionMs": F.col("maxPositionMs")},
        lists={name: F.array_compact(F.array(F.when(happens, F.col(name)))) for name in columns},
        evidence=True,
        unite=unique,
        spread=spread,
    ).where(happens)
    described = with_durations(merged, videos)
    if estimates is not None:
        described = with_estimates(described, estimates.unionByName(_own_estimates(merged)))
    table = with_dimensions(USER_VIDEO_ENGAGEMENT, dimensions)
    return publish(described, table, parameters=parameters, run_time=run_time)


def with_durations(merged: DataFrame, videos: DataFrame, *, estimate: bool = False) -> DataFrame:
    """Adds `durationMs`, `durationSource` and `videoTitle`.

    With `estimate` durations that no metadata gives are the largest position in `merged`.
    """
    described = merged.join(
        F.broadcast(videos.select("videoId", "durationMs", "videoTitle")), on="videoId", how="left"
    ).withColumn("durationSource", F.when(F.col("durationMs").isNotNull(), F.lit("metadata")))
    return with_estimates(described, _own_estimates(merged)) if estimate else described


def _own_estimates(merged: DataFrame) -> DataFrame:
    return _largest(merged.withColumn("maxPositionMs", _furthest()))


def with_estimates(described: DataFrame, estimates: DataFrame) -> DataFrame:
    """Fills durations that no metadata gives from `estimates` (`videoId`, `durationMs`)."""
    known = estimates.groupBy("videoId").agg(F.max("durationMs").alias("estimatedMs"))
    from_metadata = F.coalesce(F.col("durationSource") == "metadata", F.lit(False))
    return (
        described.join(known, on="videoId", how="left")
        .withColumns(
            {
                "durationMs": F.when(from_metadata, F.col("durationMs")).otherwise(
                    F.col("estimatedMs")
                ),
                "durationSource": F.when(from_metadata, F.lit("metadata")).when(
                    F.col("estimatedMs").isNotNull(), F.lit("estimated")
                ),
            }
        )
        .drop("estimatedMs")
    )


def duration_estimates(daily: DataFrame) -> DataFrame:
    """Per video the largest position in published rows, as `videoId`, `durationMs`."""
    return _largest(
        daily.select(
            "videoId",
            "watchedIntervals",
            milliseconds(F.col("maxPositionReached")).alias("maxPositionMs"),
        ).withColumn("maxPositionMs", _furthest())
    )


def _furthest() -> Column:
    """The larger of `maxPositionMs` and the end of the last watched interval; null if that is 0.

    What was clipped before a seek may end behind every position that an event reported; a
    duration below it would make more of the video watched than there is.
    """
    reached = F.coalesce(F.col("maxPositionMs"), F.lit(0))
    watched = F.when(
        F.size("watchedIntervals") > 0, F.element_at("watchedIntervals", -1)["endMs"]
    ).otherwise(F.lit(0))
    largest = F.when(watched > reached, watched).otherwise(reached)
    return F.when(largest > 0, largest)


def _largest(rows: DataFrame) -> DataFrame:
    return rows.groupBy("videoId").agg(F.max("maxPositionMs").alias("durationMs"))


def publish(
    merged: DataFrame,
    table: TableSpec,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    more: Sequence[str] = (),
) -> DataFrame:
    """Facts in milliseconds -> the published columns of `table`, derived ones included.

    `merged` has the keys, `facts.SUMS`, `uniqueMs`, `gapMs`, `maxPositionMs`, `watchedIntervals`,
    `lastPlayedAt`, `resumeMs`,
    `durationMs`, `durationSource`, `videoTitle`, `firstWatchDate`, `lastWatchDate` and what else
    `table` needs under its own name; its dimensions as they are carried, with repetitions. Where
    `uniqueMs` is null, so is all that follows from it.
    The columns `more` come behind those of the table.
    """
    unique, total, duration = F.col("uniqueMs"), F.col("watchMs"), F.col("durationMs")
    reached = F.coalesce(F.col("maxPositionMs"), F.lit(0))
    rewatched = total - unique
    count = F.when(F.col("sessionCount") > 0, F.col("sessionCount"))
    score = _score(unique, rewatched, duration, parameters)
    flags = _flags(unique, total, duration, parameters)
    first_four = F.filter(flags, lambda flag: flag.isin(*QUALITY_FLAGS[:4]))
    columns = {
        "videoDuration": seconds(duration),
        "videoDurationSource": F.col("durationSource"),
        "totalWatchTime": seconds(total),
        "totalUniqueSecondsWatched": seconds(unique),
        "totalClockTime": seconds(F.col("clockMs")),
        "maxPositionReached": seconds(reached),
        "watchPercentage": _percent(total, duration),
        "uniqueWatchPercentage": _percent(unique, duration),
        "completionPercentage": _percent(reached, duration),
        "isReplay": F.col("sessionCount") > 1,
        "avgWatchTimePerSession": seconds(total) / count,
        "avgSessionDuration": seconds(F.col("sessionMs")) / count,
        "avgPausesPerSession": F.col("pauseCount").cast("double") / count,
        "totalForwardSkips": F.col("forwardSkips"),
        "totalBackwardSkips": F.col("backwardSkips"),
        "isCompletedAtLeastOnce": F.col("completionCount") > 0,
        "rewatchedSeconds": seconds(rewatched),
        **{f"{evidence}Seconds": seconds(F.col(f"{evidence}Ms")) for evidence in EVIDENCE},
        "estimatedTailSeconds": seconds(F.col("tailMs")),
        "resumePosition": seconds(F.col("resumeMs")),
        "largestUnseenGap": seconds(_largest_gap(unique, duration)),
        "engagementScore": score,
        "engagementTier": _tier(score, parameters),
        "qualityFlags": flags,
        "dataQualityFlag": F.when(F.size(first_four) > 0, first_four[0]).otherwise(F.lit("ok")),
        "totalSessionDuration": seconds(F.col("sessionMs")),
        "exceedingPositionCount": F.col("exceedingCount"),
        "processedAt": F.lit(run_time),
        **{n: F.array_sort(F.array_distinct(F.col(carried(n)))) for n in table.dimensions},
    }
    return merged.select(
        *[
            columns.get(column.name, F.col(column.name)).cast(column.type).alias(column.name)
            for column in table.columns
        ],
        *more,
    )


def _largest_gap(unique: Column, duration: Column) -> Column:
    """The longest stretch in no watched interval: before or between them, or behind the last."""
    spans = F.col("watchedIntervals")
    seen_to = F.when(F.size(spans) > 0, F.element_at(spans, -1)["endMs"]).otherwise(F.lit(0))
    known = unique.isNotNull() & duration.isNotNull()
    return F.when(known, F.greatest(F.col("gapMs"), duration - seen_to, F.lit(0)))


def _percent(part: Column, duration: Column) -> Column:
    return half_up_hundredths(part * 100, duration)


def _hundredths(points: Decimal) -> int:
    return int(points * 100)


def _score(
    unique: Column, rewatched: Column, duration: Column, parameters: EngagementParameters
) -> Column:
    """80 coverage + 10 completed + 10 min(1, rewatched/duration) - min(10, skips), 0 to 100.

    Computed as one fraction over the duration in integers of 1/100 point and rounded half up
    once, so that no engine's floating point can tip a score over a tier's edge.
    """

    def at_most_once(part: Column) -> Column:
        return F.when(part > duration, duration).otherwise(part)

    completed = (F.col("completionCount") > 0) & (
        unique * 100 >= duration * parameters.completion_coverage_percent
    )
    skips = F.col("forwardSkips") + F.col("backwardSkips")
    penalty = F.when(
        skips > parameters.skip_penalty_limit, parameters.skip_penalty_limit
    ).otherwise(skips)
    points = (
        at_most_once(unique) * _hundredths(parameters.coverage_weight)
        + at_most_once(rewatched) * _hundredths(parameters.rewatch_weight)
        + F.when(completed, duration * _hundredths(parameters.completion_weight)).otherwise(
            F.lit(0)
        )
        - duration * penalty * 100
    )
    not_negative = F.when(points < 0, F.lit(0)).otherwise(points)
    rounded = floor_div(not_negative * 2 + duration, duration * 2)
    return F.when(
        unique.isNotNull(),
        F.when(rounded > 10_000, F.lit(10_000)).otherwise(rounded).cast("double") / F.lit(100.0),
    )


def _tier(score: Column, parameters: EngagementParameters) -> Column:
    high, medium, low, minimal = TIERS
    return (
        F.when(score >= float(parameters.high_tier_score), high)
        .when(score >= float(parameters.medium_tier_score), medium)
        .when(score >= float(parameters.low_tier_score), low)
        .when(score.isNotNull(), minimal)
    )


def _flags(
    unique: Column, total: Column, duration: Column, parameters: EngagementParameters
) -> Column:
    sessions = F.when(F.col("sessionCount") > 1, F.col("sessionCount")).otherwise(F.lit(1))
    applies = {
        "position_exceeds_duration": F.col("exceedingCount") > 0,
        "excessive_watch_time": total * 100
        > duration * parameters.excessive_watch_percent * sessions,
        "completed_without_sufficient_watch": (F.col("completionCount") > 0)
        & (unique * 100 < duration * parameters.completion_coverage_percent),
        "very_short_watch": total < parameters.very_short_watch_ms,
        "seek_repaired": F.col("clippedMs") > 0,
        "open_ended": F.col("openEndedCount") > 0,
        "unknown_duration": duration.isNull(),
        "no_start": F.col("noStartCount") > 0,
    }
    return F.array_compact(F.array(*[F.when(applies[flag], flag) for flag in QUALITY_FLAGS]))
