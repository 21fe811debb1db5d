"""Watched spans -> what happened in each bin of a video, exact to the millisecond.

A sweep over edges: each span adds to the bins of its two ends what lies in them, and to the bins
between by one step up and one down, however many they are. Sums of integers: rows may come in any
order and in any parts.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.core.insight_schemas import BIN_COUNTS
from vidagg_dagster.metrics.arrays import Bools, Ints, codes, combined, groups, integers_or
from vidagg_dagster.metrics.compiled import Fold, rule
from vidagg_dagster.metrics.coverage import greatest

BINS: Final = 200
"""The bins of a video whose duration is known, unless they would be shorter than a second."""

MIN_BIN_MS: Final = 1_000
UNKNOWN_BIN_MS: Final = 10_000
"""The bins of a video whose duration no metadata gives."""


class Grid(NamedTuple):
    """The bins of each group: how wide, how many, and where they begin among all slots.

    Behind the bins of a group is one slot more, which takes the steps that end with its last bin.
    """

    width: Ints
    bins: Ints
    first: Ints


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
    """Rows of viewers (day, videoId, durationMs, spans) -> bins: viewers, uniqueMs, lastSeenHere.

    All bins of a video are given, also those that nobody saw.
    """

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per day, video and bin, in the columns of `BIN_COUNTS`."""
        work = _Work.of(rows)
        seen = Seen(*(np.zeros(work.slots, np.int64) for _ in Seen._fields))
        _fold_seen(work.spans, work.grid, seen)
        return work.bins(
            np.ones(work.slots, bool),
            viewers=np.cumsum(seen.viewers),
            uniqueMs=seen.part + np.cumsum(seen.whole) * work.width,
            lastSeenHere=seen.last,
        )


@dataclass(frozen=True)
class WatchedKernel:
    """Rows of visits (as above; spans have times) -> bins: watchMs, starts, stops and jumps.

    Attributes:
        forward_ms: Further ahead than this is a jump.
        backward_ms: Further back than this is one, too.
    """

    forward_ms: int
    backward_ms: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per day, video and bin in which anything happened."""
        work = _Work.of(rows)
        watched = Watched(*(np.zeros(work.slots, np.int64) for _ in Watched._fields))
        clock = Clock(*(_times(work.values, name) for name in ("openedAt", "closedAt")))
        _fold_watched(work.spans, clock, work.grid, self.forward_ms, self.backward_ms, watched)
        counts = {
            "watchMs": watched.part + np.cumsum(watched.whole) * work.width,
            "starts": watched.starts,
            "stops": watched.stops,
            "skippedOver": np.cumsum(watched.skipped),
            "jumpedTo": watched.jumps,
        }
        return work.bins(np.logical_or.reduce([*counts.values()]), **counts)


@dataclass(frozen=True)
class _Work:
    """The spans of a table and the bins of its days and videos."""

    rows: pa.Table
    values: pa.StructArray
    spans: Spans
    grid: Grid
    member: Ints
    """A row of each group."""
    group: Ints
    """The group of each slot."""

    @classmethod
    def of(cls, rows: pa.Table) -> "_Work":
        key, member = _grouped(rows)
        listed = rows["spans"].combine_chunks()
        lengths = pc.list_value_length(listed).fill_null(0).to_numpy().astype(np.int64)
        values = listed.flatten()
        row = np.repeat(np.arange(rows.num_rows), lengths)
        start, end = (_ints(values, name) for name in ("startMs", "endMs"))
        spans = Spans(row, key[row], start, end)
        duration = integers_or(rows["durationMs"], 0)[member]
        grid = _grid(duration, greatest(spans.group, end, len(member)))
        return cls(
            rows, values, spans, grid, member, np.repeat(np.arange(len(member)), grid.bins + 1)
        )

    @property
    def slots(self) -> int:
        return len(self.group)

    @property
    def width(self) -> Ints:
        return self.grid.width[self.group]

    def bins(self, kept: Bools, **counts: Ints) -> pa.Table:
        """The bins that are `kept`, without the slot behind each group."""
        number = np.arange(self.slots) - self.grid.first[self.group]
        at = np.flatnonzero(kept & (number < self.grid.bins[self.group]))
        member = pa.array(self.member[self.group[at]])
        start, width = number[at] * self.width[at], self.width[at]
        duration = self.rows["durationMs"].take(member)
        return pa.table(
            {
                "day": self.rows["day"].take(member),
                "videoId": self.rows["videoId"].take(member),
                "durationMs": duration,
                "binStartMs": pa.array(start),
                "binEndMs": pa.array(np.minimum(start + width, integers_or(duration, _NO_END))),
                **{
                    name: pa.array(counts[name][at] if name in counts else np.zeros_like(at))
                    for name in BIN_COUNTS
                },
            }
        )


_NO_END: Final = int(np.iinfo(np.int64).max)


def _grid(duration: Ints, furthest: Ints) -> Grid:
    """By the duration; where there is none (0), up to the furthest position."""
    known = duration > 0
    width = np.where(known, np.maximum(MIN_BIN_MS, -(-duration // BINS)), UNKNOWN_BIN_MS)
    bins = np.maximum(1, -(-np.where(known, duration, np.maximum(furthest, 1)) // width))
    return Grid(width, bins, np.cumsum(bins + 1) - (bins + 1))


def _grouped(rows: pa.Table) -> tuple[Ints, Ints]:
    """The group of each row by day and video, and a row of each group."""
    videos, texts = codes(rows["videoId"])
    days = integers_or(rows["day"], 0)
    first = int(days.min(initial=0))
    key = combined(days - first, videos, len(texts))
    by_key = np.argsort(key, kind="stable")
    numbers = groups(key[by_key])
    group = np.empty_like(numbers)
    group[by_key] = numbers
    return group, by_key[np.unique(numbers, return_index=True)[1]]


def _ints(values: pa.StructArray, name: str) -> Ints:
    return np.asarray(values.field(name).to_numpy(zero_copy_only=False), np.int64)


def _times(values: pa.StructArray, name: str) -> Ints:
    column = values.field(name).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)
