"""Events -> sessions and visits: sections "Sessions" and "Days" of docs/metrics.md.

A fact settled on a day is computed from the events of that day and of the day before, and from
nothing else, also when all days are computed at once. Every event therefore lies on two *work
days*: its own, and the next one, where it is context. So days computed singly, in ranges, in any
order or in one pass agree by construction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import ENDED, NEUTRAL, START, STOP
from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.arrays import (
    SMALLEST,
    Array,
    Bools,
    Floats,
    Ints,
    changes,
    codes,
    combined,
    dates,
    dense,
    floats_or_nan,
    instants,
    integers,
    integers_or,
    nullable,
    offsets,
    order,
    ordered_codes,
)
from vidagg_dagster.metrics.compiled import Fold, new_records, rule
from vidagg_dagster.metrics.playback import NONE, UNKNOWN, Limits, Moment, Order

_EPOCH: Final = date(1970, 1, 1)


# --- events on work days --------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkDays:
    """Events on work days, sorted by `unit` (user, session and work day), time and name.

    `user_of` and `session_of` count `users` and `session_ids`, `video` the sorted `video_ids`.
    `own` is true of events of the work day itself; the others are context.
    """

    users: pa.Array
    session_ids: pa.Array
    video_ids: pa.Array
    unit: Ints
    work_day: Ints
    user_of: Ints
    session_of: Ints
    video: Ints
    us: Ints
    day: Ints
    own: Bools
    rank: Ints
    sent: Ints
    seek_from: Ints
    duration: Ints
    rate: Floats
    times_out_day: Ints

    def take(self, rows: Array) -> "WorkDays":
        """Some of the rows, or all in another order."""
        taken = {
            name: value[rows] if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }
        return WorkDays(**taken)


def on_work_days(events: pa.Table, days: tuple[date, ...] | None) -> WorkDays:
    """Each event on its own day and, as context, on the next, of `days` (None: all there are)."""
    day = integers(events["event_date"])
    times_out_day = integers(events["timesOutDay"])
    user, users = codes(events["userId"])
    session, session_ids = codes(events["sessionId"])
    video, video_ids = ordered_codes(events["videoId"])
    of_user = dense(combined(user, session, len(session_ids)))
    context = _may_be_context(of_user, day, times_out_day)
    if days is None:
        own = np.arange(len(day))
    else:
        wanted = np.array(sorted((one - _EPOCH).days for one in days), np.int64)
        own = np.flatnonzero(np.isin(day, wanted))
        context = context[np.isin(day[context] + 1, wanted)]
    row = np.concatenate((own, context))
    work_day = np.concatenate((day[own], day[context] + 1))
    first_day = int(work_day.min(initial=0))
    spread = int(work_day.max(initial=first_day)) - first_day + 1
    unit = dense(combined(of_user[row], work_day - first_day, spread))

    us, rank = integers(events["us"])[row], integers(events["nameRank"])[row]
    sent = integers(events["sentPositionMs"])[row]
    by_time = order(unit, us, rank, sent)
    row = row[by_time]
    return WorkDays(
        users=users,
        session_ids=session_ids,
        video_ids=video_ids,
        unit=unit[by_time],
        work_day=work_day[by_time],
        user_of=user[row],
        session_of=session[row],
        video=video[row],
        us=us[by_time],
        day=day[row],
        own=by_time < len(own),
        rank=rank[by_time],
        sent=sent[by_time],
        seek_from=integers_or(events["seekFromMs"], UNKNOWN)[row],
        duration=integers_or(events["durationMs"], UNKNOWN)[row],
        rate=floats_or_nan(events["playbackRate"])[row],
        times_out_day=times_out_day[row],
    )


def _may_be_context(session: Ints, day: Ints, times_out_day: Ints) -> Ints:
    """Events whose session goes on after their day, or ends so late that its tail does.

    Most do neither, so that little is left to be sorted twice.
    """
    last_day = np.full(int(session.max(initial=-1)) + 1, SMALLEST, np.int64)
    goes_on = np.zeros(len(last_day), bool)
    _last_days(session, day, times_out_day, Last(last_day, goes_on))
    return np.flatnonzero((last_day[session] > day) | goes_on[session])


class Last(NamedTuple):
    """Of each session its last day, and whether a tail may be settled on the day after one."""

    day: Ints
    goes_on: Bools


def _fill_last_days(session: Ints, day: Ints, times_out_day: Ints, last: Last) -> int:
    for row in range(len(session)):
        of = session[row]
        last.day[of] = max(last.day[of], day[row])
        last.goes_on[of] = last.goes_on[of] or times_out_day[row] > day[row]
    return len(session)


_last_days = Fold(_fill_last_days)


def needed(events: WorkDays) -> WorkDays:
    """Without units of context that settle nothing on their work day."""
    keeps = np.zeros(len(events.unit), bool)
    settles = events.own | (events.times_out_day == events.work_day)
    _keep_units(events.unit, settles, keeps)
    return events if keeps.all() else events.take(np.flatnonzero(keeps))


def _fill_keep_units(unit: Ints, settles: Bools, keeps: Bools) -> int:
    first = 0
    while first < len(unit):
        end = first
        keep = False
        while end < len(unit) and unit[end] == unit[first]:
            keep = keep or settles[end]
            end += 1
        for row in range(first, end):
            keeps[row] = keep
        first = end
    return first


_keep_units = Fold(_fill_keep_units)


# --- players --------------------------------------------------------------------------------------


def follow_players(
    by_time: WorkDays, parameters: EngagementParameters, limits: Limits
) -> tuple[Ints, Any]:
    """Follows each player through its events, and credits its pairs.

    Returns the moments in the order of play, and for each its row in `by_time`.
    """
    position, beyond = _believed(by_time.sent, by_time.duration, parameters)
    seek_from, not_believed = _believed(by_time.seek_from, by_time.duration, parameters)
    seek_from[not_believed] = UNKNOWN
    player = combined(by_time.unit, by_time.video * 2 + beyond, 2 * len(by_time.video_ids))
    # Already sorted but for sessions of several videos.
    at = np.argsort(player, kind="stable")
    order_ = Order(np.empty(len(at), np.int64), np.empty(len(at), np.int64))
    play.order_of_play(player[at], by_time.us[at], by_time.rank[at], order_)
    at = at[order_.at]
    moments = new_records(Moment, len(at))
    moments["kind"] = order_.kind
    columns = {"player": player, "position": position, "seek_from": seek_from, "beyond": beyond}
    for name in _COPIED:
        columns[name] = getattr(by_time, name)
    for name, values in columns.items():
        moments[name] = values[at]
    play.play(limits, moments)
    return at, moments


_COPIED: Final = (
    *("us", "day", "rank", "duration", "rate", "video", "own", "work_day", "times_out_day"),
)


def _believed(sent: Ints, duration: Ints, parameters: EngagementParameters) -> tuple[Ints, Bools]:
    """Positions held against the duration, and which of them lie too far beyond it."""
    limited = duration != UNKNOWN
    beyond = limited & (sent * 100 > duration * parameters.position_limit_percent)
    return np.where(limited & (sent > duration), duration, sent), beyond


# --- 4 Sessions -----------------------------------------------------------------------------------


class Instants(NamedTuple):
    """Per event, by time: its session after cutting, and the first event of the next instant of
    the session (`UNKNOWN` if there is none).
    """

    session: Ints
    next_row: Ints


@rule
def idle_ms(dt: int, most_credited: int) -> int:
    """Time that was watched is not idle."""
    return dt - most_credited


def _cut_sessions(unit: Ints, us: Ints, credited: Ints, limits: Limits, cut: Instants) -> int:
    """Fills `cut`; returns how many sessions there are. Of an instant the largest credit counts."""
    session = -1
    rows = len(unit)
    first, before = 0, UNKNOWN
    while first < rows:
        end, most = first, 0
        while end < rows and us[end] == us[first] and unit[end] == unit[first]:
            most = max(most, credited[end])
            end += 1
        begins = before == UNKNOWN or unit[before] != unit[first]
        if not begins:
            dt = play.whole_ms(us[before], us[first])
            begins = idle_ms(dt, most) > limits.session_timeout_ms
        if begins:
            session += 1
        else:
            for row in range(before, first):
                cut.next_row[row] = first
        for row in range(first, end):
            cut.session[row] = session
            cut.next_row[row] = UNKNOWN
        before, first = first, end
    return session + 1


cut_sessions = Fold(_cut_sessions)


class SessionSums(NamedTuple):
    """Per session: its first event, and its first and last own event and last event of context."""

    first_row: Ints
    first_us: Ints
    last_us: Ints
    last_context_us: Ints
    events: Ints


def _sum_sessions(session: Ints, us: Ints, own: Bools, sums: SessionSums) -> int:
    for row in range(len(session)):
        of = session[row]
        if row == 0 or session[row - 1] != of:
            sums.first_row[of] = row
            sums.first_us[of], sums.last_us[of] = UNKNOWN, UNKNOWN
            sums.last_context_us[of], sums.events[of] = UNKNOWN, 0
        if own[row]:
            if sums.events[of] == 0:
                sums.first_us[of] = us[row]
            sums.last_us[of] = us[row]
            sums.events[of] += 1
        else:
            sums.last_context_us[of] = us[row]
    return len(session)


sum_sessions = Fold(_sum_sessions)


# --- visits: what happened to a video of a session on a work day ----------------------------------


@dataclass(slots=True)
class Visit:
    """One session and video on a work day; times are `UNKNOWN` where there is no such event."""

    session: int
    video: int
    event_count: int
    exceeding_count: int
    context_count: int
    pause_count: int
    completion_count: int
    forward_skip_count: int
    backward_skip_count: int
    open_ended_count: int
    tail_ms: int
    no_start: bool
    start_us: int
    first_us: int
    last_us: int
    last_context_us: int
    max_position: int
    interval_count: int


@dataclass(slots=True)
class Interval:
    """One credited stretch of a video."""

    start: int
    end: int
    clock: int
    evidence: int
    opened_us: int
    closed_us: int


class Counted(NamedTuple):
    """What counting fills: `visits`, and `intervals` in their order. The third has one number:
    how many intervals there are.
    """

    visits: Sequence[Visit]
    intervals: Sequence[Interval]
    filled: Ints


@rule
def count_activity(moments: Sequence[Moment], first: int, end: int, visit: Visit) -> None:
    """Counts the events of a visit, and fills its extremes."""
    visit.start_us = moments[first].us if first < end else UNKNOWN
    visit.first_us = UNKNOWN
    visit.last_us = UNKNOWN
    visit.last_context_us = UNKNOWN
    visit.max_position = UNKNOWN
    for b in range(first, end):
        moment = moments[b]
        if moment.own:
            if visit.event_count == 0:
                visit.first_us = moment.us
            visit.last_us = moment.us
            visit.event_count += 1
            visit.max_position = max(visit.max_position, moment.position)
        else:
            visit.last_context_us = moment.us
            visit.context_count += 1


@rule
def count_skips(
    moments: Sequence[Moment], first: int, end: int, visit: Visit, limits: Limits
) -> None:
    """Counts where playing stopped at one place of the video and started again at another."""
    stopped_at = UNKNOWN
    after_ended = False
    for b in range(first, end):
        moment = moments[b]
        before = moments[max(b - 1, first)]
        if b > first and moment.own:
            left_at = play.left_at(before, moment, stopped_at)
            since_first = play.whole_ms(moments[first].us, moment.us)
            if left_at != UNKNOWN and not play.takes_up(moment.rank, since_first, limits):
                jump = moment.position - left_at
                if play.is_forward_skip(jump, limits):
                    visit.forward_skip_count += 1
                if play.is_backward_skip(jump, moment.kind == START and after_ended, limits):
                    visit.backward_skip_count += 1
        if moment.kind == STOP and moment.was_playing:
            stopped_at = play.stop_place(before, moment)
        if moment.kind != NEUTRAL:
            after_ended = moment.rank == ENDED


@rule
def count_pauses_and_completions(
    moments: Sequence[Moment], first: int, end: int, visit: Visit, limits: Limits
) -> None:
    """Counts pauses that interrupt playing, and ends that were played to."""
    counted_us = UNKNOWN
    started = False
    for b in range(first, end):
        moment = moments[b]
        follows_stop = b > first and moments[b - 1].kind == STOP
        if play.is_pause(moment.rank, follows_stop) and moment.own:
            visit.pause_count += 1
        started = started or moment.kind == START
        counted_before = counted_us != UNKNOWN
        since_counted = play.whole_ms(counted_us, moment.us)
        if play.is_completion(moment.rank, counted_before, started, since_counted, limits):
            counted_us, started = moment.us, False
            if moment.own:
                visit.completion_count += 1


@rule
def settled_on(moment: Moment, limits: Limits) -> int:
    """The day on which a tail is settled: that of the session's next event, or of the timeout."""
    times_out_us = moment.us + limits.session_timeout_ms * 1000
    if moment.next_us != UNKNOWN and moment.next_us < times_out_us:
        return moment.next_day
    return moment.times_out_day


