"""The scenarios against the reference: two readings of the definitions must agree."""

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from vidagg_dagster_tests.support.reference import (
    ReferenceParameters,
    deduplicate,
    lifetime_rows,
    published,
    settle,
)
from vidagg_dagster_tests.support.scenarios import SCENARIOS, Scenario, day, differences, set_apart


def parameters_of(scenario: Scenario) -> ReferenceParameters:
    changes: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in scenario.parameters.items()
    }
    return ReferenceParameters(**changes)


def check(scenario: Scenario) -> None:
    parameters, durations = parameters_of(scenario), scenario.durations_ms()
    events = scenario.parsed()
    random.Random(7).shuffle(events)
    kept, duplicates = deduplicate(events, scenario.timezone)
    assert duplicates == scenario.duplicates
    assert len(kept) + duplicates == len(events)

    settled = settle(events, durations, parameters, scenario.timezone)
    lifetime = lifetime_rows(settled.daily)
    assert set(lifetime) == set(scenario.rows)
    for (user, video), expected in scenario.rows.items():
        row = published(lifetime[user, video], durations.get(video), None, parameters)
        assert differences(row, expected) == [], f"{user} {video}"

    if scenario.days is not None:
        days = {(user, video, day(text)): row for (user, video, text), row in scenario.days.items()}
        assert set(settled.daily) == set(days)
        for key, expected in days.items():
            row = published(settled.daily[key], durations.get(key[1]), None, parameters)
            assert differences(row, expected) == [], key

    if scenario.sessions is not None:
        assert Counter(
            (s.date, s.user, s.session, s.continues, s.event_count, s.duration_ms, s.video_count)
            for s in settled.sessions
        ) == Counter(
            (
                day(s.day),
                s.user,
                s.session,
                s.continues,
                s.events,
                round(s.seconds * 1000),
                s.videos,
            )
            for s in scenario.sessions
        )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_the_reference_gives_the_numbers_worked_out_by_hand(scenario: Scenario) -> None:
    check(scenario)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_scenario_keeps_its_numbers_under_other_names(scenario: Scenario) -> None:
    check(set_apart(scenario, "07-"))


def test_every_scenario_has_its_own_name() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 34
