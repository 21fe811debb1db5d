"""DuckDB's SQL beside the sequential reference: two readings of the definitions, equal rows."""

import math
import random
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
EVENING_US = 1_743_202_800_000_000
"""2025-03-28 23:00 UTC: players that begin in the hour after it, some before midnight, play on."""
ALIASES = {
    "video_play": "play start video_start",
    "video_resume": "resume resumed",
    "video_playing": "playing buffer_end buffering_end video_buffer_end",
    "video_progress": "progress heartbeat video_heartbeat ping timeupdate time_update"
    " video_timeupdate",
    "video_rate": "ratechange rate_change video_ratechange speed_change",
    "video_waiting": "waiting stalled buffering buffer_start buffering_start video_buffer_start",
    "video_seeking": "seeking seek_start video_seek_start",
    "video_seek": "seek seeked video_seeked seek_end",
    "video_pause": "pause paused",
    "video_ended": "ended end video_end complete completed video_complete video_completed finish"
    " finished",
}
WORDS_FOR_NOTHING = (
    "NULL",
    "null",
    "None",
    "nan",
    "undefined",
    "N/A",
    r"\N",
    "-",
    "00000000-0000-0000-0000-000000000000",
    " ",
)
Rows = dict[tuple[str, str], dict[str, Any]]


def rows_of_sql(
    folder: Path,
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> Rows:
    return rows_of_table(folder, _table_of(events), durations, parameters, timezone)


def rows_of_table(
    folder: Path,
    events: pa.Table,
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> Rows:
    (folder / "events").mkdir(parents=True)
    pq.write_table(events, folder / "events" / "events.parquet")
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


def drags(seed: int) -> list[Event]:
    """Players that drag their sliders without rest, between places 0.25 s apart or nearly.

    Whether one start moved then decides the place of the next stop, and so on.
    """
    generator = random.Random(seed)
    choose = generator.choice
    orders = (
        ("play", "pause", "seek"),
        ("play", "pause", "seeking", "seek"),
        ("play", "waiting", "pause", "seek", "seeking"),
        ("play", "pause", "ended", "seek", "playing", "resume"),
    )
    others = ("play", "pause", "seek", "seeking", "waiting", "playing", "progress", "ended")
    events = []
    for user in range(100):
        us = EVENING_US + generator.randrange(3_600_000_000)
        base, order = choose((0, 10_000, 59_800)), choose(orders)
        for number in range(40):
            us += 1_000 * choose((0, 20, 100, 200, 251, 400, 700, 3_000))
            name = order[number % len(order)] if generator.random() < 0.85 else choose(others)
            position = base + choose((0, 0, 100, 200, 250, 251, 300, 450, 500, 600))
            rate = choose((None, None, None, 1.0, 0.5, 2.0))
            events.append(Event(us, f"u{user}", "s", "short", f"video_{name}", position, rate))
    generator.shuffle(events)
    return events


@pytest.mark.parametrize("seed", range(3))
def test_places_that_depend_on_places_are_the_same(tmp_path: Path, seed: int) -> None:
    events = drags(seed)
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


OF_PLAYERS = [scenario for scenario in SCENARIOS if " reported " not in scenario.events]
"""The SQL reads no reports of what was watched."""


@pytest.mark.parametrize("scenario", OF_PLAYERS, ids=str)
def test_scenarios_have_the_same_rows(tmp_path: Path, scenario: Scenario) -> None:
    parameters = _changed(scenario.parameters)
    case = (scenario.parsed(), scenario.durations_ms(), parameters, scenario.timezone)
    assert_same(rows_of_sql(tmp_path, *case), rows_of_reference(*case))


def test_aliases_and_blanks_change_nothing(tmp_path: Path) -> None:
    events = random_events(22, n_users=60)
    generator = random.Random(22)
    table = _table_of(events)
    names = [generator.choice(ALIASES[event.name].split()) for event in events]
    for column, values in (
        ("eventName", [f" {name.upper()} " for name in names]),
        ("userId", [f"  {event.user}" for event in events]),
        ("videoId", [f"{event.video} " for event in events]),
    ):
        table = table.set_column(table.column_names.index(column), column, pa.array(values))
    found = rows_of_table(tmp_path, table, DURATIONS)
    assert_same(found, rows_of_reference(events, DURATIONS))


def test_words_for_nothing_say_nothing(tmp_path: Path) -> None:
    """Rows without an id are left out, and rows with an event id that is a word have none."""
    nameless = [replace(event, event_id=None) for event in random_events(23, n_users=60)]
    generator = random.Random(23)
    words = [replace(event, event_id=generator.choice(WORDS_FOR_NOTHING)) for event in nameless]
    words += [replace(nameless[0], user=word) for word in WORDS_FOR_NOTHING]
    words += [replace(nameless[0], session=word) for word in WORDS_FOR_NOTHING]
    words += [replace(nameless[0], video=word) for word in WORDS_FOR_NOTHING]
    found = rows_of_sql(tmp_path, words, DURATIONS)
    assert_same(found, rows_of_reference(nameless, DURATIONS))


def test_values_that_mean_unknown(tmp_path: Path) -> None:
    """A rate or an origin that is no such thing is unknown, and the event counts."""
    events = [
        replace(event, rate=None, seek_from_ms=None) for event in random_events(24, n_users=60)
    ]
    generator = random.Random(24)
    strange = [
        replace(
            event,
            rate=generator.choice((None, 0.0, -1.0, 16.5, math.nan, math.inf)),
        )
        for event in events
    ]
    table = _table_of(strange)
    origins = [generator.choice((None, -0.5, 86_400.5, math.nan, math.inf)) for _ in events]
    at = table.column_names.index("seekFrom")
    table = table.set_column(at, "seekFrom", pa.array(origins, pa.float64()))
    found = rows_of_table(tmp_path, table, DURATIONS)
    assert_same(found, rows_of_reference(events, DURATIONS))


def test_a_source_may_lack_the_optional_columns(tmp_path: Path) -> None:
    events = [
        replace(event, seek_from_ms=None, event_id=None) for event in random_events(25, n_users=60)
    ]
    table = _table_of(events).drop_columns(["seekFrom", "eventId"])
    found = rows_of_table(tmp_path, table, DURATIONS)
    assert_same(found, rows_of_reference(events, DURATIONS))


def _changed(parameters: Mapping[str, Any]) -> ReferenceParameters:
    """Scenarios write weights and scores as text."""
    values: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    return replace(DEFAULT_PARAMETERS, **values)
