"""The engine against the sequential reference and the hand-made scenarios, on every engine."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.engagement import duration_estimates, user_video_engagement
from vidagg_dagster.metrics.lifetime import merge_days
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster_tests.metrics.test_scenarios_reference import parameters_of
from vidagg_dagster_tests.support.against_reference import (
    DAILY_KEY,
    IN_THREE_PARTS,
    PAIR_KEY,
    assert_equals_reference,
    however_parted,
    plain,
)
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.engine_frames import (
    RUN_TIME,
    Computed,
    keyed,
    session_rows,
    settled_rows,
)
from vidagg_dagster_tests.support.reference import (
    DEFAULT_PARAMETERS,
    Event,
    day_of,
    deduplicate,
    estimated_durations,
    settle,
)
from vidagg_dagster_tests.support.scenarios import SCENARIOS, Scenario, day, differences, set_apart
from vidagg_dagster_tests.support.strategies import DURATIONS, ZONES, event_lists, random_events


def batches() -> dict[str, list[Scenario]]:
    """Scenarios that share rules and zone, to be computed in one go."""
    together: dict[str, list[Scenario]] = defaultdict(list)
    for number, scenario in enumerate(SCENARIOS):
        name = f"{sorted(scenario.parameters.items())} {scenario.timezone}"
        together[name].append(set_apart(scenario, f"{number:02d}-"))
    return together


PUBLISHED = "[] UTC"
"""The batch of the published rules, in UTC."""


def test_the_engine_gives_the_numbers_worked_out_by_hand(spark: SparkSession) -> None:
    assert_as_by_hand(spark, batches()[PUBLISHED], ANY_SIZE)


@pytest.mark.usefixtures("patient")
def test_users_in_parts_give_the_numbers_worked_out_by_hand(spark: SparkSession) -> None:
    assert_as_by_hand(spark, batches()[PUBLISHED], IN_THREE_PARTS)


@pytest.mark.parametrize("name", sorted(batches().keys() - {PUBLISHED}))
@pytest.mark.usefixtures("patient")
def test_the_engine_does_so_by_changed_rules_and_in_other_zones(
    spark: SparkSession, name: str
) -> None:
    assert_as_by_hand(spark, batches()[name], ANY_SIZE)


def assert_as_by_hand(spark: SparkSession, batch: list[Scenario], spread: Spread) -> None:
    timezone = batch[0].timezone
    events = [e for s in batch for e in deduplicate(s.parsed(), timezone)[0]]
    random.Random(11).shuffle(events)
    durations = {video: ms for s in batch for video, ms in s.durations_ms().items()}
    parameters = EngagementParameters.model_validate(batch[0].parameters)
    computed = Computed(
        spark, events, durations, parameters=parameters, timezone=timezone, spread=spread
    )
    merged = merge_days(computed.daily, parameters=parameters, run_time=RUN_TIME, spread=spread)
    lifetime = keyed(rows_of(merged), PAIR_KEY)
    daily = keyed(rows_of(computed.daily), DAILY_KEY)
    sessions = session_rows(computed.sessions)

    assert set(lifetime) == {pair for s in batch for pair in s.rows}
    wrong: list[str] = []
    for scenario in batch:
        for pair, expected in scenario.rows.items():
            wrong += [f"{scenario}: {d}" for d in differences(plain(lifetime[pair]), expected)]
        for (user, video, text), expected in (scenario.days or {}).items():
            row = daily.get((user, video, day(text)), {})
            wrong += [f"{scenario}, {text}: {d}" for d in differences(plain(row), expected)]
        users = {event.user for event in scenario.parsed()}
        if scenario.days is not None:
            assert {key for key in daily if key[0] in users} == {
                (user, video, day(text)) for user, video, text in scenario.days
            }, scenario
        if scenario.sessions is not None:
            assert sorted(
                (
                    *(s.date, s.user, s.session, s.continues),
                    *(s.event_count, s.duration_ms, s.video_count),
                )
                for s in sessions
                if s.user in users
            ) == sorted(
                (
                    *(day(s.day), s.user, s.session, s.continues),
                    *(s.events, round(s.seconds * 1000), s.videos),
                )
                for s in scenario.sessions
            ), scenario
    assert wrong == []


@pytest.mark.usefixtures("patient")
def test_many_users_equal_the_reference_to_the_last_digit(spark: SparkSession) -> None:
    assert_equals_reference(spark, random_events(1, n_users=250), DURATIONS)


def test_many_users_in_parts_equal_the_reference_to_the_last_digit(spark: SparkSession) -> None:
    events = random_events(1, n_users=250)
    assert_equals_reference(spark, events, DURATIONS, spread=IN_THREE_PARTS)


@pytest.mark.usefixtures("patient")
def test_every_rule_can_be_changed_and_the_reference_still_agrees(
    spark: SparkSession,
) -> None:
    parameters: dict[str, Any] = {
        "session_timeout_ms": 600_000,
        "max_playback_rate": 1.25,
        "tolerance_ms": 250,
        "repair_seeks": False,
        "seek_back_ms": 500,
        "drag_window_ms": 1_000,
        "forward_skip_ms": 1_000,
        "backward_skip_ms": 500,
        "coverage_weight": Decimal("62.50"),
        "completion_weight": Decimal("25.25"),
        "rewatch_weight": Decimal("20"),
        "skip_penalty_limit": 3,
        "completion_coverage_percent": 90,
        "high_tier_score": Decimal("60.5"),
        "medium_tier_score": Decimal("30"),
        "low_tier_score": Decimal("10"),
        "excessive_watch_percent": 100,
        "very_short_watch_ms": 60_000,
        "position_limit_percent": 100,
    }
    events = random_events(3, n_users=150)
    zone = "Europe/Berlin"
    assert_equals_reference(spark, events, DURATIONS, parameters=parameters, timezone=zone)
    parameters["repair_seeks"] = True
    assert_equals_reference(spark, events, DURATIONS, parameters=parameters)


def renamed(events: Sequence[Event], number: int) -> list[Event]:
    return [
        replace(e, user=f"{number}-{e.user}", event_id=e.event_id and f"{number}-{e.event_id}")
        for e in events
    ]


# One Spark job has a fixed cost, so that an example is a batch of independent event lists.
@given(st.lists(event_lists(), min_size=1, max_size=12), st.sampled_from(ZONES))
@settings(
    max_examples=12,  # the fold alone has 200: here the engine is between
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,  # the session does not change between examples
    ],
)
def test_any_events_equal_the_reference(
    sail: SparkSession, lists: list[list[Event]], timezone: str
) -> None:
    events = [e for number, events in enumerate(lists) for e in renamed(events, number)]
    assert_equals_reference(sail, events, DURATIONS, timezone=timezone)


@pytest.mark.usefixtures("patient")
def test_days_computed_singly_and_in_ranges_equal_one_pass(spark: SparkSession) -> None:
    timezone = "Europe/Berlin"
    kept, _ = deduplicate(random_events(4, n_users=250), timezone)
    everything = Computed(spark, kept, DURATIONS, timezone=timezone)
    expected = keyed(rows_of(everything.daily), DAILY_KEY)
    expected_sessions = session_rows(everything.sessions)
    by_day: dict[date, list[Event]] = defaultdict(list)
    for event in kept:
        by_day[day_of(event.us, timezone)].append(event)
    last = max(by_day) + timedelta(days=1)
    days = [min(by_day) + timedelta(days=n) for n in range((last - min(by_day)).days + 1)]

    generator = random.Random(5)
    for parts in ([[d] for d in days], [days[::2], days[1::2]]):
        generator.shuffle(parts)
        daily: dict[Any, Any] = {}
        sessions: list[Any] = []
        for part in parts:
            needed = {d for day in part for d in (day, day - timedelta(days=1))}
            seen = [e for d in sorted(needed) for e in by_day.get(d, [])]
            generator.shuffle(seen)
            computed = Computed(spark, seen, DURATIONS, timezone=timezone, days=part)
            daily |= keyed(rows_of(computed.daily), DAILY_KEY)
            sessions += session_rows(computed.sessions)
        assert daily == expected
        assert sorted(sessions) == expected_sessions


@pytest.mark.usefixtures("patient")
def test_unknown_durations_are_estimated_only_when_asked(spark: SparkSession) -> None:
    kept, _ = deduplicate(random_events(6, n_users=60), "UTC")
    computed = Computed(spark, kept, {})
    assert {row["videoDuration"] for row in rows_of(computed.daily)} == {None}
    assert {row["engagementScore"] for row in rows_of(computed.daily)} == {None}

    estimated = user_video_engagement(
        computed.sessions,
        computed.videos,
        parameters=computed.parameters,
        run_time=RUN_TIME,
        estimates=duration_estimates(computed.daily),
    )
    settled = settle(kept, {}, DEFAULT_PARAMETERS, "UTC")
    durations = {v: ms for v, ms in estimated_durations(settled.daily).items() if ms > 0}
    expected = settled_rows(settled, durations, DEFAULT_PARAMETERS)
    columns = list(next(iter(expected.values())))
    assert keyed(rows_of(estimated), DAILY_KEY, columns) == expected
    assert {row["videoDurationSource"] for row in rows_of(estimated)} == {"estimated"}

    lifetime = rows_of(
        merge_days(computed.daily, parameters=computed.parameters, run_time=RUN_TIME, estimate=True)
    )
    assert {(row["videoId"], row["videoDuration"]) for row in lifetime} == {
        (video, ms / 1000) for video, ms in durations.items()
    }


def test_metadata_durations_are_never_replaced_by_estimates(spark: SparkSession) -> None:
    kept, _ = deduplicate(random_events(7, n_users=60), "UTC")
    known = dict(list(DURATIONS.items())[:1])
    computed = Computed(spark, kept, known)
    lifetime = rows_of(
        merge_days(computed.daily, parameters=computed.parameters, run_time=RUN_TIME, estimate=True)
    )
    sources = {(row["videoId"], row["videoDurationSource"]) for row in lifetime}
    assert {source for video, source in sources if video in known} == {"metadata"}
    assert {source for video, source in sources if video not in known} == {"estimated"}


@however_parted
def test_without_the_union_everything_that_follows_from_it_is_null(
    spark: SparkSession, spread: Spread
) -> None:
    kept, _ = deduplicate(random_events(8, n_users=60), "UTC")
    computed = Computed(spark, kept, DURATIONS)
    quick = user_video_engagement(
        computed.sessions,
        computed.videos,
        parameters=computed.parameters,
        run_time=RUN_TIME,
        unique=False,
        spread=spread,
    )
    follows = (
        "totalUniqueSecondsWatched",
        "uniqueWatchPercentage",
        "rewatchedSeconds",
        "watchedIntervals",
        "largestUnseenGap",
        "engagementScore",
        "engagementTier",
    )
    flags = ("qualityFlags", "dataQualityFlag")
    whole = keyed(rows_of(computed.daily), DAILY_KEY)
    partial = keyed(rows_of(quick), DAILY_KEY)
    assert set(whole) == set(partial)
    for key, row in partial.items():
        assert all(row[column] is None for column in follows)
        assert {c: v for c, v in row.items() if c not in follows + flags} == {
            c: v for c, v in whole[key].items() if c not in follows + flags
        }


def test_the_rules_of_every_scenario_mean_the_same_to_engine_and_reference() -> None:
    for scenario in SCENARIOS:
        ours = EngagementParameters.model_validate(scenario.parameters)
        theirs = parameters_of(scenario)
        assert {name: getattr(theirs, name) for name in type(ours).model_fields} == dict(ours)


def test_spark_connect_gives_the_same_rows(connect_spark: SparkSession) -> None:
    assert_equals_reference(connect_spark, random_events(9, n_users=150), DURATIONS)
