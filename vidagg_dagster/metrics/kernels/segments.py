"""Windows over sorted arrays: neighbours, the last known value, sums per segment.

Rows that belong together lie together, in order. What a window function would answer per row is
then a shift or an accumulation, cut where a segment begins.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]

LARGEST = np.iinfo(np.int64).max
SMALLEST = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Segments:
    """Rows in segments; `first` is true where a segment begins (so at row 0, if there is one)."""

    first: Bools

    @cached_property
    def starts(self) -> Ints:
        """The row where each segment begins."""
        return np.flatnonzero(self.first)

    @cached_property
    def number(self) -> Ints:
        """The segment of each row, from 0 on."""
        return np.cumsum(self.first) - 1

    @cached_property
    def start_of(self) -> Ints:
        """For each row the row where its segment begins."""
        return self.starts[self.number]

    @cached_property
    def last(self) -> Bools:
        """True where a segment ends."""
        return np.append(self.first[1:], True) if len(self.first) else self.first

    def within(self, changes: Bools) -> "Segments":
        """Segments that also begin where `changes` is true."""
        return Segments(self.first | changes)

    def before(self, values: Array, none: Any) -> Array:
        """The value of the row before in the segment; `none` where there is none."""
        shifted = np.empty_like(values)
        shifted[1:] = values[:-1]
        shifted[self.first] = none
        return shifted

    def after(self, values: Array, none: Any) -> Array:
        """The value of the row after in the segment; `none` where there is none."""
        shifted = np.empty_like(values)
        shifted[:-1] = values[1:]
        shifted[self.last] = none
        return shifted

    def last_before(self, known: Bools) -> tuple[Ints, Bools]:
        """For each row the last earlier row of its segment where `known`, and if there is one."""
        rows = np.where(known, np.arange(len(known)), -1)
        seen = np.empty_like(rows)
        seen[:1] = -1
        np.maximum.accumulate(rows[:-1], out=seen[1:])
        found = seen >= self.start_of
        return np.where(found, seen, 0), found

    def running_max_before(self, values: Ints) -> Ints:
        """The largest earlier value of the segment; `SMALLEST` at its first row. Values >= 0."""
        # One accumulation for all segments: each is lifted above all that come before it.
        lift = (int(values.max(initial=0)) + 1) * self.number
        reached = np.maximum.accumulate(values + lift)
        return self.before(reached - lift, SMALLEST)

    def total(self, values: Array) -> Ints:
        """Sum per segment."""
        if not len(self.starts):
            return np.zeros(0, np.int64)
        return np.add.reduceat(values.astype(np.int64, copy=False), self.starts)

    def least(self, values: Ints, where: Bools) -> Ints:
        """Least value per segment among the rows `where`; `LARGEST` without one."""
        return self._reduce(np.minimum, np.where(where, values, LARGEST))

    def greatest(self, values: Ints, where: Bools) -> Ints:
        """Greatest value per segment among the rows `where`; `SMALLEST` without one."""
        return self._reduce(np.maximum, np.where(where, values, SMALLEST))

    def any(self, values: Bools) -> Bools:
        """Whether any row of each segment is true."""
        return self._reduce(np.logical_or, values)

    def _reduce(self, operation: np.ufunc, values: Array) -> Array:
        return operation.reduceat(values, self.starts) if len(self.starts) else values[:0]


def changes(*columns: Array) -> Bools:
    """True at the first row and where a row differs from the one before in any of `columns`."""
    first = np.ones(len(columns[0]), bool)
    first[1:] = False
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first


def order(*keys: Ints) -> Ints:
    """The rows sorted by `keys`, the most significant first; equal rows keep their order.

    The first two are sorted as one packed number, and what is equal in both, which is little, by
    the rest: a sort by all keys at once is one pass for each.
    """
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    major, minor = (key - key.min() for key in keys[:2])
    span = int(minor.max()) + 1
    if (int(major.max()) + 1) * span >= 2**63:
        return np.lexsort(keys[::-1])
    packed = major * span + minor
    rows = np.argsort(packed, kind="stable")
    if len(keys) > 2:
        groups = Segments(changes(packed[rows]))
        tied = np.flatnonzero(~(groups.first & groups.last))
        ties = rows[tied]
        rest = [key[ties] for key in keys[2:]]
        rows[tied] = ties[np.lexsort([*rest[::-1], groups.number[tied]])]
    return rows


def combined(major: Ints, minor: Ints, minor_size: int) -> Ints:
    """One number for two codes, other for other pairs; made dense first if it would be too large.

    Ordered as the pair, unless it had to be made dense.
    """
    if len(major) and (int(major.max()) + 1) * max(minor_size, 1) >= 2**62:
        major = dense(major)
    return major * max(minor_size, 1) + minor


def dense(numbers: Ints) -> Ints:
    """Other numbers for other numbers: 0, 1, 2 in the order of their first appearance."""
    indices = pa.array(numbers).dictionary_encode().indices
    return np.asarray(indices.to_numpy(), np.int64)


def codes(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Texts -> numbers and the distinct texts that these count, in no order."""
    texts = column.combine_chunks()
    if isinstance(texts, pa.ChunkedArray):  # none or several, by version of pyarrow
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.string())
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary


def ordered_codes(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """As `codes`, with the distinct texts sorted by their UTF-8 bytes, as engines sort texts."""
    numbers, texts = codes(column)
    ranking = np.array(sorted(range(len(texts)), key=texts.to_pylist().__getitem__), np.int64)
    rank = np.empty_like(ranking)
    rank[ranking] = np.arange(len(ranking))
    return rank[numbers], texts.take(pa.array(ranking))


def integers(column: pa.ChunkedArray) -> Ints:
    """A column without nulls as integers; dates as days, timestamps as microseconds."""
    return np.asarray(_as_integers(column).to_numpy(), np.int64)


def integers_or(column: pa.ChunkedArray, none: int) -> Ints:
    """As `integers`, with `none` for null."""
    return np.asarray(_as_integers(column).fill_null(none).to_numpy(), np.int64)


def _as_integers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", tz=kind.tz))
    return column.cast(pa.int64())


def bools(column: pa.ChunkedArray) -> Bools:
    """A column of booleans; null is false."""
    return np.asarray(column.fill_null(False).to_numpy(), bool)


def nullable(values: Array, known: Bools) -> pa.Array:
    """An Arrow array that is null where `known` is false."""
    return pa.array(values, mask=~known)


def instants(us: Ints, known: Bools | None = None) -> pa.Array:
    """Microseconds -> timestamps in UTC."""
    array = pa.array(us) if known is None else nullable(us, known)
    return array.cast(pa.timestamp("us", tz="UTC"))


def dates(days: Ints) -> pa.Array:
    """Days since 1970 -> dates."""
    return pa.array(days.astype(np.int32)).cast(pa.date32())
