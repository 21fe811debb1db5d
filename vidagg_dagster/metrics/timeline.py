"""Events in order -> credited pairs -> sessions: the part of the arithmetic that needs a timeline.

A fact settled on a day is computed from the events of that day and of the day before, and from
nothing else, also when all days are computed at once. Every event is therefore laid on two
*work days*: its own, and the next one, where it is context. All windows lie inside one work day,
so days computed singly, in ranges, in any order or in one pass agree by construction.
"""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import EVENT_DATE, SESSIONS
from vidagg_dagster.core.vocabulary import ENDED, KIND_AND_RANK, NEUTRAL, PAUSE, SEEK, START, STOP
from vidagg_dagster.metrics.kernels.names import CARRIED
from vidagg_dagster.spark.arrow import Kernels
from vidagg_dagster.spark.columns import calendar_day, whole_ms

_SESSION = ["workDay", "userId", "sessionId"]
# Events beyond the video take no part in the player's story, but must stay on the session's
# timeline: a partition of their own keeps them out of every per-video window.
_PLAYER = [*_SESSION, "videoId", "beyondVideo"]
_IN_ORDER = ["us", "tieRank", "nameRank", "positionMs", "sentPositionMs"]


def sessions(
    events: DataFrame,
    videos: DataFrame,
    *,
    days: Sequence[date] | None,
    parameters: EngagementParameters,
    timezone: str,
    kernels: Kernels | None = None,
) -> DataFrame:
    """One row per session and day, with everything that happened to each of its videos.

    `events` are `raw_events` rows of the `days` and of the day before each (`days=None`: every
    day there is), `videos` has `videoId` and `durationMs`. Returns the columns of `sessions`.
    With `kernels` they are computed by `arrow/timeline.py`, to the same rows.
    """
    by_number = prepared(events.drop("eventId"), videos, parameters, timezone)
    if kernels is not None:
        from vidagg_dagster.metrics.kernels.timeline import SessionsKernel

        kernel = SessionsKernel(None if days is None else tuple(days), parameters)
        return kernels.apply(by_number, kernel, SESSIONS.struct)
    on_work_days = _lay_on_work_days(_with_kinds(by_number, parameters), days)
    credited = _credit_pairs(_with_neighbours(_in_player_order(on_work_days)), parameters)
    visits = _count_visits(_cut_sessions(credited, parameters), parameters, timezone)
    return _roll_up(visits)


def prepared(
    events: DataFrame, videos: DataFrame, parameters: EngagementParameters, timezone: str
) -> DataFrame:
    """What the arithmetic needs of events, in numbers instead of names and times.

    One row per event: event_date, userId, sessionId, videoId, us, nameRank, sentPositionMs,
    durationMs, playbackRate, and timesOutDay: of starts the day on which a tail would time out.
    """
    rank = _lookup(F.col("eventName"), {name: rank for name, (_, rank) in KIND_AND_RANK.items()})
    us = F.unix_micros("timestamp")
    times_out = calendar_day(us + parameters.session_timeout_ms * 1000, timezone)
    starts = rank.isin([rank for kind, rank in KIND_AND_RANK.values() if kind == START])
    durations = F.broadcast(videos.select("videoId", "durationMs"))
    carried = [name for name in ("eventId", *CARRIED) if name in events.columns]
    return events.join(durations, on="videoId", how="left").select(
        EVENT_DATE,
        "userId",
        "sessionId",
        "videoId",
        us.alias("us"),
        rank.alias("nameRank"),
        F.col("positionMs").alias("sentPositionMs"),
        "durationMs",
        "playbackRate",
        F.when(starts, times_out).otherwise(F.col(EVENT_DATE)).alias("timesOutDay"),
        *carried,
    )


def _with_kinds(events: DataFrame, parameters: EngagementParameters) -> DataFrame:
    """Adds what an event does to the player, and its position held against the duration."""
    kind = F.lit(None).cast("int")
    for of_event, rank in KIND_AND_RANK.values():
        kind = F.when(F.col("nameRank") == rank, F.lit(of_event)).otherwise(kind)
    sent, duration = F.col("sentPositionMs"), F.col("durationMs")
    beyond = F.coalesce(sent * 100 > duration * parameters.position_limit_percent, F.lit(False))
    return events.select(
        "*",
        kind.alias("kind"),
        F.when(sent > duration, duration).otherwise(sent).alias("positionMs"),
        beyond.alias("beyondVideo"),
    )


def _lookup(name: Column, values: dict[str, int]) -> Column:
    chosen = F.lit(None).cast("int")
    for key, value in values.items():
        chosen = F.when(name == key, F.lit(value)).otherwise(chosen)
    return chosen


