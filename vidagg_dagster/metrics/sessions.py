"""Events -> sessions and visits: sections "Sessions" and "Days" of docs/metrics.md.

A fact settled on a day is computed from the events of that day and of the day before, and from
nothing else, also when all days are computed at once. Every event therefore lies on two *work
days*: its own, and the next one, where it is context. So days computed singly, in ranges, in any
order or in one pass agree by construction.

A *told session* is a user and a sessionId; it is cut into sessions where it idles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import ENDED, NEUTRAL, REPORTED, START, STOP
from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.arrays import (
    LARGEST,
    Bools,
    Ints,
    Numbers,
    changes,
    dates,
    instants,
    nullable,
    offsets,
    order,
)
from vidagg_dagster.metrics.compiled import Fold, new_records, rule
from vidagg_dagster.metrics.dimensions import Stretches, first_known
from vidagg_dagster.metrics.events import Columns, Events, Numbered
from vidagg_dagster.metrics.playback import NONE, SAID, UNKNOWN, ByTime, Limits, Moment, Order

_EPOCH: Final = date(1970, 1, 1)


# --- what is found --------------------------------------------------------------------------------


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


class SessionSums(NamedTuple):
    """Per session: its work day, its first row, its first and last own event and last event of
    context (`UNKNOWN` if there is none), and the number of own events.
    """

    work_day: Ints
    first_row: Ints
    first_us: Ints
    last_us: Ints
    last_context_us: Ints
    events: Ints


class Found(NamedTuple):
    """What the fold fills: sessions, visits, and intervals in their order. `filled` says how many
    there are of each.
    """

    filled: Ints
    sessions: SessionSums
    visits: Sequence[Visit]
    intervals: Sequence[Interval]

    @classmethod
    def for_(cls, events: int) -> "Found":
        """Memory for what so many events on work days give at most."""
        return cls(
            filled=np.zeros(3, np.int64),
            sessions=SessionSums(*(np.empty(events, np.int64) for _ in SessionSums._fields)),
            visits=new_records(Visit, events),
            intervals=new_records(Interval, events),
        )


# --- events on work days --------------------------------------------------------------------------


class Wanted(NamedTuple):
    """The days to settle: `days[n]` of the day `first + n`; all days if there are none."""

    first: int
    days: Bools

    @classmethod
    def of(cls, days: tuple[date, ...] | None) -> "Wanted":
        """The given days; None: all."""
        if days is None:
            return cls(0, np.zeros(0, bool))
        numbers = np.array([(day - _EPOCH).days for day in days], np.int64)
        first = int(numbers.min(initial=LARGEST))
        wanted = np.zeros(int(numbers.max(initial=first)) - first + 1, bool)
        wanted[numbers - first] = True
        return cls(first, wanted)


@rule
def is_wanted(day: int, wanted: Wanted) -> bool:
    """Whether a day is to be settled."""
    at = day - wanted.first
    return len(wanted.days) == 0 or (0 <= at < len(wanted.days) and wanted.days[at])


class Players(NamedTuple):
    """First and last event of each player of a work day: of video `v` those that are believed are
    player `3 * v`, those beyond it `3 * v + 1`, and reports `3 * v + 2`. `UNKNOWN` if it has none.
    """

    first: Ints
    last: Ints


class WorkDay(NamedTuple):
    """Working memory: the events of a told session on one work day, and their moments.

    By number of the event, by time: its `row`, the `next` event of its player, what its pair is
    `credited`, its `session` after cutting, and the first event of the session's `next_instant`
    (`UNKNOWN` if there is none). `video` lists the videos, and `end` says where the moments of
    each end: first those that are believed, then those beyond it, then reports.
    """

    row: Ints
    next: Ints
    credited: Ints
    session: Ints
    next_instant: Ints
    video: Ints
    end: Ints
    by_time: ByTime
    order: Order
    players: Players
    moments: Sequence[Moment]

    @classmethod
    def for_(cls, events: int, videos: int) -> "WorkDay":
        """Memory for so many events of a told session."""

        def numbers() -> Ints:
            return np.empty(events, np.int64)

        return cls(
            row=numbers(),
            next=numbers(),
            credited=numbers(),
            session=numbers(),
            next_instant=numbers(),
            video=numbers(),
            end=np.empty(3 * events, np.int64),
            by_time=ByTime(numbers(), numbers(), numbers()),
            order=Order(numbers(), numbers()),
            players=Players(*(np.full(3 * videos, UNKNOWN, np.int64) for _ in range(2))),
            moments=new_records(Moment, events),
        )


class Filled(NamedTuple):
    """What the fold fills: its working memory, and what it finds."""

    work: WorkDay
    found: Found


@rule
def begin_work_day(day: Ints, start: int, end: int, work_day: int) -> int:
    """The first row, from `start` on, of the day before `work_day` or a later one."""
    while start < end and day[start] < work_day - 1:
        start += 1
    return start


@rule
def end_work_day(day: Ints, start: int, end: int, work_day: int) -> int:
    """Behind the rows of `work_day`. Days go back by one where clocks go back over midnight."""
    while start < end and day[start] <= work_day + 1:
        start += 1
    return start


@rule
def choose_events(events: Columns, start: int, end: int, work_day: int, row: Ints) -> int:
    """Fills `row` with the events of `work_day` and its context; returns how many there are.

    None where they settle nothing: no own event, and no tail that times out on the day.
    """
    chosen = 0
    settles = False
    for at in range(start, end):
        day = events.day[at]
        if work_day - 1 <= day <= work_day:
            row[chosen] = at
            chosen += 1
            settles = settles or day == work_day or events.times_out_day[at] == work_day
    return chosen if settles else 0


# --- players --------------------------------------------------------------------------------------


@rule
def part_players(events: Columns, count: int, work: WorkDay) -> int:
    """Links the events of each player; lists the videos, and returns how many there are."""
    first, last = work.players.first, work.players.last
    videos = 0
    for event in range(count):
        row = work.row[event]
        player = 3 * events.video[row]
        if last[player] == UNKNOWN and last[player + 1] == UNKNOWN and last[player + 2] == UNKNOWN:
            work.video[videos] = events.video[row]
            videos += 1
        if events.beyond[row]:
            player += 1
        elif events.rank[row] == REPORTED:
            player += 2
        if last[player] == UNKNOWN:
            first[player] = event
        else:
            work.next[last[player]] = event
        last[player] = event
        work.next[event] = UNKNOWN
    return videos


@rule
def list_player(events: Columns, player: int, filled: int, work: WorkDay) -> int:
    """Lists the events of a player by time behind the `filled` ones, and forgets the player."""
    if work.players.last[player] == UNKNOWN:
        return filled
    event = work.players.first[player]
    while event != UNKNOWN:
        row = work.row[event]
        work.by_time.event[filled] = event
        work.by_time.us[filled] = events.us[row]
        work.by_time.rank[filled] = events.rank[row]
        filled += 1
        event = work.next[event]
    work.players.last[player] = UNKNOWN
    return filled


@rule
def load(moment: Moment, events: Columns, row: int, kind: int, work_day: int) -> None:
    """An event as a moment of which nothing is known but itself."""
    moment.us = events.us[row]
    moment.day = events.day[row]
    moment.rank = events.rank[row]
    moment.kind = kind
    moment.position = events.position[row]
    moment.seek_from = events.seek_from[row]
    moment.duration = events.duration[row]
    moment.rate = events.rate[row]
    moment.was_playing = False
    moment.playing = False
    moment.throughout = False
    moment.lands = False
    moment.evidence = NONE
    moment.end = 0
    moment.own = events.day[row] == work_day
    moment.work_day = work_day
    moment.times_out_day = events.times_out_day[row]
    moment.session = UNKNOWN
    moment.next_us = UNKNOWN
    moment.next_day = UNKNOWN


@rule
def load_player(events: Columns, first: int, end: int, work_day: int, work: WorkDay) -> None:
    """Fills the moments of a player in the order of play."""
    play.order_of_play(work.by_time, first, end, work.order)
    for place in range(first, end):
        event = work.by_time.event[work.order.at[place]]
        kind = work.order.kind[place]
        load(work.moments[place], events, work.row[event], kind, work_day)


@rule
def follow_players(
    limits: Limits, events: Columns, work_day: int, count: int, work: WorkDay
) -> int:
    """Follows each player through its events, and credits its pairs; returns the number of videos.

    Of a video the moments that are believed come first, then those beyond it, then reports.
    """
    videos = part_players(events, count, work)
    filled = 0
    for at in range(videos):
        first = filled
        filled = list_player(events, 3 * work.video[at], filled, work)
        load_player(events, first, filled, work_day, work)
        play.play(work.moments, first, filled, limits)
        work.end[3 * at] = filled
        for other in range(1, 3):
            first = filled
            filled = list_player(events, 3 * work.video[at] + other, filled, work)
            load_player(events, first, filled, work_day, work)
            work.end[3 * at + other] = filled
    return videos


@rule
def list_credits(count: int, work: WorkDay) -> None:
    """Fills what each event's pair is credited, by time."""
    for place in range(count):
        moment = work.moments[place]
        event = work.by_time.event[work.order.at[place]]
        work.credited[event] = 0
        if moment.evidence != NONE:
            work.credited[event] = moment.end - work.moments[place - 1].position


