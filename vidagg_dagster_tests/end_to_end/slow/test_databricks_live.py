"""Live tables of a catalog, kept by a job on the loopback workspace that Dagster's asset submits.

On a job cluster the task is Structured Streaming; through Spark Connect, as on serverless compute,
it looks into the folder itself. Both take in what arrives while they run and between two runs, and
the rows are those of one batch on a laptop.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, SourceSpec, StepName, TableStore
from vidagg_dagster.core.schemas import LIVE_EVENTS, LIVE_TABLES, LIVE_USER_VIDEO, LIVE_VIDEOS
from vidagg_dagster.defs.live import SAME, live, live_job
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.live.batch import Batch, LiveTables
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.settings import Settings
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.conftest import delta_conf, require
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.databricks_rows import settings_for
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, classic_spark, databricks
from vidagg_dagster_tests.support.small_site import Site, anna, peter

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
ARRIVES_AFTER_S = 30.0


def site_of(folder: Path) -> Site:
    site = Site(folder)
    site.write_day(YESTERDAY, [*peter(YESTERDAY), *anna(YESTERDAY)])
    site.videos.write_text('{"videoId": "video_001", "duration": 300, "title": "Welcome"}\n')
    return site


def live_settings(place: Databricks, site: Site, schema: str, **databricks: Any) -> Settings:
    settings = settings_for(place, site, schema, **databricks)
    feed = settings.live_feed.model_copy(update={"run_minutes": 1, "interval_seconds": 1})
    changed = {"live": "sensor", "live_feed": feed, "start_date": YESTERDAY}
    return Settings.model_validate({**dict(settings), **changed})


def run(
    instance: dg.DagsterInstance, settings: Settings, arrives: tuple[Site, date] | None = None
) -> dg.ExecuteInProcessResult:
    """A run of the job `live`, in the middle of which the events of a day may arrive."""
    definitions = dg.Definitions.merge(
        live(settings),
        dg.Definitions(executor=dg.in_process_executor, resources=step_resources(settings)),
    )
    if arrives is not None:
        site, day = arrives
        later = threading.Timer(ARRIVES_AFTER_S, site.write_day, (day, anna(day)))
        later.start()
    result = definitions.resolve_job_def(live_job.name).execute_in_process(instance=instance)
    assert result.success
    return result


def reported(result: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    told = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert {*told} == {LIVE_USER_VIDEO.name, LIVE_VIDEOS.name}
    return {name: value.value for name, value in told[LIVE_VIDEOS.name].items()}


def of_one_batch(site: Site) -> Mapping[str, list[str]]:
    """What a laptop makes of all the files at once."""
    require(SAIL)
    request = LiveRequest(
        source=SourceSpec(location=str(site.events)),
        store=TableStore(kind="local", location=str(site.tables)),
        timezone="UTC",
        start_date=YESTERDAY,
        video_metadata=str(site.videos),
    )
    files = sorted(path.name for path in site.events.iterdir())
    with using(SAIL):
        sail = engine_session(SAIL)
        LiveTables(sail, request).take(Batch("one", 1, files), datetime.now(UTC))
        tables = open_tables(sail, request.store)
        return {
            name: texts(rows_of(tables.read(table)))
            for name, table in LIVE_TABLES.items()
            if table is not LIVE_EVENTS
        }


def texts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted(repr(dict(row)) for row in rows)


def nights(spark: SparkSession, site: Site, store: TableStore) -> None:
    """The daily run of yesterday, into the same catalog."""
    steps = (StepName.RAW_EVENTS, StepName.SESSIONS, StepName.USER_VIDEO_ENGAGEMENT)
    for step in (*steps, StepName.QUALITY_REPORT):
        request = site.request(step, [YESTERDAY])
        changed = {"start_date": YESTERDAY, "store": store}
        run_step(spark, request.model_copy(update=changed))


def test_through_spark_connect(
    wheel: Path, place: Databricks, schema: str, catalog_spark: SparkSession, tmp_path: Path
) -> None:
    site = site_of(tmp_path / "site")
    place.put_wheel(wheel)
    settings = live_settings(place, site, schema)
    nights(catalog_spark, site, settings.store)
    with dg.DagsterInstance.ephemeral() as instance:
        first = run(instance, settings, (site, TODAY))
        assert reported(first)["batches"] == 2
        [check] = first.get_asset_check_evaluations()
        assert (check.check_name, check.passed) == (SAME, True)
        assert check.metadata["dagster/row_count"].value == 3
        told = " ".join(entry.user_message for entry in instance.all_logs(first.run_id))
        assert "13 events" in told
        # Rows of yesterday that only live tables know of: the daily run lacks them.
        site.write_day(YESTERDAY, [*peter(YESTERDAY), *anna(YESTERDAY), *late(YESTERDAY)])
        second = run(instance, settings)
        assert reported(second)["batches"] == 1
        [check] = second.get_asset_check_evaluations()
        assert (check.passed, check.metadata["violations"].value) == (False, 1)
    tables = open_tables(catalog_spark, settings.store)
    found = {
        name: texts(rows_of(tables.read(table)))
        for name, table in LIVE_TABLES.items()
        if table is not LIVE_EVENTS
    }
    assert found == of_one_batch(site)
    assert sorted(place.leftovers()) == ["live/notes.json"]


def late(day: date) -> list[dict[str, Any]]:
    return [{**row, "userId": "late", "sessionId": "late"} for row in peter(day)]


def test_by_structured_streaming_on_a_job_cluster(
    wheel: Path,
    delta_jars: list[Path],
    catalog_spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = site_of(tmp_path / "site")
    warehouse = tmp_path / "warehouse"
    classic = classic_spark(tmp_path / "cluster", delta_conf(delta_jars, warehouse))
    with databricks(tmp_path / "workspace", classic=classic) as place:
        for name, value in place.credentials.items():
            monkeypatch.setenv(name, value)
        place.put_wheel(wheel)
        settings = live_settings(
            place,
            site,
            "spark_catalog.default",
            compute="job_cluster",
            job_cluster={"node_type_id": "i3.xlarge"},
        )
        with dg.DagsterInstance.ephemeral() as instance:
            first = reported(run(instance, settings, (site, TODAY)))
            assert (first["batches"], first["rejected"]) == (2, 0)
            site.write_day(TODAY - timedelta(days=9), late(TODAY - timedelta(days=9)))
            second = reported(run(instance, settings))
            assert (second["batches"], second["events"], second["of days before"]) == (1, 0, 6)
        checkpoint = Path(place.volume) / "live" / "checkpoint" / "files"
        assert (checkpoint / "commits").is_dir()
    # The tables outlive the cluster's metastore: any Delta reader finds them by their folders.
    found = {
        name: texts(rows_of(catalog_spark.read.format("delta").load(str(warehouse / name))))
        for name, table in LIVE_TABLES.items()
        if table is not LIVE_EVENTS
    }
    assert found == of_one_batch(site)
