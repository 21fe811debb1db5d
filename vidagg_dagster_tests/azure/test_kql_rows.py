"""The KQL of the pack, executed: its rows beside the reference and the engine."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.azure.pack import RawEvent, Window, render
from vidagg_dagster.metrics.lifetime import merge_days
from vidagg_dagster_tests.support import peter, use_cases
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.engine_frames import RUN_TIME, Computed
from vidagg_dagster_tests.support.event_tables import parse_events
from vidagg_dagster_tests.support.kql_engine import azure, raw_events, window_of
from vidagg_dagster_tests.support.kql_rows import (
    assert_exact_or_said,
    keyed,
    text_of,
)
from vidagg_dagster_tests.support.kql_world import World
from vidagg_dagster_tests.support.reference import (
    EPOCH,
    SessionRow,
    daily_rows,
    deduplicate,
    interval_rows,
    session_rows,
)


def test_scenarios_and_random_players_have_the_rows_of_the_reference(world: World) -> None:
    uncertain = assert_exact_or_said(world.found, world.expected)
    assert 0 < uncertain < 0.2 * len(world.expected)


def test_scenarios_and_random_players_have_the_rows_of_the_engine(
    world: World, sail: SparkSession
) -> None:
    kept, _ = deduplicate(world.events)
    computed = Computed(sail, kept, world.durations)
    merged = merge_days(computed.daily, parameters=computed.parameters, run_time=RUN_TIME)
    engine = {}
    for row in rows_of(merged):
        row |= {name: row[name] or "" for name in _TEXTS}
        row["watchedIntervals"] = [[s["startMs"], s["endMs"]] for s in row["watchedIntervals"]]
        row["activeDays"] = [f"{day}" for day in row["activeDays"]]
        del row["processedAt"]
        engine[row["userId"], row["videoId"]] = row
    assert_exact_or_said(world.found, engine)


_TEXTS = ("videoTitle", "videoDurationSource", "engagementTier")


def test_the_example_needs_no_table_and_gives_peter_s_row() -> None:
    with azure([]) as tables:
        (row,) = tables.rows(render("user_video", "example"))
    assert {name: row[name] for name in peter.ROW} == peter.ROW
    assert row["isExact"]


def test_a_workspace_gives_the_same_rows_as_application_insights(world: World) -> None:
    text = text_of("user_video", window_of(world.events), world.durations, source="appevents")
    assert keyed(world.tables, text) == world.found


def test_numbers_among_the_measurements_are_read_like_dimensions() -> None:
    events = [
        RawEvent(
            datetime.fromisoformat(event["timestamp"]).replace(tzinfo=None),
            event["eventName"],
            {name: event[name] for name in ("userId", "sessionId", "videoId")},
            measures={"currentTime": event["currentTime"], "playbackRate": 1},
        )
        for event in peter.EVENTS
    ]
    day = events[0].timestamp.date()
    text = text_of("user_video", Window(day, day), {"video_001": 1000 * peter.DURATION})
    with azure(events) as tables:
        (row,) = tables.rows(text)
    assert {name: row[name] for name in peter.ROW} == peter.ROW


def test_days_without_events_have_no_rows() -> None:
    with azure([]) as tables:
        assert tables.rows(render("user_video", "customevents")) == []


def test_only_the_days_asked_for_count_and_the_day_before_is_context() -> None:
    events = parse_events("""
        01-12 23:59:00  u  s  v  play      0
        01-13 00:01:00  u  s  v  pause   120
        01-14 10:00:00  u  t  v  play      0
        01-14 10:00:10  u  t  v  pause    10
    """)
    with azure(raw_events(events)) as tables:
        day = datetime(2025, 1, 13).date()
        found = keyed(tables, text_of("user_video", Window(day, day), {"v": 300_000}))
    assert found["u", "v"]["totalWatchTime"] == 120
    assert found["u", "v"]["sessionCount"] == 0
    assert found["u", "v"]["activeDays"] == ["2025-01-13"]


def test_a_sampled_event_makes_its_row_inexact() -> None:
    events = parse_events(PAIR_OF_VIDEOS)
    raw = raw_events(events)
    raw[0] = raw[0]._replace(item_count=3)
    with azure(raw) as tables:
        found = keyed(tables, text_of("user_video", window_of(events), {}))
    assert {pair: row["isExact"] for pair, row in found.items()} == {
        ("u", "a"): False,
        ("u", "b"): True,
    }


def test_a_dropped_order_of_ties_gives_other_rows(world: World) -> None:
    text = text_of("user_video", window_of(world.events), world.durations)
    broken = text.replace("us asc, tie asc, rank asc, sent asc", "us asc, rank desc, sent asc")
    assert broken != text
    with pytest.raises(AssertionError, match="KQL, reference"):
        assert_exact_or_said(keyed(world.tables, broken), world.expected)


# --- the other queries ----------------------------------------------------------------------------

PAIR_OF_VIDEOS = """
    10:00:00  u  s  a  play    0
    10:00:20  u  s  a  pause  20
    10:00:25  u  s  b  play    0
    10:00:55  u  s  b  pause  30
    10:01:05  u  s  a  play   20
    10:01:15  u  s  a  ended  30