# --- 4 Sessions -----------------------------------------------------------------------------------


@rule
def idle_ms(dt: int, most_credited: int) -> int:
    """Time that was watched is not idle."""
    return dt - most_credited


@rule
def begin_session(sums: SessionSums, session: int, work_day: int, row: int) -> None:
    """A session of which nothing is known but where it begins."""
    sums.work_day[session] = work_day
    sums.first_row[session] = row
    sums.first_us[session] = UNKNOWN
    sums.last_us[session] = UNKNOWN
    sums.last_context_us[session] = UNKNOWN
    sums.events[session] = 0


@rule
def sum_session(sums: SessionSums, session: int, us: int, own: bool) -> None:
    """Adds an event to its session."""
    if own:
        if sums.events[session] == 0:
            sums.first_us[session] = us
        sums.last_us[session] = us
        sums.events[session] += 1
    else:
        sums.last_context_us[session] = us


@rule
def cut_sessions(
    limits: Limits, events: Columns, work_day: int, count: int, work: WorkDay, found: Found
) -> None:
    """Cuts the events where they idle, and adds up each session.

    Of an instant the largest credit counts.
    """
    session = found.filled[0] - 1
    first, before = 0, UNKNOWN
    while first < count:
        us = events.us[work.row[first]]
        end, most = first, 0
        while end < count and events.us[work.row[end]] == us:
            most = max(most, work.credited[end])
            end += 1
        begins = before == UNKNOWN
        if not begins:
            dt = play.whole_ms(events.us[work.row[before]], us)
            begins = idle_ms(dt, most) > limits.session_timeout_ms
        if begins:
            session += 1
            begin_session(found.sessions, session, work_day, work.row[first])
        else:
            for event in range(before, first):
                work.next_instant[event] = first
        for event in range(first, end):
            work.session[event] = session
            work.next_instant[event] = UNKNOWN
            sum_session(found.sessions, session, us, events.day[work.row[event]] == work_day)
        before, first = first, end
    found.filled[0] = session + 1


