"""Curves as steps: any order of days, other durations, missing days, and edX's published answer."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import INSIGHT_STEPS, SAIL, SourceSpec, StepName
from vidagg_dagster.core.insight_schemas import (
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    VIDEO_CURVE,
    VIDEO_ENGAGEMENT,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.sources.mappings.vocabularies import find_mapping
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support import edx_timeline
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.small_site import Site, anna, day, event, peter, write_site

DAYS = [day(0), day(1)]
BEFORE = [step for step in StepName if step not in INSIGHT_STEPS]
LIFETIME = StepName.LIFETIME_VIDEO_CURVE


def run(sail: SparkSession, site: Site, steps: Iterable[StepName], days: Any = DAYS) -> None:
    for step in steps:
        result = run_step(sail, site.request(step, days))
        if step in INSIGHT_STEPS:
            assert [outcome for outcome in result.outcomes if not outcome.passed] == []


def rows(sail: SparkSession, site: Site, table: TableSpec) -> list[dict[str, Any]]:
    tables = open_tables(sail, site.request(LIFETIME, []).store)
    return sorted(rows_of(tables.read(table)), key=lambda row: [row[name] for name in table.key])


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Peter and anna on two days, all steps at once."""
    require(SAIL)
    site = write_site(tmp_path_factory.mktemp("site"), 2)
    with using(SAIL):
        run(engine_session(SAIL), site, StepName)
    return site


def test_the_curve_of_the_two_viewers(sail: SparkSession, computed: Site) -> None:
    """Peter watches 0 to 120 s and 110 to 120 again; anna 0 to 10 s, then 200 to 210."""
    daily = [row for row in rows(sail, computed, VIDEO_CURVE) if row["event_date"] == day(0)]
    bins = {row["binStartMs"]: row for row in daily if row["videoId"] == "video_001"}
    assert len(bins) == 200
    assert bins[298_500]["binEndMs"] == 300_000
    assert [bins[at]["viewers"] for at in (0, 9_000, 10_500, 118_500, 120_000)] == [2, 2, 1, 1, 0]
    assert (bins[118_500]["watchMs"], bins[118_500]["rewatchMs"]) == (3_000, 1_500)
    assert (bins[9_000]["uniqueMs"], bins[9_000]["stops"]) == (2_500, 1)
    assert sum(row["skippedOver"] for row in bins.values()) == 128  # 10 to 200 s, begun bins too
    assert {at for at, row in bins.items() if row["jumpedTo"]} == {109_500, 199_500}
    assert {at for at, row in bins.items() if row["lastSeenHere"]} == {118_500, 208_500}
    life = {
        row["binStartMs"]: row
        for row in rows(sail, computed, LIFETIME_VIDEO_CURVE)
        if row["videoId"] == "video_001"
    }
    assert (life[0]["viewers"], life[0]["uniqueMs"], life[0]["watchMs"]) == (2, 3_000, 6_000)
    assert life[118_500]["rewatchMs"] == 4_500


def test_any_order_of_days_ends_in_the_same_rows(
    sail: SparkSession, computed: Site, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 2)
    for number in (1, 0):
        run(sail, site, StepName, [day(number)])
    for table in (VIDEO_CURVE, LIFETIME_VIDEO_CURVE, LIFETIME_VIDEO_ENGAGEMENT, VIEWER_COHORTS):
        assert rows(sail, site, table) == rows(sail, computed, table)


def test_jvm_spark_computes_the_same_rows(
    jvm: SparkSession, computed: Site, tmp_path: Path
) -> None:
    shutil.copytree(computed.folder, tmp_path / "site")
    site = Site(tmp_path / "site")
    written = (VIDEO_CURVE, VIDEO_ENGAGEMENT, LIFETIME_VIDEO_CURVE, LIFETIME_VIDEO_ENGAGEMENT)
    expected = [rows(jvm, site, table) for table in (*written, VIEWER_COHORTS)]
    for table in written[:2]:
        shutil.rmtree(site.tables / table.name)
    run(jvm, site, INSIGHT_STEPS)
    assert [rows(jvm, site, table) for table in (*written, VIEWER_COHORTS)] == expected


def test_a_day_without_a_curve_is_counted_from_its_sessions(
    sail: SparkSession, computed: Site, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 2)
    run(sail, site, BEFORE)
    run(sail, site, [StepName.VIDEO_CURVE], [day(1)])
    result = run_step(sail, site.request(LIFETIME, DAYS))
    assert result.metrics["videos_from_sessions"] == 2
    assert rows(sail, site, LIFETIME_VIDEO_CURVE) == rows(sail, computed, LIFETIME_VIDEO_CURVE)