@rule
def count_tails(
    moments: Sequence[Moment], first: int, end: int, visit: Visit, limits: Limits
) -> None:
    """Adds up the bounds of what was watched after events left open, settled on the work day."""
    for b in range(first, end):
        moment = moments[b]
        is_last = b + 1 == end
        after = moment if is_last else moments[b + 1]
        if play.is_left_open(moment, after, is_last):
            if not is_last and after.us == moment.us:
                moment.next_us, moment.next_day = moment.us, moment.day
            if settled_on(moment, limits) == moment.work_day:
                visit.open_ended_count += 1
                visit.tail_ms += play.open_tail(moment, limits)


@rule
def list_intervals(
    moments: Sequence[Moment], first: int, end: int, intervals: Sequence[Interval], filled: int
) -> int:
    """Lists what the pairs of a visit are credited on the work day; returns how many there are."""
    for b in range(first + 1, end):
        before, moment = moments[b - 1], moments[b]
        if moment.own and moment.evidence != NONE and moment.end > before.position:
            interval = intervals[filled]
            interval.start = before.position
            interval.end = moment.end
            interval.clock = play.clock_time(before, moment)
            interval.evidence = moment.evidence
            interval.opened_us = before.us
            interval.closed_us = moment.us
            filled += 1
    return filled