def _lay_on_work_days(events: DataFrame, days: Sequence[date] | None) -> DataFrame:
    """Each event on its own day and, as context, on the next; context no fact needs is dropped."""
    laid = events.repartition("userId").withColumn(
        "workDay", F.explode(F.array(F.col(EVENT_DATE), F.date_add(EVENT_DATE, 1)))
    )
    if days is not None:
        laid = laid.where(F.col("workDay").isin([F.lit(day) for day in days]))
    tail_may_settle = (F.col("kind") == START) & (F.col("timesOutDay") == F.col("workDay"))
    own = F.col("workDay") == F.col(EVENT_DATE)
    needed = F.max(own | tail_may_settle).over(Window.partitionBy(_SESSION))
    return laid.withColumns({"own": own, "needed": needed}).where("needed").drop("needed")


def _in_player_order(events: DataFrame) -> DataFrame:
    """Adds `tieRank`: the place of an event's kind among events of the same instant.

    While playing stops come before starts, while stopped after them. An instant with both leaves
    the state as it found it, so the state before an instant is the kind of the last earlier
    instant that had only starts or only stops.
    """
    by_time = Window.partitionBy(_PLAYER).orderBy("us")
    same_instant = by_time.rangeBetween(Window.currentRow, Window.currentRow)
    earlier = by_time.rangeBetween(Window.unboundedPreceding, -1)
    has_start = F.max(F.col("kind") == START).over(same_instant)
    has_stop = F.max(F.col("kind") == STOP).over(same_instant)
    only = F.when(has_start & ~has_stop, START).when(has_stop & ~has_start, STOP)
    state_before = F.coalesce(F.last("onlyKind", ignorenulls=True).over(earlier), F.lit(STOP))
    return (
        events.withColumn("onlyKind", only)
        .withColumn("tieRank", F.col("kind") * state_before)
        .drop("onlyKind")
    )


def _with_neighbours(events: DataFrame) -> DataFrame:
    """Adds the event before and after in the (user, session, video), and the state before."""
    order = Window.partitionBy(_PLAYER).orderBy(_IN_ORDER)
    before = order.rowsBetween(Window.unboundedPreceding, -1)
    state = F.last(F.when(F.col("kind") != NEUTRAL, F.col("kind")), ignorenulls=True).over(before)
    return events.withColumns(
        {
            "previousUs": F.lag("us").over(order),
            "previousPositionMs": F.lag("positionMs").over(order),
            "previousRate": F.lag("playbackRate").over(order),
            "nextUs": F.lead("us").over(order),
            "nextPositionMs": F.lead("positionMs").over(order),
            "nextRank": F.lead("nameRank").over(order),
            "nextDay": F.lead(EVENT_DATE).over(order),
            "wasPlaying": F.coalesce(state == START, F.lit(False)),
        }
    )


def _credit_pairs(events: DataFrame, parameters: EngagementParameters) -> DataFrame:
    """Adds `evidence` and `creditEndMs` of the pair that an event closes; null where nothing is.

    A zero-length credit keeps its evidence: its end still tells a skip from watching.
    """
    position, previous = F.col("positionMs"), F.col("previousPositionMs")
    dt = whole_ms(F.col("us") - F.col("previousUs"))
    dp = position - previous
    # The rate may have changed between the two events, so the larger of the two bounds it.
    rate = F.coalesce(
        F.greatest("playbackRate", "previousRate"),
        F.col("playbackRate"),
        F.col("previousRate"),
        F.lit(parameters.max_playback_rate),
    )
    plausible = dp.cast("double") <= rate * dt.cast("double") + F.lit(
        float(parameters.tolerance_ms)
    )
    playing = F.col("wasPlaying") & F.col("previousUs").isNotNull()
    starts, stops = F.col("kind") == START, F.col("kind") == STOP
    repairable = playing & F.lit(parameters.repair_seeks) & (dt <= parameters.session_timeout_ms)

    drag = (
        repairable
        & stops
        & F.coalesce(
            (F.col("nextRank") == SEEK)
            & (F.col("nextDay") == F.col(EVENT_DATE))
            & (whole_ms(F.col("nextUs") - F.col("us")) <= parameters.drag_window_ms)
            & (F.abs(F.col("nextPositionMs") - position) <= parameters.drag_window_ms),
            F.lit(False),
        )
    )
    watched = playing & (dp >= 0) & plausible
    bridged = watched & starts & (dp * 2 >= dt - 2 * parameters.tolerance_ms)
    seek = repairable & (~plausible | (dp < -parameters.seek_back_ms))

    # `least` would do, but engines disagree about nulls in it.
    played_on = previous + dt
    in_video = F.when(played_on > F.col("durationMs"), F.col("durationMs")).otherwise(played_on)
    up_to_seek = F.when((dp > 0) & (in_video > position), position).otherwise(in_video)

    evidence = (
        F.when(drag, "clipped")
        .when(watched & stops, "observed")
        .when(watched & ~starts, "heartbeat")
        .when(bridged, "bridged")
        .when(seek, "clipped")
    )
    credit_end = F.when(drag, in_video).when(watched & (~starts | bridged), position)
    return events.withColumns(
        {
            "dtMs": dt,
            "evidence": evidence,
            "creditEndMs": credit_end.when(seek, up_to_seek),
        }
    )


