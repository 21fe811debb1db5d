"""Watched spans -> what happened in each bin of a video, exact to the millisecond.

A sweep over edges: each span adds to the bins of its two ends what lies in them, and to the bins
between by one step up and one down, however many they are. Sums of integers: rows may come in any
order and in any parts.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.insight.bins import Grid, Groups, counted, grid_of
from vidagg_dagster.metrics.arrays import Ints, integers_or
from vidagg_dagster.metrics.compiled import Fold, rule
from vidagg_dagster.metrics.coverage import greatest


class Spans(NamedTuple):
    """Spans in the order of their rows; `group` says whose bins a row's spans fall into."""

    row: Ints
    group: Ints
    start: Ints
    end: Ints


class Clock(NamedTuple):
    """When each span was opened and closed (microseconds)."""

    opened: Ints
    closed: Ints


class Seen(NamedTuple):
    """By slot: steps of viewers and of whole bins, milliseconds in part, and last parts seen."""

    viewers: Ints
    whole: Ints
    part: Ints
    last: Ints


class Watched(NamedTuple):
    """By slot: as `Seen`, and how often watching began, ended, was skipped and jumped to."""

    whole: Ints
    part: Ints
    starts: Ints
    stops: Ints
    skipped: Ints
    jumps: Ints


@rule
def bin_of(position: int, width: int, bins: int) -> int:
    """The bin of a position; what lies behind the last bin counts there."""
    return min(position // width, bins - 1)


@rule
def add_span(
    start: int, end: int, width: int, bins: int, first: int, whole: Ints, part: Ints
) -> None:
    """Adds the length of a span to the bins that it touches."""
    low, high = bin_of(start, width, bins), bin_of(end - 1, width, bins)
    if low == high:
        part[first + low] += end - start
    else:
        part[first + low] += (low + 1) * width - start
        part[first + high] += end - high * width
        whole[first + low + 1] += 1
        whole[first + high] -= 1


def _see(spans: Spans, grid: Grid, seen: Seen) -> int:
    """Each row is a viewer, with disjoint spans from first to last."""
    counted = -1
    for at in range(len(spans.row)):
        group, start, end = spans.group[at], spans.start[at], spans.end[at]
        width, bins, first = grid.width[group], grid.bins[group], grid.first[group]
        add_span(start, end, width, bins, first, seen.whole, seen.part)
        if at == 0 or spans.row[at] != spans.row[at - 1]:
            counted = -1
        low, high = bin_of(start, width, bins), bin_of(end - 1, width, bins)
        if high > counted:
            seen.viewers[first + max(low, counted + 1)] += 1
            seen.viewers[first + high + 1] -= 1
            counted = high
        if at + 1 == len(spans.row) or spans.row[at + 1] != spans.row[at]:
            seen.last[first + high] += 1
    return len(spans.row)


def _watch(
    spans: Spans, clock: Clock, grid: Grid, forward: int, backward: int, watched: Watched
) -> int:
    """Each row is a visit, with its intervals in the order in which they were watched."""
    for at in range(len(spans.row)):
        group, start, end = spans.group[at], spans.start[at], spans.end[at]
        width, bins, first = grid.width[group], grid.bins[group], grid.first[group]
        add_span(start, end, width, bins, first, watched.whole, watched.part)
        goes_on = at > 0 and spans.row[at] == spans.row[at - 1]
        stood = spans.end[at - 1] if goes_on else start
        if not goes_on or stood != start or clock.closed[at - 1] != clock.opened[at]:
            watched.starts[first + bin_of(start, width, bins)] += 1
            if goes_on:
                watched.stops[first + bin_of(stood - 1, width, bins)] += 1
        if start - stood > forward:
            watched.skipped[first + bin_of(stood, width, bins)] += 1
            watched.skipped[first + bin_of(start - 1, width, bins) + 1] -= 1
        if start - stood > forward or stood - start > backward:
            watched.jumps[first + bin_of(start, width, bins)] += 1
        if at + 1 == len(spans.row) or spans.row[at + 1] != spans.row[at]:
            watched.stops[first + bin_of(end - 1, width, bins)] += 1
    return len(spans.row)


_fold_seen, _fold_watched = Fold(_see), Fold(_watch)


@dataclass(frozen=True)
class SeenKernel:
    """Rows of viewers (day, videoId, durationMs, spans) -> viewers, uniqueMs, lastSeenHere.

    All bins of a video are given, also those that nobody saw.
    """

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per day and video, as `bins.counted` gives them."""
        work = _Work.of(rows)
        seen = Seen(*(np.zeros(work.slots, np.int64) for _ in Seen._fields))
        _fold_seen(work.spans, work.grid, seen)
        counts = {
            "viewers": np.cumsum(seen.viewers),
            "uniqueMs": work.milliseconds(seen.part, seen.whole),
            "lastSeenHere": seen.last,
        }
        return counted(rows, work.member, work.grid, counts, all_there=True)


@dataclass(frozen=True)
class WatchedKernel:
    """Rows of visits (as above; spans have times) -> watchMs, starts, stops and jumps.

    Attributes:
        forward_ms: Further ahead than this is a jump.
        backward_ms: Further back than this is one, too.
    """

    forward_ms: int
    backward_ms: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per day and video, as `bins.counted` gives them."""
        work = _Work.of(rows)
        watched = Watched(*(np.zeros(work.slots, np.int64) for _ in Watched._fields))
        clock = Clock(*(_times(work.values, name) for name in ("openedAt", "closedAt")))
        _fold_watched(work.spans, clock, work.grid, self.forward_ms, self.backward_ms, watched)
        counts = {
            "watchMs": work.milliseconds(watched.part, watched.whole),
            "starts": watched.starts,
            "stops": watched.stops,
            "skippedOver": np.cumsum(watched.skipped),
            "jumpedTo": watched.jumps,
        }
        return counted(rows, work.member, work.grid, counts, all_there=False)


@dataclass(frozen=True)
class _Work:
    """The spans of a table and the bins of its days and videos."""

    values: pa.StructArray
    spans: Spans
    grid: Grid
    member: Ints
    """A row of each group."""

    @classmethod
    def of(cls, rows: pa.Table) -> "_Work":
        of_row, member = Groups.of(rows)
        listed = rows["spans"].combine_chunks()
        lengths = pc.list_value_length(listed).fill_null(0).to_numpy().astype(np.int64)
        values = listed.flatten()
        row = np.repeat(np.arange(rows.num_rows), lengths)
        start, end = (_ints(values, name) for name in ("startMs", "endMs"))
        spans = Spans(row, of_row[row], start, end)
        duration = integers_or(rows["durationMs"], 0)[member]
        grid = grid_of(duration, greatest(spans.group, end, len(member)))
        return cls(values, spans, grid, member)

    @property
    def slots(self) -> int:
        return int((self.grid.bins + 1).sum())

    def milliseconds(self, part: Ints, whole: Ints) -> Ints:
        """By slot, of what was watched in part and of steps of whole bins."""
        return part + np.cumsum(whole) * np.repeat(self.grid.width, self.grid.bins + 1)


def _ints(values: pa.StructArray, name: str) -> Ints:
    return np.asarray(values.field(name).to_numpy(zero_copy_only=False), np.int64)


def _times(values: pa.StructArray, name: str) -> Ints:
    column = values.field(name).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)
