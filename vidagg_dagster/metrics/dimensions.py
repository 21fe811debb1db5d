"""Dimensions of events: the first known one of a session, and the set of a user and video."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.dimensions import carried, dimensions_among
from vidagg_dagster.metrics.arrays import Array, Ints, Numbers, combined, offsets, ordered_codes

NOT_KNOWN: Final = -1


@dataclass(frozen=True)
class Dimension:
    """A dimension of rows: `code` counts the sorted `texts`, and is `NOT_KNOWN` where there is
    none.
    """

    name: str
    code: Numbers
    texts: pa.Array

    def of_rows(self, rows: Ints) -> "Dimension":
        """The dimension of some of the rows."""
        return replace(self, code=self.code[rows])

    def values(self, code: Numbers) -> pa.Array:
        """Codes as texts, and null where there is none."""
        return self.texts.take(pa.array(code, mask=code == NOT_KNOWN))


def dimensions_of(table: pa.Table) -> tuple[Dimension, ...]:
    """The dimensions that a table of events carries, in the order of its columns."""
    return tuple(_numbered(table, name) for name in dimensions_among(table.column_names))


def _numbered(table: pa.Table, name: str) -> Dimension:
    column = table[carried(name)]
    code, texts = ordered_codes(column)
    known = np.asarray(column.is_valid().to_numpy(), bool)
    return Dimension(name, np.where(known, code, NOT_KNOWN).astype(np.int32), texts)


@dataclass(frozen=True)
class Stretches:
    """Where the events of sessions lie among sorted ones. A number for each session.

    A session has the events from `first_row` on up to the time `last_us`, of its `work_day` and the
    day before, of one told session.
    """

    first_row: Ints
    last_us: Ints
    work_day: Ints


def first_known(
    dimension: Dimension, told: Ints, us: Ints, day: Ints, sessions: Stretches
) -> Numbers:
    """For each session the code of its first event that has one; `told`, `us`, `day` of events."""
    found = np.full(len(sessions.first_row), NOT_KNOWN, np.int32)
    known = np.flatnonzero(dimension.code != NOT_KNOWN)
    at = np.searchsorted(known, sessions.first_row)
    open_ = np.flatnonzero(at < len(known))
    while len(open_):
        row = known[at[open_]]
        inside = (told[row] == told[sessions.first_row[open_]]) & (
            us[row] <= sessions.last_us[open_]
        )
        open_, row = open_[inside], row[inside]
        before = sessions.work_day[open_] - day[row]
        of_days = (before == 0) | (before == 1)
        found[open_[of_days]] = dimension.code[row[of_days]]
        # Where clocks go back over midnight, an event of the next day may lie between.
        open_ = open_[~of_days]
        at[open_] += 1
        open_ = open_[at[open_] < len(known)]
    return found


def sets(code: Numbers, texts: pa.Array, key: Array, keys: int) -> pa.Array:
    """Per key the texts of the codes of its rows, each once, sorted."""
    known = code != NOT_KNOWN
    each = np.unique(combined(key[known], code[known], len(texts)))
    owner, number = np.divmod(each, max(len(texts), 1))
    lengths = np.bincount(owner, minlength=keys)
    return pa.ListArray.from_arrays(offsets(lengths), texts.take(pa.array(number)))
