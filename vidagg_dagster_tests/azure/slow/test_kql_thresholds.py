"""The KQL of the pack with other thresholds than the published ones: each text takes seconds."""

from dataclasses import asdict

import pytest

from vidagg_dagster_tests.metrics.test_scenarios_reference import parameters_of
from vidagg_dagster_tests.support.kql_rows import assert_exact_or_said, expected_rows, found_rows
from vidagg_dagster_tests.support.kql_world import GROUPS, Changes, events_and_durations


@pytest.mark.parametrize("changes", [key for key in GROUPS if key], ids=lambda key: key[0][0])
def test_scenarios_with_other_thresholds_have_the_rows_of_the_reference(changes: Changes) -> None:
    events, durations = events_and_durations(GROUPS[changes])
    parameters = parameters_of(GROUPS[changes][0])
    found = found_rows(events, durations, asdict(parameters))
    assert assert_exact_or_said(found, expected_rows(events, durations, parameters)) == 0
