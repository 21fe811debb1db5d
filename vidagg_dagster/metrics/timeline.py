"""Frames of events -> frames of sessions: what the fold needs, in numbers, and what it gives."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.dimensions import carried, dimensions_among
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import EVENT_DATE, SESSIONS, with_dimensions
from vidagg_dagster.core.vocabulary import RANK_OF
from vidagg_dagster.metrics.from_events import REASON_BITS
from vidagg_dagster.metrics.session_rows import SessionsOf
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster.spark.columns import calendar_day, chosen

_CARRIED: Final = ("eventId", REASON_BITS)
"""Columns that are passed on where events have them."""


def sessions(
    events: DataFrame,
    videos: DataFrame,
    *,
    days: Sequence[date] | None,
    parameters: EngagementParameters,
    timezone: str,
    dimensions: Sequence[str] = (),
    spread: Spread = ANY_SIZE,
) -> DataFrame:
    """One row per session and day, with everything that happened to each of its videos.

    `events` are `raw_events` rows of the `days` and of the day before each (`days=None`: every
    day there is), `videos` has `videoId` and `durationMs`. Returns the columns of `sessions`, with
    the `dimensions`, which the events have under these names.
    """
    for name in dimensions:
        events = events.withColumnRenamed(name, carried(name))
    by_number = prepared(events.drop("eventId"), videos, parameters, timezone)
    fold = SessionsOf(None if days is None else tuple(days), parameters)
    return spread.apply(by_number, fold, with_dimensions(SESSIONS, dimensions).struct)


def prepared(
    events: DataFrame, videos: DataFrame, parameters: EngagementParameters, timezone: str
) -> DataFrame:
    """What the fold needs of events, in numbers instead of names and times.

    One row per event: event_date, userId, sessionId, videoId, us, nameRank, sentPositionMs,
    seekFromMs, durationMs, playbackRate, and timesOutDay: the day on which a tail after the event
    would time out; and the dimensions that events carry.
    """
    us = F.unix_micros("timestamp")
    durations = F.broadcast(videos.select("videoId", "durationMs"))
    return events.join(durations, on="videoId", how="left").select(
        EVENT_DATE,
        "userId",
        "sessionId",
        "videoId",
        us.alias("us"),
        name_rank(events).alias("nameRank"),
        F.col("positionMs").alias("sentPositionMs"),
        "seekFromMs",
        "durationMs",
        "playbackRate",
        calendar_day(us + parameters.session_timeout_ms * 1000, timezone).alias("timesOutDay"),
        *[name for name in _CARRIED if name in events.columns],
        *map(carried, dimensions_among(events.columns)),
    )


def name_rank(events: DataFrame) -> Column:
    """The rank of an event's name: as reading has judged it, or else of the name itself."""
    if "_rank" in events.columns:
        return F.col("_rank")
    return chosen((F.col("eventName") == name, rank) for name, rank in RANK_OF.items())
