"""The bins of videos on their way: one row per video, with an array for each thing that is counted.

A row with arrays of two hundred counts moves for a tenth of what two hundred rows with one key
cost. What is here adds such rows up and makes bins of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.core.insight_schemas import BIN_COUNTS
from vidagg_dagster.metrics.arrays import (
    LARGEST,
    Ints,
    codes,
    combined,
    groups,
    integers,
    integers_or,
    offsets,
    one_array,
)
from vidagg_dagster.metrics.coverage import greatest

BINS: Final = 200
"""The bins of a video whose duration is known, unless they would be shorter than a second."""

MIN_BIN_MS: Final = 1_000
UNKNOWN_BIN_MS: Final = 10_000
"""The bins of a video whose duration no metadata gives."""

_VIDEO_COLUMNS: Final = ("day", "videoId", "durationMs")


class Grid(NamedTuple):
    """The bins of each group: how wide, how many, and where they begin among all slots.

    Behind the bins of a group is one slot more, which takes the steps that end with its last bin.
    """

    width: Ints
    bins: Ints
    first: Ints


class Groups(NamedTuple):
    """Rows by day and video: the group of each row, and a row of each group."""

    of_row: Ints
    member: Ints

    @classmethod
    def of(cls, rows: pa.Table) -> "Groups":
        """A null `day` stands for all days."""
        videos, texts = codes(rows["videoId"])
        days = integers_or(rows["day"], 0)
        first = int(days.min(initial=0))
        key = combined(days - first, videos, len(texts))
        by_key = np.argsort(key, kind="stable")
        numbers = groups(key[by_key])
        group = np.empty_like(numbers)
        group[by_key] = numbers
        return cls(group, by_key[np.unique(numbers, return_index=True)[1]])


def grid_of(duration: Ints, furthest: Ints) -> Grid:
    """By the duration (ms); where there is none (0), up to the furthest position."""
    width = _width(duration)
    bins = np.maximum(1, -(-np.where(duration > 0, duration, np.maximum(furthest, 1)) // width))
    return Grid(width, bins, np.cumsum(bins + 1) - (bins + 1))


def counted(
    rows: pa.Table, member: Ints, grid: Grid, counts: Mapping[str, Ints], *, all_there: bool
) -> pa.Table:
    """One row per group: its video, as the row `member` names it, `bins`, and `BIN_COUNTS`.

    `counts` are by slot; what they lack is null. `bins` says how many bins there are whatever is
    counted in them: all of the video if `all_there`, or none.
    """
    kept = np.ones(int((grid.bins + 1).sum()), bool)
    kept[grid.first + grid.bins] = False
    there = grid.bins if all_there else np.zeros_like(grid.bins)
    arrays = {name: _arrays(grid.bins, values[kept]) for name, values in counts.items()}
    return _part(rows, member, there, arrays)


def added_up(parts: pa.Table) -> pa.Table:
    """Rows of `counted`, several for a day and video -> one."""
    of_row, member = Groups.of(parts)
    listed = {name: one_array(parts[name]) for name in BIN_COUNTS}
    lengths = {name: _lengths(arrays) for name, arrays in listed.items()}
    size = greatest(of_row, np.maximum.reduce([*lengths.values()]), len(member))
    first = np.cumsum(size) - size
    arrays = {}
    for name, values in listed.items():
        if values.null_count == len(values):
            continue
        length = lengths[name]
        slot = np.repeat(first[of_row], length) + _places(length)
        total = np.zeros(int(size.sum()), np.int64)
        np.add.at(total, slot, values.flatten().to_numpy())
        arrays[name] = _arrays(size, total)
    there = greatest(of_row, integers(parts["bins"]), len(member))
    return _part(parts, member, there, arrays)


@dataclass(frozen=True)
class BinsKernel:
    """Rows of `counted`, all of a video in one call -> its bins."""

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per day, video and bin that is there or in which anything was counted."""
        parts = added_up(rows)
        size = np.maximum.reduce([_lengths(one_array(parts[name])) for name in BIN_COUNTS])
        video = np.repeat(np.arange(len(size)), size)
        number = _places(size)
        counts = {name: _values(parts[name], len(video)) for name in BIN_COUNTS}
        there = number < integers(parts["bins"])[video]
        at = np.flatnonzero(np.logical_or.reduce([there, *counts.values()]))
        width = _width(integers_or(parts["durationMs"], 0))[video[at]]
        start = number[at] * width
        of = pa.array(video[at])
        end = np.minimum(start + width, integers_or(parts["durationMs"], LARGEST)[video[at]])
        return pa.table(
            {
                **{name: parts[name].take(of) for name in _VIDEO_COLUMNS},
                "binStartMs": start,
                "binEndMs": end,
                **{name: counts[name][at] for name in BIN_COUNTS},
            }
        )


@dataclass(frozen=True)
class StoredBinsKernel:
    """Bins as they are stored, with the duration of now -> rows as `counted` gives them.

    Attributes:
        counts: Those of `BIN_COUNTS` to take.
    """

    counts: tuple[str, ...]

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per day and video."""
        of_row, member = Groups.of(rows)
        start = integers(rows["binStartMs"])
        duration = integers_or(rows["durationMs"], 0)[member]
        grid = grid_of(duration, greatest(of_row, start, len(member)) + 1)
        at = grid.first[of_row] + start // grid.width[of_row]
        counts = {}
        for name in self.counts:
            counts[name] = np.zeros(int((grid.bins + 1).sum()), np.int64)
            np.add.at(counts[name], at, integers(rows[name]))
        return counted(rows, member, grid, counts, all_there=True)


def _width(duration: Ints) -> Ints:
    by_duration = np.maximum(MIN_BIN_MS, -(-duration // BINS))
    return np.where(duration > 0, by_duration, UNKNOWN_BIN_MS)


def _part(rows: pa.Table, member: Ints, bins: Ints, arrays: Mapping[str, pa.ListArray]) -> pa.Table:
    of = pa.array(member)
    none = pa.nulls(len(member), pa.list_(pa.int64()))
    return pa.table(
        {
            **{name: rows[name].take(of) for name in _VIDEO_COLUMNS},
            "bins": bins,
            **{name: arrays.get(name, none) for name in BIN_COUNTS},
        }
    )


def _arrays(lengths: Ints, values: Ints) -> pa.ListArray:
    return pa.ListArray.from_arrays(offsets(lengths), pa.array(values))


def _lengths(arrays: pa.Array) -> Ints:
    return np.asarray(pc.list_value_length(arrays).fill_null(0).to_numpy(), np.int64)


def _places(lengths: Ints) -> Ints:
    """Of all values of arrays in a row, the place of each in its own array."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def _values(arrays: pa.ChunkedArray, size: int) -> Ints:
    """All values of arrays of equal lengths, one after the other; zeros where all are null."""
    if arrays.null_count == len(arrays):
        return np.zeros(size, np.int64)
    return np.asarray(one_array(arrays).flatten().to_numpy(), np.int64)