@rule
def end_of_session(moments: Sequence[Moment], first: int, end: int, session: int) -> int:
    """Behind the events of `session`, from `first` on."""
    while first < end and moments[first].session == session:
        first += 1
    return first


@rule
def end_of_part(moments: Sequence[Moment], first: int, beyond: bool) -> int:
    """Behind the events of one video from `first` on that are believed, or that are not."""
    end = first
    while end < len(moments) and moments[end].beyond == beyond:
        if moments[end].player // 2 != moments[first].player // 2:
            break
        end += 1
    return end


def _count_visits(moments: Sequence[Moment], limits: Limits, counted: Counted) -> int:
    """Fills `counted`, which is zero everywhere; returns how many visits there are."""
    number, filled = 0, 0
    first = 0
    while first < len(moments):
        # Of one video the events that are believed come first, then those beyond it.
        middle = end_of_part(moments, first, False)
        end = middle
        if end < len(moments) and moments[end].player // 2 == moments[first].player // 2:
            end = end_of_part(moments, middle, True)
        b, c = first, middle
        while b < middle or c < end:
            session = moments[b].session if b < middle else moments[c].session
            if c < end:
                session = min(session, moments[c].session)
            next_b = end_of_session(moments, b, middle, session)
            next_c = end_of_session(moments, c, end, session)
            visit = counted.visits[number]
            visit.session = session
            visit.video = moments[first].video
            for row in range(c, next_c):
                visit.exceeding_count += moments[row].own
            count_activity(moments, b, next_b, visit)
            count_skips(moments, b, next_b, visit, limits)
            count_pauses_and_completions(moments, b, next_b, visit, limits)
            count_tails(moments, b, next_b, visit, limits)
            before = filled
            filled = list_intervals(moments, b, next_b, counted.intervals, filled)
            visit.interval_count = filled - before
            settles = visit.event_count > 0 or visit.open_ended_count > 0
            visit.no_start = settles and moments[b].throughout
            number += 1
            b, c = next_b, next_c
        first = end
    counted.filled[0] = filled
    return number


