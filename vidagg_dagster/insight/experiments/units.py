"""What each unit did: the intervals that are stored, counted per unit, before and after exposure.

No watching is computed here. An interval counts after the exposure if the event that closes it is
later; whoever was exposed and watched nothing has a row of zeros.
"""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.insight.experiments.assignment import CLUSTER
from vidagg_dagster.insight.experiments.plan import DAY_US, Plan
from vidagg_dagster.metrics.arrays import (
    Array,
    Bools,
    Floats,
    Ints,
    codes,
    combined,
    integers,
)
from vidagg_dagster.metrics.coverage import Spans, total, unite

FIGURES: Final = (
    "watchSeconds",
    "uniqueSeconds",
    "clippedSeconds",
    "starts",
    "videosStarted",
    "active",
    "videosOffered",
    "completed",
    "offeredSeconds",
    "coveredSeconds",
)
"""Columns of a unit's row. `active` is 1 if anything was watched. The last four are of the videos
that were started and whose length is known."""

BEFORE: Final = "before_"
"""Prefix of the same columns, of the days before the exposure."""

UNIT_COUNT: Final = "units"
"""Units in the row: 1, or those of a cluster."""

PARTS: Final = 20
"""Parts of equal length into which each video is cut, for curves over videos of any length."""

INTERVAL_COLUMNS: Final = (
    "userId",
    "sessionId",
    "sessionStart",
    "videoId",
    "startMs",
    "endMs",
    "evidence",
    "closedAt",
)


class Units(NamedTuple):
    """The rows of units whose window is over, and how many still wait for its end."""

    rows: pa.Table
    daily: Floats
    """Watch seconds by unit (row) and day since its exposure (column)."""
    seen: Floats
    """By unit (row) and part (column): the share seen of it, added up over `videosOffered`."""
    waiting: int


class _Intervals(NamedTuple):
    unit: Ints
    video: Ints
    visit: Ints
    start: Ints
    end: Ints
    clipped: Ints
    """1 where it was clipped by the clock."""
    after_us: Ints
    """Time from the unit's exposure to the close of the interval."""


def unit_rows(
    units: pa.Table, intervals: pa.Table, durations: pa.Table, plan: Plan, complete_until_us: int
) -> Units:
    """One row per unit, or per cluster, whose window of days after the exposure is over.

    Args:
        units: See `assignment.UNITS`.
        intervals: `INTERVAL_COLUMNS` of the rows of `watch_intervals`, those of others included.
        durations: `videoId`, `durationMs`; videos without a known one are left out.
        plan: The window, the days before, and when a video counts as completed.
        complete_until_us: Time up to which everything that happened is in `intervals`.
    """
    window = plan.window_days * DAY_US
    over = integers(units["exposedAt"]) + window <= complete_until_us
    waiting = int((~over).sum())
    units = units.filter(pa.array(over))
    count = units.num_rows
    found, durations_ms = _intervals(units, intervals, durations)
    inside = (found.after_us > 0) & (found.after_us <= window)
    before = (found.after_us <= 0) & (found.after_us > -plan.covariate_days * DAY_US)
    watched = _of(found, inside)
    columns: dict[str, Array] = {UNIT_COUNT: np.ones(count, np.int64)}
    columns |= _figures(watched, durations_ms, count, plan)
    columns |= {
        f"{BEFORE}{name}": values
        for name, values in _figures(_of(found, before), durations_ms, count, plan).items()
    }
    rows = units.select(["unitId", "variant", CLUSTER])
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values))
    seen = _seen(watched, durations_ms, count)
    return Units(rows, _daily(watched, count, plan), seen, waiting)


def cells_by_cluster(rows: pa.Table, cells: Floats) -> Floats:
    """Cells of the units, whose `rows` are given, added up in the order of `by_cluster`."""
    clusters = by_cluster(rows)[CLUSTER].to_pylist()
    position = {cluster: row for row, cluster in enumerate(clusters)}
    of_unit = [position[cluster] for cluster in rows[CLUSTER].to_pylist()]
    summed = np.zeros((len(clusters), cells.shape[1]))
    np.add.at(summed, of_unit, cells)
    return summed


