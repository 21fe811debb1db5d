"""Events in order -> sessions, as `metrics/timeline.py` computes them, on sorted arrays.

Rules and names are those of that module, function by function; it says why they are so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import ENDED, KIND_AND_RANK, NEUTRAL, PAUSE, SEEK, START, STOP
from vidagg_dagster.metrics.kernels.segments import (
    LARGEST,
    SMALLEST,
    Array,
    Bools,
    Floats,
    Ints,
    Segments,
    changes,
    codes,
    combined,
    dates,
    dense,
    instants,
    integers,
    integers_or,
    nullable,
    order,
    ordered_codes,
)

_NONE, _BRIDGED, _CLIPPED, _HEARTBEAT, _OBSERVED = range(5)
"""Evidence as numbers, in the order of the names."""
_EVIDENCE = pa.array(["", "bridged", "clipped", "heartbeat", "observed"])

_UNKNOWN = -1
"""Stands for a null duration; real ones are positive."""

_KIND_OF_RANK = np.array([kind for kind, _ in sorted(KIND_AND_RANK.values(), key=lambda k: k[1])])

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class SessionsKernel:
    """Prepared events of whole users (`timeline.prepared`) -> rows of `sessions`.

    Attributes:
        days: The days to compute; None: every day there is.
        parameters: The thresholds.
    """

    days: tuple[date, ...] | None
    parameters: EngagementParameters

    def __call__(self, events: pa.Table) -> pa.Table:
        """One row per session and day. Rows come in no particular order."""
        laid = _needed(_lay_on_work_days(events, self.days, self.parameters))
        by_player = _in_player_order(laid)
        credited = _credit_pairs(by_player, self.parameters)
        cut = _cut_sessions(laid, by_player, credited, self.parameters)
        facts = _told(by_player, credited, cut, self.parameters)
        visits = _count_visits(by_player, credited, cut, facts)
        return _roll_up(laid, cut, visits)


@dataclass(frozen=True)
class _Events:
    """Events on work days, by session and time."""

    users: pa.Array
    session_ids: pa.Array
    video_ids: pa.Array
    work_day: Ints
    session: Ints
    video: Ints
    us: Ints
    day: Ints
    own: Bools
    kind: Ints
    rank: Ints
    sent: Ints
    position: Ints
    duration: Ints
    rate: Floats
    beyond: Bools
    times_out_day: Ints
    user_of: Ints
    session_id_of: Ints

    def take(self, rows: Array) -> "_Events":
        taken = {
            name: value[rows] if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }
        return _Events(**taken)


def _lay_on_work_days(
    events: pa.Table, days: Sequence[date] | None, parameters: EngagementParameters
) -> _Events:
    """Each event on its own day and, as context, on the next."""
    day = integers(events["event_date"])
    if days is None:
        there = np.unique(day)
        wanted = np.union1d(there, there + 1)
    else:
        wanted = np.array(sorted((one - _EPOCH).days for one in days), np.int64)
    own = np.flatnonzero(np.isin(day, wanted))
    context = np.flatnonzero(np.isin(day + 1, wanted))
    row = np.concatenate((own, context))
    work_day = np.concatenate((day[own], day[context] + 1))

    user, users = codes(events["userId"])
    session_id, session_ids = codes(events["sessionId"])
    video, video_ids = ordered_codes(events["videoId"])
    us = integers(events["us"])[row]
    within_user = combined(user, session_id, len(session_ids))[row]
    first_day = int(work_day.min(initial=0))
    spread = int(work_day.max(initial=first_day)) - first_day + 1
    session = combined(within_user, work_day - first_day, spread)
    by_time = order(dense(session), us)
    row, work_day, us, session = (values[by_time] for values in (row, work_day, us, session))
    rank = integers(events["nameRank"])[row]
    sent, duration = integers(events["sentPositionMs"]), integers_or(events["durationMs"], _UNKNOWN)
    limited = duration != _UNKNOWN
    beyond = limited & (sent * 100 > duration * parameters.position_limit_percent)
    position = np.where(limited & (sent > duration), duration, sent)
    return _Events(
        users=users,
        session_ids=session_ids,
        video_ids=video_ids,
        work_day=work_day,
        session=np.cumsum(changes(session)) - 1,
        video=video[row],
        us=us,
        day=day[row],
        own=by_time < len(own),
        kind=_KIND_OF_RANK[rank],
        rank=rank,
        sent=sent[row],
        position=position[row],
        duration=duration[row],
        rate=events["playbackRate"].fill_null(np.nan).to_numpy()[row],
        beyond=beyond[row],
        times_out_day=integers(events["timesOutDay"])[row],
        user_of=user[row],
        session_id_of=session_id[row],
    )


def _needed(events: _Events) -> _Events:
    """Without context that no fact needs: sessions that have nothing of their own on the day."""
    tail_may_settle = (events.kind == START) & (events.times_out_day == events.work_day)
    sessions = Segments(changes(events.session))
    keeps = sessions.any(events.own | tail_may_settle)
    if keeps.all():
        return events
    kept = events.take(np.flatnonzero(keeps[sessions.number]))
    return _Events(**{**vars(kept), "session": np.cumsum(changes(kept.session)) - 1})


@dataclass(frozen=True)
class _Players:
    """Events by session, video, believed or not, and in the player's order.

    `at` is the place of each in the order by time, `of` the segments of one player.
    """

    at: Ints
    of: Segments
    events: _Events


def _in_player_order(events: _Events) -> _Players:
    player = combined(events.session, events.video * 2 + events.beyond, 2 * len(events.video_ids))
    # Already sorted but for sessions of several videos.
    at = np.argsort(player, kind="stable")
    player, us, kind = player[at], events.us[at], events.kind[at]
    players = Segments(changes(player))
    moments = players.within(changes(us))
    has_start, has_stop = moments.any(kind == START), moments.any(kind == STOP)
    only = np.where(has_start & ~has_stop, START, np.where(has_stop & ~has_start, STOP, NEUTRAL))
    of_player = Segments(players.first[moments.starts])
    last, found = of_player.last_before(only != NEUTRAL)
    state_before = np.where(found, only[last], STOP)

    size = np.diff(np.append(moments.starts, len(us)))
    together = np.flatnonzero((size > 1)[moments.number])
    if len(together):
        moment = moments.number[together]
        rows = at[together]
        sorted_ = order(
            moment,
            kind[together] * state_before[moment],
            events.rank[rows],
            events.position[rows],
            events.sent[rows],
        )
        at[together] = rows[sorted_]
    return _Players(at, players, events.take(at))


@dataclass(frozen=True)
class _Credits:
    """Per event the pair that it closes: what it is credited, in the player's order."""

    evidence: Ints
    end: Ints
    previous_us: Ints
    previous_position: Ints
    dt: Ints
    was_playing: Bools