count_visits = Fold(_count_visits)


@dataclass(frozen=True)
class Settled:
    """What the work days settle: `sessions` by number; visits, and their intervals in their order.

    `by_time` are the events that it was computed from. Visits are sorted by session and video.
    """

    by_time: WorkDays
    sessions: SessionSums
    visits: Any
    intervals: Any


def settle(
    events: pa.Table, days: tuple[date, ...] | None, parameters: EngagementParameters
) -> Settled:
    """Prepared events of whole users (`prepared`) -> sessions, visits and intervals."""
    limits = Limits.of(parameters)
    by_time = needed(on_work_days(events, days))
    at, moments = follow_players(by_time, parameters, limits)
    rows = len(at)
    before = np.concatenate((moments["position"][:1], moments["position"][:-1]))
    credited = np.zeros(rows, np.int64)
    credited[at] = np.where(moments["evidence"] != NONE, moments["end"] - before, 0)
    cut = Instants(np.zeros(rows, np.int64), np.zeros(rows, np.int64))
    sessions = cut_sessions(by_time.unit, by_time.us, credited, limits, cut)
    sums = SessionSums(*(np.zeros(sessions, np.int64) for _ in SessionSums._fields))
    sum_sessions(cut.session, by_time.us, by_time.own, sums)

    next_row = cut.next_row[at]
    followed = next_row != UNKNOWN
    moments["session"] = cut.session[at]
    moments["next_us"] = np.where(followed, by_time.us[next_row], UNKNOWN)
    moments["next_day"] = np.where(followed, by_time.day[next_row], UNKNOWN)
    # A cut voids the pair across it.
    moments["evidence"][changes(moments["session"])] = NONE
    visits = new_records(Visit, rows)
    intervals = new_records(Interval, rows)
    filled = np.zeros(1, np.int64)
    found = count_visits(moments, limits, Counted(visits, intervals, filled))
    return Settled(by_time, sums, *_by_session(visits[:found], intervals[: filled[0]]))


