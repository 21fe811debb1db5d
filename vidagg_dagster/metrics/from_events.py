"""Events of whole users to what is published of each user and video, in one go."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.dimensions import carried
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import EVIDENCE, REASONS
from vidagg_dagster.metrics.arrays import (
    LARGEST,
    SMALLEST,
    Ints,
    Numbers,
    combined,
    dates,
    groups,
    instants,
    integers,
    nullable,
    offsets,
    order,
)
from vidagg_dagster.metrics.coverage import (
    Spans,
    greatest,
    last_played,
    least,
    total,
    union_columns,
)
from vidagg_dagster.metrics.dimensions import NOT_KNOWN, Dimension, sets
from vidagg_dagster.metrics.duplicates import repeated
from vidagg_dagster.metrics.events import Numbered
from vidagg_dagster.metrics.playback import EVIDENCE_NAMES, UNKNOWN
from vidagg_dagster.metrics.settle import Settled, day_share, settle

REASON_BITS: Final = "_reasonBits"
"""Why a row is no event: bit n for reason n of `REASONS`; `IGNORED_BIT` alone if a mapping says so;
0 if it is an event."""

IGNORED_BIT: Final = len(REASONS)

COUNTS: Final = "counts"
"""Only on the last row of what `FromEvents` gives, which has no user: rows that came in, accepted
events, rows by reason, ignored rows, rejected rows."""


@dataclass(frozen=True)
class FromEvents:
    """Judged and prepared rows (`prepared`) -> one row per user and video.

    They come with duplicates and with rejected and ignored rows, which are only counted. The result
    has the facts that `engagement.publish` needs, `activeDays` and `COUNTS`. That is the same as
    duplicates, sessions, daily rows and their merging one after the other; but an engine moves
    each event once instead of four times.
    """

    parameters: EngagementParameters

    def __call__(self, events: pa.Table) -> pa.Table:
        """One row per user and video, and one that counts."""
        bits = integers(events[REASON_BITS]).astype(np.int32)
        numbered = Numbered.of(events)
        said = numbered.said(events)
        # What is not needed any more goes, because a bot's events may all be here.
        del events
        unique = _unique(numbered, said, np.flatnonzero(bits == 0))
        counts = _counts(bits, len(unique))
        users, video_ids, dimensions = numbered.users, numbered.video_ids, numbered.dimensions
        visited = _together(self._visited(numbered, numbered.parts(unique)))
        del numbered, said, bits, unique
        return _with_counts(pair_facts(visited, users, video_ids, dimensions), counts)

    def _visited(self, numbered: Numbered, parts: Sequence[Ints]) -> Sequence["Visited"]:
        """What the parts settle. A user with very many events is worth all cores."""

        def settle_part(rows: Ints) -> Visited:
            settled = settle(numbered.events(rows, self.parameters), None, self.parameters)
            return Visited.of(settled)

        if len(parts) == 1:
            return [settle_part(parts[0])]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(settle_part, parts))


def _unique(numbered: Numbered, said: pa.Table, rows: Ints) -> Ints:
    """Those of the rows that stay of equal events, by time."""
    by_time = numbered.by_time(rows)
    alike = (numbered.player, numbered.us, numbered.rank, numbered.sent)
    return by_time[~repeated(said, by_time, *alike)[by_time]]


class Visited(NamedTuple):
    """Visits by session and video, the user and the work day of each, and their intervals.

    `dimensions` has a column for each, with the codes of the visits' sessions; of visits in which
    nothing happens `NOT_KNOWN`.
    """

    user: Ints
    day: Ints
    visits: Any
    intervals: Any
    dimensions: Any

    @classmethod
    def of(cls, settled: Settled) -> "Visited":
        """What is settled, without its events."""
        session = settled.visits["session"]
        user = settled.events.user[settled.told[session]]
        day = settled.sessions.work_day[session]
        happens = settled.visits["event_count"] + settled.visits["open_ended_count"] > 0
        dimensions = np.zeros((len(session), len(settled.events.dimensions)), np.int32)
        for at, code in enumerate(settled.dimensions()):
            dimensions[:, at] = np.where(happens, code[session], NOT_KNOWN)
        return cls(user, day, settled.visits, settled.intervals, dimensions)


def _together(parts: Sequence[Visited]) -> Visited:
    return parts[0] if len(parts) == 1 else Visited(*map(np.concatenate, zip(*parts, strict=True)))


def pair_facts(
    visited: Visited, users: pa.Array, video_ids: pa.Array, dimensions: Sequence[Dimension] = ()
) -> pa.Table:
    """What work days settle -> one row per user and video with its sums, extremes and union."""
    user, day, visits, intervals, codes = visited
    code = combined(user, visits["video"], len(video_ids))
    # A day without a believed event and without a tail has no row, so it is not merged either.
    by_day = order(code, day)
    daily = groups(code[by_day], day[by_day])
    happens = visits["event_count"] + visits["open_ended_count"]
    happened = total(daily, happens[by_day], int(daily[-1]) + 1 if len(daily) else 0) > 0
    kept = by_day[happened[daily]]
    key = groups(code[kept])
    key_of_visit = np.full(len(visits), UNKNOWN, np.int64)
    key_of_visit[kept] = key
    first = kept[np.flatnonzero(np.diff(key, prepend=-1))]
    keys = len(first)
    starts_day = np.diff(groups(code[kept], day[kept]), prepend=-1) > 0
    active = pa.ListArray.from_arrays(
        offsets(np.bincount(key[starts_day], minlength=keys)), dates(day[kept][starts_day])
    )
    return pa.table(
        {
            "userId": users.take(pa.array(user[first])),
            "videoId": video_ids.take(pa.array(visits["video"][first])),
            **_visit_facts(visits[kept], key, keys),
            "activeDays": active,
            **_interval_facts(intervals, np.repeat(key_of_visit, visits["interval_count"]), keys),
            **{
                carried(dimension.name): sets(codes[kept, at], dimension.texts, key, keys)
                for at, dimension in enumerate(dimensions)
            },
        }
    )


def _visit_facts(visits: Any, key: Ints, keys: int) -> dict[str, pa.Array]:
    own = visits["event_count"] > 0
    sums = {
        "tailMs": visits["tail_ms"],
        "sessionMs": day_share(visits["start_us"], visits["last_us"], visits["last_context_us"]),
        "sessionCount": own & (visits["context_count"] == 0),
        "pauseCount": visits["pause_count"],
        "forwardSkips": visits["forward_skip_count"],
        "backwardSkips": visits["backward_skip_count"],
        "completionCount": visits["completion_count"],
        "openEndedCount": visits["open_ended_count"],
        "exceedingCount": visits["exceeding_count"],
        "noStartCount": visits["no_start"],
    }
    first_us = least(key, np.where(own, visits["first_us"], LARGEST), keys)
    last_us = greatest(key, np.where(own, visits["last_us"], SMALLEST), keys)
    furthest = greatest(key, np.where(own, visits["max_position"], SMALLEST), keys)
    return {
        **{name: pa.array(total(key, values, keys)) for name, values in sums.items()},
        "firstWatchDate": instants(first_us, first_us != LARGEST),
        "lastWatchDate": instants(last_us, last_us != SMALLEST),
        "maxPositionMs": nullable(furthest, furthest != SMALLEST),
    }


def _interval_facts(spans: Any, key: Ints, keys: int) -> dict[str, pa.Array]:
    length = spans["end"] - spans["start"]
    sums = {"watchMs": length, "clockMs": spans["clock"]}
    for name in EVIDENCE:
        numbers = [n for n, known in enumerate(EVIDENCE_NAMES) if known == name]
        sums[f"{name}Ms"] = np.where(np.isin(spans["evidence"], numbers), length, 0)
    return {
        **{name: pa.array(total(key, values, keys)) for name, values in sums.items()},
        **last_played(key, spans["closed_us"], spans["end"], keys),
        **union_columns(Spans(key, spans["start"], spans["end"]), keys),
    }


def _counts(bits: Numbers, accepted: int) -> list[int]:
    by_bit = [int(np.count_nonzero(bits & (1 << bit))) for bit in range(IGNORED_BIT + 1)]
    rejected = int(np.count_nonzero(bits)) - by_bit[IGNORED_BIT]
    return [len(bits), accepted, *by_bit, rejected]


def _with_counts(pairs: pa.Table, counts: Sequence[int]) -> pa.Table:
    counted = pairs.append_column(COUNTS, pa.nulls(pairs.num_rows, pa.list_(pa.int64())))
    last = pa.Table.from_pylist([{COUNTS: counts}], counted.schema)
    return pa.concat_tables([counted, last])
