"""Who completed by when: pairs of a user and a video by the week in which they began."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.insight.completion.landmarks import BY_DAYS, DAY_US, History
from vidagg_dagster.metrics.arrays import Ints

_EPOCH: Final = date(1970, 1, 1)

SCHEMA: Final = pa.schema(
    [
        pa.field("cohortWeek", pa.date32(), nullable=False),
        pa.field("started", pa.int64(), nullable=False),
        *[pa.field(f"completedByDay{days}", pa.int64()) for days in BY_DAYS],
    ]
)


def completion_cohorts(known: History, until: datetime, timezone: str) -> pa.Table:
    """One row per week (its Monday, in the zone) in which pairs began.

    A number is null while some pair of the week may still complete in time: it would be low.
    """
    weeks, of = np.unique(_mondays(known.pairs.first_us, timezone), return_inverse=True)
    columns: list[pa.Array] = [
        pa.array(weeks.astype(np.int32)).cast(pa.date32()),
        pa.array(np.bincount(of, minlength=len(weeks)).astype(np.int64)),
    ]
    # A pair that begins in the last moment of the week must have had its days, too.
    ends = np.array([_end_us(int(monday), timezone) for monday in weeks], np.int64)
    until_us = int(until.timestamp() * 1_000_000)
    for days, completed in zip(BY_DAYS, known.pairs.completed_by, strict=True):
        count = np.bincount(of, completed, len(weeks)).astype(np.int64)
        columns.append(pa.array(count, mask=ends + days * DAY_US > until_us))
    return pa.table(columns, schema=SCHEMA)


def together(parts: Sequence[pa.Table]) -> pa.Table:
    """The rows of slices of the users as those of all users."""
    names = SCHEMA.names[1:]
    # What is null is so in every slice, for its week is not over.
    groups = pa.concat_tables(parts).group_by("cohortWeek").aggregate([(n, "sum") for n in names])
    renamed = groups.rename_columns([n.removesuffix("_sum") for n in groups.column_names])
    return renamed.select(SCHEMA.names).sort_by("cohortWeek").cast(SCHEMA)


def _mondays(moments: Ints, timezone: str) -> Ints:
    """Days from 1970 to the Monday of each moment's week in the zone."""
    local = pc.local_timestamp(pa.array(moments).cast(pa.timestamp("us", tz=timezone)))
    days = pc.floor_temporal(local, unit="week").cast(pa.date32()).cast(pa.int32())
    return np.asarray(days.to_numpy(zero_copy_only=False), np.int64)


def _end_us(monday: int, timezone: str) -> int:
    after = _EPOCH + timedelta(days=monday + 7)
    end = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(timezone))
    return int(end.timestamp() * 1_000_000)
