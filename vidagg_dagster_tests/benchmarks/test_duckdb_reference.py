"""DuckDB's SQL beside the sequential reference: two readings of the definitions, equal rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.contestants import duckdb_sql
from vidagg_dagster_tests.support.reference import (
    DEFAULT_PARAMETERS,
    Event,
    ReferenceParameters,
    daily_rows,
    lifetime_rows,
    published,
)
from vidagg_dagster_tests.support.scenarios import SCENARIOS, Scenario
from vidagg_dagster_tests.support.strategies import DURATIONS, ZONES, random_events

RUN_TIME = datetime(2030, 1, 1, tzinfo=UTC)
Rows = dict[tuple[str, str], dict[str, Any]]


def rows_of_sql(
    folder: Path,
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> Rows:
    (folder / "events").mkdir(parents=True)
    pq.write_table(_table_of(events), folder / "events" / "events.parquet")
    videos = {
        "videoId": pa.array(list(durations), pa.string()),
        "duration": pa.array([ms / 1000 for ms in durations.values()], pa.float64()),
        "title": pa.nulls(len(durations), pa.string()),
    }
    pq.write_table(pa.table(videos), folder / "videos.parquet")
    duckdb_sql.aggregate(
        folder / "events",
        folder / "videos.parquet",
        RUN_TIME,
        folder / "rows.parquet",
        parameters=_as_sql_names_them(parameters),
        timezone=timezone,
    )
    rows = pq.read_table(folder / "rows.parquet").to_pylist()
    for row in rows:
        row["watchedIntervals"] = [(s["startMs"], s["endMs"]) for s in row["watchedIntervals"]]
    return {(row["userId"], row["videoId"]): row for row in rows}


def _table_of(events: Sequence[Event]) -> pa.Table:
    return pa.table(
        {
            "timestamp": pa.array([e.us for e in events], pa.timestamp("us", tz="UTC")),
            "userId": [e.user for e in events],
            "sessionId": [e.session for e in events],
            "videoId": [e.video for e in events],
            "eventName": [e.name for e in events],
            "currentTime": [e.position_ms / 1000 for e in events],
            "playbackRate": pa.array([e.rate for e in events], pa.float64()),
            "seekFrom": pa.array(
                [None if e.seek_from_ms is None else e.seek_from_ms / 1000 for e in events],
                pa.float64(),
            ),
            "eventId": pa.array([e.event_id for e in events], pa.string()),
        }
    )


def _as_sql_names_them(parameters: ReferenceParameters) -> dict[str, Any]:
    """Weights and tiers are decimals in the reference and whole hundredths in the SQL."""
    found = {}
    for name, value in asdict(parameters).items():
        if isinstance(value, Decimal):
            hundredths = value * 100
            assert hundredths == int(hundredths)
            found[f"{name.removesuffix('_score')}_hundredths"] = int(hundredths)
        else:
            found[name] = value
    assert set(found) <= set(duckdb_sql.PARAMETERS)
    return found


def rows_of_reference(
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> Rows:
    daily = daily_rows(events, durations, parameters, timezone)
    days: dict[tuple[str, str], list[Any]] = {}
    for user, video, day in sorted(daily):
        days.setdefault((user, video), []).append(day)
    return {
        (user, video): {
            **published(row, durations.get(video), None, parameters),
            "userId": user,
            "videoId": video,
            "videoDurationSource": "metadata" if durations.get(video) else None,
            "activeDays": days[user, video],
        }
        for (user, video), row in lifetime_rows(daily).items()
    }


def assert_same(found: Rows, expected: Rows) -> None:
    """Equal keys, and equal values in all columns, to the last digit."""
    assert found.keys() == expected.keys()
    differing = {
        pair: {
            column: (found[pair].get(column), row.get(column))
            for column in row.keys() | found[pair].keys()
            if found[pair].get(column) != row.get(column)
        }
        for pair, row in expected.items()
        if found[pair] != row
    }
    assert not differing, (
        f"(SQL, reference) of {len(differing)} rows: {dict(list(differing.items())[:5])}"
    )


@pytest.mark.parametrize("seed", range(1, 5))
def test_random_players_have_the_same_rows(tmp_path: Path, seed: int) -> None:
    events = random_events(seed, n_users=100)
    assert len(events) > 2_000
    assert_same(rows_of_sql(tmp_path, events, DURATIONS), rows_of_reference(events, DURATIONS))


@pytest.mark.parametrize("timezone", ZONES[1:])
def test_random_players_have_the_same_rows_in_every_zone(tmp_path: Path, timezone: str) -> None:
    events = random_events(20, n_users=60)
    found = rows_of_sql(tmp_path, events, DURATIONS, timezone=timezone)
    assert_same(found, rows_of_reference(events, DURATIONS, timezone=timezone))


def test_other_thresholds_reach_every_rule(tmp_path: Path) -> None:
    parameters = ReferenceParameters(
        session_timeout_ms=600_000,
        max_playback_rate=3.0,
        tolerance_ms=400,
        repair_seeks=False,
        seek_back_ms=10_000,
        drag_window_ms=5_000,
        same_place_ms=20,
        opening_ms=100,
        forward_skip_ms=2_000,
        backward_skip_ms=10_000,
    )
    events = random_events(21, n_users=60)
    found = rows_of_sql(tmp_path, events, DURATIONS, parameters)
    assert_same(found, rows_of_reference(events, DURATIONS, parameters))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_scenarios_have_the_same_rows(tmp_path: Path, scenario: Scenario) -> None:
    parameters = _changed(scenario.parameters)
    case = (scenario.parsed(), scenario.durations_ms(), parameters, scenario.timezone)
    assert_same(rows_of_sql(tmp_path, *case), rows_of_reference(*case))


def _changed(parameters: Mapping[str, Any]) -> ReferenceParameters:
    """Scenarios write weights and scores as text."""
    values = {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    return replace(DEFAULT_PARAMETERS, **values)
