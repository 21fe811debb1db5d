"""What people tell of their audience, chapters, users and publications, beside what was watched."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    VIDEO_REACH,
)
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.pipeline.told import TOLD
from vidagg_dagster.sources import users as users_module
from vidagg_dagster.sources.audience import read_audience, read_chapters
from vidagg_dagster.sources.published import published_days
from vidagg_dagster.sources.users import read_users
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.small_site import Site, day, write_site

LIFETIME = StepName.LIFETIME_VIDEO_CURVE
AUDIENCE = """\
userId,videoId,dueDate
peter,video_001,2026-01-05
peter,video_002,2026-01-05
anna,video_002,2026-01-01
anna,video_002,2026-01-20
anna,video_001,
carl,video_001,2026-01-06
carl,unheard_of,2026-01-05
,video_001,2026-01-05
"""
CHAPTERS = """\
videoId,start,title
video_001,0,Hello
video_001,1:55,The end of peter
video_001,PT3M20S,Where anna jumps
video_002,30,Second half
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    require(SAIL)
    site = write_site(tmp_path_factory.mktemp("site"), 2)
    with using(SAIL):
        for step in StepName:
            if step is not LIFETIME:
                run_step(engine_session(SAIL), site.request(step, [day(0), day(1)]))
    return site


def told(
    sail: SparkSession, site: Site, table: TableSpec, **files: str | None
) -> list[dict[str, Any]]:
    """The rows of `table` after the lifetime step, with these texts as files."""
    named: dict[str, str | None] = {}
    for name, text in files.items():
        if text is not None:
            file = site.folder / f"{name}.csv"
            file.write_text(text)
            named[name] = str(file)
    run_step(sail, site.request(LIFETIME, []).model_copy(update=named))
    tables = open_tables(sail, site.request(LIFETIME, []).store)
    return sorted(rows_of(tables.read(table)), key=lambda row: [row[name] for name in table.key])


def test_who_did_not_watch_has_a_row_and_is_overdue(sail: SparkSession, computed: Site) -> None:
    """The last day read is 2026-01-06, whatever the clock says."""
    found = {
        (row["userId"], row["videoId"]): (row["status"], row["overdue"], row["watchedPercentage"])
        for row in told(sail, computed, AUDIENCE_STATUS, audience=AUDIENCE)
    }
    assert found == {
        ("peter", "video_001"): ("in_progress", True, 40.0),
        ("peter", "video_002"): ("not_started", True, 0.0),
        ("anna", "video_002"): ("completed", False, 100.0),
        ("anna", "video_001"): ("in_progress", None, 6.67),
        ("carl", "video_001"): ("not_started", False, 0.0),
        ("carl", "unheard_of"): ("not_started", True, 0.0),
    }
    assert told(sail, computed, AUDIENCE_STATUS) == []


