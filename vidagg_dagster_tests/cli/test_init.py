"""`vidagg init`: a user's own files, from the first look to settings that load."""

import gzip
import json
from contextlib import chdir
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from vidagg_dagster.cli.main import main
from vidagg_dagster.settings import Settings, load_settings
from vidagg_dagster_tests.support import peter

SHORT = {"timestamp": "ts", "userId": "user", "eventName": "event"}
SEGMENT = {"video_play": "Video Playback Started", "video_pause": "Video Playback Paused"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIDAGG_SOURCE", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


def renamed() -> list[dict[str, Any]]:
    return [
        {SHORT.get(name, name): SEGMENT.get(str(value), value) for name, value in row.items()}
        for row in peter.EVENTS
    ]


def settings_of(folder: Path) -> Settings:
    with chdir(folder):
        return load_settings()


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif path.suffix == ".jsonl":
        path.write_text(json.dumps(rows, indent=1) if path.stem == "array" else lines)
    elif path.suffix == ".csv":
        names = list(rows[0])
        text = [";".join(names), *(";".join(str(row[name]) for name in names) for row in rows)]
        path.write_text("\n".join(text) + "\n")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        write_deltalake(str(path), pa.Table.from_pylist(rows))
    return path


@pytest.mark.parametrize(
    "name", ["e.jsonl", "array.jsonl", "e.jsonl.gz", "e.csv", "e.parquet", "delta"]
)
def test_names_of_others_become_settings_that_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    events = write(tmp_path / name, renamed())
    site = tmp_path / "site"
    assert main(["init", str(events), "--folder", str(site)]) == 0
    said = capsys.readouterr().out
    assert "timestamp = ts, userId = user, sessionId, videoId, eventName = event" in said
    assert "event     'Video Playback Paused' 3: video_pause" in said
    settings = settings_of(site)
    assert settings.source == str(events)
    assert settings.columns == SHORT
    assert settings.event_names == {theirs.lower(): ours for ours, theirs in SEGMENT.items()}
    assert settings.start_date == date(2026, 1, 5)
    assert settings.timestamp_unit is None
    assert (site / "dagster_home" / "dagster.yaml").is_file()


def test_names_that_need_no_mapping_get_none(tmp_path: Path) -> None:
    events = peter.write_events(tmp_path / "events.jsonl")
    videos = peter.write_videos(tmp_path / "videos.jsonl")
    assert main(["init", str(events), "--videos", str(videos), "--folder", str(tmp_path)]) == 0
    settings = settings_of(tmp_path)
    assert (settings.columns, settings.event_names) == ({}, {})
    assert settings.video_metadata == str(videos)


@pytest.mark.parametrize(
    ("time", "flags", "days", "pattern"),
    [
        (None, (), "2026-01-05", ()),
        ("1/25/2026 9:00", (), "2026-01-25", ("%m/%d/%Y %H:%M",)),
        ("1/5/2026 9:00", ("--time-format", "%d/%m/%Y %H:%M"), "2026-05-01", ("%d/%m/%Y %H:%M",)),
    ],
)
def test_a_vocabulary_that_is_known_is_taken_as_a_whole(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    time: str | None,
    flags: tuple[str, ...],
    days: str,
    pattern: tuple[str, ...],
) -> None:
    rows = [
        {
            "type": "track",
            "event": SEGMENT.get(row["eventName"], "Video Playback Resumed"),
            "timestamp": time or row["timestamp"],
            "userId": "peter",
            "properties": {
                "session_id": "s",
                "content_asset_id": "video_001",
                "position": row["currentTime"],
            },
        }
        for row in peter.EVENTS
    ]
    events = write(tmp_path / "events.jsonl", rows)
    assert main(["init", str(events), "--folder", str(tmp_path), *flags]) == 0
    assert "names     segment: " in capsys.readouterr().out
    settings = settings_of(tmp_path)
    assert (settings.mapping, settings.columns) == ("segment", {})
    assert settings.start_date == date.fromisoformat(days)
    assert settings.time_format == pattern


def test_numbers_are_times_and_nested_fields_are_columns(tmp_path: Path) -> None:
    rows = [
        {
            "event": row["eventName"],
            "at": {"time": 1_767_607_200_000 + number},
            "who": {"user_id": "peter", "session_id": "s"},
            "properties": {"content_id": "v", "position": row["currentTime"]},
        }
        for number, row in enumerate(peter.EVENTS)
    ]
    events = write(tmp_path / "events.jsonl", rows)
    assert main(["init", str(events), "--folder", str(tmp_path)]) == 0
    settings = settings_of(tmp_path)
    assert settings.columns["timestamp"] == "at.time"
    assert settings.columns["videoId"] == "properties.content_id"
    assert (settings.timestamp_unit, settings.start_date) == ("ms", date(2026, 1, 5))


@pytest.mark.parametrize("name", ["e.jsonl", "e.csv"])
@pytest.mark.parametrize(
    ("time", "flags", "said", "pattern"),
    [
        (None, (), "days      2026-01-05 to", None),
        ("1/25/2026, 9:00:00.000 AM", (), "days      2026-01-25 to", "%m/%d/%Y, %I:%M:%S.%f %p"),
        ("25 Jan 2026 09:00", (), "written as %d %b %Y %H:%M", "%d %b %Y %H:%M"),
        ("1/5/2026 9:00", (), "%m/%d/%Y %H:%M or %d/%m/%Y %H:%M, such as '1/5/2026 9:00'", None),
        ("1/5/2026 9:00", ("%d/%m/%Y %H:%M",), "days      2026-05-01 to", "%d/%m/%Y %H:%M"),
        ("long ago", (), "none are recognised, such as 'long ago'", None),
        ("9h00 25-1-2026", ("%Hh%M %d-%m-%Y",), "days      2026-01-25", "%Hh%M %d-%m-%Y"),
        ("long ago", ("%Hh%M %d-%m-%Y",), "none are recognised", "%Hh%M %d-%m-%Y"),
    ],
)
def test_how_times_are_written_is_recognised_or_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    time: str | None,
    flags: tuple[str, ...],
    said: str,
    pattern: str | None,
) -> None:
    rows = [row | ({"timestamp": time} if time else {}) for row in peter.EVENTS]
    events = write(tmp_path / name, rows)
    more = [part for flag in flags for part in ("--time-format", flag)]
    assert main(["init", str(events), "--folder", str(tmp_path / "site"), *more]) == 0
    assert said in capsys.readouterr().out
    assert settings_of(tmp_path / "site").time_format == ((pattern,) if pattern else ())