def _by_session(visits: Any, intervals: Any) -> tuple[Any, Any]:
    """Visits by session and video, with their intervals; without those of which nothing is told."""
    counts = (visits[name] for name in ("event_count", "open_ended_count", "exceeding_count"))
    rows = np.flatnonzero(sum(counts) > 0)
    rows = rows[order(visits["session"][rows], visits["video"][rows])]
    lengths = visits["interval_count"]
    begins = np.cumsum(lengths) - lengths
    # A visit of which nothing is told has no intervals, so that none is lost.
    wanted = lengths[rows]
    shift = np.repeat(begins[rows] - (np.cumsum(wanted) - wanted), wanted)
    return visits[rows], intervals[shift + np.arange(len(shift))]


# --- rows of `sessions` ---------------------------------------------------------------------------


@dataclass(frozen=True)
class SessionsOf:
    """Prepared events of whole users (`timeline.prepared`) -> rows of `sessions`.

    Attributes:
        days: The days to compute; None: every day there is.
        parameters: The thresholds.
    """

    days: tuple[date, ...] | None
    parameters: EngagementParameters

    def __call__(self, events: pa.Table) -> pa.Table:
        """One row per session and day, in no particular order."""
        return session_rows(settle(events, self.days, self.parameters))


def session_rows(settled: Settled) -> pa.Table:
    """Sessions with an event of the day, or a tail that it settles, in the columns of the table."""
    by_time, sums, visits = settled.by_time, settled.sessions, settled.visits
    sessions = len(sums.first_row)
    open_ended = np.zeros(sessions, np.int64)
    np.add.at(open_ended, visits["session"], visits["open_ended_count"])
    videos = np.bincount(visits["session"][visits["event_count"] > 0], minlength=sessions)
    kept = np.flatnonzero((sums.events > 0) | (open_ended > 0))
    listed = np.bincount(visits["session"], minlength=sessions)[kept]
    first_row = sums.first_row[kept]
    start_us = by_time.us[first_row]
    has_own = sums.events[kept] > 0
    return pa.table(
        {
            "event_date": dates(by_time.work_day[first_row]),
            "userId": by_time.users.take(pa.array(by_time.user_of[first_row])),
            "sessionId": by_time.session_ids.take(pa.array(by_time.session_of[first_row])),
            "sessionStart": instants(start_us),
            "continuesFromPreviousDay": pa.array(sums.last_context_us[kept] != UNKNOWN),
            "firstEventTime": instants(sums.first_us[kept], has_own),
            "lastEventTime": instants(sums.last_us[kept], has_own),
            "eventCount": pa.array(sums.events[kept]),
            "videoCount": pa.array(videos[kept]),
            "durationMs": pa.array(
                day_share(start_us, sums.last_us[kept], sums.last_context_us[kept])
            ),
            "visits": pa.ListArray.from_arrays(offsets(listed), _visit_structs(settled)),
        }
    )


