"""The fold by itself, without an engine, against the sequential reference."""

import random
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import SESSIONS
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.metrics import compiled
from vidagg_dagster.metrics import events as events_of_the_fold
from vidagg_dagster.metrics.arrays import combined, dense, order
from vidagg_dagster.metrics.coverage import Merge, Spans, unite
from vidagg_dagster.metrics.from_events import COUNTS, REASON_BITS, FromEvents
from vidagg_dagster.metrics.session_rows import SessionsOf
from vidagg_dagster_tests.support.engine_frames import at
from vidagg_dagster_tests.support.event_tables import parse_events
from vidagg_dagster_tests.support.folded import (
    PREPARED,
    assert_folds_to_the_reference,
    micros,
    prepared,
    session_table,
)
from vidagg_dagster_tests.support.reference import (
    EPOCH,
    Event,
    day_of,
    deduplicate,
    union,
)
from vidagg_dagster_tests.support.strategies import (
    DURATIONS,
    ZONES,
    event_lists,
    random_events,
    with_reports,
)

PARAMETERS = EngagementParameters()
CHANGED: dict[str, Any] = {
    "session_timeout_ms": 600_000,
    "max_playback_rate": 1.25,
    "tolerance_ms": 250,
    "seek_back_ms": 500,
    "drag_window_ms": 1_000,
    "same_place_ms": 1_000,
    "opening_ms": 3_000,
    "forward_skip_ms": 1_000,
    "backward_skip_ms": 500,
    "position_limit_percent": 100,
}


@given(event_lists(), st.sampled_from(ZONES), st.randoms(use_true_random=False))
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_events_in_any_order_give_the_reference_s_rows(
    events: list[Event], timezone: str, dice: random.Random
) -> None:
    dice.shuffle(events)
    assert_folds_to_the_reference(events, timezone)


@given(event_lists(), st.sampled_from(ZONES), st.randoms(use_true_random=False))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_reports_among_any_events_give_the_reference_s_rows(
    events: list[Event], timezone: str, dice: random.Random
) -> None:
    assert_folds_to_the_reference(with_reports(events, dice), timezone)


@pytest.mark.parametrize("seed", range(3))
def test_reports_of_many_users_give_the_reference_s_rows(seed: int) -> None:
    events = with_reports(random_events(37 + seed, n_users=80), random.Random(seed))
    assert_folds_to_the_reference(events, "Europe/Berlin")


@pytest.mark.parametrize("timezone", ZONES)
def test_many_users_give_the_reference_s_rows(timezone: str) -> None:
    assert_folds_to_the_reference(random_events(31, n_users=150), timezone)


@pytest.mark.parametrize("stop", ["pause", "waiting"])
def test_a_seek_of_the_next_day_does_not_land_at_a_stop_before_midnight(stop: str) -> None:
    events = parse_events(
        f"""
        01-12 23:59:50      u  s  v  play     0
        01-12 23:59:59.900  u  s  v  {stop}  18
        01-13 00:00:00.100  u  s  v  seek    18
        01-13 00:00:01      u  s  v  play    18
        01-13 00:00:05      u  s  v  pause   22
        """
    )
    assert_folds_to_the_reference(events)
    assert_folds_to_the_reference([replace(event, us=event.us - 60_000_000) for event in events])


def test_a_large_partition_in_parts_gives_the_reference_s_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events_of_the_fold, "ROWS_AT_ONCE", 7)
    assert_folds_to_the_reference(random_events(36, n_users=100), "America/St_Johns")


@pytest.mark.parametrize("repair_seeks", [True, False])
def test_every_threshold_can_be_changed(repair_seeks: bool) -> None:
    events = random_events(34, n_users=150)
    assert_folds_to_the_reference(events, repair_seeks=repair_seeks, **CHANGED)


