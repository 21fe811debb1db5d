"""The Databricks notebook of `examples/` runs from top to bottom, and both ask the same."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

import vidagg_dagster
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.use_cases import QUERIES

EXAMPLES = REPO / "examples"
NOTEBOOK = (EXAMPLES / "databricks_notebook.py").read_text(encoding="utf-8")
SAMPLE = EXAMPLES / "sample"
TOP_VIDEOS = [("video_001", 4, 41.67), ("video_002", 1, 100.0)]
POWER_USERS = [("anna", 2, 100.0)]
DROP_OFF = {("video_001", 0, 1), ("video_001", 120, 1), ("video_001", 210, 1)}
"""What the three questions come to on the sample, worked out by hand."""

MAGIC = "# MAGIC "


def cells() -> Iterator[tuple[str, str]]:
    """Language and text of each cell of the Databricks notebook."""
    first, _, rest = NOTEBOOK.partition("\n")
    assert first == "# Databricks notebook source"
    for cell in rest.split("# COMMAND ----------"):
        lines = cell.strip().splitlines()
        if lines[0].startswith(MAGIC):
            language, *more = lines[0].removeprefix(MAGIC).split(" ", 1)
            yield language, "\n".join([*more, *(line.removeprefix(MAGIC) for line in lines[1:])])
        else:
            yield "python", "\n".join(lines)


def one_line(sql: str) -> str:
    return " ".join(re.sub(r"--.*", "", sql).split())


@pytest.fixture
def workspace(sail: SparkSession, tmp_path: Path) -> Iterator[SparkSession]:
    """A schema for the tables that the notebook saves."""
    sail.sql(f"CREATE DATABASE walk_through LOCATION '{tmp_path.as_uri()}/tables'")
    sail.catalog.setCurrentDatabase("walk_through")
    yield sail
    sail.catalog.setCurrentDatabase("default")
    sail.sql("DROP DATABASE walk_through CASCADE")
    for name in ("raw_video_events", "video_metadata"):
        sail.catalog.dropTempView(name)


def test_the_databricks_notebook_runs_from_top_to_bottom(workspace: SparkSession) -> None:
    shown: list[list[Any]] = []
    names: dict[str, Any] = {
        "spark": workspace,
        "display": lambda frame: shown.append(frame.collect()),
    }
    for language, text in cells():
        if language == "python":
            exec(text, names)
        elif language == "%sql":
            shown.append(workspace.sql(text.rstrip(";\n")).collect())
        else:
            assert language in ("%md", "%pip")
    events, [of_peter], top_videos, power_users, drop_off = shown
    assert len(events) == 18
    assert {name: of_peter[name] for name in peter.ROW} == peter.ROW
    assert [(row[0], row[1], round(row[2], 2)) for row in top_videos] == TOP_VIDEOS
    assert [tuple(row) for row in power_users] == POWER_USERS
    assert {tuple(row) for row in drop_off} == DROP_OFF
    assert isinstance(names["result"], DataFrame)


def test_the_notebooks_ask_the_published_questions() -> None:
    published = [one_line(query) for query in QUERIES.values()]
    assert [one_line(text) for language, text in cells() if language == "%sql"] == published
    of_marimo = (EXAMPLES / "walk_through.py").read_text(encoding="utf-8")
    asked = re.findall(r'questions\.sql\("""(.*?)"""\)', of_marimo, re.S)
    assert [one_line(query) for query in asked] == published


def test_the_notebook_installs_the_wheel_of_this_version() -> None:
    [wheel] = re.findall(r"/(vidagg_dagster-[^/ ]+\.whl)", NOTEBOOK)
    assert wheel == f"vidagg_dagster-{vidagg_dagster.__version__}-py3-none-any.whl"


def test_both_notebooks_have_the_same_sample() -> None:
    names: dict[str, Any] = {}
    exec("\n".join(re.findall(r"^(?:EVENTS|VIDEOS) = \[.*?\]$", NOTEBOOK, re.M | re.S)), names)
    columns = (*peter.EVENTS[0], "playbackRate")
    told = [
        {column: value for column, value in zip(columns, event, strict=True) if value is not None}
        for event in names["EVENTS"]
    ]
    assert read_lines("events") == told
    assert [tuple(video.values()) for video in read_lines("videos")] == names["VIDEOS"]
    assert [row for row in told if row.get("userId") == "peter"][:6] == list(peter.EVENTS)


def read_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / f"{name}.jsonl").read_text().splitlines()]
