"""The generator: deterministic, complete, and with known answers."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from vidagg_dagster.demo.beside import AUDIENCE
from vidagg_dagster.demo.catalogue import CATALOGUE
from vidagg_dagster.demo.files import AUDIENCE_FILE, CHAPTERS_FILE, DemoFiles, generate
from vidagg_dagster.demo.player import Habits, Player
from vidagg_dagster.demo.plots import PLOTS
from vidagg_dagster.demo.ways import WAYS

REASONS = {
    "missing_timestamp",
    "unparsable_timestamp",
    "timestamp_out_of_range",
    "missing_user",
    "missing_session",
    "missing_video",
    "unknown_event",
    "missing_position",
    "invalid_position",
    "malformed_row",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return generate(tmp_path_factory.mktemp("demo"))


def rows_of(demo: DemoFiles) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row that is a JSON object, with the day its file is named by."""
    for file in sorted(demo.events.iterdir()):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                yield file.stem, row


def good_rows_of(demo: DemoFiles) -> Iterator[tuple[str, dict[str, Any]]]:
    for day, row in rows_of(demo):
        if "2026-01" in str(row.get("timestamp")) and row.get("userId") and row.get("sessionId"):
            yield day, row


def test_the_same_seed_writes_the_same_bytes(demo: DemoFiles, tmp_path: Path) -> None:
    again = generate(tmp_path)
    assert {file.name: file.read_bytes() for file in again.events.iterdir()} == {
        file.name: file.read_bytes() for file in demo.events.iterdir()
    }
    assert again.videos.read_bytes() == demo.videos.read_bytes()


def test_chapters_and_an_audience_lie_beside_the_events(demo: DemoFiles) -> None:
    listed = {video.video_id: video.duration_ms for video in CATALOGUE if video.listed}
    chapters = rows_in(demo.videos.with_name(CHAPTERS_FILE))
    assert {row["videoId"] for row in chapters} <= listed.keys() & PLOTS.keys()
    assert all(1000 * row["start"] < listed[row["videoId"]] for row in chapters)
    audience = rows_in(demo.videos.with_name(AUDIENCE_FILE))
    assert {row["videoId"] for row in audience} <= listed.keys()
    assert {row["dueDate"] for row in audience} == {"2026-01-12"}
    assert len({row["userId"] for row in audience}) == len(audience) == AUDIENCE
    watched = {row["userId"].strip() for _, row in good_rows_of(demo)}
    assert len(watched & {row["userId"] for row in audience}) > AUDIENCE / 2


def rows_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_an_audience_is_no_larger_than_the_viewers(tmp_path: Path) -> None:
    few = generate(tmp_path, days=1, viewers=3)
    assert len(rows_in(few.videos.with_name(AUDIENCE_FILE))) == 3


def test_another_seed_writes_other_events(tmp_path: Path) -> None:
    first, second = (
        generate(tmp_path / str(seed), days=1, viewers=5, seed=seed) for seed in (1, 2)
    )
    assert next(first.events.iterdir()).read_bytes() != next(second.events.iterdir()).read_bytes()


def test_the_demo_has_the_promised_size(demo: DemoFiles) -> None:
    rows = list(good_rows_of(demo))
    assert len(demo.days) == 10
    assert 90_000 <= demo.rows <= 110_000
    assert len({row["userId"].strip() for _, row in rows}) >= 300
    assert len({row.get("videoId") for _, row in rows}) >= 15
    assert demo.rejected / demo.rows < 0.01
    assert 0 < demo.duplicates / demo.rows < 0.05


def test_there_is_one_file_a_day_named_by_its_date(demo: DemoFiles) -> None:
    assert sorted(file.name for file in demo.events.iterdir()) == [
        f"2026-01-{day:02d}.jsonl" for day in range(5, 15)
    ]
    assert sum(len(file.read_text().splitlines()) for file in demo.events.iterdir()) == demo.rows


def test_every_rejection_reason_occurs(demo: DemoFiles) -> None:
    assert set(demo.reasons) == REASONS


def test_a_shorter_demo_in_the_same_folder_leaves_no_old_days(tmp_path: Path) -> None:
    generate(tmp_path, days=3, viewers=3)
    generate(tmp_path, days=1, viewers=3)
    assert [file.name for file in (tmp_path / "events").iterdir()] == ["2026-01-05.jsonl"]


