"""What the fold finds: sessions, visits and intervals, in memory that its loops fill."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vidagg_dagster.metrics.arrays import Ints
from vidagg_dagster.metrics.compiled import new_records


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
