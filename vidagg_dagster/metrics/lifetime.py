"""The lifetime table: daily rows merged into one row per user and video, exact by increments."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import date, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.contract import LifetimeUpdate
from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    SPAN,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.core.vocabulary import EVIDENCE, SUMS
from vidagg_dagster.metrics.engagement import (
    duration_estimates,
    publish,
    with_durations,
    with_estimates,
)
from vidagg_dagster.metrics.ingestion import with_same_id
from vidagg_dagster.metrics.intervals import merge_with_union
from vidagg_dagster.metrics.kernels.names import COUNTS, REASON_BITS, SAME_ID
from vidagg_dagster.metrics.timeline import prepared
from vidagg_dagster.spark.arrow import Kernels
from vidagg_dagster.spark.columns import milliseconds
from vidagg_dagster.tables.interface import Tables

_log = logging.getLogger(__name__)
_KEY = list(AGGREGATED_ENGAGEMENT.key)
_ATTEMPTS = 3


def merge_days(
    daily: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimate: bool = False,
    unique: bool = True,
    kernels: Kernels | None = None,
) -> DataFrame:
    """Daily rows -> one row per user and video, in the columns of the lifetime table.

    With `estimate` the durations that no metadata gives are estimated over all the given rows.
    With `unique=False` the union of the intervals, and what follows from it, is null.
    """
    return _merge(
        _as_lifetime(daily),
        parameters=parameters,
        run_time=run_time,
        estimates=duration_estimates(daily) if estimate else None,
        unique=unique,
        kernels=kernels,
    )


def lifetime_from_events(
    judged: DataFrame,
    videos: DataFrame,
    *,
    parameters: EngagementParameters,
    timezone: str,
    kernels: Kernels,
) -> DataFrame:
    """Judged rows of all days (`events.judge`) -> one row per user and video, not yet published.

    Rows are as `arrow.from_events.FromEvents` gives them; `publish_lifetime` makes the table's.
    """
    from vidagg_dagster.metrics.kernels.from_events import FromEvents

    if "eventId" in judged.columns and SAME_ID not in judged.columns:
        judged = with_same_id(judged, kernels)
    by_number = prepared(judged, videos, parameters, timezone)
    # Rejected rows are spread, lest all of them meet in one partition.
    by_user = F.when(F.col(REASON_BITS) == 0, F.xxhash64("userId")).otherwise(
        F.xxhash64("userId", "sessionId", "videoId", "us", "sentPositionMs")
    )
    return kernels.apply(by_number, FromEvents(parameters), _FACTS, by=by_user)


def publish_lifetime(
    facts: DataFrame,
    videos: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimate: bool = False,
) -> DataFrame:
    """What `lifetime_from_events` gives -> the columns of the lifetime table."""
    pairs = facts.where(F.col("userId").isNotNull())
    described = with_durations(pairs, videos, estimate=estimate)
    return publish(
        described.withColumn("activeDays", F.array_sort("activeDays")),
        AGGREGATED_ENGAGEMENT,
        parameters=parameters,
        run_time=run_time,
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
        T.StructField(COUNTS, T.ArrayType(T.LongType())),
    ]
)


def update_lifetime(
    tables: Tables,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimate: bool = False,
    kernels: bool = False,
) -> LifetimeUpdate:
    """Brings the lifetime table up to date with the days replaced since it last ran.

    A pair that has none of these days yet grows by its new rows. A pair that already contains one
    is merged anew from its daily rows, so that a day run again, late, or emptied leaves no trace.
    The state is the version of the daily table that was taken in, kept in the commit itself.

    Raises:
        TableConflictError: Other writers changed the table during each of three attempts.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _update(tables, parameters, run_time, estimate, kernels)
        except TableConflictError as error:
            _log.warning("another run updated the lifetime table, computing again: %s", error)
    return _update(tables, parameters, run_time, estimate, kernels)