@rule
def part_sessions(events: Columns, count: int, work: WorkDay) -> None:
    """Tells each moment its session, and when that goes on; a cut voids the pair across it."""
    for place in range(count):
        moment = work.moments[place]
        event = work.by_time.event[work.order.at[place]]
        moment.session = work.session[event]
        if moment.evidence != NONE and work.moments[place - 1].session != moment.session:
            moment.evidence = NONE
        following = work.next_instant[event]
        if following != UNKNOWN:
            moment.next_us = events.us[work.row[following]]
            moment.next_day = events.day[work.row[following]]


# --- visits: what happened to a video of a session on a work day ----------------------------------


class Part(NamedTuple):
    """Moments of one video: from `first` to `middle` those that are believed, then to `reports`
    those beyond it, then reports.
    """

    first: int
    middle: int
    reports: int
    end: int


@rule
def begin_visit(visit: Visit, session: int, video: int) -> None:
    """A visit of which nothing is known but its session and video."""
    visit.session = session
    visit.video = video
    visit.event_count = 0
    visit.exceeding_count = 0
    visit.context_count = 0
    visit.pause_count = 0
    visit.completion_count = 0
    visit.forward_skip_count = 0
    visit.backward_skip_count = 0
    visit.open_ended_count = 0
    visit.tail_ms = 0
    visit.no_start = False
    visit.start_us = UNKNOWN
    visit.first_us = UNKNOWN
    visit.last_us = UNKNOWN
    visit.last_context_us = UNKNOWN
    visit.max_position = UNKNOWN
    visit.interval_count = 0