def _cut_sessions(events: DataFrame, parameters: EngagementParameters) -> DataFrame:
    """Adds `sessionStartUs`; takes the credit back from pairs that a cut goes through."""
    by_time = Window.partitionBy(_SESSION).orderBy("us")
    same_instant = by_time.rangeBetween(Window.currentRow, Window.currentRow)
    earlier = by_time.rangeBetween(Window.unboundedPreceding, -1)
    up_to_now = by_time.rangeBetween(Window.unboundedPreceding, Window.currentRow)

    watched = F.when(
        F.col("evidence") != "clipped", F.col("creditEndMs") - F.col("previousPositionMs")
    )
    gap = whole_ms(F.col("us") - F.max("us").over(earlier))
    idle = gap - F.coalesce(F.max(watched).over(same_instant), F.lit(0))
    begins = idle.isNull() | (idle > parameters.session_timeout_ms)
    cut = events.withColumn("begins", begins).withColumn(
        "sessionStartUs", F.max(F.when(F.col("begins"), F.col("us"))).over(up_to_now)
    )
    whole = F.col("previousUs") >= F.col("sessionStartUs")
    return cut.withColumns(
        {
            "evidence": F.when(whole, F.col("evidence")),
            "creditEndMs": F.when(whole, F.col("creditEndMs")),
        }
    ).drop("begins")


def _count_visits(events: DataFrame, parameters: EngagementParameters, timezone: str) -> DataFrame:
    """One row per work day, session and video: counts, skips, tail and credited intervals."""
    visit = Window.partitionBy([*_PLAYER, "sessionStartUs"]).orderBy(_IN_ORDER)
    before = visit.rowsBetween(Window.unboundedPreceding, -1)
    up_to_now = visit.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    later_in_session = (
        Window.partitionBy([*_SESSION, "sessionStartUs"])
        .orderBy("us")
        .rangeBetween(1, Window.unboundedFollowing)
    )
    is_start, is_stop = F.col("kind") == START, F.col("kind") == STOP
    is_ended = F.col("nameRank") == ENDED
    stopped_at = F.when(
        is_stop,
        F.when(F.col("evidence") == "clipped", F.col("creditEndMs")).otherwise(F.col("positionMs")),
    )
    told = events.withColumns(
        {
            "kindBefore": F.lag("kind").over(visit),
            "isLast": F.lead("kind").over(visit).isNull(),
            "lastStopMs": F.last(stopped_at, ignorenulls=True).over(before),
            "lastStopEnded": F.last(F.when(is_stop, is_ended), ignorenulls=True).over(before),
            "starts": F.sum(is_start.cast("int")).over(up_to_now),
            "nextInSessionUs": F.min("us").over(later_in_session),
        }
    ).withColumn("startsAtLastEnd", F.max(F.when(is_ended, F.col("starts"))).over(before))

    resumes = is_start & ~F.col("wasPlaying")
    left_at = F.when(resumes, F.col("lastStopMs")).when(
        ~is_stop & F.col("wasPlaying"),
        F.when(F.col("evidence") == "clipped", F.col("creditEndMs")).when(
            F.col("evidence").isNull(), F.col("previousPositionMs")
        ),
    )
    jump = F.when(F.col("kindBefore").isNotNull(), F.col("positionMs") - left_at)
    replay = resumes & F.coalesce(F.col("lastStopEnded"), F.lit(False))

    next_us = F.col("nextInSessionUs")
    times_out_us = F.col("us") + parameters.session_timeout_ms * 1000
    settled_us = F.when(next_us < times_out_us, next_us).otherwise(times_out_us)
    tail_settles = (
        is_start & F.col("isLast") & (calendar_day(settled_us, timezone) == F.col("workDay"))
    )
    tail = F.lit(parameters.session_timeout_ms).cast("bigint")
    for bound in (
        F.col("durationMs") - F.col("positionMs"),
        whole_ms(next_us - F.col("us")),
    ):
        tail = F.when(bound < tail, bound).otherwise(tail)

    own, believed = F.col("own"), ~F.col("beyondVideo")
    here = own & believed
    interval = F.when(
        here & (F.col("creditEndMs") > F.col("previousPositionMs")),
        F.struct(
            F.col("previousPositionMs").alias("startMs"),
            F.col("creditEndMs").alias("endMs"),
            F.when(
                F.col("evidence") == "clipped",
                F.col("creditEndMs") - F.col("previousPositionMs"),
            )
            .otherwise(F.col("dtMs"))
            .alias("clockMs"),
            F.col("evidence").alias("evidence"),
            F.timestamp_micros("previousUs").alias("openedAt"),
            F.timestamp_micros("us").alias("closedAt"),
        ),
    )
    return told.groupBy(*_SESSION, "sessionStartUs", "videoId").agg(
        _count(here).alias("eventCount"),
        _count(own & ~believed).alias("exceedingCount"),
        _count(believed & ~own).alias("contextCount"),
        F.min(F.when(believed, F.col("us"))).alias("visitStartUs"),
        F.min(F.when(here, F.col("us"))).alias("firstUs"),
        F.max(F.when(here, F.col("us"))).alias("lastUs"),
        F.max(F.when(believed & ~own, F.col("us"))).alias("lastContextUs"),
        F.min(F.when(own, F.col("us"))).alias("firstActivityUs"),
        F.max(F.when(own, F.col("us"))).alias("lastActivityUs"),
        F.max(F.when(~own, F.col("us"))).alias("lastContextActivityUs"),
        F.max(F.when(here, F.col("positionMs"))).alias("maxPositionMs"),
        _count(
            here
            & (F.col("nameRank") == PAUSE)
            & F.coalesce(F.col("kindBefore") != STOP, F.lit(True))
        ).alias("pauseCount"),
        _count(
            here & is_ended & F.coalesce(F.col("starts") > F.col("startsAtLastEnd"), F.lit(True))
        ).alias("completionCount"),
        _count(here & (jump > parameters.forward_skip_ms)).alias("forwardSkipCount"),
        _count(here & (jump < -parameters.backward_skip_ms) & ~replay).alias("backwardSkipCount"),
        _count(believed & tail_settles).alias("openEndedCount"),
        F.coalesce(F.sum(F.when(believed & tail_settles, tail)), F.lit(0)).alias("tailMs"),
        F.sort_array(F.collect_list(interval)).alias("intervals"),
    )


