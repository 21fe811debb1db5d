"""Rows of a key merged and their spans united: `intervals.merge_with_union` on sorted arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.metrics.kernels.segments import (
    LARGEST,
    SMALLEST,
    Ints,
    Segments,
    changes,
    codes,
    combined,
    integers_or,
    nullable,
    order,
)


@dataclass(frozen=True)
class MergeKernel:
    """Rows of whole users -> one row per key, with the union of their spans.

    Attributes:
        keys: Key columns: texts and days.
        spans: The column of arrays of spans (startMs, endMs; with `evidence` also clockMs and
            evidence).
        sums: Columns of integers to add up; null counts as 0.
        least: Columns to take the least of, null aside.
        greatest: The greatest; of structs the one with the greatest first field.
        lists: Columns of arrays to chain.
        evidence: Whether to add up the spans themselves: watchMs, clockMs, and watchMs by evidence.
        unite: Whether to unite spans; without, watchedIntervals and uniqueMs are null.
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
        key = _key(rows, self.keys)
        by_key = np.argsort(key, kind="stable")
        groups = Segments(changes(key[by_key]))
        first = pa.array(by_key[groups.starts])
        sorted_ = pa.array(by_key)
        merged: dict[str, pa.Array | pa.ChunkedArray] = {
            name: rows[name].take(first) for name in self.keys
        }
        for name in self.sums:
            merged[name] = pa.array(groups.total(integers_or(rows[name], 0)[by_key]))
        for name in self.least:
            merged[name] = _least(rows[name], by_key, groups)
        for name in self.greatest:
            merged[name] = _greatest(rows[name], by_key, groups)
        for name in self.lists:
            merged[name] = _chained(rows[name].take(sorted_), groups)
        merged.update(self._united(rows[self.spans].take(sorted_), groups))
        return pa.table(merged)

    def _united(self, spans: pa.ChunkedArray, groups: Segments) -> dict[str, pa.Array]:
        count = len(groups.starts)
        values, lengths = _flat(spans)
        of_group = np.repeat(groups.number, lengths)
        start, end = (_field(values, name) for name in ("startMs", "endMs"))
        columns: dict[str, pa.Array] = {}
        if self.evidence:
            kind = values.field("evidence")
            length = end - start
            totals = {"watchMs": length, "clockMs": _field(values, "clockMs")}
            for name in EVIDENCE:
                of_kind = np.asarray(pc.equal(kind, name).to_numpy(zero_copy_only=False))
                totals[f"{name}Ms"] = np.where(of_kind.astype(bool), length, 0)
            columns |= {name: pa.array(_sum(of_group, ms, count)) for name, ms in totals.items()}
        if not self.unite:
            nothing = pa.nulls(count, pa.int64())
            return columns | {"watchedIntervals": _no_spans(count), "uniqueMs": nothing}
        by_start = order(of_group, start, end) if len(start) else np.zeros(0, np.int64)
        of_group, start, end = of_group[by_start], start[by_start], end[by_start]
        groups_of_spans = Segments(changes(of_group)) if len(start) else Segments(start > 0)
        apart = start > groups_of_spans.running_max_before(end) if len(start) else start > 0
        islands = groups_of_spans.within(apart)
        island_of = of_group[islands.starts]
        island_start = start[islands.starts]
        island_end = islands.greatest(end, np.ones(len(end), bool))
        counts = np.bincount(island_of, minlength=count)
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        spans_ = pa.StructArray.from_arrays(
            [pa.array(island_start), pa.array(island_end)], names=["startMs", "endMs"]
        )
        return columns | {
            "watchedIntervals": pa.ListArray.from_arrays(pa.array(offsets), spans_),
            "uniqueMs": pa.array(_sum(island_of, island_end - island_start, count)),
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


def _least(column: pa.ChunkedArray, by_key: Ints, groups: Segments) -> pa.Array:
    values = integers_or(column, LARGEST)[by_key]
    least = groups.least(values, values != LARGEST)
    return _as(column.type, nullable(least, least != LARGEST))


def _greatest(column: pa.ChunkedArray, by_key: Ints, groups: Segments) -> pa.Array:
    if pa.types.is_struct(column.type):
        whole = column.combine_chunks()
        decides = pa.chunked_array([whole.field(0)])
        values = integers_or(decides, SMALLEST)[by_key]
        most = groups.greatest(values, values != SMALLEST)
        # One row has it, and is taken at its place.
        row = groups.least(np.arange(len(values)), values == most[groups.number])
        return whole.take(pa.array(by_key[row]))
    values = integers_or(column, SMALLEST)[by_key]
    most = groups.greatest(values, values != SMALLEST)
    return _as(column.type, nullable(most, most != SMALLEST))


def _as(kind: pa.DataType, values: pa.Array) -> pa.Array:
    return values.cast(pa.int32()).cast(kind) if pa.types.is_date(kind) else values.cast(kind)


def _chained(column: pa.ChunkedArray, groups: Segments) -> pa.Array:
    values, lengths = _flat(column)
    ends = np.cumsum(groups.total(lengths))
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _flat(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """The elements of a column of arrays in a row, and how many each had; null has none."""
    whole = column.combine_chunks()
    lengths = pc.list_value_length(whole).fill_null(0)
    return whole.flatten(), lengths.to_numpy(zero_copy_only=False).astype(np.int64)


def _field(values: pa.StructArray, name: str) -> Ints:
    return np.asarray(values.field(name).to_numpy(zero_copy_only=False), np.int64)


def _sum(group: Ints, values: Ints, groups: int) -> Ints:
    total = np.zeros(groups, np.int64)
    np.add.at(total, group, values)
    return total


def _no_spans(count: int) -> pa.Array:
    span = pa.struct([("startMs", pa.int64()), ("endMs", pa.int64())])
    return pa.nulls(count, pa.list_(span))