def _credit_pairs(players: _Players, parameters: EngagementParameters) -> _Credits:
    e, of = players.events, players.of
    last_known, found = of.last_before(e.kind != NEUTRAL)
    was_playing = found & (e.kind[last_known] == START)
    has_previous, has_next = ~of.first, ~of.last
    previous_us, previous = of.before(e.us, 0), of.before(e.position, 0)
    dt = (e.us - previous_us) // 1000
    dp = e.position - previous
    rate = np.fmax(e.rate, of.before(e.rate, np.nan))
    rate = np.where(np.isnan(rate), parameters.max_playback_rate, rate)
    plausible = dp <= rate * dt.astype(np.float64) + float(parameters.tolerance_ms)
    playing = was_playing & has_previous
    starts, stops = e.kind == START, e.kind == STOP
    repairable = playing & parameters.repair_seeks & (dt <= parameters.session_timeout_ms)

    drag = (
        repairable
        & stops
        & has_next
        & (of.after(e.rank, -1) == SEEK)
        & (of.after(e.day, -1) == e.day)
        & ((of.after(e.us, 0) - e.us) // 1000 <= parameters.drag_window_ms)
        & (np.abs(of.after(e.position, 0) - e.position) <= parameters.drag_window_ms)
    )
    watched = playing & (dp >= 0) & plausible
    bridged = watched & starts & (dp * 2 >= dt - 2 * parameters.tolerance_ms)
    seek = repairable & (~plausible | (dp < -parameters.seek_back_ms))

    played_on = previous + dt
    ends = (e.duration != _UNKNOWN) & (played_on > e.duration)
    in_video = np.where(ends, e.duration, played_on)
    up_to_seek = np.where((dp > 0) & (in_video > e.position), e.position, in_video)
    return _Credits(
        evidence=np.select(
            [drag, watched & stops, watched & ~starts, bridged, seek],
            [_CLIPPED, _OBSERVED, _HEARTBEAT, _BRIDGED, _CLIPPED],
            _NONE,
        ),
        end=np.select(
            [drag, watched & (~starts | bridged), seek], [in_video, e.position, up_to_seek], 0
        ),
        previous_us=previous_us,
        previous_position=previous,
        dt=dt,
        was_playing=was_playing,
    )


@dataclass(frozen=True)
class _Cut:
    """Sessions after cutting, in the order by time; the rest per event in the player's order."""

    sessions: Segments
    start_us: Ints
    number: Ints
    next_us: Ints
    next_day: Ints
    evidence: Ints


def _cut_sessions(
    by_time: _Events, players: _Players, credits_: _Credits, parameters: EngagementParameters
) -> _Cut:
    sessions = Segments(changes(by_time.session))
    moments = sessions.within(changes(by_time.us))
    believed = (credits_.evidence != _NONE) & (credits_.evidence != _CLIPPED)
    watched = np.zeros(len(by_time.us), np.int64)
    watched[players.at] = np.where(believed, credits_.end - credits_.previous_position, 0)
    most = moments.greatest(watched, np.ones(len(watched), bool))
    us = by_time.us[moments.starts]
    of_session = Segments(sessions.first[moments.starts])
    idle = (us - of_session.before(us, 0)) // 1000 - most
    cut = of_session.within(idle > parameters.session_timeout_ms)
    next_us = cut.after(us, LARGEST)
    day = by_time.day[moments.starts]
    moment = moments.number[players.at]
    number = cut.number[moment]
    start_us = us[cut.starts]
    first = np.zeros(len(by_time.us), bool)
    first[moments.starts[cut.starts]] = True
    whole = ~players.of.first & (credits_.previous_us >= start_us[number])
    return _Cut(
        sessions=Segments(first),
        start_us=start_us,
        number=number,
        next_us=next_us[moment],
        next_day=cut.after(day, 0)[moment],
        evidence=np.where(whole, credits_.evidence, _NONE),
    )


@dataclass(frozen=True)
class _Told:
    """What each event tells about its visit, in the player's order."""

    visits: Segments
    forward: Bools
    backward: Bools
    pause: Bools
    completion: Bools
    tail_settles: Bools
    tail: Ints


def _told(
    players: _Players, credits_: _Credits, cut: _Cut, parameters: EngagementParameters
) -> _Told:
    e = players.events
    visits = players.of.within(changes(cut.number))
    is_start, is_stop, is_ended = e.kind == START, e.kind == STOP, e.rank == ENDED
    clipped = cut.evidence == _CLIPPED
    not_first = ~visits.first
    kind_before = visits.before(e.kind, NEUTRAL)

    last_stop, stopped = visits.last_before(is_stop)
    stop_at = np.where(clipped, credits_.end, e.position)[last_stop]
    stop_ended = stopped & is_ended[last_stop]
    counted = np.cumsum(is_start)
    starts = counted - (counted - is_start)[visits.start_of]
    last_end, ended = visits.last_before(is_ended)

    resumes = is_start & ~credits_.was_playing
    moved_on = ~is_stop & credits_.was_playing
    left_at = np.select(
        [resumes, moved_on & clipped], [stop_at, credits_.end], credits_.previous_position
    )
    left = np.where(resumes, stopped, moved_on & (clipped | (cut.evidence == _NONE)))
    jump = np.where(not_first & left, e.position - left_at, 0)

    times_out_us = e.us + parameters.session_timeout_ms * 1000
    settled_day = np.where(cut.next_us < times_out_us, cut.next_day, e.times_out_day)
    tail = np.full(len(e.us), parameters.session_timeout_ms, np.int64)
    np.minimum(tail, e.duration - e.position, out=tail, where=e.duration != _UNKNOWN)
    followed = cut.next_us != LARGEST
    np.minimum(tail, (np.where(followed, cut.next_us, 0) - e.us) // 1000, out=tail, where=followed)
    return _Told(
        visits=visits,
        forward=jump > parameters.forward_skip_ms,
        backward=(jump < -parameters.backward_skip_ms) & ~(resumes & stop_ended),
        pause=(e.rank == PAUSE) & ~(not_first & (kind_before == STOP)),
        completion=is_ended & ~(ended & (starts <= starts[last_end])),
        tail_settles=is_start & visits.last & (settled_day == e.work_day),
        tail=tail,
    )


@dataclass(frozen=True)
class _Visits:
    """Visits by session and video: sums and extremes, and the intervals of each."""

    session: Ints
    video: Ints
    sums: dict[str, Ints]
    start_us: Ints
    first_us: Ints
    last_us: Ints
    last_context_us: Ints
    max_position: Ints
    intervals: pa.StructArray
    interval_offsets: Ints


_SUMS = (
    "eventCount",
    "exceedingCount",
    "contextCount",
    "pauseCount",
    "completionCount",
    "forwardSkipCount",
    "backwardSkipCount",
    "openEndedCount",
    "tailMs",
)


def _count_visits(players: _Players, credits_: _Credits, cut: _Cut, told: _Told) -> _Visits:
    e, of = players.events, told.visits
    believed = ~e.beyond
    here = e.own & believed
    settles = believed & told.tail_settles
    counted = {
        "eventCount": here,
        "exceedingCount": e.own & e.beyond,
        "contextCount": believed & ~e.own,
        "pauseCount": here & told.pause,
        "completionCount": here & told.completion,
        "forwardSkipCount": here & told.forward,
        "backwardSkipCount": here & told.backward,
        "openEndedCount": settles,
        "tailMs": np.where(settles, told.tail, 0),
    }
    sums = {name: of.total(values) for name, values in counted.items()}
    session, video = cut.number[of.starts], e.video[of.starts]
    start_us = of.least(e.us, believed)
    first_us, last_us = of.least(e.us, here), of.greatest(e.us, here)
    last_context_us = of.greatest(e.us, believed & ~e.own)
    max_position = of.greatest(e.position, here)

    # A visit has two parts where some of its events are beyond the video.
    key = combined(session, video, len(e.video_ids))
    by_key = np.argsort(key, kind="stable")
    merged = Segments(changes(key[by_key]))
    visit_of = np.empty(len(key), np.int64)
    visit_of[by_key] = merged.number
    every = np.ones(len(key), bool)
    intervals, offsets = _intervals(
        players, credits_, cut, here, visit_of[of.number], len(merged.starts)
    )
    return _Visits(
        session=session[by_key][merged.starts],
        video=video[by_key][merged.starts],
        sums={name: merged.total(values[by_key]) for name, values in sums.items()},
        start_us=merged.least(start_us[by_key], every),
        first_us=merged.least(first_us[by_key], every),
        last_us=merged.greatest(last_us[by_key], every),
        last_context_us=merged.greatest(last_context_us[by_key], every),
        max_position=merged.greatest(max_position[by_key], every),
        intervals=intervals,
        interval_offsets=offsets,
    )


def _intervals(
    players: _Players, credits_: _Credits, cut: _Cut, here: Bools, visit: Ints, visits: int
) -> tuple[pa.StructArray, Ints]:
    """The credited intervals, sorted by all of their fields, and where each visit's begin."""
    credited = here & (cut.evidence != _NONE) & (credits_.end > credits_.previous_position)
    rows = np.flatnonzero(credited)
    start, end = credits_.previous_position[rows], credits_.end[rows]
    evidence = cut.evidence[rows]
    clock = np.where(evidence == _CLIPPED, end - start, credits_.dt[rows])
    opened, closed = credits_.previous_us[rows], players.events.us[rows]
    of_visit = visit[rows]
    sorted_ = order(of_visit, start, end, clock, evidence, opened, closed)
    fields = {
        "startMs": pa.array(start[sorted_]),
        "endMs": pa.array(end[sorted_]),
        "clockMs": pa.array(clock[sorted_]),
        "evidence": _EVIDENCE.take(pa.array(evidence[sorted_])),
        "openedAt": instants(opened[sorted_]),
        "closedAt": instants(closed[sorted_]),
    }
    counts = np.bincount(of_visit, minlength=visits)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields)), offsets


