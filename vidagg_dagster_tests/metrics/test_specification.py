"""The examples that the metric definitions demand, to the last digit."""

import random
from collections.abc import Callable, Mapping, Sequence

import pytest

from vidagg_dagster_tests.support.folded import lifetime_of
from vidagg_dagster_tests.support.reference import Event, lifetime_rows, published, settle
from vidagg_dagster_tests.support.scenarios import differences
from vidagg_dagster_tests.support.specification import EXAMPLES, Example

Rows = Mapping[tuple[str, str], Mapping[str, object]]
Subject = Callable[[Sequence[Event], Mapping[str, int]], Rows]
"""Events and the lengths of videos in milliseconds to published rows by user and video."""


def by_the_reference(events: Sequence[Event], durations: Mapping[str, int]) -> Rows:
    lifetime = lifetime_rows(settle(events, durations).daily)
    return {key: published(row, durations.get(key[1])) for key, row in lifetime.items()}


def by_the_fold(events: Sequence[Event], durations: Mapping[str, int]) -> Rows:
    lifetime = lifetime_of(events, durations)
    return {key: published(row, durations.get(key[1])) for key, row in lifetime.items()}


SUBJECTS: dict[str, Subject] = {"reference": by_the_reference, "fold": by_the_fold}


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_of_the_definitions_holds_exactly(example: Example, subject: Subject) -> None:
    events = example.parsed()
    random.Random(7).shuffle(events)
    rows = subject(events, example.durations_ms())
    assert set(rows) == {(example.user, example.video)}
    assert differences(rows[example.user, example.video], example.columns) == []


def test_the_definitions_have_thirteen_examples() -> None:
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES) == 13
