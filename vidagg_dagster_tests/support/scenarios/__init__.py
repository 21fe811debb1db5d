"""Viewing behaviour as readable tables, with the numbers that the metric definitions demand.

The expected values are worked out by hand from docs/metrics.md, never copied from a run. Only the
columns that matter to a scenario are named; the set of rows is always complete.
"""

from vidagg_dagster_tests.support.scenarios import (
    days,
    durations,
    edges,
    engagement,
    ingestion,
    intervals,
    pauses,
    players,
    reports,
    seeks,
    sessions,
    skips,
    tails,
)
from vidagg_dagster_tests.support.scenarios.scenario import Scenario, day, differences, set_apart

__all__ = ["SCENARIOS", "Scenario", "day", "differences", "set_apart"]

SCENARIOS: tuple[Scenario, ...] = (
    *intervals.SCENARIOS,
    *tails.SCENARIOS,
    *skips.SCENARIOS,
    *seeks.SCENARIOS,
    *players.SCENARIOS,
    *pauses.SCENARIOS,
    *sessions.SCENARIOS,
    *days.SCENARIOS,
    *ingestion.SCENARIOS,
    *durations.SCENARIOS,
    *engagement.SCENARIOS,
    *edges.SCENARIOS,
    *reports.SCENARIOS,
)