def _roll_up(by_time: _Events, cut: _Cut, visits: _Visits) -> pa.Table:
    """Visits -> one row per session and work day, in the columns of `sessions`."""
    own, every = by_time.own, cut.sessions
    first_us, last_us = every.least(by_time.us, own), every.greatest(by_time.us, own)
    last_context_us = every.greatest(by_time.us, ~own)
    sums = visits.sums
    sessions = len(every.starts)

    def per_session(values: Array) -> Ints:
        total = np.zeros(sessions, np.int64)
        np.add.at(total, visits.session, values)
        return total

    events = per_session(sums["eventCount"] + sums["exceedingCount"])
    open_ended = per_session(sums["openEndedCount"])
    kept = np.flatnonzero((events > 0) | (open_ended > 0))
    listed = np.flatnonzero(
        (sums["eventCount"] > 0) | (sums["openEndedCount"] > 0) | (sums["exceedingCount"] > 0)
    )
    at = np.empty(sessions, np.int64)
    at[kept] = np.arange(len(kept))
    counts = np.bincount(at[visits.session[listed]], minlength=len(kept))
    has_own = first_us[kept] != LARGEST
    continues = last_context_us[kept] != SMALLEST
    first_row = every.starts[kept]
    return pa.table(
        {
            "event_date": dates(by_time.work_day[first_row]),
            "userId": by_time.users.take(pa.array(by_time.user_of[first_row])),
            "sessionId": by_time.session_ids.take(pa.array(by_time.session_id_of[first_row])),
            "sessionStart": instants(cut.start_us[kept]),
            "continuesFromPreviousDay": pa.array(continues),
            "firstEventTime": instants(first_us[kept], has_own),
            "lastEventTime": instants(last_us[kept], has_own),
            "eventCount": pa.array(events[kept]),
            "videoCount": pa.array(per_session(sums["eventCount"] > 0)[kept]),
            "durationMs": pa.array(
                _day_share(cut.start_us[kept], last_us[kept], last_context_us[kept])
            ),
            "visits": pa.ListArray.from_arrays(
                pa.array(np.concatenate(([0], np.cumsum(counts))).astype(np.int32)),
                _visit_structs(by_time, visits, listed),
            ),
        }
    )


