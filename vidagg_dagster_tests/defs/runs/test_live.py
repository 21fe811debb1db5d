"""Live tables through Dagster: a sensor sees new files, a run takes them in, a check compares."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.core.schemas import EVENT_DATE, LIVE_USER_VIDEO, LIVE_VIDEOS, TableSpec
from vidagg_dagster.defs.live import (
    PAUSE_AFTER_FAILURE,
    SAME,
    compare_job,
    live,
    live_job,
    reason_to_wait,
)
from vidagg_dagster.live.page import PAGE
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.databricks import DatabricksSettings
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.small_site import Site, peter

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.write_day(YESTERDAY, peter(YESTERDAY))
    site.videos.write_text('{"videoId": "video_001", "duration": 300, "title": "Welcome"}\n')
    return site


def settings_of(site: Site, **changed: Any) -> Settings:
    given: dict[str, Any] = {
        "source": str(site.events),
        "data_root": site.tables,
        "video_metadata": str(site.videos),
        "engine": SAIL,
        "live": "sensor",
        "start_date": YESTERDAY,
    }
    return Settings(**{**given, **changed})


def run(instance: dg.DagsterInstance, settings: Settings, job: Any) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions.merge(
        live(settings), dg.Definitions(executor=dg.in_process_executor)
    )
    return definitions.resolve_job_def(job.name).execute_in_process(
        instance=instance, raise_on_error=False
    )


def look(settings: Settings, cursor: str | None) -> Any:
    [sensor] = live(settings).sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    return sensor(dg.build_sensor_context(cursor=cursor))


def stored(sail: SparkSession, settings: Settings, table: TableSpec) -> list[dict[str, Any]]:
    return rows_of(open_tables(sail, settings.store).read(table))


def test_new_files_are_seen_taken_in_and_compared(
    instance: dg.DagsterInstance, sail: SparkSession, site: Site
) -> None:
    settings = settings_of(site)
    seen = look(settings, None)
    assert len(seen.run_requests) == 1
    result = run(instance, settings, live_job)
    assert result.success
    told = {event.asset_key: event for event in result.get_asset_materialization_events()}
    assert {*told} == {dg.AssetKey(LIVE_USER_VIDEO.name), dg.AssetKey(LIVE_VIDEOS.name)}
    metadata = told[dg.AssetKey(LIVE_VIDEOS.name)].materialization.metadata
    assert metadata["events"].value == len(peter(YESTERDAY))
    assert (site.tables / PAGE).is_file()
    [row] = stored(sail, settings, LIVE_USER_VIDEO)
    assert (row[EVENT_DATE], row["totalWatchTime"]) == (YESTERDAY, 130.0)
    # Nothing has changed; then there is a new file.
    assert isinstance(look(settings, seen.cursor), dg.SkipReason)
    site.write_day(TODAY, peter(TODAY))
    again = look(settings, seen.cursor)
    assert [request.run_key for request in again.run_requests] == [again.cursor]

    assert compared(run(instance, settings, compare_job)) == (True, 0)
    nights(sail, site)
    assert compared(run(instance, settings, compare_job)) == (True, 0)
    # An event that came after the night's run, and that only live rows know of.
    late = [*peter(YESTERDAY), {**peter(YESTERDAY)[0], "userId": "late"}]
    site.write_day(YESTERDAY, late)
    assert run(instance, settings, live_job).success
    assert compared(run(instance, settings, compare_job)) == (False, 1)


def nights(sail: SparkSession, site: Site) -> None:
    steps = (StepName.RAW_EVENTS, StepName.SESSIONS, StepName.USER_VIDEO_ENGAGEMENT)
    for step in (*steps, StepName.QUALITY_REPORT):
        request = site.request(step, [YESTERDAY])
        run_step(sail, request.model_copy(update={"start_date": YESTERDAY}))


def compared(result: dg.ExecuteInProcessResult) -> tuple[bool, Any]:
    [found] = result.get_asset_check_evaluations()
    assert found.check_name == SAME
    return found.passed, found.metadata["violations"].value


def test_a_source_that_cannot_be_live_is_named_by_the_sensor_and_the_run(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("{}\n")
    settings = settings_of(Site(tmp_path), source=str(file))
    skipped = look(settings, None)
    assert isinstance(skipped, dg.SkipReason)
    assert "new files in a folder" in str(skipped.skip_message)
    assert not run(instance, settings, live_job).success


def on_databricks(site: Site) -> Settings:
    place = DatabricksSettings(schema="main.video", volume="/Volumes/main/video/vidagg")
    return settings_of(
        site, target="databricks", engine="auto", databricks=place, source="/Volumes/main/video/in"
    )


def test_on_databricks_one_run_is_kept_going(instance: dg.DagsterInstance, site: Site) -> None:
    definitions = live(on_databricks(site))
    [sensor] = definitions.sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)

    def asked() -> Any:
        return sensor(dg.build_sensor_context(instance=instance))

    def there_is(status: dg.DagsterRunStatus) -> None:
        instance.add_run(dg.DagsterRun(job_name=live_job.name, status=status))

    assert isinstance(asked(), dg.RunRequest)
    for status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED):
        there_is(status)
        assert "takes in events" in asked().skip_message
    there_is(dg.DagsterRunStatus.SUCCESS)
    assert isinstance(asked(), dg.RunRequest)
    there_is(dg.DagsterRunStatus.FAILURE)
    assert "failed; the next one begins at" in asked().skip_message
    later = datetime.now(UTC) + PAUSE_AFTER_FAILURE
    assert reason_to_wait(instance, later) is None


def test_what_dagster_has_follows_from_the_setting(site: Site) -> None:
    off = live(settings_of(site, live="off"))
    assert not any((off.assets, off.jobs, off.sensors, off.schedules, off.asset_checks))
    command = live(settings_of(site, live="command"))
    assert not command.sensors
    assert [job.name for job in command.jobs or ()] == [compare_job.name]
    assert {spec.key.to_user_string() for spec in command.resolve_all_asset_specs()} >= {
        LIVE_USER_VIDEO.name,
        LIVE_VIDEOS.name,
    }
