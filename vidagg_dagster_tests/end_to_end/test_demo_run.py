"""`vidagg demo` as a whole: real Dagster runs in a real DAGSTER_HOME, over a small demo."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import duckdb
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from tools.demo_picture import HEIGHT, picture
from vidagg_dagster.core.contract import SAIL, SourceSpec
from vidagg_dagster.defs.page import ENGAGEMENT_PAGE
from vidagg_dagster.defs.verification import rows_told
from vidagg_dagster.demo.plots import PLOTS
from vidagg_dagster.pipeline.batch import aggregate_files
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.support.demo_run import table
from vidagg_dagster_tests.support.use_cases import QUERIES

SVG = "{http://www.w3.org/2000/svg}"

WATCHED = """
with part as (
    select range as number, 25 * duration * range as first, 25 * duration * (range + 1) as last
    from range(40), read_json_auto('{folder}/videos.jsonl') where videoId = $video
)
select sum(greatest(0, least(endMs, last) - greatest(startMs, first)))
from part, read_parquet({files}) where videoId = $video
group by number order by number
"""
"""Milliseconds that all viewers together watched of each fortieth of a video."""


@contextmanager
def history(folder: Path) -> Iterator[dg.DagsterInstance]:
    """The demo's own Dagster, which names its databases by `DAGSTER_HOME`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder / "dagster_home"))
        with dg.DagsterInstance.get() as instance:
            yield instance


def test_there_is_a_progress_line_for_every_day(printed: str) -> None:
    lines = re.findall(r"^ *(\d+)/3 (2026-01-0\d) +([\d ]*\d) events +\d+\.\d s$", printed, re.M)
    assert [(number, day) for number, day, _ in lines] == [
        ("1", "2026-01-05"),
        ("2", "2026-01-06"),
        ("3", "2026-01-07"),
    ]
    assert all(int(events.replace(" ", "")) > 0 for _, _, events in lines)


def test_peter_s_row_is_printed_in_eight_lines(printed: str) -> None:
    for line in (
        r"totalWatchTime +130\.0",
        r"totalUniqueSecondsWatched +120\.0",
        r"watchPercentage +43\.33",
        r"engagementScore +31\.33",
        r"engagementTier +Low",
    ):
        assert re.search(rf"^ +{line} ", printed, re.M), line
    told = printed.partition("Peter's row")[2].partition("\n\n")[0]
    assert told.count("\n") + 1 == 8


def test_the_rest_of_the_story_is_told_on_one_screen(folder: Path, printed: str) -> None:
    assert "Most watched" in printed
    assert re.search(r"Tiers of all viewers: High \d+, Medium \d+, Low \d+, Minimal \d+", printed)
    assert re.search(r"Rejected: \d+ of [\d ]+ rows, for \d+ reasons; duplicates: \d+", printed)
    bar = r"^  video_002  [ ▁-█]{40}  \d\.\d times by each: watched in a loop$"
    assert re.search(bar, printed, re.M)
    assert f"vidagg ui --folder {folder}" in printed
    assert f"  {folder / 'tables' / FILE}\n" in printed
    assert printed.count("\n") <= 47


def test_the_page_is_written_by_dagster(folder: Path, printed: str) -> None:
    assert printed
    with history(folder) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(ENGAGEMENT_PAGE))
    assert event is not None
    assert event.asset_materialization is not None
    file = folder / "tables" / FILE
    assert event.asset_materialization.metadata["page"].value == str(file)
    page = file.read_text(encoding="utf-8")
    assert "The Lighthouse Keeper" in page
    assert "Behind the paywall" in page
    assert 'id="audience"' in page


def test_what_is_stored_agrees_with_the_history_of_dagster(folder: Path, printed: str) -> None:
    assert printed
    with history(folder) as instance:
        told = rows_told(instance)
    assert {*map(len, told.values())} == {3}
    assert sum(told["raw_events"].values(), 0) > 0  # type: ignore[arg-type]
    assert verify(folder / "tables", told) == []


def test_dagster_counts_the_runs_to_the_job_of_the_code_location(
    folder: Path, printed: str
) -> None:
    assert printed
    with history(folder) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="daily_engagement"))
    origins = [run.remote_job_origin for run in runs]
    assert {origin and origin.repository_origin.get_label() for origin in origins} == {
        "__repository__@vidagg_dagster.definitions"
    }
    spans = [
        run.tags.get("dagster/partition") or run.tags["dagster/asset_partition_range_start"]
        for run in runs
    ]
    assert spans == ["2026-01-07", "2026-01-06", "2026-01-05"]


def test_the_history_is_in_the_demo_s_own_dagster_home(folder: Path, printed: str) -> None:
    assert printed
    with history(folder) as instance:
        days = instance.get_materialized_partitions(dg.AssetKey("quality_report"))
    assert days == {"2026-01-05", "2026-01-06", "2026-01-07"}


def test_dagster_and_the_command_line_agree_to_the_last_digit(folder: Path, printed: str) -> None:
    assert printed
    with using(SAIL):
        in_one_go = aggregate_files(
            engine_session(SAIL),
            SourceSpec(location=str(folder / "events")),
            video_metadata=str(folder / "videos.jsonl"),
            run_time=datetime.now(UTC),
        ).rows.to_pylist()
    stored = table(folder, "aggregated_user_video_engagement")
    by_day = stored.sort_by([("userId", "ascending"), ("videoId", "ascending")]).to_pylist()
    assert {row["userId"] for row in by_day} == {row["userId"] for row in in_one_go}
    # A start without a later event may be settled on the day after the demo's last day.
    last = {(row["userId"], row["videoId"]): row for row in by_day}
    for row in in_one_go:
        if max(row["activeDays"]).day <= 7:
            row.pop("processedAt")
            assert last[row["userId"], row["videoId"]] == row


def rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Engines add the terms of an average in different orders."""
    return tuple(
        # The mean of a video that is not in the metadata is null.
        value if value is None or isinstance(value, str) else round(float(value), 6)
        for value in row
    )


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.usefixtures("patient")
def test_the_published_queries_run_unchanged(
    spark: SparkSession, folder: Path, printed: str, query: str
) -> None:
    assert printed
    name = "aggregated_user_video_engagement"
    rows = table(folder, name)
    with duckdb.connect() as connection:
        connection.register(name, rows)
        from_duckdb = connection.execute(query).fetchall()
    spark.createDataFrame(rows).createOrReplaceTempView(name)
    try:
        from_spark = [tuple(row) for row in spark.sql(query).collect()]
    finally:
        spark.catalog.dropTempView(name)
    assert from_spark
    found, expected = (sorted(map(rounded, rows), key=repr) for rows in (from_spark, from_duckdb))
    assert found == expected


def test_the_picture_of_the_readme_draws_the_rows(folder: Path, printed: str) -> None:
    assert printed
    files = DeltaTable(str(folder / "tables" / "watch_intervals")).file_uris()
    query = WATCHED.format(folder=folder, files=files)
    svg = ElementTree.fromstring(picture(folder / "tables"))
    _, *shapes = svg.iter(f"{SVG}rect")  # the first is the ground
    bars = [float(shape.attrib["height"]) for shape in shapes]
    for number, video in enumerate(PLOTS):
        watched = [float(row[0]) for row in duckdb.execute(query, {"video": video}).fetchall()]
        assert max(watched) > 0
        drawn = bars[number * len(watched) : (number + 1) * len(watched)]
        assert drawn == pytest.approx([HEIGHT * part / max(watched) for part in watched], abs=0.06)