def _visit_structs(by_time: _Events, visits: _Visits, listed: Ints) -> pa.StructArray:
    sums = {name: values[listed] for name, values in visits.sums.items()}
    first_us, last_us = visits.first_us[listed], visits.last_us[listed]
    has_own = first_us != LARGEST
    max_position = visits.max_position[listed]
    lengths = np.diff(visits.interval_offsets)[listed]
    # A visit without a row here has no intervals, so those of the listed ones are all of them.
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    fields = {
        "videoId": by_time.video_ids.take(pa.array(visits.video[listed])),
        "startsHere": pa.array((sums["eventCount"] > 0) & (sums["contextCount"] == 0)),
        "eventCount": pa.array(sums["eventCount"]),
        "exceedingCount": pa.array(sums["exceedingCount"]),
        "firstEventTime": instants(first_us, has_own),
        "lastEventTime": instants(last_us, has_own),
        "durationMs": pa.array(
            _day_share(visits.start_us[listed], last_us, visits.last_context_us[listed])
        ),
        "maxPositionMs": nullable(max_position, max_position != SMALLEST),
        **{
            name: pa.array(sums[name])
            for name in (
                "pauseCount",
                "completionCount",
                "forwardSkipCount",
                "backwardSkipCount",
                "openEndedCount",
                "tailMs",
            )
        },
        "intervals": pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), visits.intervals),
    }
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))


def _day_share(start_us: Ints, last_us: Ints, last_context_us: Ints) -> Ints:
    """This day's part of last - start; the parts of the days add up to the whole, to the ms."""
    has_own = last_us != SMALLEST
    continues = last_context_us != SMALLEST
    whole = (np.where(has_own, last_us, start_us) - start_us) // 1000
    before = np.where(continues, (np.where(continues, last_context_us, 0) - start_us) // 1000, 0)
    return np.where(has_own, whole - before, 0)
