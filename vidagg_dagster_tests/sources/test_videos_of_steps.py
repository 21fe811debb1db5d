"""The videos of the steps of a run are parsed once, and again when their file has changed."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.sources import videos
from vidagg_dagster.sources.videos import videos_of_steps


def written(path: Path, *durations: int) -> str:
    lines = [f'{{"videoId": "v{at}", "duration": {s}}}\n' for at, s in enumerate(durations)]
    path.write_text("".join(lines))
    return str(path)


def durations(sail: SparkSession, location: str) -> list[int]:
    return sorted(row["durationMs"] for row in videos_of_steps(sail, location).collect())


def test_videos_are_parsed_again_only_when_their_file_has_changed(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = videos.read_videos
    asked: list[str | None] = []

    def counted(*arguments: object) -> object:
        asked.append(str(arguments[1]))
        return read(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(videos, "read_videos", counted)
    location = written(tmp_path / "videos.jsonl", 60, 70)
    assert durations(sail, location) == durations(sail, location) == [60_000, 70_000]
    assert len(asked) == 1
    written(tmp_path / "videos.jsonl", 60, 700)
    assert durations(sail, location) == [60_000, 700_000]
    assert len(asked) == 2


def test_more_videos_than_are_kept_are_read_where_they_are(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "MAX_HELD", 2)
    location = written(tmp_path / "videos.jsonl", 60, 70, 80)
    assert durations(sail, location) == [60_000, 70_000, 80_000]


def test_without_a_location_there_are_no_videos(sail: SparkSession) -> None:
    assert videos_of_steps(sail, None).collect() == []