@rule
def count_activity(moments: Sequence[Moment], first: int, end: int, visit: Visit) -> None:
    """Counts the events of a visit, and fills its extremes."""
    if first < end:
        visit.start_us = moments[first].us
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
            left_at = play.left_at(moment, stopped_at)
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
def count_reports(
    moments: Sequence[Moment], first: int, end: int, visit: Visit, found: Found
) -> None:
    """Adds to a visit what is reported of it: activity, and the stretches themselves."""
    for c in range(first, end):
        report = moments[c]
        if visit.start_us == UNKNOWN or report.us < visit.start_us:
            visit.start_us = report.us
        if not report.own:
            visit.last_context_us = max(visit.last_context_us, report.us)
            visit.context_count += 1
            continue
        if visit.event_count == 0 or report.us < visit.first_us:
            visit.first_us = report.us
        visit.last_us = max(visit.last_us, report.us)
        visit.event_count += 1
        visit.max_position = max(visit.max_position, report.position)
        if report.seek_from != UNKNOWN and report.seek_from < report.position:
            interval = found.intervals[found.filled[2]]
            interval.start = report.seek_from
            interval.end = report.position
            interval.clock = play.reported_clock(report)
            interval.evidence = SAID
            interval.opened_us = report.us
            interval.closed_us = report.us
            visit.interval_count += 1
            found.filled[2] += 1


@rule
def end_of_session(moments: Sequence[Moment], first: int, end: int, session: int) -> int:
    """Behind the events of `session`, from `first` on."""
    while first < end and moments[first].session == session:
        first += 1
    return first


@rule
def count_visit(
    limits: Limits, moments: Sequence[Moment], first: int, end: int, found: Found
) -> None:
    """Fills the visit of the believed moments from `first` to `end`."""
    visit = found.visits[found.filled[1]]
    count_activity(moments, first, end, visit)
    count_skips(moments, first, end, visit, limits)
    count_pauses_and_completions(moments, first, end, visit, limits)
    count_tails(moments, first, end, visit, limits)
    listed = list_intervals(moments, first, end, found.intervals, found.filled[2])
    visit.interval_count = listed - found.filled[2]
    found.filled[2] = listed
    settles = visit.event_count > 0 or visit.open_ended_count > 0
    visit.no_start = settles and moments[first].throughout


@rule
def count_visits(
    limits: Limits, moments: Sequence[Moment], video: int, part: Part, found: Found
) -> None:
    """Fills the visits of a video."""
    b, c, d = part.first, part.middle, part.reports
    while b < part.middle or c < part.reports or d < part.end:
        session = LARGEST
        if b < part.middle:
            session = moments[b].session
        if c < part.reports:
            session = min(session, moments[c].session)
        if d < part.end:
            session = min(session, moments[d].session)
        next_b = end_of_session(moments, b, part.middle, session)
        next_c = end_of_session(moments, c, part.reports, session)
        next_d = end_of_session(moments, d, part.end, session)
        visit = found.visits[found.filled[1]]
        begin_visit(visit, session, video)
        for place in range(c, next_c):
            visit.exceeding_count += moments[place].own
        count_visit(limits, moments, b, next_b, found)
        count_reports(moments, d, next_d, visit, found)
        found.filled[1] += 1
        b, c, d = next_b, next_c, next_d


# --- the fold -------------------------------------------------------------------------------------


@rule
def settle_work_day(
    limits: Limits, events: Columns, work_day: int, count: int, work: WorkDay, found: Found
) -> None:
    """Settles a work day of a told session."""
    videos = follow_players(limits, events, work_day, count, work)
    list_credits(count, work)
    cut_sessions(limits, events, work_day, count, work, found)
    part_sessions(events, count, work)
    first = 0
    for at in range(videos):
        part = Part(first, work.end[3 * at], work.end[3 * at + 1], work.end[3 * at + 2])
        count_visits(limits, work.moments, work.video[at], part, found)
        first = part.end


@rule
def settle_told_session(
    limits: Limits, wanted: Wanted, events: Columns, first: int, end: int, filled: Filled
) -> None:
    """Settles the work days of a told session, one after the other."""
    # Its first event may lie on the second day, where clocks go back over midnight.
    work_day = events.day[first] - 1
    start = first
    while start < end:
        behind = end_work_day(events.day, start, end, work_day)
        if is_wanted(work_day, wanted):
            count = choose_events(events, start, behind, work_day, filled.work.row)
            if count > 0:
                settle_work_day(limits, events, work_day, count, filled.work, filled.found)
        work_day += 1
        if behind == start:
            work_day = max(work_day, events.day[start] - 1)
        start = begin_work_day(events.day, start, end, work_day)


def _settle(limits: Limits, wanted: Wanted, events: Columns, filled: Filled) -> int:
    """Settles all work days of sorted events."""
    first = 0
    while first < len(events.us):
        end = first + 1
        while end < len(events.us) and events.told[end] == events.told[first]:
            end += 1
        settle_told_session(limits, wanted, events, first, end, filled)
        first = end
    return first


