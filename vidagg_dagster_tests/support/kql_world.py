"""Many players at once in the tables of Azure: what KQL and the reference make of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vidagg_dagster_tests.benchmarks.test_duckdb_reference import drags
from vidagg_dagster_tests.support.kql_engine import Azure, Row, window_of
from vidagg_dagster_tests.support.kql_rows import Pair, by_pair, expected_rows, text_of
from vidagg_dagster_tests.support.reference import Event
from vidagg_dagster_tests.support.scenarios import SCENARIOS, Scenario, set_apart
from vidagg_dagster_tests.support.strategies import DURATIONS, random_events

Changes = tuple[tuple[str, object], ...]


def _by_parameters() -> Mapping[Changes, list[Scenario]]:
    """Scenarios of UTC, whose days KQL has, by the thresholds that they change.

    KQL reads no reports of what was watched.
    """
    groups: dict[Changes, list[Scenario]] = defaultdict(list)
    for number, scenario in enumerate(SCENARIOS):
        if scenario.timezone == "UTC" and " reported " not in scenario.events:
            apart = set_apart(scenario, f"{number:03d}-")
            groups[tuple(sorted(scenario.parameters.items()))].append(apart)
    return groups


GROUPS = _by_parameters()


def events_and_durations(scenarios: Sequence[Scenario]) -> tuple[list[Event], dict[str, int]]:
    events = [event for scenario in scenarios for event in scenario.parsed()]
    durations: dict[str, int] = {}
    for scenario in scenarios:
        durations |= scenario.durations_ms()
    return events, durations


def players() -> tuple[list[Event], dict[str, int]]:
    """All scenarios with the published thresholds, random players, and hard ones."""
    events, durations = events_and_durations(GROUPS[()])
    events += random_events(3, n_users=40)
    events += [replace(event, user=f"drag-{event.user}") for event in drags(1)[:1500]]
    return events, durations | DURATIONS


class World:
    """The players in the tables, the rows of the reference, and the answers of queries."""

    def __init__(self, tables: Azure, events: list[Event], durations: dict[str, int]) -> None:
        self.tables, self.events, self.durations = tables, events, durations
        self.expected = expected_rows(events, durations)
        self._answers: dict[str, tuple[list[tuple[str, str]], list[Row]]] = {}
        self.found: dict[Pair, Row] = by_pair(self.rows("user_video"))

    def _answer(self, query: str) -> tuple[list[tuple[str, str]], list[Row]]:
        """Asked once, because the translation of a query takes a second."""
        if query not in self._answers:
            text = text_of(query, window_of(self.events), self.durations)
            self._answers[query] = self.tables.columns_and_rows(text)
        return self._answers[query]

    def rows(self, query: str) -> list[Row]:
        return self._answer(query)[1]

    def columns(self, query: str) -> list[tuple[str, str]]:
        """Names and KQL types."""
        return self._answer(query)[0]

    @property
    def exact_users(self) -> set[str]:
        uncertain = {user for (user, _), row in self.found.items() if not row["isExact"]}
        return {user for user, _ in self.found} - uncertain
