"""The kernels by themselves, without an engine, against the sequential reference."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import SESSIONS
from vidagg_dagster.core.vocabulary import KIND_AND_RANK, START
from vidagg_dagster.metrics.kernels.from_events import FromEvents
from vidagg_dagster.metrics.kernels.names import COUNTS, REASON_BITS
from vidagg_dagster.metrics.kernels.segments import Segments, changes, combined, dense, order
from vidagg_dagster.metrics.kernels.timeline import SessionsKernel
from vidagg_dagster_tests.support.engine_frames import EPOCH, at, micros
from vidagg_dagster_tests.support.reference import (
    DEFAULT_PARAMETERS,
    Event,
    day_of,
    deduplicate,
    lifetime_rows,
    settle,
)
from vidagg_dagster_tests.support.strategies import DURATIONS, ZONES, event_lists, random_events

RULES = EngagementParameters()

_PREPARED = pa.schema(
    [
        ("event_date", pa.date32()),
        ("userId", pa.string()),
        ("sessionId", pa.string()),
        ("videoId", pa.string()),
        ("us", pa.int64()),
        ("nameRank", pa.int32()),
        ("sentPositionMs", pa.int64()),
        ("durationMs", pa.int64()),
        ("playbackRate", pa.float64()),
        ("timesOutDay", pa.date32()),
        (REASON_BITS, pa.int32()),
    ]
)

FACTS = {
    "watchMs": "watch_ms",
    "uniqueMs": "unique_ms",
    "clockMs": "clock_ms",
    "maxPositionMs": "max_position_ms",
    "sessionCount": "session_count",
    "sessionMs": "session_duration_ms",
    "pauseCount": "pause_count",
    "forwardSkips": "forward_skips",
    "backwardSkips": "backward_skips",
    "completionCount": "completion_count",
    "observedMs": "observed_ms",
    "heartbeatMs": "heartbeat_ms",
    "bridgedMs": "bridged_ms",
    "clippedMs": "clipped_ms",
    "tailMs": "tail_ms",
    "openEndedCount": "open_ended_count",
    "exceedingCount": "exceeding_count",
}


def prepared(events: Sequence[Event], timezone: str = "UTC", *, bits: Any = 0) -> pa.Table:
    """What `timeline.prepared` gives for events."""
    timeout_us = RULES.session_timeout_ms * 1000
    rows = []
    for event in events:
        kind, rank = KIND_AND_RANK[event.name]
        day = day_of(event.us, timezone)
        duration = DURATIONS.get(event.video, 0)
        rows.append(
            {
                "event_date": day,
                "userId": event.user,
                "sessionId": event.session,
                "videoId": event.video,
                "us": event.us,
                "nameRank": rank,
                "sentPositionMs": event.position_ms,
                "durationMs": duration or None,
                "playbackRate": event.rate,
                "timesOutDay": day_of(event.us + timeout_us, timezone) if kind == START else day,
                REASON_BITS: bits,
            }
        )
    return pa.Table.from_pylist(rows, schema=_PREPARED)


def facts_of(table: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for row in table.to_pylist():
        if row["userId"] is not None:
            key = (row["userId"], row["videoId"])
            assert key not in found
            found[key] = {
                **{theirs: row[ours] for ours, theirs in FACTS.items()},
                "intervals": [(s["startMs"], s["endMs"]) for s in row["watchedIntervals"]],
                "first_us": row["firstWatchDate"] and micros(row["firstWatchDate"]),
                "last_us": row["lastWatchDate"] and micros(row["lastWatchDate"]),
            }
    return found


def assert_facts(events: Sequence[Event], timezone: str) -> None:
    alone = [replace(event, event_id=None) for event in events]
    kept, again = deduplicate(alone, timezone)
    settled = settle(kept, DURATIONS, DEFAULT_PARAMETERS, timezone)
    expected = {pair: vars(row) for pair, row in lifetime_rows(settled.daily).items()}
    result = FromEvents(RULES)(prepared(alone, timezone))
    assert facts_of(result) == expected
    assert result[COUNTS].to_pylist()[-1][:3] == [len(alone), len(alone) - again, 0]


@given(event_lists(), st.sampled_from(ZONES), st.randoms(use_true_random=False))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_events_in_any_order_give_the_reference_s_lifetime_facts(
    events: list[Event], timezone: str, dice: random.Random
) -> None:
    dice.shuffle(events)
    assert_facts(events, timezone)


@pytest.mark.parametrize("timezone", ZONES)
def test_many_users_give_the_reference_s_lifetime_facts(timezone: str) -> None:
    assert_facts(random_events(31, n_users=150), timezone)


def test_rejected_rows_are_counted_by_reason_and_take_no_part() -> None:
    events, _ = deduplicate(random_events(32, n_users=20))
    good = prepared(events)
    nothing = pa.nulls(2)
    bad = pa.table(
        {
            name: pa.array([0b1001, 0b1000], pa.int32())
            if name == REASON_BITS
            else nothing.cast(_PREPARED.field(name).type)
            for name in _PREPARED.names
        }
    )
    mixed = pa.concat_tables([bad, good])
    with_bad, without = FromEvents(RULES)(mixed), FromEvents(RULES)(good)
    assert facts_of(with_bad) == facts_of(without)
    counts = with_bad[COUNTS].to_pylist()[-1]
    assert counts[:7] == [len(events) + 2, len(events), 2, 1, 0, 0, 2]
    assert FromEvents(RULES)(bad)[COUNTS].to_pylist() == [[2, 0, 2, 1, 0, 0, 2, *[0] * 6]]


def test_days_computed_singly_give_the_sessions_of_one_pass() -> None:
    events, _ = deduplicate(random_events(33, n_users=80))
    by_day: dict[date, list[Event]] = {}
    for event in events:
        by_day.setdefault(day_of(event.us, "UTC"), []).append(event)
    singly = []
    one_day = timedelta(days=1)
    for day in {d + n * one_day for d in by_day for n in (0, 1)}:
        seen = [*by_day.get(day, []), *by_day.get(day - one_day, [])]
        if seen:
            singly += SessionsKernel((day,), RULES)(prepared(seen)).to_pylist()
    whole = SessionsKernel(None, RULES)(prepared(events)).to_pylist()

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in SESSIONS.key)

    assert sorted(singly, key=key) == sorted(whole, key=key)


def test_context_without_anything_of_its_own_gives_no_session() -> None:
    late = Event(micros(EPOCH) + 1, "u", "s", "talk", "video_play", 0)
    table = prepared([late])
    nothing = SessionsKernel((day_of(late.us, "UTC") + timedelta(days=1),), RULES)(table)
    assert nothing.num_rows == 0
    assert nothing.column_names == list(SESSIONS.column_names)
    assert SessionsKernel(None, RULES)(table)["sessionStart"].to_pylist() == [at(late.us)]


# --- segments -------------------------------------------------------------------------------------

SMALL = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=40)


@given(SMALL)
def test_windows_over_segments_are_what_a_loop_finds(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    group = np.array([g for g, _ in rows], np.int64)
    values = np.array([v for _, v in rows], np.int64)
    known = values % 3 == 0
    segments = Segments(changes(group)) if rows else Segments(group > 0)
    before, running, found = [], [], []
    for at_, (g, _) in enumerate(rows):
        earlier = [k for k in range(at_) if rows[k][0] == g]
        before.append(rows[earlier[-1]][1] if earlier else -1)
        running.append(max((rows[k][1] for k in earlier), default=np.iinfo(np.int64).min))
        found.append(next((k for k in reversed(earlier) if known[k]), None))
    assert segments.before(values, -1).tolist() == before
    assert segments.running_max_before(values).tolist() == running
    last, seen = segments.last_before(known)
    assert [k if there else None for k, there in zip(last, seen, strict=True)] == found


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 4), max_size=30), st.sampled_from([1, 2**40]))
def test_rows_are_ordered_by_all_keys_also_where_they_do_not_fit_into_one_number(
    rows: list[tuple[int, ...]], scale: int
) -> None:
    columns = [np.array([row[k] for row in rows], np.int64) for k in range(4)]
    columns[:2] = [column * scale for column in columns[:2]]
    found = order(*columns).tolist()
    assert found == sorted(range(len(rows)), key=lambda at_: rows[at_])


def test_codes_combine_to_other_numbers_for_other_pairs_also_beyond_a_bigint() -> None:
    major = np.array([0, 2**40, 0, 2**40, 5], np.int64)
    minor = np.array([1, 1, 2, 1, 1], np.int64)
    for size in (3, 2**30):
        both = combined(major, minor, size).tolist()
        assert both[1] == both[3]
        assert len(set(both)) == 4
    assert dense(np.array([7, 3, 7, 9])).tolist() == [0, 1, 0, 2]
