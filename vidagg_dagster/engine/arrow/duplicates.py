"""Which rows are an event again: the windows of `events._without_duplicates`, on sorted arrays."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from vidagg_dagster.engine.arrow.segments import (
    Bools,
    Ints,
    Segments,
    bools,
    changes,
    codes,
    combined,
    dense,
    integers,
    order,
    ordered_codes,
)

AGAIN: Final = "_again"
SAME_ID: Final = "_sameId"


@dataclass(frozen=True)
class DuplicatesKernel:
    """Judged rows of whole users -> the same rows with `_again`: an earlier row is the same event.

    The order that decides which one is the first is the key, then eventId, playbackRate and
    sourceFile, nulls last.
    """

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows in their order. Of broken rows none is the same as another."""
        again = np.zeros(rows.num_rows, bool)
        valid = np.flatnonzero(~bools(rows["_broken"]))
        again[valid] = _again(rows, valid)
        return rows.append_column(AGAIN, pa.array(again))


@dataclass(frozen=True)
class SameIdKernel:
    """Judged rows of whole eventIds -> the same rows with `_sameId`: another event has the id.

    Of the events with one id the least by the key has it; a row equal to it in the key is left to
    `DuplicatesKernel`.
    """

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows in their order. Broken rows and those without an id have it to themselves."""
        same = np.zeros(rows.num_rows, bool)
        named = np.asarray(rows["eventId"].is_valid().to_numpy(), bool)
        with_id = np.flatnonzero(~bools(rows["_broken"]) & named)
        same[with_id] = _not_the_first_of_its_id(rows.take(pa.array(with_id)))
        return rows.append_column(SAME_ID, pa.array(same))


def _again(rows: pa.Table, valid: Ints) -> Bools:
    if not len(valid):
        return np.zeros(0, bool)
    chosen = rows if len(valid) == rows.num_rows else rows.take(pa.array(valid))
    user, _ = codes(chosen["userId"])
    session, sessions = codes(chosen["sessionId"])
    video, videos = codes(chosen["videoId"])
    player = combined(combined(user, session, len(sessions)), video, len(videos))
    us, rank, position = (integers(chosen[name]) for name in ("timestamp", "_rank", "positionMs"))
    sorted_ = order(dense(player), us, rank, position)
    same = Segments(changes(*(values[sorted_] for values in (player, us, rank, position))))
    tied = np.flatnonzero(~(same.first & same.last))
    again = np.zeros(len(player), bool)
    if len(tied):
        ties = sorted_[tied]
        by_all = _by_the_rest(chosen.take(pa.array(ties)), same.number[tied])
        again[ties[by_all]] = ~changes(same.number[tied][by_all])
    return again


def _by_the_rest(rows: pa.Table, group: Ints) -> Ints:
    """The rows by group, then by what decides between rows of the same event."""
    keys: list[Ints] = []
    for name in ("sourceFile", "playbackRate", "eventId"):
        column, known = rows[name], np.asarray(rows[name].is_valid().to_numpy(), bool)
        if pa.types.is_floating(column.type):
            keys.append(column.fill_null(0.0).to_numpy())
        else:
            keys.append(ordered_codes(column.cast(pa.string()).fill_null(""))[0])
        keys.append(~known)
    return np.lexsort([*keys, group])


def _not_the_first_of_its_id(rows: pa.Table) -> Bools:
    if not rows.num_rows:
        return np.zeros(0, bool)
    of_id, _ = codes(rows["eventId"])
    key = [
        integers(rows["timestamp"]),
        *(ordered_codes(rows[name])[0] for name in ("userId", "sessionId", "videoId")),
        integers(rows["_rank"]),
        integers(rows["positionMs"]),
    ]
    day = integers(rows["event_date"])
    sorted_ = np.lexsort([*key[::-1], day, of_id])
    groups = Segments(changes(of_id[sorted_], day[sorted_]))
    first = sorted_[groups.start_of]
    differs = np.zeros(rows.num_rows, bool)
    for values in key:
        differs[sorted_] |= values[sorted_] != values[first]
    return differs
