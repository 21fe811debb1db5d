"""The KQL of the pack before Microsoft's own binder, and what a broken query is told."""

import pytest

from vidagg_dagster.azure.check import AZURE_TABLES, Checked, check
from vidagg_dagster.azure.pack import QUERIES, SOURCES
from vidagg_dagster.core.errors import KqlCheckError
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, SESSIONS, WATCH_INTERVALS, TableSpec
from vidagg_dagster_tests.support.kql_binder import BROKEN, KQL_TYPES, require_binder


@pytest.mark.parametrize("query", [*QUERIES, *SOURCES, "bill"])
def test_microsoft_s_binder_and_the_lint_find_nothing(
    checked: dict[str, Checked], query: str
) -> None:
    assert checked[query].findings == []


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_found(checked: dict[str, Checked], fault: str) -> None:
    codes = [finding.code for finding in checked[fault].findings]
    assert any(code.startswith(BROKEN[fault][1]) for code in codes), checked[fault]


def declared(table: TableSpec) -> dict[str, str]:
    return {column.name: KQL_TYPES[type(column.type)] for column in table.columns}


def test_user_video_has_the_columns_of_the_lifetime_table(checked: dict[str, Checked]) -> None:
    expected = declared(AGGREGATED_ENGAGEMENT)
    del expected["processedAt"]
    assert checked["user_video"].columns == [*expected.items(), ("isExact", "bool")]


def test_watch_intervals_has_the_columns_of_its_table(checked: dict[str, Checked]) -> None:
    assert checked["watch_intervals"].columns == list(declared(WATCH_INTERVALS).items())


def test_sessions_has_the_columns_of_its_table_but_for_the_visits(
    checked: dict[str, Checked],
) -> None:
    expected = declared(SESSIONS)
    del expected["visits"]
    assert checked["sessions"].columns == list(expected.items())


def test_without_node_the_check_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_binder()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KqlCheckError, match=r"no node in PATH.*Node 18"):
        check({"one": "AppEvents"})


def test_the_checked_tables_are_those_that_sources_read() -> None:
    assert {"customEvents", "AppEvents"} == set(AZURE_TABLES)