def _visit_structs(settled: Settled) -> pa.StructArray:
    visits, spans = settled.visits, settled.intervals
    has_own = visits["event_count"] > 0
    intervals = {
        "startMs": pa.array(spans["start"]),
        "endMs": pa.array(spans["end"]),
        "clockMs": pa.array(spans["clock"]),
        "evidence": pa.array(play.EVIDENCE_NAMES).take(pa.array(spans["evidence"])),
        "openedAt": instants(spans["opened_us"]),
        "closedAt": instants(spans["closed_us"]),
    }
    fields = {
        "videoId": settled.by_time.video_ids.take(pa.array(visits["video"])),
        "startsHere": pa.array(has_own & (visits["context_count"] == 0)),
        "eventCount": pa.array(visits["event_count"]),
        "exceedingCount": pa.array(visits["exceeding_count"]),
        "firstEventTime": instants(visits["first_us"], has_own),
        "lastEventTime": instants(visits["last_us"], has_own),
        "durationMs": pa.array(
            day_share(visits["start_us"], visits["last_us"], visits["last_context_us"])
        ),
        "maxPositionMs": nullable(visits["max_position"], visits["max_position"] != UNKNOWN),
        "pauseCount": pa.array(visits["pause_count"]),
        "completionCount": pa.array(visits["completion_count"]),
        "forwardSkipCount": pa.array(visits["forward_skip_count"]),
        "backwardSkipCount": pa.array(visits["backward_skip_count"]),
        "openEndedCount": pa.array(visits["open_ended_count"]),
        "tailMs": pa.array(visits["tail_ms"]),
        "noStart": pa.array(visits["no_start"] > 0),
        "intervals": pa.ListArray.from_arrays(
            offsets(visits["interval_count"]), _structs(intervals)
        ),
    }
    return _structs(fields)


def _structs(fields: dict[str, pa.Array]) -> pa.StructArray:
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))


def day_share(start_us: Ints, last_us: Ints, last_context_us: Ints) -> Ints:
    """This day's part of last - start; the parts of the days add up to the whole, to the ms."""
    whole = (last_us - start_us) // 1000
    before = np.where(last_context_us != UNKNOWN, (last_context_us - start_us) // 1000, 0)
    return np.where(last_us != UNKNOWN, whole - before, 0)
