"""Events -> sessions and visits: sections "Sessions" and "Days" of docs/metrics.md.

A fact settled on a day is computed from the events of that day and of the day before, and from
nothing else, also when all days are computed at once. Every event therefore lies on two *work
days*: its own, and the next one, where it is context. So days computed singly, in ranges, in any
order or in one pass agree by construction.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import ENDED, NEUTRAL, START, STOP
from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.arrays import (
    LARGEST,
    SMALLEST,
    Array,
    Bools,
    Floats,
    Ints,
    codes,
    combined,
    dates,
    dense,
    floats_or_nan,
    groups,
    instants,
    integers,
    integers_or,
    nullable,
    offsets,
    order,
    ordered_codes,
)
from vidagg_dagster.metrics.compiled import Fold, rule
from vidagg_dagster.metrics.playback import NONE, UNKNOWN, Limits

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


def _fill_last_days(
    session: Ints, day: Ints, times_out_day: Ints, last: Last
) -> int:
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


def _fill_keep_units(
    unit: Ints, settles: Bools, keeps: Bools
) -> int:
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


@dataclass(frozen=True)
class Players:
    """Events by player in the order of play; `at` is the place of each in the order by time."""

    at: Ints
    video: Ints
    own: Bools
    work_day: Ints
    times_out_day: Ints
    events: play.Events
    kind: Ints
    playback: play.Playback


def follow_players(by_time: WorkDays, parameters: EngagementParameters, limits: Limits) -> Players:
    """Follows each player through its events, and credits its pairs."""
    position, beyond = _believed(by_time.sent, by_time.duration, parameters)
    seek_from, lies = _believed(by_time.seek_from, by_time.duration, parameters)
    seek_from[lies] = UNKNOWN
    player = combined(by_time.unit, by_time.video * 2 + beyond, 2 * len(by_time.video_ids))
    # Already sorted but for sessions of several videos.
    at = np.argsort(player, kind="stable")

    def events_at(rows: Ints) -> play.Events:
        columns = (
            *(by_time.us, player, by_time.day, by_time.rank, position),
            *(seek_from, by_time.duration, by_time.rate, beyond),
        )
        return play.Events(*(column[rows] for column in columns))

    rows = len(at)
    sorted_ = events_at(at)
    place, kind = np.empty(rows, np.int64), np.empty(rows, np.int64)
    play.order_of_play(sorted_, play.Order(place, kind))
    at = at[place]
    events = events_at(at)
    playback = _nothing_played(rows)
    play.play(events, kind, limits, playback)
    return Players(
        at=at,
        video=by_time.video[at],
        own=by_time.own[at],
        work_day=by_time.work_day[at],
        times_out_day=by_time.times_out_day[at],
        events=events,
        kind=kind,
        playback=playback,
    )


def _believed(sent: Ints, duration: Ints, parameters: EngagementParameters) -> tuple[Ints, Bools]:
    """Positions held against the duration, and which of them lie too far beyond it."""
    limited = duration != UNKNOWN
    beyond = limited & (sent * 100 > duration * parameters.position_limit_percent)
    return np.where(limited & (sent > duration), duration, sent), beyond


def _nothing_played(rows: int) -> play.Playback:
    def numbers() -> Ints:
        return np.zeros(rows, np.int64)

    def no() -> Bools:
        return np.zeros(rows, bool)

    unknown = np.full(rows, np.nan)
    return play.Playback(
        numbers(), unknown, no(), no(), no(), numbers(), numbers(), no()
    )


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


def _cut_sessions(
    unit: Ints, us: Ints, credited: Ints, limits: Limits, cut: Instants
) -> int:
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


def _sum_sessions(
    session: Ints, us: Ints, own: Bools, sums: SessionSums
) -> int:
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


class Facts(NamedTuple):
    """Events in the order of play with all that a visit is counted from.

    `session` and `next_us`, `next_day` (the session's next instant; `UNKNOWN`) come from cutting.
    """

    events: play.Events
    playback: play.Playback
    kind: Ints
    video: Ints
    own: Bools
    work_day: Ints
    times_out_day: Ints
    session: Ints
    next_us: Ints
    next_day: Ints


class Visits(NamedTuple):
    """One row per session and video: sums and extremes, `UNKNOWN` where there is none."""

    session: Ints
    video: Ints
    event_count: Ints
    exceeding_count: Ints
    context_count: Ints
    pause_count: Ints
    completion_count: Ints
    forward_skip_count: Ints
    backward_skip_count: Ints
    open_ended_count: Ints
    tail_ms: Ints
    no_start: Ints
    start_us: Ints
    first_us: Ints
    last_us: Ints
    last_context_us: Ints
    max_position: Ints
    interval_count: Ints


class Intervals(NamedTuple):
    """One row per credited interval, by visit and time."""

    start: Ints
    end: Ints
    clock: Ints
    evidence: Ints
    opened_us: Ints
    closed_us: Ints


class Counted(NamedTuple):
    """What counting fills. `filled` is the number of intervals."""

    visits: Visits
    intervals: Intervals
    filled: Ints


@rule
def settles_on(next_us: int, next_day: int, us: int, times_out_day: int, limits: Limits) -> int:
    """The day on which a tail is settled: that of the session's next event, or of the timeout."""
    if next_us != UNKNOWN and next_us < us + limits.session_timeout_ms * 1000:
        return next_day
    return times_out_day


@rule
def count_activity(facts: Facts, first: int, end: int, visits: Visits, visit: int) -> None:
    """Counts the events of a visit, and fills its extremes."""
    us, position = facts.events.us, facts.playback.position
    visits.start_us[visit] = us[first] if first < end else UNKNOWN
    visits.first_us[visit] = visits.last_us[visit] = visits.last_context_us[visit] = UNKNOWN
    visits.max_position[visit] = UNKNOWN
    for b in range(first, end):
        if facts.own[b]:
            if visits.event_count[visit] == 0:
                visits.first_us[visit] = us[b]
            visits.last_us[visit] = us[b]
            visits.event_count[visit] += 1
            visits.max_position[visit] = max(visits.max_position[visit], position[b])
        else:
            visits.last_context_us[visit] = us[b]
            visits.context_count[visit] += 1


@rule
def count_skips(
    facts: Facts, first: int, end: int, visits: Visits, visit: int, limits: Limits
) -> None:
    """Counts where playing stopped at one place of the video and started again at another."""
    events, playback, kind = facts.events, facts.playback, facts.kind
    stopped_at = UNKNOWN
    after_ended = False
    for b in range(first, end):
        a = b - 1
        # The pair before the first event of a visit is void: a cut goes through it.
        evidence = playback.evidence[b] if b > first else NONE
        left_at = UNKNOWN
        if b > first and playback.was_playing[b]:
            if play.shows_where_playing_went(
                kind[b], events.rank[b], playback.lands[b], evidence
            ):
                left_at = playback.position[a] if evidence == NONE else playback.end[b]
        elif b > first and kind[b] == START:
            left_at = stopped_at
        since_first = play.whole_ms(events.us[first], events.us[b])
        taken_up = play.takes_up_earlier_place(events.rank[b], since_first, limits)
        if left_at != UNKNOWN and not taken_up and facts.own[b]:
            jump = playback.position[b] - left_at
            if play.is_forward_skip(jump, limits):
                visits.forward_skip_count[visit] += 1
            if play.is_backward_skip(jump, kind[b] == START and after_ended, limits):
                visits.backward_skip_count[visit] += 1
        if kind[b] == STOP and playback.was_playing[b]:
            stopped_at = play.stop_place(
                evidence,
                playback.end[b],
                playback.lands[b],
                playback.position[a],
                playback.position[b],
            )
        if kind[b] != NEUTRAL:
            after_ended = events.rank[b] == ENDED


@rule
def count_pauses_and_completions(
    facts: Facts, first: int, end: int, visits: Visits, visit: int, limits: Limits
) -> None:
    """Counts pauses that interrupt playing, and ends that were played to."""
    events, kind = facts.events, facts.kind
    counted_us = UNKNOWN
    started = False
    for b in range(first, end):
        follows_stop = b > first and kind[b - 1] == STOP
        if play.is_pause(events.rank[b], follows_stop) and facts.own[b]:
            visits.pause_count[visit] += 1
        started = started or kind[b] == START
        since_counted = play.whole_ms(counted_us, events.us[b])
        if play.is_completion(
            events.rank[b], counted_us != UNKNOWN, started, since_counted, limits
        ):
            counted_us, started = events.us[b], False
            if facts.own[b]:
                visits.completion_count[visit] += 1


@rule
def count_tails(
    facts: Facts, first: int, end: int, visits: Visits, visit: int, limits: Limits
) -> None:
    """Adds up the bounds of what was watched after events left open, settled on the work day."""
    events, playback = facts.events, facts.playback
    for b in range(first, end):
        is_last = b + 1 == end
        next_kind = NEUTRAL if is_last else facts.kind[b + 1]
        next_evidence = NONE if is_last else playback.evidence[b + 1]
        if not play.is_left_open(playback.playing[b], is_last, next_kind, next_evidence):
            continue
        next_us, next_day = facts.next_us[b], facts.next_day[b]
        if not is_last and events.us[b + 1] == events.us[b]:
            next_us, next_day = events.us[b], events.day[b]
        day = settles_on(next_us, next_day, events.us[b], facts.times_out_day[b], limits)
        if day == facts.work_day[b]:
            rest, until_next = UNKNOWN, UNKNOWN
            if events.duration[b] != UNKNOWN:
                rest = events.duration[b] - playback.position[b]
            if next_us != UNKNOWN:
                until_next = play.whole_ms(events.us[b], next_us)
            visits.open_ended_count[visit] += 1
            visits.tail_ms[visit] += play.open_tail(rest, until_next, limits)


@rule
def list_intervals(facts: Facts, first: int, end: int, intervals: Intervals, filled: int) -> int:
    """Lists what the pairs of a visit are credited on the work day; returns how many there are."""
    events, playback = facts.events, facts.playback
    for b in range(first + 1, end):
        start = playback.position[b - 1]
        length = playback.end[b] - start
        if facts.own[b] and playback.evidence[b] != NONE and length > 0:
            dt = play.whole_ms(events.us[b - 1], events.us[b])
            intervals.start[filled] = start
            intervals.end[filled] = playback.end[b]
            intervals.clock[filled] = play.clock_time(
                playback.evidence[b], length, dt, playback.rate[b - 1]
            )
            intervals.evidence[filled] = playback.evidence[b]
            intervals.opened_us[filled] = events.us[b - 1]
            intervals.closed_us[filled] = events.us[b]
            filled += 1
    return filled


@rule
def end_of_session(session: Ints, first: int, end: int, wanted: int) -> int:
    """Behind the events, from `first` on, of the session `wanted`."""
    while first < end and session[first] == wanted:
        first += 1
    return first


def _count_visits(facts: Facts, limits: Limits, counted: Counted) -> int:
    """Fills `counted`, which is zero everywhere; returns how many visits there are."""
    events, session = facts.events, facts.session
    rows = len(session)
    visits = counted.visits
    visit, filled = 0, 0
    first = 0
    while first < rows:
        # Of one video the events that are believed come first, then those beyond it.
        middle = first
        while (
            middle < rows
            and events.player[middle] // 2 == events.player[first] // 2
            and not events.beyond[middle]
        ):
            middle += 1
        end = middle
        while end < rows and events.player[end] // 2 == events.player[first] // 2:
            end += 1
        b, c = first, middle
        while b < middle or c < end:
            of = session[b] if b < middle else session[c]
            if c < end and session[c] < of:
                of = session[c]
            next_b = end_of_session(session, b, middle, of)
            next_c = end_of_session(session, c, end, of)
            visits.session[visit] = of
            visits.video[visit] = facts.video[first]
            count_activity(facts, b, next_b, visits, visit)
            for row in range(c, next_c):
                visits.exceeding_count[visit] += facts.own[row]
            count_skips(facts, b, next_b, visits, visit, limits)
            count_pauses_and_completions(facts, b, next_b, visits, visit, limits)
            count_tails(facts, b, next_b, visits, visit, limits)
            before = filled
            filled = list_intervals(facts, b, next_b, counted.intervals, filled)
            visits.interval_count[visit] = filled - before
            settled = visits.event_count[visit] > 0 or visits.open_ended_count[visit] > 0
            if settled and facts.playback.throughout[b]:
                visits.no_start[visit] = 1
            visit += 1
            b, c = next_b, next_c
        first = end
    counted.filled[0] = filled
    return visit


count_visits = Fold(_count_visits)


@dataclass(frozen=True)
class Settled:
    """What the work days settle: `sessions` by number, visits and their intervals in one order.

    `by_time` are the events that it was computed from. Visits are by session and video.
    """

    by_time: WorkDays
    sessions: SessionSums
    visits: Visits
    intervals: Intervals


def settle(
    events: pa.Table, days: tuple[date, ...] | None, parameters: EngagementParameters
) -> Settled:
    """Prepared events of whole users (`timeline.prepared`) -> sessions, visits and intervals."""
    limits = Limits.of(parameters)
    by_time = needed(on_work_days(events, days))
    players = follow_players(by_time, parameters, limits)
    rows = len(by_time.us)
    playback = players.playback
    believed = playback.evidence != NONE
    before = np.concatenate((np.zeros(1, np.int64), playback.position[:-1]))[:rows]
    credited = np.zeros(rows, np.int64)
    credited[players.at] = np.where(believed, playback.end - before, 0)
    cut = Instants(np.zeros(rows, np.int64), np.zeros(rows, np.int64))
    sessions = cut_sessions(by_time.unit, by_time.us, credited, limits, cut)
    sums = SessionSums(*(np.zeros(sessions, np.int64) for _ in SessionSums._fields))
    session = cut.session
    sum_sessions(session, by_time.us, by_time.own, sums)

    next_row = cut.next_row[players.at]
    followed = next_row != UNKNOWN
    facts = Facts(
        events=players.events,
        playback=playback,
        kind=players.kind,
        video=players.video,
        own=players.own,
        work_day=players.work_day,
        times_out_day=players.times_out_day,
        session=session[players.at],
        next_us=np.where(followed, by_time.us[next_row], UNKNOWN),
        next_day=np.where(followed, by_time.day[next_row], UNKNOWN),
    )
    visits, intervals = _counted(facts, limits)
    return Settled(by_time, sums, *_by_session(visits, intervals))


def _counted(facts: Facts, limits: Limits) -> tuple[Visits, Intervals]:
    rows = len(facts.session)
    counted = Counted(
        Visits(*(np.zeros(rows, np.int64) for _ in Visits._fields)),
        Intervals(*(np.zeros(rows, np.int64) for _ in Intervals._fields)),
        np.zeros(1, np.int64),
    )
    visits = count_visits(facts, limits, counted)
    intervals = int(counted.filled[0])
    return (
        Visits(*(column[:visits] for column in counted.visits)),
        Intervals(*(column[:intervals] for column in counted.intervals)),
    )


def _by_session(visits: Visits, intervals: Intervals) -> tuple[Visits, Intervals]:
    """Visits by session and video, with their intervals; without those of which nothing is told."""
    told = (visits.event_count > 0) | (visits.open_ended_count > 0) | (visits.exceeding_count > 0)
    rows = np.flatnonzero(told)
    rows = rows[order(visits.session[rows], visits.video[rows])]
    lengths = visits.interval_count
    begins = np.cumsum(lengths) - lengths
    # A visit of which nothing is told has no intervals, so that none is lost.
    wanted = lengths[rows]
    of = np.repeat(begins[rows] - (np.cumsum(wanted) - wanted), wanted)
    span = of + np.arange(len(of))
    return (
        Visits(*(column[rows] for column in visits)),
        Intervals(*(column[span] for column in intervals)),
    )


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
    np.add.at(open_ended, visits.session, visits.open_ended_count)
    videos = np.bincount(visits.session[visits.event_count > 0], minlength=sessions)
    kept = np.flatnonzero((sums.events > 0) | (open_ended > 0))
    listed = np.bincount(visits.session, minlength=sessions)[kept]
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
    has_own = visits.event_count > 0
    intervals = {
        "startMs": pa.array(spans.start),
        "endMs": pa.array(spans.end),
        "clockMs": pa.array(spans.clock),
        "evidence": pa.array(play.EVIDENCE_NAMES).take(pa.array(spans.evidence)),
        "openedAt": instants(spans.opened_us),
        "closedAt": instants(spans.closed_us),
    }
    fields = {
        "videoId": settled.by_time.video_ids.take(pa.array(visits.video)),
        "startsHere": pa.array(has_own & (visits.context_count == 0)),
        "eventCount": pa.array(visits.event_count),
        "exceedingCount": pa.array(visits.exceeding_count),
        "firstEventTime": instants(visits.first_us, has_own),
        "lastEventTime": instants(visits.last_us, has_own),
        "durationMs": pa.array(
            day_share(visits.start_us, visits.last_us, visits.last_context_us)
        ),
        "maxPositionMs": nullable(visits.max_position, visits.max_position != UNKNOWN),
        "pauseCount": pa.array(visits.pause_count),
        "completionCount": pa.array(visits.completion_count),
        "forwardSkipCount": pa.array(visits.forward_skip_count),
        "backwardSkipCount": pa.array(visits.backward_skip_count),
        "openEndedCount": pa.array(visits.open_ended_count),
        "tailMs": pa.array(visits.tail_ms),
        "noStart": pa.array(visits.no_start > 0),
        "intervals": pa.ListArray.from_arrays(
            offsets(visits.interval_count), _structs(intervals)
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
