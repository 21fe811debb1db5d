"""`vidagg maintain` where the tables are on Databricks: what killed steps have left."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, configured

WEEK = 7 * 24 * 3600


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databricks]:
    with configured(tmp_path, monkeypatch) as running:
        yield running


def leave(place: Databricks, path: str, age_s: float) -> Path:
    file = Path(place.volume) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("left")
    os.utime(file, (time.time() - age_s,) * 2)
    return file


def test_only_what_is_a_steps_own_and_old_is_removed(
    place: Databricks, capsys: pytest.CaptureFixture[str]
) -> None:
    now = round(time.time() * 1000)
    old, new = now - (WEEK + 60) * 1000, now
    hexes = "0123456789abcdef" * 2
    place.workspace.catalog.tables = {
        f"main.video.raw_events_computed_{hexes}": old,
        f"main.video.raw_events_computed_{hexes[::-1]}": new,
        "main.video.raw_events": old,
        "main.video.my_computed_table": old,
    }
    gone = [
        leave(place, "pipes/abc/context.json", WEEK + 60),
        leave(place, "scratch/vidagg-x/000000.parquet", WEEK + 60),
    ]
    kept = [
        leave(place, "pipes/def/context.json", 60),
        leave(place, "wheels/vidagg.whl", 2 * WEEK),
        leave(place, "mine.txt", 2 * WEEK),
    ]
    assert main(["maintain", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"main.video.raw_events_computed_{hexes}: would be dropped" in said
    assert "2 old files would be removed" in said
    assert all(file.exists() for file in [*gone, *kept])
    assert len(place.workspace.catalog.tables) == 4

    assert main(["maintain"]) == 0
    said = capsys.readouterr().out
    assert "2 old files removed" in said
    assert "predictive optimization" in said
    assert not any(file.exists() for file in gone)
    assert all(file.exists() for file in kept)
    assert not (Path(place.volume) / "pipes" / "abc").exists()
    assert sorted(place.workspace.catalog.tables) == [
        "main.video.my_computed_table",
        "main.video.raw_events",
        f"main.video.raw_events_computed_{hexes[::-1]}",
    ]


def test_a_short_retention_is_refused_and_a_missing_schema_is_said(
    place: Databricks, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["maintain", "--retention-hours", "1"]) == 2
    assert "under 168 (a week)" in capsys.readouterr().err
    place.workspace.catalog.schemas.clear()
    assert main(["maintain"]) == 1
    assert "Schema 'main.video'" in capsys.readouterr().err