"""


def _microseconds(instant: datetime) -> int:
    elapsed = instant - EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def test_sessions_are_those_of_the_reference(world: World) -> None:
    users = world.exact_users
    found = Counter(
        SessionRow(
            row["userId"],
            row["sessionId"],
            _microseconds(row["sessionStart"]),
            row["event_date"].date(),
            row["continuesFromPreviousDay"],
            row["eventCount"],
            row["durationMs"],
            row["videoCount"],
            row["watchMs"],
        )
        for row in world.rows("sessions")
        if row["userId"] in users
    )
    reference = session_rows(world.events, world.durations)
    assert found == Counter(row for row in reference if row.user in users)


def test_watch_intervals_are_those_of_the_reference(world: World) -> None:
    users = world.exact_users
    found = Counter(
        (
            row["userId"],
            row["sessionId"],
            row["videoId"],
            row["event_date"].date(),
            row["startMs"],
            row["endMs"],
            row["clockMs"],
            row["evidence"],
            _microseconds(row["openedAt"]),
            _microseconds(row["closedAt"]),
        )
        for row in world.rows("watch_intervals")
        if row["userId"] in users
    )
    reference = interval_rows(world.events, world.durations)
    assert found == Counter(tuple(row) for row in reference if row.user in users)


@pytest.mark.parametrize(
    ("query", "use_case", "key"),
    [
        ("top_videos", "top videos", ("videoId",)),
        ("segments", "power users", ("userId",)),
        ("drop_off", "drop-off", ("videoId", "position")),
    ],
)
def test_use_cases_are_the_published_sql_over_the_same_rows(
    world: World, query: str, use_case: str, key: tuple[str, ...]
) -> None:
    table = [{name: row[name] for name in _FOR_SQL} for row in world.found.values()]
    connection = duckdb.connect()
    connection.register("aggregated_user_video_engagement", pa.Table.from_pylist(table))
    answer = connection.execute(use_cases.QUERIES[use_case])
    names = [column[0] for column in answer.description or ()]
    expected = {
        tuple(row[name] for name in key): row
        for row in (dict(zip(names, values, strict=True)) for values in answer.fetchall())
    }
    found = {
        tuple(row[name] for name in key): {name: row[name] for name in names}
        for row in world.rows(query)
        if row.get("engagementTier", "High") == "High"
    }
    assert found.keys() == expected.keys() != set()
    for place, row in expected.items():
        assert found[place] == pytest.approx(row, nan_ok=True), place


_FOR_SQL = (
    *("userId", "videoId", "watchPercentage", "engagementTier"),
    *("maxPositionReached", "completionCount"),
)


def test_replays_add_up_to_the_rows_of_the_users(world: World) -> None:
    for row in world.rows("replays"):
        own = [one for (_, video), one in world.found.items() if video == row["videoId"]]
        assert row["viewersInAll"] == len(own)
        assert row["replayingViewers"] == sum(one["isReplay"] for one in own)
        assert row["sessionCount"] == sum(one["sessionCount"] for one in own)
        watched = sum(one["totalWatchTime"] for one in own)
        assert row["watchedSeconds"] == pytest.approx(watched)


def test_skips_add_up_to_the_rows_of_the_users(world: World) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for row in world.rows("skips"):
        found[row["videoId"], row["direction"]] += row["skips"]
        assert row["fromSecond"] % 30 == 0
    expected: Counter[tuple[str, str]] = Counter()
    for (_, video), one in world.found.items():
        expected[video, "forward"] += one["totalForwardSkips"]
        expected[video, "backward"] += one["totalBackwardSkips"]
    assert found == +expected


def test_videos_per_day_are_the_days_of_the_reference(world: World) -> None:
    users = world.exact_users
    expected: dict[tuple[str, Any], list[int]] = defaultdict(lambda: [0, 0, 0])
    for (user, _, day), row in daily_rows(world.events, world.durations).items():
        if row.first_us is not None and user in users:
            sums = expected[user, day]
            sums[0] += 1
            sums[1] += row.completion_count > 0
            sums[2] += row.watch_ms
    found = {
        (row["userId"], row["event_date"].date()): [
            row["videosSeen"],
            row["videosCompleted"],
            round(row["watchedSeconds"] * 1000),
        ]
        for row in world.rows("videos_per_day")
        if row["userId"] in users
    }
    assert found == expected


def test_unfinished_says_where_and_how_each_video_was_left() -> None:
    events = parse_events("""
        10:00:00  closes  s  v  play       0
        10:00:10  closes  s  v  progress  10
        10:00:00  pauses  s  v  play       0
        10:00:20  pauses  s  v  pause     20
        10:00:00  ends    s  v  play       0
        10:05:00  ends    s  v  ended    300
    """)
    with azure(raw_events(events)) as tables:
        rows = tables.rows(text_of("unfinished", window_of(events), {"v": 300_000}))
    assert [(row["userId"], row["lastPosition"], row["left"]) for row in rows] == [
        ("closes", 10.0, "while playing"),
        ("pauses", 20.0, "while paused"),
    ]


def test_switching_counts_the_changes_of_video_in_a_session() -> None:
    events = parse_events(PAIR_OF_VIDEOS)
    events.append(replace(events[0], user="stays"))
    with azure(raw_events(events)) as tables:
        (row,) = tables.rows(text_of("switching", window_of(events), {}))
    assert row == {
        "userId": "u",
        "sessionId": "s",
        "switches": 2,
        "videos": 2,
        "meanSecondsBefore": 7.5,
    }


def test_data_quality_counts_every_event_of_a_known_name_once() -> None:
    at = datetime(2025, 1, 12, 10)
    dims = {"userId": "u", "sessionId": "s", "videoId": "v", "currentTime": "1.5"}
    raw = [
        RawEvent(at, "video_play", dims),
        RawEvent(at, "video_play", dims),
        RawEvent(at, " Play ", {**dims, "userId": " u "}),
        RawEvent(at, "page_view", dims),
        RawEvent(at, "video_pause", {**dims, "userId": "null"}),
        RawEvent(at, "video_pause", {"currentTime": "x"}),
        RawEvent(at, "video_pause", {**dims, "currentTime": "-1"}),
        RawEvent(at, "video_pause", {**dims, "currentTime": "NaN"}, 4),
        RawEvent(at, "video_ended", {**dims, "currentTime": "N/A"}),
    ]
    day = at.date()
    with azure(raw) as tables:
        (row,) = tables.rows(text_of("data_quality", Window(day, day), {}))
    assert row == {
        "event_date": at.replace(hour=0, tzinfo=UTC),
        "input": 8,
        "accepted": 1,
        "duplicates": 2,
        "rejected": 5,
        "missing_user": 2,
        "missing_session": 1,
        "missing_video": 1,
        "missing_position": 1,
        "invalid_position": 3,
        "sampled": 1,
    }
