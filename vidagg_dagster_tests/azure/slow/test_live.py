"""The pack on a real service, where VIDAGG_TEST_LOG_ANALYTICS names a workspace or a resource.

    VIDAGG_TEST_LOG_ANALYTICS=loganalytics://WORKSPACE-ID python -m pytest \
        vidagg_dagster_tests/azure/slow/test_live.py

The events are part of the query, so any workspace will do, and nothing is written.
"""

import json
import os
from collections.abc import Mapping

import pytest

from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.pack import QUERIES, Video, compose, inline_source, render
from vidagg_dagster.azure.source import parse_log_source
from vidagg_dagster.core.contract import DEFAULT_MAX_POSITION_S
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.kql_engine import Row, azure, raw_events, window_of
from vidagg_dagster_tests.support.kql_rows import assert_exact_or_said, by_pair, expected_rows
from vidagg_dagster_tests.support.kql_world import GROUPS, events_and_durations

LIVE = "VIDAGG_TEST_LOG_ANALYTICS"
DYNAMIC = ("watchedIntervals", "qualityFlags", "activeDays")


def inline_text(query: str, scenarios: int) -> str:
    """A query whose events are those of some scenarios, inside the text."""
    events, durations = events_and_durations(GROUPS[()][:scenarios])
    return compose(
        query,
        inline_source(raw_events(events)),
        window_of(events),
        parameters=EngagementParameters(),
        max_position_s=DEFAULT_MAX_POSITION_S,
        videos=[Video(name, ms / 1000) for name, ms in durations.items()],
    )


def test_events_inside_the_text_give_the_rows_of_the_reference() -> None:
    events, durations = events_and_durations(GROUPS[()][:10])
    with azure([]) as tables:
        found = by_pair(tables.rows(inline_text("user_video", 10)))
    assert_exact_or_said(found, expected_rows(events, durations))


@pytest.fixture
def service() -> LogsClient:
    location = os.environ.get(LIVE)
    if location is None:
        pytest.skip(f"{LIVE} names no workspace of Azure")
    return LogsClient(parse_log_source(location))


def rows_of(service: LogsClient, text: str) -> list[Row]:
    answer = service.ask(text)
    return [_plain(dict(zip(answer.columns, row, strict=True))) for row in answer.rows]


def _plain(row: Mapping[str, object]) -> Row:
    return {
        name: json.loads(value) if name in DYNAMIC and isinstance(value, str) else value
        for name, value in row.items()
    }


def test_the_service_gives_peter_s_row(service: LogsClient) -> None:
    (row,) = rows_of(service, render("user_video", "example"))
    assert {name: row[name] for name in peter.ROW} == peter.ROW


@pytest.mark.parametrize("query", QUERIES)
def test_the_service_gives_the_rows_of_the_engine_of_the_tests(
    service: LogsClient, query: str
) -> None:
    text = inline_text(query, 40)
    with azure([]) as tables:
        expected = tables.rows(text)
    found = rows_of(service, text)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert {name: one[name] for name in one if name not in DYNAMIC} == pytest.approx(
            {
                name: value or "" if name == "videoTitle" else value
                for name, value in other.items()
                if name not in DYNAMIC
            }
        )
