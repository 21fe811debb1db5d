"""Visits: what happened to a video of a session on a work day.

Counts what "Skips, pauses, completions" of docs/metrics.md names, open tails and reports, and lists
the credited intervals. The rules themselves are in `playback`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from vidagg_dagster.core.vocabulary import ENDED, NEUTRAL, START, STOP
from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.arrays import LARGEST
from vidagg_dagster.metrics.compiled import rule
from vidagg_dagster.metrics.found import Found, Interval, Visit
from vidagg_dagster.metrics.playback import NONE, SAID, UNKNOWN, Limits, Moment


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
