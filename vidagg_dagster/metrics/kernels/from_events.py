"""Events of whole users to what is published of each user and video, in one go."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import REASONS, SUMS, VISIT_SUMS
from vidagg_dagster.metrics.kernels.duplicates import DuplicatesKernel
from vidagg_dagster.metrics.kernels.names import AGAIN, COUNTS, REASON_BITS, SAME_ID
from vidagg_dagster.metrics.kernels.segments import Ints, bools, integers
from vidagg_dagster.metrics.kernels.timeline import SessionsKernel
from vidagg_dagster.metrics.kernels.union import MergeKernel

_DAY: Final = "event_date"
_EXTREMES: Final = {
    "least": ("firstWatchDate",),
    "greatest": ("lastWatchDate", "maxPositionMs"),
}


@dataclass(frozen=True)
class FromEvents:
    """Judged and prepared rows (`timeline.prepared`) -> one row per user and video.

    They come with duplicates and with rejected rows, which are only counted. The result has the
    facts that `engagement.publish` needs, `activeDays` and `COUNTS`. That is the same as
    duplicates, sessions, daily rows and their merging one after the other; but an engine moves
    each event once instead of four times.
    """

    parameters: EngagementParameters

    def __call__(self, events: pa.Table) -> pa.Table:
        """One row per user and video, and one that counts."""
        bits = integers(events[REASON_BITS])
        unique = _unique(events.filter(pa.array(bits == 0)))
        visits = visits_of(SessionsKernel(None, self.parameters)(unique))
        daily = _merge((_DAY, "userId", "videoId"), "intervals", evidence=True)(
            visits.rename_columns([_FACT_OF.get(name, name) for name in visits.column_names])
        )
        happened = pc.or_(
            pc.greater(daily["eventCount"], 0), pc.greater(daily["openEndedCount"], 0)
        )
        kept = daily.filter(happened)
        days = pa.ListArray.from_arrays(
            pa.array(np.arange(kept.num_rows + 1, dtype=np.int32)), kept[_DAY].combine_chunks()
        )
        merge = _merge(("userId", "videoId"), "watchedIntervals", lists=("activeDays",))
        pairs = merge(kept.append_column("activeDays", days))
        return _with_counts(pairs, _counts(bits, unique.num_rows))


def visits_of(sessions: pa.Table) -> pa.Table:
    """Rows of `sessions` -> one row per visit: event_date, userId and the fields of the visit."""
    visits = sessions["visits"].combine_chunks()
    parents = pc.list_parent_indices(visits)
    fields = visits.flatten()
    names = [field.name for field in fields.type]
    return pa.table(
        {
            _DAY: sessions[_DAY].take(parents),
            "userId": sessions["userId"].take(parents),
            **{name: fields.field(name) for name in names},
        }
    )


_FACT_OF: Final = {
    **{field: fact for fact, field in VISIT_SUMS.items()},
    "firstEventTime": "firstWatchDate",
    "lastEventTime": "lastWatchDate",
}


def _unique(events: pa.Table) -> pa.Table:
    marked = DuplicatesKernel(us="us", rank="nameRank", position="sentPositionMs")(events)
    again = bools(marked[AGAIN])
    if SAME_ID in marked.column_names:
        again |= bools(marked[SAME_ID])
    return events.filter(pa.array(~again)) if again.any() else events


def _merge(
    keys: tuple[str, ...], spans: str, *, evidence: bool = False, lists: tuple[str, ...] = ()
) -> MergeKernel:
    return MergeKernel(
        keys=keys,
        spans=spans,
        sums=tuple(VISIT_SUMS) if evidence else SUMS,
        lists=lists,
        evidence=evidence,
        unite=True,
        **_EXTREMES,
    )


def _counts(bits: Ints, accepted: int) -> list[int]:
    by_bit = [int(np.count_nonzero(bits & (1 << bit))) for bit in range(len(REASONS))]
    return [len(bits), accepted, int(np.count_nonzero(bits)), *by_bit]


def _with_counts(pairs: pa.Table, counts: list[int]) -> pa.Table:
    counted = pairs.append_column(COUNTS, pa.nulls(pairs.num_rows, pa.list_(pa.int64())))
    return pa.concat_tables([counted, pa.Table.from_pylist([{COUNTS: counts}], counted.schema)])
