"""The real wheel with real Spark and Delta on the loopback workspace, by the real Dagster.

Serverless tasks speak to a Spark Connect server, as they do on Databricks; those of a job cluster
start their own JVM. What comes out must be the rows of a local run.
"""

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, TableStore
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster_tests.conftest import delta_conf
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.dagster_ui import Ui, free_port, serving
from vidagg_dagster_tests.support.databricks_rows import (
    local_rows,
    settings_for,
    stored,
    without_run_time,
)
from vidagg_dagster_tests.support.fake_databricks.server import CLIENT_ID, CLIENT_SECRET
from vidagg_dagster_tests.support.fake_databricks.site import Databricks, classic_spark, databricks
from vidagg_dagster_tests.support.pages import shell_lines
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site, day, peter, write_site

EVERY_ASSET = [str(step) for step in StepName]


def test_a_range_on_a_job_cluster_gives_the_rows_of_a_local_run(
    wheel: Path,
    delta_jars: list[Path],
    catalog_spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On classic Spark with its own metastore, in which the schema `default` always exists."""
    site = write_site(tmp_path / "site", 2)
    warehouse = tmp_path / "warehouse"
    classic = classic_spark(tmp_path / "cluster", delta_conf(delta_jars, warehouse))
    with databricks(tmp_path / "workspace", classic=classic) as place:
        for name, value in place.credentials.items():
            monkeypatch.setenv(name, value)
        place.put_wheel(wheel)
        settings = settings_for(
            place,
            site,
            "spark_catalog.default",
            compute="job_cluster",
            job_cluster={"node_type_id": "i3.xlarge"},
        )
        result = dg.materialize(
            build_assets(settings),
            resources=step_resources(settings),
            tags={
                "dagster/asset_partition_range_start": day(0).isoformat(),
                "dagster/asset_partition_range_end": day(1).isoformat(),
            },
        )
        assert result.success
        assert len(place.workspace.runs.all) == len(StepName)
        spec = place.workspace.runs.all[1].submission.compute["new_cluster"]
        assert spec["autoscale"] == {"min_workers": 2, "max_workers": 8}

    # The tables outlive the cluster's metastore: any Delta reader finds them by their folders.
    found = {
        name: without_run_time(
            rows_of(catalog_spark.read.format("delta").load(str(warehouse / name)))
        )
        if (warehouse / name).is_dir()
        else []
        for name in TABLES
    }
    assert found == local_rows(site, [day(0), day(1)])


def test_a_backfill_from_the_ui_gives_the_rows_of_a_local_run(
    place: Databricks, schema: str, catalog_spark: SparkSession, tmp_path: Path
) -> None:
    """One story, because each server costs half a minute: deploy, backfill, checks, terminate."""
    site = write_site(tmp_path / "site", 2)
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text((REPO / "dagster.yaml").read_text())
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIDAGG_", "DAGSTER_", "SPARK_"))
    }
    environment = {
        **kept,
        **place.credentials,
        "DAGSTER_HOME": str(home),
        "VIDAGG_TARGET": "databricks",
        "VIDAGG_SOURCE": str(site.events),
        "VIDAGG_VIDEO_METADATA": str(site.videos),
        "VIDAGG_START_DATE": FIRST_DAY.isoformat(),
        "VIDAGG_DATABRICKS_SCHEMA": schema,
        "VIDAGG_DATABRICKS_VOLUME": place.volume,
        "VIDAGG_DATABRICKS_POLL_SECONDS": "0.5",
        "VIDAGG_DATABRICKS_RETRIES": "0",
    }
    deployed = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "databricks", "deploy"],
        cwd=site.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    port = free_port()
    command = [
        *(sys.executable, "-m", "dagster", "dev", "-p", str(port)),
        *("-w", str(REPO / "workspace.yaml")),
    ]
    with serving(command, port, cwd=site.folder, env=environment) as address:
        ui = Ui(address)
        _a_backfill(ui, site)
        store = TableStore(kind="catalog", location=schema)
        expected = local_rows(site, [day(0), day(1)])
        assert stored(catalog_spark, store) == expected
        _a_warning_and_a_blocking_check(ui, site, place)
        _a_terminated_run(ui, site, place)
    assert place.leftovers() == []


def _a_backfill(ui: Ui, site: Site) -> None:
    runs = ui.backfill([day(0), day(1)], EVERY_ASSET)
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert ui.materialized_days("raw_events") == 2
    assert ui.materialized_days("quality_report") == 2
    assert [ui.rows_shown("raw_events", day(n)) for n in (0, 1)] == [13, 13]
    assert ui.days_of_check("raw_events", "input_reconciles") == {"SUCCEEDED": 2}
    assert site.events.exists()


def _a_warning_and_a_blocking_check(ui: Ui, site: Site, place: Databricks) -> None:
    site.write_day(day(0), [*peter(day(0)), "no event at all"])
    (run,) = ui.backfill([day(0)], ["raw_events"])
    assert run["status"] == "SUCCESS"
    assert ui.days_of_check("raw_events", "rejected_share") == {"FAILED": 1, "SUCCEEDED": 1}

    # The metadata shrinks a video after the sessions were computed with its old duration.
    site.videos.write_text('{"videoId": "video_001", "duration": 100, "title": "Cut"}\n')
    before = len(place.workspace.runs.all)
    ended = ui.ended(ui.launch([day(1)], ["watch_intervals", "user_video_engagement"]))
    assert {run["status"] for run in ended["runs"]} == {"FAILURE"}
    jobs = list(place.workspace.runs.all.values())[before:]
    assert [job.submission.task_key for job in jobs] == ["watch_intervals"]
    assert ui.days_of_check("watch_intervals", "within_video")["FAILED"] == 1


def _a_terminated_run(ui: Ui, site: Site, place: Databricks) -> None:
    many = [row for _ in range(40_000) for row in peter(day(5))]
    site.write_day(day(5), [{**row, "userId": f"u{n // 6}"} for n, row in enumerate(many)])
    before = len(place.workspace.runs.all)
    backfill = ui.launch([day(5)], ["raw_events", "sessions"])
    deadline = time.monotonic() + 120
    while len(place.workspace.runs.all) == before:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(5)  # in the middle of the step
    job = list(place.workspace.runs.all.values())[-1]
    assert not job.ended
    (run,) = ui.state(backfill)["runs"]
    ui.terminate(run["id"])
    ended = ui.ended(backfill)
    assert {run["status"] for run in ended["runs"]} == {"CANCELED"}
    assert job.state()["result_state"] == "CANCELED"
    assert len(place.workspace.runs.all) == before + 1  # sessions was not submitted
    assert ui.materialized_days("raw_events") == 2


def test_the_commands_of_the_page_lead_to_a_first_day(
    place: Databricks, schema: str, catalog_spark: SparkSession, tmp_path: Path
) -> None:
    """As a service principal, in a virtual environment that has what the page installs."""
    site = write_site(tmp_path / "site", 1)
    venv.create(tmp_path / ".venv", with_pip=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIDAGG_", "DAGSTER_", "DATABRICKS_", "PYTHONPATH", "SPARK_"))
    }
    ours = {
        "DATABRICKS_HOST": place.credentials["DATABRICKS_HOST"],
        "DATABRICKS_CLIENT_ID": CLIENT_ID,
        "DATABRICKS_CLIENT_SECRET": CLIENT_SECRET,
        "DATABRICKS_CONFIG_FILE": "/dev/null",
        "VIDAGG_SOURCE": str(site.events),
        "VIDAGG_VIDEO_METADATA": str(site.videos),
        "VIDAGG_DATABRICKS_SCHEMA": schema,
        "VIDAGG_DATABRICKS_VOLUME": place.volume,
        "VIDAGG_DATABRICKS_POLL_SECONDS": "0.5",
        "DAGSTER_HOME": str(tmp_path),
    }
    told: dict[str, str] = {}
    for line in shell_lines(REPO / "docs" / "databricks.md"):
        if line.startswith("export "):
            told |= dict(pair.split("=", 1) for pair in line.split()[1:])
            continue
        done = subprocess.run(
            line.replace(".venv/bin", str(tmp_path / ".venv" / "bin")),
            shell=True,
            cwd=REPO,
            env={**environment, **told, **ours},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert set(ours) - set(told) == {
        *("DATABRICKS_CONFIG_FILE", "DAGSTER_HOME", "VIDAGG_DATABRICKS_POLL_SECONDS"),
    }  # the page has all others
    assert "POST /oidc/v1/token" in place.workspace.requests
    store = TableStore(kind="catalog", location=schema)
    assert {name: len(rows) for name, rows in stored(catalog_spark, store).items()}[
        "aggregated_user_video_engagement"
    ] == 3
