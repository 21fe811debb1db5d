"""Which rows are an event again (section "Events" of docs/metrics.md)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.dimensions import carried, dimensions_among
from vidagg_dagster.metrics.arrays import (
    Array,
    Bools,
    Ints,
    Numbers,
    bools,
    changes,
    codes,
    combined,
    dense,
    integers_or,
    order,
    ordered_codes,
)

AGAIN: Final = "_again"
"""The row is an event again, and another one stays."""


@dataclass(frozen=True)
class Duplicates:
    """Judged rows of whole users -> the same rows with `AGAIN`.

    Rows of one user, session, video and name are one event if time and position are equal, or the
    day and the eventId. The one that says most stays: `seekFrom` known before unknown, the smaller
    first; then `playbackRate` likewise; then the earliest; then each dimension, known before
    unknown; then eventId and sourceFile decide.

    Attributes:
        us, rank, position: Names of the columns with the time, the name's rank and the position.
    """

    us: str = "timestamp"
    rank: str = "_rank"
    position: str = "positionMs"

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows in their order. Of broken rows none is the same as another."""
        keys = [integers_or(rows[name], 0) for name in (self.us, self.rank, self.position)]
        broken = bools(rows["_broken"])
        valid = np.flatnonzero(~broken)
        player = _players(rows)
        by_time = valid[order(*(key[valid] for key in (player, *keys)))]
        return rows.append_column(AGAIN, pa.array(repeated(rows, by_time, player, *keys)))


def repeated(
    rows: pa.Table, chosen: Ints, player: Ints, us: Ints, rank: Numbers, position: Ints
) -> Bools:
    """Which rows are an event again, of the `chosen` ones.

    These are sorted such that rows of one player, time, rank and position are neighbours.
    """
    again = np.zeros(rows.num_rows, bool)
    by_id = _by_id(rows, chosen, player, rank)
    for sorted_, keys in ((chosen, (player, us, rank, position)), by_id):
        ties, group = _ties(sorted_, keys)
        if len(ties):
            some = rows.take(pa.array(ties))
            said = _says_most(some, us[ties], position[ties])
            by_all = np.lexsort([*said[::-1], group])
            again[ties[by_all]] |= ~changes(group[by_all])
    return again


def _players(rows: pa.Table) -> Ints:
    user, _ = codes(rows["userId"])
    session, sessions = codes(rows["sessionId"])
    video, videos = codes(rows["videoId"])
    return dense(combined(combined(user, session, len(sessions)), video, len(videos)))


def _by_id(
    rows: pa.Table, chosen: Ints, player: Ints, rank: Numbers
) -> tuple[Ints, tuple[Numbers, ...]]:
    """The chosen rows with an id, sorted by the keys that rows with one id share; and the keys."""
    if "eventId" not in rows.column_names or rows["eventId"].null_count == rows.num_rows:
        return chosen[:0], ()
    ids, _ = codes(rows["eventId"])
    keys = ids, player, rank, integers_or(rows["event_date"], 0)
    named = chosen[np.asarray(rows["eventId"].is_valid().to_numpy(), bool)[chosen]]
    return named[order(*(key[named] for key in keys))], keys


def _ties(sorted_: Ints, keys: tuple[Numbers, ...]) -> tuple[Ints, Ints]:
    """The rows that are not alone in having their keys, and a number for the keys of each."""
    if not len(sorted_):
        return sorted_, sorted_
    first = changes(*(values[sorted_] for values in keys))
    tied = np.flatnonzero(~(first & np.append(first[1:], True)))
    return sorted_[tied], np.cumsum(first, dtype=np.int64)[tied]


def _says_most(rows: pa.Table, us: Ints, position: Ints) -> list[Array]:
    """What decides which of several rows stays, the most significant first; nulls come last."""
    keys: list[Array] = []
    for name in ("seekFromMs", "playbackRate"):
        keys += _nulls_last(rows, name)
    keys += [us, position]
    for name in (*map(carried, dimensions_among(rows.column_names)), "eventId", "sourceFile"):
        keys += _nulls_last(rows, name)
    return keys


def _nulls_last(rows: pa.Table, name: str) -> list[Array]:
    if name not in rows.column_names:
        return []
    column = rows[name]
    unknown = np.asarray(column.is_null().to_numpy(), bool)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return [unknown, np.where(unknown, 0, ordered_codes(column)[0])]
    return [unknown, np.asarray(column.fill_null(0).to_numpy())]
