"""Dimensions: the first known value of a session, the set of a user and video, in any order."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.lifetime import merge_days
from vidagg_dagster.spark.arrow import Spread
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.engine_frames import RUN_TIME, Computed, session_rows
from vidagg_dagster_tests.support.event_tables import parse_events
from vidagg_dagster_tests.support.folded import (
    assert_folds_to_the_reference,
    lifetime_of,
    session_table,
)
from vidagg_dagster_tests.support.reference import (
    Event,
    day_of,
    deduplicate,
    lifetime_rows,
    settle,
)
from vidagg_dagster_tests.support.strategies import DURATIONS, ZONES, random_events

PARAMETERS = EngagementParameters()
DEVICES = (None, None, None, "phone", "tv", "Tv", "\u00e4pfel")


def with_devices(events: list[Event], seed: int) -> list[Event]:
    chosen = random.Random(seed)
    return [replace(event, device=chosen.choice(DEVICES)) for event in events]


def devices_of_sessions(table: str) -> list[str | None]:
    rows = session_table(parse_events(table), DURATIONS, PARAMETERS)
    return [row["device"] for row in sorted(rows, key=lambda r: (r["sessionStart"], str(r)))]


def devices_of(table: str) -> dict[tuple[str, str], set[str]]:
    return {pair: row.devices for pair, row in lifetime_of(parse_events(table), DURATIONS).items()}


def test_the_first_known_value_of_a_session_counts() -> None:
    table = """
        10:00:00  u  s  talk   play    0
        10:00:10  u  s  talk   pause  10  on=phone
        10:00:20  u  s  short  play    0  on=tv
    """
    assert devices_of_sessions(table) == ["phone"]
    assert devices_of(table) == {("u", "talk"): {"phone"}, ("u", "short"): {"phone"}}


def test_a_session_that_says_nothing_has_none_and_takes_none_of_another() -> None:
    table = """
        10:00:00  u  s  talk  play    0
        10:00:10  u  s  talk  pause  10
        12:00:00  u  s  talk  play   10  on=tv     # another session: two hours later
        12:00:10  u  s  talk  pause  20
        12:00:00  u  t  talk  play    0            # and another of the same time
        12:00:10  u  t  talk  pause  10
    """
    assert devices_of_sessions(table) == [None, "tv", None]
    assert devices_of(table) == {("u", "talk"): {"tv"}}


def test_of_one_instant_name_then_position_then_video_decide() -> None:
    of_name = """
        10:00:00  u  s  talk  pause  5  on=second
        10:00:00  u  s  talk  play   9  on=first
    """
    of_position = """
        10:00:00  u  s  talk  play  9  on=second
        10:00:00  u  s  talk  play  5  on=first
    """
    of_video = """
        10:00:00  u  s  talk   play  5  on=second
        10:00:00  u  s  short  play  5  on=first
    """
    for table in (of_name, of_position, of_video):
        assert devices_of_sessions(table) == ["first"]


def test_the_part_after_midnight_has_the_value_of_the_evening_and_the_evening_none_of_it() -> None:
    told_before = """
        01-12 23:59:50  u  s  talk  play    0  on=tv
        01-13 00:00:10  u  s  talk  pause  20  on=phone
    """
    assert devices_of_sessions(told_before) == ["tv", "tv"]
    told_after = """
        01-12 23:59:50  u  s  talk  play    0
        01-13 00:00:10  u  s  talk  pause  20  on=phone
    """
    rows = session_table(parse_events(told_after), DURATIONS, PARAMETERS)
    assert {row["event_date"].day: row["device"] for row in rows} == {12: None, 13: "phone"}


def test_a_user_and_video_has_the_values_of_all_sessions_each_once_and_sorted() -> None:
    table = """
        01-12 10:00:00  u  a  talk  play  0  on=tv
        01-13 10:00:00  u  b  talk  play  0  on=phone
        01-14 10:00:00  u  c  talk  play  0  on=tv
        01-14 12:00:00  u  d  talk  play  999  on=watch    # beyond the video: no visit
    """
    assert devices_of(table) == {("u", "talk"): {"tv", "phone"}}


def test_of_repeated_events_the_one_that_tells_its_dimension_stays() -> None:
    silent, told = parse_events(
        "10:00:00 u s talk play 0 id=a\n10:00:00 u s talk play 0 on=tv id=b"
    )
    for events in ([silent, told], [told, silent]):
        assert deduplicate(events) == ([told], 1)
        assert lifetime_of(events, DURATIONS)["u", "talk"].devices == {"tv"}


@pytest.mark.parametrize("zone", ZONES)
def test_random_events_in_any_order_fold_to_the_reference(zone: str) -> None:
    events = with_devices(random_events(17, n_users=60), 3)
    random.Random(4).shuffle(events)
    assert_folds_to_the_reference(events, zone)


def test_random_events_have_sessions_of_every_kind() -> None:
    settled = settle(with_devices(random_events(17, n_users=60), 3), DURATIONS)
    seen = Counter(row.device for row in settled.sessions)
    assert set(seen) == set(DEVICES)
    assert max(len(row.devices) for row in lifetime_rows(settled.daily).values()) > 2


def test_days_alone_give_the_sessions_of_all_days_at_once() -> None:
    kept, _ = deduplicate(with_devices(random_events(18, n_users=40), 5))
    together = session_table(kept, DURATIONS, PARAMETERS)
    days = sorted({row["event_date"] for row in together})
    random.Random(6).shuffle(days)
    alone = [row for day in days for row in session_table(kept, DURATIONS, PARAMETERS, days=(day,))]
    assert sorted(map(repr, alone)) == sorted(map(repr, together))


def test_an_engine_gives_the_reference_s_sessions_days_and_lifetime(spark: SparkSession) -> None:
    kept, _ = deduplicate(with_devices(random_events(19, n_users=15), 7))
    settled = settle(kept, DURATIONS)
    found = Computed(spark, kept, DURATIONS, dimensions=["device"], spread=Spread(len(kept)))
    assert session_rows(found.sessions) == sorted(settled.sessions)
    daily = {(r["userId"], r["videoId"], r["event_date"]): r for r in rows_of(found.daily)}
    assert {key: row["device"] for key, row in daily.items()} == {
        key: sorted(row.devices) for key, row in settled.daily.items()
    }
    merged = merge_days(
        found.daily.orderBy("event_date", ascending=False),
        parameters=PARAMETERS,
        run_time=RUN_TIME,
        dimensions=["device"],
        spread=Spread(len(daily)),
    )
    assert {(r["userId"], r["videoId"]): r["device"] for r in rows_of(merged)} == {
        pair: sorted(row.devices) for pair, row in lifetime_rows(settled.daily).items()
    }


def test_without_a_dimension_rows_have_no_further_column(sail: SparkSession) -> None:
    kept = with_devices(random_events(20, n_users=2), 7)
    assert all(day_of(event.us, "UTC") for event in kept)
    found = Computed(sail, deduplicate(kept)[0], DURATIONS)
    assert "device" not in {*found.sessions.columns, *found.daily.columns}
