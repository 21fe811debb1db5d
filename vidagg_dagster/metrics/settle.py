"""Events -> sessions, visits and intervals of work days: section "Days" of docs/metrics.md.

A fact settled on a day is computed from the events of that day and of the day before, and from
nothing else, also when all days are computed at once. Every event therefore lies on two *work
days*: its own, and the next one, where it is context. So days computed singly, in ranges, in any
order or in one pass agree by construction.

A *told session* is a user and a sessionId; it is cut into sessions where it idles.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.arrays import Ints, Numbers, changes, order
from vidagg_dagster.metrics.compiled import Fold, rule
from vidagg_dagster.metrics.dimensions import Stretches, first_known
from vidagg_dagster.metrics.events import Columns, Events
from vidagg_dagster.metrics.found import Found, SessionSums
from vidagg_dagster.metrics.playback import UNKNOWN, Limits
from vidagg_dagster.metrics.sessions import cut_sessions, part_sessions
from vidagg_dagster.metrics.visits import Part, count_visits
from vidagg_dagster.metrics.work_day import (
    Wanted,
    WorkDay,
    begin_work_day,
    choose_events,
    end_work_day,
    follow_players,
    is_wanted,
    list_credits,
)


class Filled(NamedTuple):
    """What the fold fills: its working memory, and what it finds."""

    work: WorkDay
    found: Found


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


def day_share(start_us: Ints, last_us: Ints, last_context_us: Ints) -> Ints:
    """This day's part of last - start; the parts of the days add up to the whole, to the ms."""
    whole = (last_us - start_us) // 1000
    before = np.where(last_context_us != UNKNOWN, (last_context_us - start_us) // 1000, 0)
    return np.where(last_us != UNKNOWN, whole - before, 0)
