"""docs/notebook.md: its code runs from top to bottom, and prints what the page shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.repository import REPO

PAGE = (REPO / "docs" / "notebook.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```\n(user .*?)```", PAGE, re.S)


@pytest.fixture
def views(sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The files and tables that the page names; saved tables land in the temporary folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDAGG_ENGINE", "sail")
    peter.write_events(tmp_path / "events.jsonl")
    peter.write_videos(tmp_path / "videos.jsonl")
    sail.read.json(str(tmp_path / "events.jsonl")).createOrReplaceTempView("raw_video_events")
    sail.read.json(str(tmp_path / "videos.jsonl")).createOrReplaceTempView("video_metadata")
    sail.sql(f"CREATE DATABASE notebook LOCATION '{tmp_path.as_uri()}/tables'")
    sail.catalog.setCurrentDatabase("notebook")
    yield
    sail.catalog.setCurrentDatabase("default")
    sail.sql("DROP DATABASE notebook CASCADE")
    for name in ("raw_video_events", "video_metadata"):
        sail.catalog.dropTempView(name)


@pytest.mark.usefixtures("views")
def test_the_page_runs_from_top_to_bottom(
    sail: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {"spark": sail}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(code, names)
    assert [capsys.readouterr().out] == SHOWN
    stats = names["stats"]
    assert isinstance(stats, dict)
    assert (stats["total_rows"], stats["negative_watch_time"]) == (1, 0)
    assert names["one_day"].count() == names["same_day"].count() == 1  # type: ignore[attr-defined]
