"""The run of a day settles the next one: any order of runs ends in the same rows."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, StepResult
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster_tests.support.nights import evening, morning
from vidagg_dagster_tests.support.small_site import Row, Site, day, peter
from vidagg_dagster_tests.support.whole_tables import stored

SETTLING = ("sessions", "watch_intervals", "user_video_engagement", "quality_report")


def site_of(folder: Path, *days: Sequence[Row]) -> Site:
    site = Site(folder)
    for number, rows in enumerate(days):
        site.write_day(day(number), rows)
    site.videos.write_text('{"videoId": "video_001", "duration": 300, "title": "Welcome"}\n')
    return site


def run(sail: SparkSession, site: Site, days: Sequence[date]) -> dict[str, StepResult]:
    return {str(step): run_step(sail, site.request(step, days)) for step in StepName}


def rows(sail: SparkSession, site: Site) -> Any:
    """The rows of every table that follows from the events alone."""
    found = stored(sail, site.request(StepName.SESSIONS, []).store)
    return {name: found[name] for name in TABLES if name != "source_inventory"}


def replaced(results: dict[str, StepResult]) -> dict[str, list[date]]:
    return {name: [found.day for found in results[name].days] for name in SETTLING}


@pytest.mark.parametrize("next_morning", [morning(day(1)), []], ids=["goes on", "only a tail"])
def test_a_day_run_after_the_next_one_settles_it(
    sail: SparkSession, tmp_path: Path, next_morning: list[Row]
) -> None:
    site = site_of(tmp_path / "apart", evening(day(0)), next_morning)
    run(sail, site, [day(1)])
    results = run(sail, site, [day(0)])
    # Without credited time there is no interval to settle.
    expected = {name: [day(0), day(1)] for name in SETTLING}
    if not next_morning:
        expected["watch_intervals"] = [day(0)]
    assert replaced(results) == expected
    for name in ("sessions", "user_video_engagement", "quality_report"):
        assert {outcome.day for outcome in results[name].outcomes} == {day(0), day(1)}
    assert {found.day for found in results["aggregated_user_video_engagement"].days} == {
        day(0),
        day(1),
    }
    together = site_of(tmp_path / "together", evening(day(0)), next_morning)
    run(sail, together, [day(0), day(1)])
    assert rows(sail, site) == rows(sail, together)
    # Run again, nothing of the next day changes, so it is left alone.
    assert replaced(run(sail, site, [day(0)])) == {name: [day(0)] for name in SETTLING}


def test_a_day_whose_evening_ends_in_time_leaves_the_next_one_alone(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = site_of(tmp_path, peter(day(0)), peter(day(1)))
    run(sail, site, [day(1)])
    assert replaced(run(sail, site, [day(0)])) == {name: [day(0)] for name in SETTLING}


def test_a_day_that_was_never_run_is_not_made_by_the_day_before(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = site_of(tmp_path, evening(day(0)), morning(day(1)))
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(1)]))
    assert replaced(run(sail, site, [day(0)])) == {name: [day(0)] for name in SETTLING}
