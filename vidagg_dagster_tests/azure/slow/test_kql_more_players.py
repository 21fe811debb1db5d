"""More random players through the KQL of the pack."""

import pytest

from vidagg_dagster_tests.benchmarks.test_duckdb_reference import drags
from vidagg_dagster_tests.support.kql_engine import azure, raw_events, window_of
from vidagg_dagster_tests.support.kql_rows import (
    assert_exact_or_said,
    expected_rows,
    found_rows,
    keyed,
    text_of,
)
from vidagg_dagster_tests.support.strategies import DURATIONS, random_events


@pytest.mark.parametrize("seed", range(10, 16))
def test_random_players_have_the_rows_of_the_reference(seed: int) -> None:
    events = random_events(seed, n_users=150)
    uncertain = assert_exact_or_said(
        found_rows(events, DURATIONS), expected_rows(events, DURATIONS)
    )
    assert uncertain < len(events) / 100


@pytest.mark.parametrize("seed", range(2, 5))
def test_players_that_drag_without_rest_are_exact_or_say_so(seed: int) -> None:
    events = drags(seed)
    assert_exact_or_said(found_rows(events, DURATIONS), expected_rows(events, DURATIONS))


@pytest.mark.parametrize(
    ("right", "broken"),
    [
        ("prev(position)", "next(position)"),
        ("depth == 0 or (depth == 1 and edge == 1)", "depth <= 1"),
        ("(rank == 7 and not(wasPlaying))", "false"),
    ],
)
def test_a_broken_query_gives_other_rows(right: str, broken: str) -> None:
    events = random_events(3, n_users=60)
    text = text_of("user_video", window_of(events), DURATIONS)
    assert right in text
    with azure(raw_events(events)) as tables:
        found, other = (keyed(tables, one) for one in (text, text.replace(right, broken)))
    assert other != found