def test_the_earliest_due_date_of_a_pair_counts(sail: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "audience.csv"
    file.write_text(AUDIENCE)
    rows = {
        (r["userId"], r["videoId"]): r["dueDate"] for r in rows_of(read_audience(sail, str(file)))
    }
    assert rows["anna", "video_002"] == date(2026, 1, 1)
    assert rows["anna", "video_001"] is None


def test_chapters_have_who_reached_watched_and_left_them(
    sail: SparkSession, computed: Site
) -> None:
    """On each day peter sees 0 to 120 s and 110 to 120 again, anna 0 to 10 and 200 to 210."""
    rows = told(sail, computed, CHAPTER_ENGAGEMENT, chapters=CHAPTERS)
    names = ("endMs", "reached", "viewers", "uniqueMs", "watchMs", "rewatchMs", "leftHere")
    assert {
        (row["videoId"], row["chapter"]): tuple(row[name] for name in names) for row in rows
    } == {
        ("video_001", 1): (115_000, 2, 2, 125_000, 2 * 130_000, 135_000, 0),
        ("video_001", 2): (200_000, 2, 1, 5_000, 2 * 10_000, 15_000, 1),
        ("video_001", 3): (300_000, 1, 1, 10_000, 2 * 10_000, 10_000, 1),
        ("video_002", 1): (60_000, 1, 1, 30_000, 2 * 30_000, 30_000, 1),
    }
    assert [row["chapterTitle"] for row in rows][:2] == ["Hello", "The end of peter"]


def after(sail: SparkSession, site: Site, table: TableSpec, **changes: Any) -> list[dict[str, Any]]:
    """The rows of `table` after the lifetime step with another request; all of its rules hold."""
    request = site.request(LIFETIME, []).model_copy(update=changes)
    result = run_step(sail, request)
    assert [outcome.rule for outcome in result.outcomes if not outcome.passed] == []
    return rows_of(open_tables(sail, request.store).read(table))


def test_users_are_in_cohorts_by_what_is_told_of_them(sail: SparkSession, computed: Site) -> None:
    """Of anna nothing is told, which is a cohort of its own; carl never watched."""
    file = computed.folder / "users.csv"
    file.write_text("userId,plan,week\npeter,gold,1\ncarl,gold,1\nanna,,2\n")
    found = after(sail, computed, ATTRIBUTE_COHORTS, users=str(file), cohort_by=("plan", "week"))
    assert {(row["attribute"], row["value"]): row["users"] for row in found} == {
        ("plan", "gold"): 1,
        ("plan", None): 1,
        ("week", "1"): 1,
        ("week", "2"): 1,
    }
    assert {row["activeUsers"] for row in found} == {None}, "the week is not over"
    assert after(sail, computed, ATTRIBUTE_COHORTS) == []


def test_reach_is_told_where_the_column_of_publication_is_named(
    sail: SparkSession, computed: Site
) -> None:
    catalogue = computed.folder / "catalogue.csv"
    catalogue.write_text(
        "videoId,duration,title,released\n"
        "video_001,300,Welcome,2026-01-05T08:00:00Z\n"
        "video_002,60,Trailer,soon\n"
    )
    named = {"video_metadata": str(catalogue), "video_columns": {"publishedAt": "released"}}
    found = {row["videoId"]: row for row in after(sail, computed, VIDEO_REACH, **named)}
    reached = [found["video_001"][f"reachedByDay{days}"] for days in (1, 7, 28)]
    assert (reached, found["video_001"]["couldSee"]) == ([2, None, None], None)
    assert found["video_001"]["videoTitle"] == "Welcome"
    assert found["video_002"]["publishedDay"] is None
    audience = computed.folder / "audience.csv"
    audience.write_text(AUDIENCE)
    of_audience = after(sail, computed, VIDEO_REACH, audience=str(audience), **named)
    [welcome] = [row for row in of_audience if row["videoId"] == "video_001"]
    # Carl is asked to watch it and never did.
    assert (welcome["couldSeeBy"], welcome["couldSee"], welcome["reachedByDay1"]) == (
        "audience",
        3,
        2,
    )
    assert welcome["reachPercentageByDay1"] == 66.67
    assert after(sail, computed, VIDEO_REACH) == []


def test_what_nobody_tells_makes_no_table(sail: SparkSession, tmp_path: Path) -> None:
    """Not even an empty one: the daily run reads and writes nothing for it."""
    site = write_site(tmp_path, 1)
    for step in StepName:
        run_step(sail, site.request(step, [day(0)]))
    stored = {folder.name for folder in site.tables.iterdir()}
    assert "viewer_cohorts" in stored
    assert not stored & {table.name for table in TOLD}


def test_a_user_of_whom_two_things_are_told_has_neither(sail: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_text("USERID,plan\nu,gold\nu,free\nv,gold\nv,gold\nw, \n,gold\n")
    found = rows_of(read_users(sail, str(file), ("plan",)))
    assert {row["userId"]: row["attribute0"] for row in found} == {
        "u": None,
        "v": "gold",
        "w": None,
    }


def test_a_column_that_tells_single_users_apart_makes_no_cohorts(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users.csv"
    file.write_text("userId,mail\nu,a\nv,b\nw,c\n")
    monkeypatch.setattr(users_module, "MAX_VALUES", 2)
    with pytest.raises(SourceError, match="mail has 3 values, more than 2: it tells single users"):
        read_users(sail, str(file), ("mail",))
    with pytest.raises(SourceError, match="Missing columns: plan"):
        read_users(sail, str(file), ("plan",))


def test_a_day_of_publication_is_one_of_the_zone_and_the_earliest(
    sail: SparkSession, tmp_path: Path
) -> None:
    file = tmp_path / "videos.csv"
    file.write_text(
        "videoId,publishedAt\n"
        "night,2026-01-05T23:30:00Z\n"
        "day,2026-01-05\n"
        "twice,2026-03-01\n"
        "twice,2026-02-01\n"
        "never,\n"
    )
    found = rows_of(published_days(sail, str(file), {}, "Europe/Berlin"))
    assert {row["videoId"]: row["publishedDay"] for row in found} == {
        "night": date(2026, 1, 6),
        "day": date(2026, 1, 5),
        "twice": date(2026, 2, 1),
        "never": None,
    }


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_audience, "userId,videoId,dueDate\nu,v,soon\n"),
        (read_chapters, "videoId,start\nv,later\n"),
        (read_chapters, "videoId,start\nv,\n"),
    ],
)
def test_what_cannot_be_read_is_named(
    sail: SparkSession, tmp_path: Path, read: Any, text: str
) -> None:
    file = tmp_path / "told.csv"
    file.write_text(text)
    with pytest.raises(SourceError, match=r"told\.csv: .* cannot be read. Write "):
        read(sail, str(file))