def by_cluster(rows: pa.Table) -> pa.Table:
    """The rows of units added up per cluster, which was assigned as a whole."""
    sums = [UNIT_COUNT, *FIGURES, *(f"{BEFORE}{name}" for name in FIGURES)]
    grouped = rows.group_by([CLUSTER, "variant"], use_threads=False).aggregate(
        [(name, "sum") for name in sums]
    )
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def _intervals(
    units: pa.Table, intervals: pa.Table, durations: pa.Table
) -> tuple[_Intervals, Ints]:
    """The intervals of the units, and the duration of each video that they name (0: unknown)."""
    position = pc.index_in(intervals["userId"], value_set=units["unitId"].combine_chunks())
    intervals = intervals.filter(position.is_valid())
    unit = integers(position.filter(position.is_valid()))
    video, videos = codes(intervals["videoId"])
    session, sessions = codes(intervals["sessionId"])
    began = integers(intervals["sessionStart"])
    visit = combined(combined(unit, session, len(sessions)), video, len(videos))
    # Parts of one session that was cut are different starts.
    visit = np.unique(np.column_stack([visit, began]), axis=0, return_inverse=True)[1].ravel()
    known = pc.index_in(videos, value_set=durations["videoId"].combine_chunks())
    lengths = durations["durationMs"].combine_chunks().take(known).fill_null(0)
    return _Intervals(
        unit=unit,
        video=video,
        visit=visit.astype(np.int64),
        start=integers(intervals["startMs"]),
        end=integers(intervals["endMs"]),
        clipped=np.asarray(pc.equal(intervals["evidence"], "clipped").to_numpy(), np.int64),
        after_us=integers(intervals["closedAt"]) - integers(units["exposedAt"])[unit],
    ), np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)


def _of(found: _Intervals, chosen: Bools) -> _Intervals:
    return _Intervals(*(column[chosen] for column in found))


def _figures(found: _Intervals, durations_ms: Ints, count: int, plan: Plan) -> dict[str, Array]:
    """`FIGURES` of each unit."""
    length = found.end - found.start
    watched = total(found.unit, length, count)
    videos = max(len(durations_ms), 1)
    pair = combined(found.unit, found.video, videos)
    united = unite(Spans(pair, found.start, found.end))
    pairs, of_pair = np.unique(united.key, return_inverse=True)
    unique = total(of_pair.astype(np.int64), united.end - united.start, len(pairs))
    unit = pairs // videos
    duration = durations_ms[pairs % videos] if len(pairs) else unique
    known = (duration > 0).astype(np.int64)
    enough = unique * 100 >= duration * plan.completion_percent
    started = np.bincount(unit, minlength=count)
    visits = np.unique(found.visit, return_index=True)[1]
    return {
        "watchSeconds": watched / 1000,
        "uniqueSeconds": total(unit, unique, count) / 1000,
        "clippedSeconds": total(found.unit, found.clipped * length, count) / 1000,
        "starts": np.bincount(found.unit[visits], minlength=count),
        "videosStarted": started,
        "active": (started > 0).astype(np.int64),
        "videosOffered": total(unit, known, count),
        "completed": total(unit, known * enough, count),
        "offeredSeconds": total(unit, duration, count) / 1000,
        "coveredSeconds": total(unit, known * unique, count) / 1000,
    }


def _daily(found: _Intervals, count: int, plan: Plan) -> Floats:
    # An interval that closes exactly at the end of the window belongs to its last day.
    day = (found.after_us - 1) // DAY_US
    cells = total(
        found.unit * plan.window_days + day, found.end - found.start, count * plan.window_days
    )
    return (cells / 1000).reshape(count, plan.window_days)


def _seen(found: _Intervals, durations_ms: Ints, count: int) -> Floats:
    videos = max(len(durations_ms), 1)
    united = unite(Spans(combined(found.unit, found.video, videos), found.start, found.end))
    duration = durations_ms[united.key % videos] if len(united.key) else united.end
    known = duration > 0
    unit, start, end = (column[known] for column in (united.key // videos, *united[1:3]))
    width = duration[known] / PARTS
    seen = np.zeros((count, PARTS))
    for part in range(PARTS):
        inside = np.minimum(end, (part + 1) * width) - np.maximum(start, part * width)
        seen[:, part] = np.bincount(unit, np.maximum(inside, 0) / width, count)
    return seen