def test_a_video_whose_duration_changes_gets_its_bins_of_now(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 2)
    run(sail, site, StepName, [day(0)])
    site.videos.write_text(
        json.dumps({"videoId": "video_001", "duration": 240, "title": "Welcome"}) + "\n"
    )
    run(sail, site, StepName, [day(1)])
    life = rows(sail, site, LIFETIME_VIDEO_CURVE)
    assert [row["binEndMs"] for row in life if row["videoId"] == "video_001"][-1] == 240_000
    # The other one has no duration any more.
    assert [row["binEndMs"] for row in life if row["videoId"] == "video_002"][-1] == 60_000
    assert sum(row["watchMs"] for row in life) == 2 * 210_000


def test_a_week_that_is_not_over_is_null_and_one_without_a_view_is_not(
    sail: SparkSession, tmp_path: Path
) -> None:
    """Day 0 is a Monday. Peter comes back in the third week, which is not over."""
    site = Site(tmp_path)
    site.videos.write_text("")
    days = [day(number) for number in range(15)]
    for when in days:
        site.write_day(when, [])
    site.write_day(day(0), [*peter(day(0)), *anna(day(0))])
    site.write_day(day(9), anna(day(9)))
    site.write_day(day(14), peter(day(14)))
    run_all = [step for step in StepName if step is not StepName.QUALITY_REPORT]
    for step in run_all:
        run_step(sail, site.request(step, days))
    found = {row["weekOffset"]: row for row in rows(sail, site, VIEWER_COHORTS)}
    assert {row["cohortWeek"] for row in found.values()} == {day(0)}
    assert [found[week]["users"] for week in range(3)] == [2, 2, 2]
    assert [found[week]["activeUsers"] for week in range(3)] == [2, 1, None]
    assert [found[week]["watchSeconds"] for week in range(3)] == [210.0, 80.0, None]
    assert [found[week]["completions"] for week in range(3)] == [1, 1, None]


def test_a_video_among_twenty_of_its_length_has_its_place(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = Site(tmp_path)
    names = [f"v{number:02}" for number in range(21)]
    site.videos.write_text(
        "".join(
            json.dumps({"videoId": name, "duration": 100 if number else 30}) + "\n"
            for number, name in enumerate(names)
        )
    )
    site.write_day(
        day(0),
        [
            row
            for number, name in enumerate(names)
            for row in (
                event(day(0), "10:00:00", "u", "video_play", 0, videoId=name, sessionId=name),
                event(
                    day(0),
                    f"10:00:{number + 1:02}",
                    "u",
                    "video_pause",
                    number + 1,
                    videoId=name,
                    sessionId=name,
                ),
            )
        ],
    )
    run(sail, site, StepName, [day(0)])
    found = {row["videoId"]: row for row in rows(sail, site, LIFETIME_VIDEO_ENGAGEMENT)}
    assert (found["v00"]["similarVideos"], found["v00"]["relativeRetention"]) == (1, None)
    assert [found[name]["relativeRetention"] for name in ("v01", "v20")] == [0.0, 1.0]
    assert found["v10"]["meanWatchedPercentage"] == 11.0
    assert found["v10"]["similarVideos"] == 20


def test_the_published_example_of_edx_but_for_its_fencepost(
    sail: SparkSession, tmp_path: Path
) -> None:
    """Bins of five seconds, as there: as if each video were a thousand seconds long."""
    site = Site(tmp_path)
    site.write_day(day(0), list(edx_timeline.records(day(0).isoformat())))
    prefix = f"{edx_timeline.COURSE}|"
    names = {video for video, _ in edx_timeline.PUBLISHED}
    site.videos.write_text(
        "".join(json.dumps({"videoId": prefix + name, "duration": 1000}) + "\n" for name in names)
    )
    source = SourceSpec(location=str(site.events), mapping=find_mapping("edx"))
    for step in StepName:
        request = site.request(step, [day(0)])
        changes = {"source": source, "parameters": EngagementParameters(max_playback_rate=16)}
        run_step(sail, request.model_copy(update=changes))
    found: dict[tuple[str, int], tuple[int, int]] = {}
    playing: dict[str, int] = defaultdict(int)
    for row in rows(sail, site, VIDEO_CURVE):
        video = row["videoId"].removeprefix(prefix)
        # A view of a segment is a stretch that began up to it and did not end before it.
        playing[video] += row["starts"]
        if row["viewers"]:
            found[video, row["binStartMs"] // 5_000] = row["viewers"], playing[video]
        playing[video] -= row["stops"]
    expected = dict(edx_timeline.PUBLISHED)
    del expected[edx_timeline.FENCEPOST]
    assert found == expected
