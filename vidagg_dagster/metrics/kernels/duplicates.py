"""Which rows are an event again: the windows of `events._without_duplicates`, on sorted arrays."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vidagg_dagster.metrics.kernels.names import AGAIN, SAME_ID
from vidagg_dagster.metrics.kernels.segments import (
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


@dataclass(frozen=True)
class DuplicatesKernel:
    """Judged rows of whole users -> the same rows with `_again`: an earlier row is the same event.

    The order that decides which one is the first is the key, then eventId, playbackRate and
    sourceFile (what there is of them), nulls last.

    Attributes:
        us, rank, position: Names of the columns with the time and the other two parts of the key.
    """

    us: str = "timestamp"
    rank: str = "_rank"
    position: str = "positionMs"

    def __call__(self, rows: pa.Table) -> pa.Table:
        """The rows in their order. Of broken rows none is the same as another."""
        again = np.zeros(rows.num_rows, bool)
        broken = bools(rows["_broken"]) if "_broken" in rows.column_names else again
        valid = np.flatnonzero(~broken)
        if len(valid):
            chosen = rows if len(valid) == rows.num_rows else rows.take(pa.array(valid))
            again[valid] = self._again(chosen)
        return rows.append_column(AGAIN, pa.array(again))

    def _again(self, rows: pa.Table) -> Bools:
        user, _ = codes(rows["userId"])
        session, sessions = codes(rows["sessionId"])
        video, videos = codes(rows["videoId"])
        player = dense(combined(combined(user, session, len(sessions)), video, len(videos)))
        names = (self.us, self.rank, self.position)
        us, rank, position = (integers(rows[name]) for name in names)
        sorted_ = order(player, us, rank, position)
        same = Segments(changes(*(values[sorted_] for values in (player, us, rank, position))))
        tied = np.flatnonzero(~(same.first & same.last))
        again = np.zeros(rows.num_rows, bool)
        if len(tied):
            ties, group = sorted_[tied], same.number[tied]
            by_all = _by_the_rest(rows.take(pa.array(ties)), group)
            again[ties[by_all]] = ~changes(group[by_all])
        return again


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


def _by_the_rest(rows: pa.Table, group: Ints) -> Ints:
    """The rows by group, then by what decides between rows of the same event."""
    keys: list[Ints] = []
    for name in ("sourceFile", "playbackRate", "eventId"):
        if name not in rows.column_names:
            continue
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
