"""Daily rows merged into one row per user and video."""

from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.dimensions import carried
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    SPAN,
    with_dimensions,
)
from vidagg_dagster.core.vocabulary import EVIDENCE, SUMS
from vidagg_dagster.metrics.engagement import (
    duration_estimates,
    publish,
    with_durations,
    with_estimates,
)
from vidagg_dagster.metrics.from_events import COUNTS, REASON_BITS, FromEvents
from vidagg_dagster.metrics.intervals import merge_with_union
from vidagg_dagster.metrics.timeline import prepared
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster.spark.columns import milliseconds

_KEY = list(AGGREGATED_ENGAGEMENT.key)


def merge_days(
    daily: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimate: bool = False,
    unique: bool = True,
    dimensions: Sequence[str] = (),
    spread: Spread = ANY_SIZE,
) -> DataFrame:
    """Daily rows -> one row per user and video, in the columns of the lifetime table.

    With `estimate` the durations that no metadata gives are estimated over all the given rows.
    With `unique=False` the union of the intervals, and what follows from it, is null.
    """
    return merge_rows(
        as_lifetime(daily),
        parameters=parameters,
        run_time=run_time,
        estimates=duration_estimates(daily) if estimate else None,
        unique=unique,
        dimensions=dimensions,
        spread=spread,
    )


def lifetime_from_events(
    judged: DataFrame,
    videos: DataFrame,
    *,
    parameters: EngagementParameters,
    timezone: str,
    dimensions: Sequence[str] = (),
    spread: Spread = ANY_SIZE,
) -> DataFrame:
    """Judged rows of all days (`events.judge`) -> one row per user and video, not yet published.

    Rows are as `FromEvents` gives them; `publish_lifetime` makes the table's.
    """
    by_number = prepared(judged, videos, parameters, timezone)
    # Rows without a user must not all meet in one partition.
    by_user = F.when(F.col(REASON_BITS) == 0, F.xxhash64("userId")).otherwise(
        F.xxhash64("userId", "sessionId", "videoId", "us", "sentPositionMs")
    )
    sets = [T.StructField(carried(name), T.ArrayType(T.StringType())) for name in dimensions]
    facts = T.StructType([*_FACTS.fields, *sets])
    return spread.apply(by_number, FromEvents(parameters), facts, by=by_user)


def publish_lifetime(
    facts: DataFrame,
    videos: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimate: bool = False,
    dimensions: Sequence[str] = (),
) -> DataFrame:
    """What `lifetime_from_events` gives -> the columns of the lifetime table, and `COUNTS`.

    As there, rows that only count have no user.
    """
    return publish(
        with_durations(facts, videos, estimate=estimate),
        with_dimensions(AGGREGATED_ENGAGEMENT, dimensions),
        parameters=parameters,
        run_time=run_time,
        more=(COUNTS,),
    )


_FACTS = T.StructType(
    [
        T.StructField("userId", T.StringType()),
        T.StructField("videoId", T.StringType()),
        *[T.StructField(name, T.LongType()) for name in SUMS],
        T.StructField("firstWatchDate", T.TimestampType()),
        T.StructField("lastWatchDate", T.TimestampType()),
        T.StructField("maxPositionMs", T.LongType()),
        T.StructField("activeDays", T.ArrayType(T.DateType())),
        T.StructField("watchedIntervals", T.ArrayType(SPAN)),
        T.StructField("uniqueMs", T.LongType()),
        T.StructField("gapMs", T.LongType()),
        T.StructField("lastPlayedAt", T.TimestampType()),
        T.StructField("resumeMs", T.LongType()),
        T.StructField(COUNTS, T.ArrayType(T.LongType())),
    ]
)


def as_lifetime(daily: DataFrame) -> DataFrame:
    """Daily rows in the columns of lifetime rows of a single day."""
    return daily.withColumn("activeDays", F.array(EVENT_DATE)).drop(EVENT_DATE)


def merge_rows(
    rows: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimates: DataFrame | None = None,
    unique: bool = True,
    dimensions: Sequence[str] = (),
    spread: Spread = ANY_SIZE,
) -> DataFrame:
    """Rows with `activeDays`, of which no two of a pair share a day -> one row per pair.

    A pair with one row of unknown intervals (null) has no known union, and none of what follows
    from it.
    """
    merged = merge_with_union(
        _with_known_intervals(rows),
        _KEY,
        "watchedIntervals",
        sums={**_published_sums(), "unknownUnions": F.col("unionIsUnknown")},
        least={"firstWatchDate": F.col("firstWatchDate")},
        greatest={
            "lastWatchDate": F.col("lastWatchDate"),
            "maxPositionMs": milliseconds(F.col("maxPositionReached")),
            "described": _description(),
            # No two rows of a pair share a day, so none share an instant.
            "played": F.struct("lastPlayedAt", milliseconds(F.col("resumePosition")).alias("ms")),
        },
        lists={
            "days": F.col("activeDays"),
            **{carried(name): F.col(name) for name in dimensions},
        },
        unite=unique,
        spread=spread,
    )
    union_is_known = F.col("unknownUnions") == 0
    pairs = merged.withColumns(
        {name: F.when(union_is_known, F.col(name)) for name in ("watchedIntervals", "uniqueMs")}
    ).select(
        "*",
        F.array_sort("days").alias("activeDays"),
        F.col("played.lastPlayedAt").alias("lastPlayedAt"),
        F.col("played.ms").alias("resumeMs"),
        F.col("described.videoTitle").alias("videoTitle"),
        milliseconds(F.col("described.videoDuration")).alias("durationMs"),
        F.col("described.durationSource").alias("durationSource"),
    )
    if estimates is not None:
        pairs = with_estimates(pairs, estimates)
    table = with_dimensions(AGGREGATED_ENGAGEMENT, dimensions)
    return publish(pairs, table, parameters=parameters, run_time=run_time)


def _with_known_intervals(rows: DataFrame) -> DataFrame:
    """Empty intervals where they are unknown; `unionIsUnknown` (0 or 1) says where that is."""
    intervals = F.col("watchedIntervals")
    return rows.withColumns(
        {
            "watchedIntervals": F.coalesce(intervals, F.array().cast(T.ArrayType(SPAN))),
            "unionIsUnknown": intervals.isNull().cast("bigint"),
        }
    )


def _description() -> Column:
    """What a row says of its video, ordered by its latest day: the greatest one is the newest."""
    return F.struct(
        F.element_at("activeDays", -1).alias("latestDay"),
        F.col("videoTitle").alias("videoTitle"),
        F.col("videoDuration").alias("videoDuration"),
        F.col("videoDurationSource").alias("durationSource"),
    )


def _published_sums() -> dict[str, Column]:
    """The additive facts, taken back from the published columns of a row."""
    return {
        "watchMs": milliseconds(F.col("totalWatchTime")),
        "clockMs": milliseconds(F.col("totalClockTime")),
        **{f"{name}Ms": milliseconds(F.col(f"{name}Seconds")) for name in EVIDENCE},
        "tailMs": milliseconds(F.col("estimatedTailSeconds")),
        "sessionMs": milliseconds(F.col("totalSessionDuration")),
        "sessionCount": F.col("sessionCount"),
        "pauseCount": F.col("pauseCount"),
        "forwardSkips": F.col("totalForwardSkips"),
        "backwardSkips": F.col("totalBackwardSkips"),
        "completionCount": F.col("completionCount"),
        "openEndedCount": F.col("openEndedCount"),
        "exceedingCount": F.col("exceedingPositionCount"),
        "noStartCount": F.col("noStartCount"),
    }