def _roll_up(visits: DataFrame) -> DataFrame:
    """Visits -> one row per session and work day, in the columns of `sessions`."""
    happened = (F.col("eventCount") > 0) | (F.col("openEndedCount") > 0)
    visit = F.struct(
        F.col("videoId"),
        ((F.col("eventCount") > 0) & (F.col("contextCount") == 0)).alias("startsHere"),
        F.col("eventCount"),
        F.col("exceedingCount"),
        F.timestamp_micros("firstUs").alias("firstEventTime"),
        F.timestamp_micros("lastUs").alias("lastEventTime"),
        _day_share("visitStartUs", "lastUs", "lastContextUs").alias("durationMs"),
        *[
            F.col(name)
            for name in (
                "maxPositionMs",
                "pauseCount",
                "completionCount",
                "forwardSkipCount",
                "backwardSkipCount",
                "openEndedCount",
                "tailMs",
                "intervals",
            )
        ],
    )
    rolled = visits.groupBy(*_SESSION, "sessionStartUs").agg(
        F.sum(F.col("eventCount") + F.col("exceedingCount")).alias("eventCount"),
        _count(F.col("eventCount") > 0).alias("videoCount"),
        F.sum("openEndedCount").alias("openEndedCount"),
        F.min("firstActivityUs").alias("firstUs"),
        F.max("lastActivityUs").alias("lastUs"),
        F.max("lastContextActivityUs").alias("lastContextUs"),
        F.array_sort(F.collect_list(F.when(happened | (F.col("exceedingCount") > 0), visit))).alias(
            "visits"
        ),
    )
    kept = rolled.where((F.col("eventCount") > 0) | (F.col("openEndedCount") > 0))
    return kept.select(
        F.col("workDay").alias(EVENT_DATE),
        "userId",
        "sessionId",
        F.timestamp_micros("sessionStartUs").alias("sessionStart"),
        F.col("lastContextUs").isNotNull().alias("continuesFromPreviousDay"),
        F.timestamp_micros("firstUs").alias("firstEventTime"),
        F.timestamp_micros("lastUs").alias("lastEventTime"),
        "eventCount",
        "videoCount",
        _day_share("sessionStartUs", "lastUs", "lastContextUs").alias("durationMs"),
        "visits",
    ).select(*[F.col(c.name).cast(c.type) for c in SESSIONS.columns])


def _day_share(start: str, last: str, last_context: str) -> Column:
    """This day's part of last - start; the parts of the days add up to the whole, to the ms."""
    whole = whole_ms(F.col(last) - F.col(start))
    before = F.coalesce(whole_ms(F.col(last_context) - F.col(start)), F.lit(0))
    return F.coalesce(whole - before, F.lit(0))


def _count(condition: Column) -> Column:
    return F.count(F.when(condition, F.lit(1)))