@pytest.fixture(params=["plain", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "compiled" and not compiled.can_compile():
        pytest.skip("numba is not installed")
    least = 0 if request.param == "compiled" else 1_000_000_000
    for name in ("COMPILED_FROM", "COMPILED_ONCE_LOADED_FROM"):
        monkeypatch.setattr(compiled, name, least)


@pytest.mark.usefixtures("form")
def test_compiled_and_plain_loops_give_the_reference_s_rows() -> None:
    assert_folds_to_the_reference(random_events(35, n_users=200), "Europe/Berlin")


def test_a_large_input_is_compiled_and_a_small_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    installed = compiled.can_compile()
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    fold = compiled.Fold(len)
    for form in ("plain", "compiled"):
        monkeypatch.setattr(fold, f"run_{form}", lambda *_, form=form: ran.append(form))
    for rows in (compiled.COMPILED_FROM - 1, compiled.COMPILED_FROM):
        fold(np.zeros(rows))
    monkeypatch.setattr(compiled, "can_compile", lambda: False)
    fold(np.zeros(compiled.COMPILED_FROM))
    assert ran == ["plain", "compiled" if installed else "plain", "plain"]


def test_rejected_and_ignored_rows_are_counted_and_take_no_part() -> None:
    events, _ = deduplicate(random_events(32, n_users=20))
    good = prepared(events, DURATIONS, PARAMETERS)
    nothing = pa.nulls(2)
    bad = pa.table(
        {
            name: pa.array([0b1001, 0b1000], pa.int32())
            if name == REASON_BITS
            else nothing.cast(PREPARED.field(name).type)
            for name in PREPARED.names
        }
    )
    fold = FromEvents(PARAMETERS)
    mixed, without = fold(pa.concat_tables([bad, good])), fold(good)
    assert mixed.drop_columns([COUNTS]).equals(without.drop_columns([COUNTS]))
    counts = mixed[COUNTS].to_pylist()[-1]
    assert counts == [len(events) + 2, len(events), 1, 0, 0, 2, *[0] * 7, 2]
    assert fold(bad)[COUNTS].to_pylist() == [[2, 0, 1, 0, 0, 2, *[0] * 7, 2]]


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
            singly += session_table(seen, DURATIONS, PARAMETERS, days=(day,))

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in SESSIONS.key)

    whole = session_table(events, DURATIONS, PARAMETERS)
    assert sorted(singly, key=key) == sorted(whole, key=key)


def test_context_without_anything_of_its_own_gives_no_session() -> None:
    late = Event(1, "u", "s", "talk", "video_play", 0)
    table = prepared([late], DURATIONS, PARAMETERS)
    nothing = SessionsOf((EPOCH.date() + timedelta(days=1),), PARAMETERS)(table)
    assert nothing.num_rows == 0
    assert nothing.column_names == list(SESSIONS.column_names)
    found = SessionsOf(None, PARAMETERS)(table)["sessionStart"].to_pylist()
    assert [micros(value) for value in found] == [1]


def test_days_with_a_gap_between_them_are_settled_and_no_others() -> None:
    events = parse_events("\n".join(f"01-1{n} 10:00:00  u  s  v  pause  0" for n in range(1, 6)))
    days = (date(2025, 1, 11), date(2025, 1, 14))
    rows = session_table(events, DURATIONS, PARAMETERS, days=days)
    assert sorted(row["event_date"] for row in rows) == list(days)


def test_a_clock_that_goes_back_over_midnight_loses_no_event() -> None:
    # Until 2011 Newfoundland's clocks went from 00:01 back to 23:01 of the day before.
    before = round(datetime(2010, 11, 7, 2, 30, 30, tzinfo=UTC).timestamp()) * 1_000_000
    after = before + 300_000_000
    events = [
        Event(before, "u", "s", "talk", "video_play", 0),
        Event(after, "u", "s", "talk", "video_pause", 300_000),
    ]
    zone = "America/St_Johns"
    assert day_of(after, zone) < day_of(before, zone)
    assert_folds_to_the_reference(events, zone)


def test_a_session_tells_its_first_and_last_event_of_each_day_and_where_it_starts() -> None:
    events = parse_events("""
        01-12 23:40:00  u  s  v  play      0
        01-12 23:50:00  u  s  v  pause   600
        01-13 00:10:00  u  s  v  play    600
        01-13 00:15:00  u  s  v  pause   900
        01-13 00:20:00  u  s  v  play    900
    """)
    first, second = sorted(session_table(events, {}, PARAMETERS), key=lambda row: row["event_date"])
    for row in (first, *first["visits"]):
        assert f"{row['firstEventTime']:%d %H:%M}" == "12 23:40"
        assert f"{row['lastEventTime']:%d %H:%M}" == "12 23:50"
    for row in (second, *second["visits"]):
        assert f"{row['firstEventTime']:%d %H:%M}" == "13 00:10"
        assert f"{row['lastEventTime']:%d %H:%M}" == "13 00:20"
    starts = [visit["startsHere"] for row in (first, second) for visit in row["visits"]]
    assert starts == [True, False]


def test_a_video_is_visited_once_a_session_and_not_by_events_beyond_it_alone() -> None:
    events = parse_events("""
        10:00:00  u  s       v  play     0
        10:00:10  u  s       v  pause   10
        12:00:00  u  s       v  play   500
        12:00:10  u  s       v  pause   20
        12:00:00  u  beyond  v  play   500
    """)
    found = {
        (row["sessionId"], row["sessionStart"].hour): [
            tuple(visit[name] for name in ("eventCount", "exceedingCount", "startsHere"))
            for visit in row["visits"]
        ]
        for row in session_table(events, {"v": 100_000}, PARAMETERS)
    }
    assert found == {
        ("s", 10): [(2, 0, True)],
        ("s", 12): [(1, 1, True)],
        ("beyond", 12): [(0, 1, False)],
    }


def test_what_is_an_event_again_by_its_values_stays_so_whatever_its_id_says() -> None:
    events = parse_events("""
        10:00:00  u  s  v  play    0  x1
        10:00:00  u  s  v  play    0  id=a   # the first again, and says less
        10:00:05  u  s  v  play    5  id=a   # the second again, by its id
        10:00:10  u  s  v  pause  10
    """)
    counts = FromEvents(PARAMETERS)(prepared(events, {}, PARAMETERS))[COUNTS].to_pylist()[-1]
    assert counts[:2] == [4, 2]
    assert len(deduplicate(events)[0]) == 2


# --- arrays and unions ----------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 9)), max_size=30))
def test_spans_are_united_per_key(rows: list[tuple[int, int, int]]) -> None:
    key, start, length = (np.array([row[k] for row in rows], np.int64) for k in range(3))
    united = unite(Spans(key, start, start + length))
    found = list(zip(*(column.tolist() for column in united), strict=True))
    assert found == [
        (key_, *span)
        for key_ in range(3)
        for span in union((s, s + n) for k, s, n in rows if k == key_)
    ]


SPANS = pa.list_(
    pa.struct(
        [
            ("startMs", pa.int64()),
            ("endMs", pa.int64()),
            ("clockMs", pa.int64()),
            ("evidence", pa.string()),
            ("closedAt", pa.timestamp("us", tz="UTC")),
        ]
    )
)


def spans(*told: tuple[int, int, int, str, int]) -> list[dict[str, Any]]:
    names = ("startMs", "endMs", "clockMs", "evidence", "closedAt")
    return [dict(zip(names, one, strict=True)) for one in told]


def test_rows_of_a_key_are_merged_and_their_spans_added_up_by_evidence() -> None:
    rows = pa.table(
        {
            "userId": ["u", "w", "u"],
            "videoId": ["v", "v", "v"],
            "count": pa.array([1, None, 2], pa.int64()),
            "first": pa.array([5, None, 3], pa.int64()),
            "last": pa.array([5, None, None], pa.int64()),
            "told": [{"at": 1, "title": "a"}, {"at": 3, "title": "b"}, {"at": 2, "title": "c"}],
            "spans": pa.array(
                [
                    spans((2, 10, 5, "observed", 7), (40, 42, 0, "bridged", 7)),
                    None,
                    spans((5, 12, 4, "clipped", 6), (30, 31, 0, "bridged", 7)),
                ],
                SPANS,
            ),
        }
    )
    merge = Merge(
        keys=("userId", "videoId"),
        spans="spans",
        sums=("count",),
        least=("first",),
        greatest=("last", "told"),
        lists=(),
        evidence=True,
        unite=True,
    )
    by_evidence = (f"{evidence}Ms" for evidence in EVIDENCE)
    nothing = dict.fromkeys(("watchMs", "clockMs", *by_evidence, "uniqueMs"), 0)
    merged = sorted(merge(rows).to_pylist(), key=lambda row: str(row["userId"]))
    assert merged == [
        {"userId": "u", "videoId": "v", "count": 3, "first": 3, "last": 5}
        | {"told": {"at": 2, "title": "c"}}
        | nothing
        | {"watchMs": 18, "clockMs": 9, "observedMs": 8, "clippedMs": 7, "bridgedMs": 3}
        | {"lastPlayedAt": at(7), "resumeMs": 42, "uniqueMs": 13, "gapMs": 18}
        | {
            "watchedIntervals": [
                {"startMs": 2, "endMs": 12},
                {"startMs": 30, "endMs": 31},
                {"startMs": 40, "endMs": 42},
            ]
        },
        {"userId": "w", "videoId": "v", "count": 0, "first": None, "last": None}
        | {"told": {"at": 3, "title": "b"}}
        | nothing
        | {"lastPlayedAt": None, "resumeMs": None, "gapMs": 0}
        | {"watchedIntervals": []},
    ]
    not_united = replace(merge, unite=False)(rows).to_pylist()
    assert {(row["watchedIntervals"], row["uniqueMs"]) for row in not_united} == {(None, None)}


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
