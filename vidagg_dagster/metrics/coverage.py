"""Rows of a key merged and their watched spans united.

A merge of visits to daily rows and of daily rows to a lifetime is the same: sums add, minima and
maxima combine, spans are united, whatever the number of rows and their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.metrics.arrays import (
    LARGEST,
    SMALLEST,
    Ints,
    codes,
    combined,
    groups,
    instants,
    integers_or,
    nullable,
    offsets,
    order,
)
from vidagg_dagster.metrics.compiled import Fold


class Spans(NamedTuple):
    """Spans of keys: `key` counts them, `start` and `end` are milliseconds."""

    key: Ints
    start: Ints
    end: Ints


def _unite(spans: Spans, united: Spans) -> int:
    """Fills `united` with the union per key of `spans`, which are sorted by key and start."""
    island = -1
    for row in range(len(spans.key)):
        apart = (
            island < 0
            or spans.key[row] != united.key[island]
            or spans.start[row] > united.end[island]
        )
        if apart:
            island += 1
            united.key[island] = spans.key[row]
            united.start[island] = spans.start[row]
            united.end[island] = spans.end[row]
        else:
            united.end[island] = max(united.end[island], spans.end[row])
    return island + 1


_unite_sorted = Fold(_unite)


def unite(spans: Spans) -> Spans:
    """The union per key: sorted, disjoint, not touching."""
    rows = order(spans.key, spans.start)
    united = Spans(*(np.zeros(len(rows), np.int64) for _ in Spans._fields))
    islands = _unite_sorted(Spans(*(column[rows] for column in spans)), united)
    return Spans(*(column[:islands] for column in united))


def _sum(key: Ints, values: Ints, total: Ints) -> int:
    for row in range(len(key)):
        total[key[row]] += values[row]
    return len(key)


def _least(key: Ints, values: Ints, least: Ints) -> int:
    for row in range(len(key)):
        if values[row] < least[key[row]]:
            least[key[row]] = values[row]
    return len(key)


def _greatest(key: Ints, values: Ints, greatest: Ints) -> int:
    for row in range(len(key)):
        if values[row] > greatest[key[row]]:
            greatest[key[row]] = values[row]
    return len(key)


_add, _lower, _raise = Fold(_sum), Fold(_least), Fold(_greatest)


def total(key: Ints, values: Ints, keys: int) -> Ints:
    """Sum per key."""
    sums = np.zeros(keys, np.int64)
    _add(key, values.astype(np.int64, copy=False), sums)
    return sums


def least(key: Ints, values: Ints, keys: int) -> Ints:
    """Least value per key; `LARGEST` without one."""
    found = np.full(keys, LARGEST, np.int64)
    _lower(key, values, found)
    return found


def greatest(key: Ints, values: Ints, keys: int) -> Ints:
    """Greatest value per key; `SMALLEST` without one."""
    found = np.full(keys, SMALLEST, np.int64)
    _raise(key, values, found)
    return found


@dataclass(frozen=True)
class Merge:
    """Rows of whole users -> one row per key, with the union of their spans.

    Attributes:
        keys: Key columns: texts and days.
        spans: The column of arrays of spans (startMs, endMs; with `evidence` also clockMs and
            evidence).
        sums: Columns of integers to add up; null counts as 0.
        least: Columns to take the least of, null aside.
        greatest: The greatest; of structs the one with the greatest first field, which no two
            rows of a key share.
        lists: Columns of arrays to chain.
        evidence: Whether to add up the spans themselves: watchMs, clockMs, and watchMs by evidence;
            and to tell the last of them: lastPlayedAt, resumeMs (they also have closedAt).
        unite: Whether to unite spans; without, watchedIntervals, uniqueMs and gapMs are null.
    """

    keys: tuple[str, ...]
    spans: str
    sums: tuple[str, ...]
    least: tuple[str, ...]
    greatest: tuple[str, ...]
    lists: tuple[str, ...]
    evidence: bool
    unite: bool

    def __call__(self, rows: pa.Table) -> pa.Table:
        """One row per key, in no particular order."""
        code = _key(rows, self.keys)
        by_key = np.argsort(code, kind="stable")
        key = groups(code[by_key])
        keys = int(key[-1]) + 1 if len(key) else 0
        first = pa.array(by_key[np.flatnonzero(np.diff(key, prepend=-1))])
        sorted_ = rows.take(pa.array(by_key))
        merged: dict[str, pa.Array | pa.ChunkedArray] = {
            name: rows[name].take(first) for name in self.keys
        }
        for name in self.sums:
            merged[name] = pa.array(total(key, integers_or(sorted_[name], 0), keys))
        for name in self.least:
            merged[name] = _least_of(sorted_[name], key, keys)
        for name in self.greatest:
            merged[name] = _greatest_of(sorted_[name], key, keys)
        for name in self.lists:
            values, lengths = _flat(sorted_[name])
            merged[name] = pa.ListArray.from_arrays(offsets(total(key, lengths, keys)), values)
        merged.update(self._united(sorted_[self.spans], key, keys))
        return pa.table(merged)

    def _united(self, spans: pa.ChunkedArray, key: Ints, keys: int) -> dict[str, pa.Array]:
        values, lengths = _flat(spans)
        of_key = np.repeat(key, lengths)
        start, end = (_field(values, name) for name in ("startMs", "endMs"))
        columns: dict[str, pa.Array] = {}
        if self.evidence:
            clock = _field(values, "clockMs")
            columns = evidence_sums(of_key, end - start, clock, values.field("evidence"), keys)
            columns |= last_played(of_key, _microseconds(values, "closedAt"), end, keys)
        if not self.unite:
            nothing = pa.nulls(keys, pa.int64())
            columns |= {"watchedIntervals": pa.nulls(keys, _SPANS), "uniqueMs": nothing}
            return columns | {"gapMs": nothing}
        return columns | union_columns(Spans(of_key, start, end), keys)


_SPANS: Final = pa.list_(pa.struct([("startMs", pa.int64()), ("endMs", pa.int64())]))


def evidence_sums(
    key: Ints, length: Ints, clock: Ints, evidence: pa.Array, keys: int
) -> dict[str, pa.Array]:
    """Per key watchMs, clockMs, and watchMs by evidence."""
    totals = {"watchMs": length, "clockMs": clock}
    for name in EVIDENCE:
        of_kind = np.asarray(pc.equal(evidence, name).to_numpy(zero_copy_only=False))
        totals[f"{name}Ms"] = np.where(of_kind.astype(bool), length, 0)
    return {name: pa.array(total(key, ms, keys)) for name, ms in totals.items()}


def last_played(key: Ints, closed_us: Ints, end: Ints, keys: int) -> dict[str, pa.Array]:
    """Per key lastPlayedAt, when its last interval was closed, and resumeMs, where it ended.

    Of several that were closed at one instant the one that ends furthest counts.
    """
    latest = greatest(key, closed_us, keys)
    there = np.where(closed_us == latest[key], end, SMALLEST)
    known = latest != SMALLEST
    return {
        "lastPlayedAt": instants(latest, known),
        "resumeMs": nullable(greatest(key, there, keys), known),
    }


def union_columns(spans: Spans, keys: int) -> dict[str, pa.Array]:
    """Per key watchedIntervals, the union of its spans; uniqueMs, their length; and gapMs.

    That is the longest stretch before one of them that lies in none.
    """
    united = unite(spans)
    goes_on = np.zeros(len(united.key), bool)
    goes_on[1:] = united.key[1:] == united.key[:-1]
    gaps = united.start - np.where(goes_on, np.roll(united.end, 1), 0)
    structs = pa.StructArray.from_arrays(
        [pa.array(united.start), pa.array(united.end)], names=["startMs", "endMs"]
    )
    lengths = np.bincount(united.key, minlength=keys)
    return {
        "watchedIntervals": pa.ListArray.from_arrays(offsets(lengths), structs),
        "uniqueMs": pa.array(total(united.key, united.end - united.start, keys)),
        "gapMs": pa.array(np.maximum(greatest(united.key, gaps, keys), 0)),
    }


def _key(rows: pa.Table, names: Sequence[str]) -> Ints:
    key = np.zeros(rows.num_rows, np.int64)
    for name in names:
        column = rows[name]
        if pa.types.is_date(column.type):
            days = integers_or(column, 0)
            first = int(days.min(initial=LARGEST))
            numbers, size = days - first, int(days.max(initial=first)) - first + 1
        else:
            numbers, texts = codes(column)
            size = len(texts)
        key = combined(key, numbers, size)
    return key


def _least_of(column: pa.ChunkedArray, key: Ints, keys: int) -> pa.Array:
    found = least(key, integers_or(column, LARGEST), keys)
    return _as(column.type, nullable(found, found != LARGEST))


def _greatest_of(column: pa.ChunkedArray, key: Ints, keys: int) -> pa.Array:
    if pa.types.is_struct(column.type):
        whole = column.combine_chunks()
        decides = integers_or(pa.chunked_array([whole.field(0)]), SMALLEST)
        rows = np.flatnonzero(decides == greatest(key, decides, keys)[key])
        return whole.take(pa.array(rows[np.unique(key[rows], return_index=True)[1]]))
    found = greatest(key, integers_or(column, SMALLEST), keys)
    return _as(column.type, nullable(found, found != SMALLEST))


def _as(kind: pa.DataType, values: pa.Array) -> pa.Array:
    return values.cast(pa.int32()).cast(kind) if pa.types.is_date(kind) else values.cast(kind)


def _flat(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The elements of a column of arrays in a row, and how many each had; null has none."""
    whole = column.combine_chunks()
    lengths = pc.list_value_length(whole).fill_null(0)
    return whole.flatten(), lengths.to_numpy(zero_copy_only=False).astype(np.int64)


def _microseconds(values: pa.StructArray, name: str) -> Ints:
    column = values.field(name).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)


def _field(values: pa.StructArray, name: str) -> Ints:
    return np.asarray(values.field(name).to_numpy(zero_copy_only=False), np.int64)