def _update(
    tables: Tables,
    parameters: EngagementParameters,
    run_time: datetime,
    estimate: bool,
    kernels: bool,
) -> LifetimeUpdate:
    based_on = tables.version(AGGREGATED_ENGAGEMENT)
    note = tables.note(AGGREGATED_ENGAGEMENT)
    # Scores of untouched pairs follow from the parameters too, and an estimate from every pair of its
    # video: in both cases an increment would leave them behind.
    fingerprint = hashlib.sha256(f"{parameters.model_dump_json()} {estimate}".encode()).hexdigest()[
        :16
    ]
    keeps = note.get("parameters") == fingerprint and not estimate
    since = int(note["source_version"]) if keeps and "source_version" in note else None
    replaced = tables.days_replaced_since(USER_VIDEO_ENGAGEMENT, since)
    if replaced.days is not None and not replaced.days:
        return LifetimeUpdate(changed=0, deleted=0, days=())

    lifetime = tables.read(AGGREGATED_ENGAGEMENT)
    if since is None or replaced.days is None:
        days = None
        rows = merge_days(
            tables.read(USER_VIDEO_ENGAGEMENT),
            parameters=parameters,
            run_time=run_time,
            estimate=estimate,
            kernels=Kernels() if kernels else None,
        )
        gone = lifetime.select(*_KEY).join(rows.select(*_KEY), on=_KEY, how="left_anti")
    else:
        days = tuple(sorted(replaced.days))
        rows, gone = _increment(tables, lifetime, days, parameters, run_time, kernels)
    changed, deleted = tables.upsert(
        AGGREGATED_ENGAGEMENT,
        rows,
        gone,
        {"source_version": str(replaced.version), "parameters": fingerprint},
        based_on=based_on,
    )
    _log.info("lifetime table: %d rows written, %d removed", changed, deleted)
    return LifetimeUpdate(changed=changed, deleted=deleted, days=days)


def _increment(
    tables: Tables,
    lifetime: DataFrame,
    days: Sequence[date],
    parameters: EngagementParameters,
    run_time: datetime,
    kernels: bool,
) -> tuple[DataFrame, DataFrame]:
    """The lifetime rows that the replaced `days` change, and the keys of those that they end."""
    contains = F.arrays_overlap("activeDays", F.array(*[F.lit(day) for day in days]))
    stale = lifetime.where(contains).select(*_KEY, "activeDays")
    history = [
        row[0]
        for row in stale.select(F.explode("activeDays").alias("day")).distinct().collect()
        if row[0] not in days
    ]
    new = _as_lifetime(tables.read(USER_VIDEO_ENGAGEMENT, days))
    parts = [new]
    if history:
        # Only pairs that contain a replaced day need their other days read again.
        rest = tables.read(USER_VIDEO_ENGAGEMENT, sorted(history))
        parts.append(_as_lifetime(rest.join(stale.select(*_KEY), on=_KEY, how="left_semi")))
    grows = lifetime.where(~contains).join(new.select(*_KEY).distinct(), on=_KEY, how="left_semi")
    parts.append(grows.select(*new.columns))
    together = reduce(DataFrame.unionByName, parts)
    counted = sum(tables.day_counts(USER_VIDEO_ENGAGEMENT, days).values())
    rows = _merge(
        together,
        parameters=parameters,
        run_time=run_time,
        kernels=Kernels(2 * counted) if kernels else None,
    )
    gone = stale.select(*_KEY).join(together.select(*_KEY).distinct(), on=_KEY, how="left_anti")
    return rows, gone


def _as_lifetime(daily: DataFrame) -> DataFrame:
    return daily.withColumn("activeDays", F.array(EVENT_DATE)).drop(EVENT_DATE)


def _merge(
    rows: DataFrame,
    *,
    parameters: EngagementParameters,
    run_time: datetime,
    estimates: DataFrame | None = None,
    unique: bool = True,
    kernels: Kernels | None = None,
) -> DataFrame:
    """Rows with `activeDays`, of which no two of a pair share a day -> one row per pair."""
    described = F.struct(
        F.element_at("activeDays", -1).alias("latestDay"),
        F.col("videoTitle").alias("videoTitle"),
        F.col("videoDuration").alias("videoDuration"),
        F.col("videoDurationSource").alias("durationSource"),
    )
    merged = merge_with_union(
        rows,
        _KEY,
        "watchedIntervals",
        sums=_published_sums(),
        least={"firstWatchDate": F.col("firstWatchDate")},
        greatest={
            "lastWatchDate": F.col("lastWatchDate"),
            "maxPositionMs": milliseconds(F.col("maxPositionReached")),
            "described": described,
        },
        lists={"days": F.col("activeDays")},
        unite=unique,
        kernels=kernels,
    )
    pairs = merged.select(
        "*",
        F.array_sort("days").alias("activeDays"),
        F.col("described.videoTitle").alias("videoTitle"),
        milliseconds(F.col("described.videoDuration")).alias("durationMs"),
        F.col("described.durationSource").alias("durationSource"),
    )
    if estimates is not None:
        pairs = with_estimates(pairs, estimates)
    return publish(pairs, AGGREGATED_ENGAGEMENT, parameters=parameters, run_time=run_time)


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
    }
