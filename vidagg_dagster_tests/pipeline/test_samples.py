"""What people see of a day beside its rows: numbers to follow, and a few rejected rows."""

import json
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, StepResult
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster_tests.support.small_site import Row, Site, anna, day, event, peter

BAD: list[Row | str] = [
    event(day(0), "11:00:00", "secret-person", "volume_change", 0),
    event(day(0), "11:00:01", "secret-person", "volume_change", 1),
    event(day(0), "11:00:02", "", "video_play", 0),
    '{"userId": "secret-person", broken',
]


def run(spark: SparkSession, site: Site, *steps: StepName) -> StepResult:
    results = [run_step(spark, site.request(step, [day(0)])) for step in steps]
    return results[-1]


def site_of(folder: Path) -> Site:
    site = Site(folder)
    site.write_day(day(0), [*peter(day(0)), *anna(day(0)), *BAD])
    site.videos.write_text('{"videoId": "video_001", "duration": 300, "title": "Welcome"}\n')
    return site


def test_a_sample_of_rejected_rows_names_no_person(sail: SparkSession, tmp_path: Path) -> None:
    (found,) = run(sail, site_of(tmp_path), StepName.RAW_EVENTS).days
    assert "secret-person" not in json.dumps(found.sample)
    by_reason = {row["reasons"]: row for row in found.sample}
    assert set(by_reason) >= {"unknown_event", "missing_user"}
    unknown = by_reason["unknown_event"]
    assert (unknown["eventName"], unknown["userId"]) == ("volume_change", "there")
    assert by_reason["missing_user"]["userId"] == ""
    assert found.numbers == {"rejected_percent": 23.53, "duplicate_percent": 0.0}


def test_a_day_has_the_numbers_of_the_business(sail: SparkSession, tmp_path: Path) -> None:
    site = site_of(tmp_path)
    steps = (StepName.RAW_EVENTS, StepName.SESSIONS, StepName.WATCH_INTERVALS)
    (found,) = run(sail, site, *steps, StepName.USER_VIDEO_ENGAGEMENT).days
    assert found.numbers["viewers"] == 2
    assert found.numbers["completions"] == 1
    assert found.numbers["watch_hours"] == round((130 + 60 + 10 + 10) / 3600, 1)
    whole = run(sail, site, StepName.AGGREGATED_ENGAGEMENT)
    assert whole.numbers == found.numbers
