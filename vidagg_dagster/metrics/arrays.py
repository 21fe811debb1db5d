"""Arrow columns as numpy arrays and back; numbers for texts; sorting by several keys."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.signedinteger[Any]]
"""Integers of any width: many rows are held in no more bits than they need."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]

LARGEST: Final = int(np.iinfo(np.int64).max)
SMALLEST: Final = int(np.iinfo(np.int64).min)


def changes(*columns: Array) -> Bools:
    """True at the first row and where a row differs from the one before in any of `columns`."""
    first = np.ones(len(columns[0]), bool)
    first[1:] = False
    for column in columns:
        first[1:] |= column[1:] != column[:-1]
    return first


def groups(*columns: Array) -> Ints:
    """For rows sorted by `columns`: 0 for the first group of equal rows, 1 for the next, ..."""
    return np.cumsum(changes(*columns)) - 1


def order(*keys: Numbers) -> Ints:
    """The rows sorted by `keys`, the most significant first; equal rows keep their order.

    The first two are sorted as one packed number, and what is equal in both, which is little, by
    the rest: a sort by all keys at once is one pass for each.
    """
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    (major, least_major), (minor, least_minor) = ((key, int(key.min())) for key in keys[:2])
    span = int(minor.max()) - least_minor + 1
    if (int(major.max()) - least_major + 1) * span >= 2**63:
        return np.lexsort(keys[::-1])
    # In place, because the rows may be very many.
    packed = major.astype(np.int64)
    packed -= least_major
    packed *= span
    packed += minor
    packed -= least_minor
    if len(keys) == 2:
        return np.argsort(packed, kind="stable")
    # The quickest sort does not keep the order of equal rows, so their order is a key as well.
    rows = np.argsort(packed)
    starts = changes(packed[rows])
    last = np.append(starts[1:], True)
    tied = np.flatnonzero(~(starts & last))
    ties = rows[tied]
    rest = [key[ties] for key in keys[2:]]
    rows[tied] = ties[np.lexsort([ties, *rest[::-1], (np.cumsum(starts) - 1)[tied]])]
    return rows


def combined(major: Numbers, minor: Numbers, minor_size: int) -> Ints:
    """One number for two codes, other for other pairs; made dense first if it would be too large.

    Ordered as the pair, unless it had to be made dense.
    """
    if len(major) and (int(major.max()) + 1) * max(minor_size, 1) >= 2**62:
        major = dense(major)
    number = major.astype(np.int64)
    number *= max(minor_size, 1)
    number += minor
    return number


def dense(numbers: Numbers) -> Numbers:
    """Other numbers for other numbers: 0, 1, 2 in the order of their first appearance."""
    return np.asarray(pa.array(numbers).dictionary_encode().indices.to_numpy())


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The texts of a column in one piece."""
    texts = column.combine_chunks()
    if isinstance(texts, pa.ChunkedArray):  # none or several, by version of pyarrow
        return pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.string())
    return texts


def codes(column: pa.ChunkedArray) -> tuple[Numbers, pa.Array]:
    """Texts -> numbers and the distinct texts that these count, in no order.

    The numbers of nulls mean nothing.
    """
    texts = one_array(column)
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    return np.asarray(encoded.indices.fill_null(0).to_numpy()), encoded.dictionary


def ordered_codes(column: pa.ChunkedArray) -> tuple[Numbers, pa.Array]:
    """As `codes`, with the distinct texts sorted by their UTF-8 bytes, as engines sort texts."""
    numbers, texts = codes(column)
    ranking = pc.sort_indices(texts)
    rank = np.empty(len(texts), np.int32)
    rank[ranking.to_numpy()] = np.arange(len(texts), dtype=np.int32)
    # Where all texts are null, there is none that their numbers could count.
    return (rank[numbers] if len(texts) else numbers), texts.take(ranking)


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


def floats_or_nan(column: pa.ChunkedArray) -> Floats:
    """A column of doubles; null is NaN."""
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)


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


def dates(days: Numbers) -> pa.Array:
    """Days since 1970 -> dates."""
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def offsets(lengths: Ints) -> pa.Array:
    """Lengths of arrays in a row -> where each begins, and where the last ends."""
    return pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))