def test_some_rows_arrive_late_some_out_of_order_and_some_twice(demo: DemoFiles) -> None:
    late = [row for day, row in good_rows_of(demo) if row["timestamp"][:10] < day]
    assert len(late) > 100
    lines = (demo.events / "2026-01-07.jsonl").read_text().splitlines()
    times = [row["timestamp"] for day, row in good_rows_of(demo) if day == "2026-01-07"]
    assert times != sorted(times)
    assert any(count > 1 for count in Counter(lines).values())


def test_the_players_report_in_every_way_that_is_accepted(demo: DemoFiles) -> None:
    rows = [row for _, row in good_rows_of(demo)]
    names = {row["eventName"] for row in rows}
    assert {"video_play", "play", "video_seek", "video_seeked", "video_progress"} <= names
    assert any(isinstance(row.get("currentTime"), str) for row in rows)
    assert any(row["timestamp"].endswith("+01:00") for row in rows)
    assert any("eventId" in row for row in rows)
    assert {1.0, 1.5, 2.0} <= {row.get("playbackRate") for row in rows}


def test_sessions_cross_midnight_and_films_last_three_hours(demo: DemoFiles) -> None:
    times: dict[str, set[str]] = {}
    for _, row in good_rows_of(demo):
        times.setdefault(row["sessionId"], set()).add(row["timestamp"][:10])
    assert sum(len(days) > 1 for days in times.values()) > 50
    films = {video.video_id for video in CATALOGUE if video.duration_ms == 3 * 3_600_000}
    assert any(
        row.get("videoId") in films and row["eventName"] == "video_ended"
        for _, row in good_rows_of(demo)
    )


def test_one_video_has_no_metadata(demo: DemoFiles) -> None:
    known = {json.loads(line)["videoId"] for line in demo.videos.read_text().splitlines()}
    seen = {row.get("videoId") for _, row in good_rows_of(demo)}
    assert seen - known - {None} == {"video_099"}


def test_peter_watches_as_the_documentation_says(demo: DemoFiles) -> None:
    rows = [row for _, row in rows_of(demo) if row.get("userId") == "peter"]
    assert sorted((row["timestamp"], row["eventName"], row["currentTime"]) for row in rows) == [
        ("2026-01-05T10:00:00.000Z", "video_play", 0.0),
        ("2026-01-05T10:00:30.000Z", "video_pause", 30.0),
        ("2026-01-05T10:00:35.000Z", "video_resume", 30.0),
        ("2026-01-05T10:02:05.000Z", "video_pause", 120.0),
        ("2026-01-05T10:02:10.000Z", "video_resume", 110.0),
        ("2026-01-05T10:02:20.000Z", "video_pause", 120.0),
    ]


VIDEOS = {video.video_id: video for video in CATALOGUE}
WAYS_OF_VIDEOS = {
    **dict.fromkeys(WAYS, CATALOGUE),
    **{plot.way: (VIDEOS[video],) for video, plot in PLOTS.items()},
}


@pytest.mark.parametrize("way", WAYS_OF_VIDEOS, ids=lambda way: way.__name__)
def test_players_never_run_backward_in_time_nor_out_of_the_video(way: Any) -> None:
    for seed, video in product(range(5), WAYS_OF_VIDEOS[way]):
        player = Player(random.Random(seed), Habits(heartbeat_ms=30_000), "u", "s", 0)
        player.open(video)
        way(player)
        times = [event.at_ms for event in player.events]
        assert times == sorted(times)
        assert all(event.position_ms >= 0 for event in player.events)
        if way.__name__ not in ("padded_end", "impossible_position"):
            assert all(event.position_ms <= video.duration_ms for event in player.events)


def test_the_generator_takes_only_a_few_seconds(tmp_path: Path) -> None:
    started = perf_counter()
    generate(tmp_path)
    assert perf_counter() - started < 15


def test_the_first_day_can_be_chosen(tmp_path: Path) -> None:
    demo = generate(tmp_path, first_day=date(2025, 3, 1), days=2, viewers=3)
    assert [file.name for file in sorted(demo.events.iterdir())] == [
        "2025-03-01.jsonl",
        "2025-03-02.jsonl",
    ]
