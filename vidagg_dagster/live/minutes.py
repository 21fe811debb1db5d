"""What happened in each minute: sessions of the fold, spread over the clock. Nothing is credited
here that the fold has not credited."""

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import EVENT_DATE, MINUTE
from vidagg_dagster.core.vocabulary import FIRST_STOP
from vidagg_dagster.metrics.intervals import watch_intervals
from vidagg_dagster.metrics.timeline import name_rank
from vidagg_dagster.spark.columns import floor_div
from vidagg_dagster.spark.compat import union

MINUTE_MS: Final = 60_000

_PAIR: Final = (EVENT_DATE, "userId", "videoId")
_RANK_BITS: Final = 4
_COUNTS: Final = ("watching", "starts", "stops", "watchMs")


def minutes_of_pairs(sessions: DataFrame, events: DataFrame) -> DataFrame:
    """Rows of `sessions`, and their events -> one row per user, video and day with `minutes`.

    A stretch that was watched over several minutes is spread over them by the clock, in whole
    milliseconds that add up to the stretch.
    """
    happened = union([_watched(sessions), _begun(sessions), _last_seen(events)])
    by_minute = happened.groupBy(*_PAIR, "at").agg(
        F.max("watching").alias("watching"),
        *[F.sum(name).alias(name) for name in ("starts", "stops", "watchMs")],
    )
    one = F.struct(
        F.timestamp_micros(F.col("at") * MINUTE_MS * 1000).alias("minute"),
        *[F.col(name).cast("bigint").alias(name) for name in _COUNTS],
    )
    listed = by_minute.groupBy(*_PAIR).agg(F.array_sort(F.collect_list(one)).alias("minutes"))
    return listed.withColumn("minutes", F.col("minutes").cast(T.ArrayType(MINUTE)))


def videos_by_minute(pairs: DataFrame) -> DataFrame:
    """Rows of `live_user_video` -> rows of `live_videos`."""
    by_minute = pairs.select(
        EVENT_DATE, "videoId", "videoTitle", F.explode("minutes").alias("happened")
    ).select(EVENT_DATE, "videoId", "videoTitle", "happened.*")
    return by_minute.groupBy(EVENT_DATE, "videoId", "minute").agg(
        F.max("videoTitle").alias("videoTitle"),
        *[F.sum(name).cast("bigint").alias(name) for name in _COUNTS],
    )


def _watched(sessions: DataFrame) -> DataFrame:
    """One row per credited stretch and minute that it touches."""
    opened, closed = _ms("openedAt"), _ms("closedAt")
    spans = watch_intervals(sessions).select(
        *_PAIR, opened.alias("opened"), closed.alias("closed"), "watchMs"
    )
    first = floor_div(F.col("opened"), MINUTE_MS)
    # What ends with a minute is not in the next one.
    last = floor_div(F.greatest(F.col("opened"), F.col("closed") - 1), MINUTE_MS)
    each = spans.withColumn("at", F.explode(F.sequence(first, last)))
    until_end, until_begin = (_credited(F.col("at") + 1), _credited(F.col("at")))
    return each.select(*_PAIR, "at", *_counted(watching=1, watchMs=until_end - until_begin))


def _begun(sessions: DataFrame) -> DataFrame:
    """One row per session and video that begins, in the minute of its first event."""
    visits = sessions.select(EVENT_DATE, "userId", F.explode("visits").alias("visit")).select(
        EVENT_DATE,
        "userId",
        F.col("visit.videoId").alias("videoId"),
        F.col("visit.startsHere").alias("begins"),
        F.col("visit.firstEventTime").alias("first"),
    )
    begun = visits.where(F.col("begins") & F.col("first").isNotNull())
    return begun.select(*_PAIR, _minute("first"), *_counted(starts=1))


def _last_seen(events: DataFrame) -> DataFrame:
    """One row per player and day, in the minute of its last event: it stopped, or it plays."""
    # Of one instant the event of the highest rank is the last. Both as one number, so that one
    # maximum finds them.
    in_order = F.shiftleft(F.unix_micros("timestamp"), _RANK_BITS) + name_rank(events).cast(
        "bigint"
    )
    last = events.groupBy(*_PAIR, "sessionId").agg(F.max(in_order).alias("last"))
    stopped = F.col("last").bitwiseAND(F.lit((1 << _RANK_BITS) - 1)) >= FIRST_STOP
    seen = last.select(
        *_PAIR,
        F.timestamp_micros(F.shiftright("last", _RANK_BITS)).alias("time"),
        stopped.cast("bigint").alias("stopped"),
    )
    return seen.select(
        *_PAIR,
        _minute("time"),
        *_counted(watching=1 - F.col("stopped"), stops=F.col("stopped")),
    )


def _counted(**counts: Column | int) -> list[Column]:
    given = {name: counts.get(name, 0) for name in _COUNTS}
    return [
        (value if isinstance(value, Column) else F.lit(value)).cast("bigint").alias(name)
        for name, value in given.items()
    ]


def _minute(time: str) -> Column:
    return floor_div(_ms(time), MINUTE_MS).alias("at")


def _credited(minute: Column) -> Column:
    """Milliseconds of the stretch that were watched before a minute begins."""
    elapsed = minute * MINUTE_MS - F.col("opened")
    clock = F.col("closed") - F.col("opened")
    return (
        F.when(elapsed <= 0, F.lit(0))
        .when(elapsed >= clock, F.col("watchMs"))
        .otherwise(floor_div(F.col("watchMs") * elapsed, clock))
    )


def _ms(name: str) -> Column:
    return floor_div(F.unix_micros(name), 1000)
