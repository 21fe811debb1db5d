"""Events of whole users to what is published of each user and video, in one go."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.engine.arrow.duplicates import AGAIN, SAME_ID, DuplicatesKernel
from vidagg_dagster.engine.arrow.segments import bools
from vidagg_dagster.engine.arrow.timeline import SessionsKernel
from vidagg_dagster.engine.arrow.union import MergeKernel
from vidagg_dagster.engine.facts import SUMS, VISIT_SUMS
from vidagg_dagster.engine.rules import EngagementRules

ACCEPTED: Final = "acceptedEvents"
"""How many events a call of the kernel accepted; on the last row of its result, which has no user,
and 0 on all others."""

_DAY: Final = "event_date"
_EXTREMES: Final = {
    "least": ("firstWatchDate",),
    "greatest": ("lastWatchDate", "maxPositionMs"),
}


@dataclass(frozen=True)
class FromEvents:
    """Prepared events (`timeline.prepared`), duplicates included -> one row per user and video.

    The rows have the facts that `engagement.publish` needs, `activeDays` and `ACCEPTED`. That is
    the same as duplicates, sessions, daily rows and their merging one after the other; but an
    engine moves each event once instead of four times.
    """

    rules: EngagementRules

    def __call__(self, events: pa.Table) -> pa.Table:
        """One row per user and video, and one that counts the accepted events."""
        unique = _unique(events)
        visits = visits_of(SessionsKernel(None, self.rules)(unique))
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
        return _with_count(pairs, unique.num_rows)


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


def _with_count(pairs: pa.Table, accepted: int) -> pa.Table:
    counted = pairs.append_column(ACCEPTED, pa.array(np.zeros(pairs.num_rows, np.int64)))
    last = pa.Table.from_pylist([{ACCEPTED: accepted}], schema=counted.schema)
    return pa.concat_tables([counted, last])