def test_flags_win_over_what_is_recognised(tmp_path: Path) -> None:
    rows = [row | {"viewer": "x", "eventName": "Go, now"} for row in peter.EVENTS]
    events = write(tmp_path / "events.jsonl", rows)
    flags = ["--columns", "userId=viewer", "--event-names", "video_play=go"]
    assert main(["init", str(events), "--folder", str(tmp_path), *flags]) == 0
    assert settings_of(tmp_path).columns == {"userId": "viewer"}
    assert settings_of(tmp_path).event_names == {}


def test_an_unknown_name_is_told_with_its_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [row | {"eventName": "Glorp"} for row in peter.EVENTS[:2]]
    events = peter.write_events(tmp_path / "events.jsonl", *more)
    assert main(["init", str(events), "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "event     'Glorp' 2: not known, its rows will be rejected; --event-names" in said


@pytest.mark.parametrize(
    ("content", "flags", "complaint"),
    [
        ('{"event": "play", "position": 3}', [], "no column is recognised as timestamp"),
        ('[{"event": "play"}]', [], "no column is recognised as timestamp"),
        (
            '{"event": "play", "position": 3}',
            ["--columns", "userId=event"],
            "--columns timestamp=...,sessionId=...,videoId=...",
        ),
        ("", [], "no rows"),
        ('{"event": "play"}', ["--columns", "userId=viewer"], "has no viewer"),
        ('{"event": "play"}', ["--videos", "nowhere.csv"], "no such file"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    flags: list[str],
    complaint: str,
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(content)
    site = tmp_path / "site"
    assert main(["init", str(events), "--folder", str(site), *flags]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert complaint in said.err
    assert not site.exists()


def test_settings_that_are_there_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = peter.write_events(tmp_path / "events.jsonl")
    (tmp_path / ".env").write_text("VIDAGG_SOURCE=mine\n")
    assert main(["init", str(events), "--folder", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert settings_of(tmp_path).source == "mine"
    assert main(["init", str(events), "--folder", str(tmp_path), "--force"]) == 0
    assert settings_of(tmp_path).source == str(events)
