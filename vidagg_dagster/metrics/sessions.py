"""Where sessions begin and end: section "Sessions" of docs/metrics.md."""

from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.compiled import rule
from vidagg_dagster.metrics.events import Columns
from vidagg_dagster.metrics.found import Found, SessionSums
from vidagg_dagster.metrics.playback import NONE, UNKNOWN, Limits
from vidagg_dagster.metrics.work_day import WorkDay


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