_settle_sorted = Fold(_settle)


@dataclass(frozen=True)
class Settled:
    """What the work days settle: `sessions` by number; visits, and their intervals in their order.

    `events` are those that it was computed from. Visits are sorted by session and video.
    """

    events: Events
    sessions: SessionSums
    visits: Any
    intervals: Any

    @property
    def told(self) -> Ints:
        """The told session of each session."""
        return self.events.columns.told[self.sessions.first_row]

    def dimensions(self) -> list[Numbers]:
        """Of each dimension of the events, the first known code of each session."""
        columns, sums = self.events.columns, self.sessions
        last_us = np.maximum(sums.last_us, sums.last_context_us)
        stretches = Stretches(sums.first_row, last_us, sums.work_day)
        return [
            first_known(dimension, columns.told, columns.us, columns.day, stretches)
            for dimension in self.events.dimensions
        ]


def settle(
    events: Events, days: tuple[date, ...] | None, parameters: EngagementParameters
) -> Settled:
    """Sorted events of whole told sessions -> sessions, visits and intervals of the days."""
    columns = events.columns
    longest = int(np.bincount(columns.told).max(initial=0))
    filled = Filled(
        WorkDay.for_(longest, len(events.video_ids)),
        Found.for_(len(columns.us) + _most_context(columns)),
    )
    _settle_sorted(Limits.of(parameters), Wanted.of(days), columns, filled)
    found = filled.found
    sessions, visits, intervals = (int(number) for number in found.filled)
    sums = SessionSums(*(column[:sessions].copy() for column in found.sessions))
    return Settled(events, sums, *_by_session(found.visits[:visits], found.intervals[:intervals]))


def _most_context(events: Columns) -> int:
    """How many events may be context: those of sessions that go on after their day, or end so late
    that their tail does.
    """
    if not len(events.told):
        return 0
    begins = np.flatnonzero(changes(events.told))
    last_day = np.maximum.reduceat(events.day, begins)
    goes_on = np.logical_or.reduceat(events.times_out_day > events.day, begins)
    return int(np.count_nonzero((last_day[events.told] > events.day) | goes_on[events.told]))


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
        numbered = Numbered.of(events)
        by_time = numbered.by_time(np.arange(events.num_rows))
        sorted_ = numbered.events(by_time, self.parameters)
        return session_rows(settle(sorted_, self.days, self.parameters))


def session_rows(settled: Settled) -> pa.Table:
    """Sessions with an event of the day, or a tail that it settles, in the columns of the table."""
    events, sums, visits = settled.events, settled.sessions, settled.visits
    sessions = len(sums.first_row)
    open_ended = np.zeros(sessions, np.int64)
    np.add.at(open_ended, visits["session"], visits["open_ended_count"])
    videos = np.bincount(visits["session"][visits["event_count"] > 0], minlength=sessions)
    kept = np.flatnonzero((sums.events > 0) | (open_ended > 0))
    listed = np.bincount(visits["session"], minlength=sessions)[kept]
    length = settled.intervals["end"] - settled.intervals["start"]
    of_session = np.repeat(visits["session"], visits["interval_count"])
    # Sums of floats; exact, because they stay below 2^53.
    watched = np.bincount(of_session, length, sessions).astype(np.int64)
    told = settled.told[kept]
    start_us = events.columns.us[sums.first_row[kept]]
    has_own = sums.events[kept] > 0
    return pa.table(
        {
            "event_date": dates(sums.work_day[kept]),
            "userId": events.users.take(pa.array(events.user[told])),
            "sessionId": events.session_ids.take(pa.array(events.session_id[told])),
            "sessionStart": instants(start_us),
            "continuesFromPreviousDay": pa.array(sums.last_context_us[kept] != UNKNOWN),
            "firstEventTime": instants(sums.first_us[kept], has_own),
            "lastEventTime": instants(sums.last_us[kept], has_own),
            "eventCount": pa.array(sums.events[kept]),
            "videoCount": pa.array(videos[kept]),
            "durationMs": pa.array(
                day_share(start_us, sums.last_us[kept], sums.last_context_us[kept])
            ),
            "watchMs": pa.array(watched[kept]),
            "visits": pa.ListArray.from_arrays(offsets(listed), _visit_structs(settled)),
            **{
                dimension.name: dimension.values(code[kept])
                for dimension, code in zip(events.dimensions, settled.dimensions(), strict=True)
            },
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
        "videoId": settled.events.video_ids.take(pa.array(visits["video"])),
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
