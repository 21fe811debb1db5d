"""Experiments and forecasts on the tables that the steps have computed."""

import csv
import json
import shutil
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.alerts.outbox import Outbox
from vidagg_dagster.cli.main import main
from vidagg_dagster.core.contract import StepName
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.completion import completion
from vidagg_dagster.defs.experiments import (
    BELIEVABLE,
    EXPERIMENTS,
    JOB,
    ONE_ARM,
    SAMPLE_RATIO,
    USABLE,
    experiments,
)
from vidagg_dagster.defs.sensors.alerts import collect_alerts
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.defs.verification import verification
from vidagg_dagster.insight.completion.run import keep, run
from vidagg_dagster.insight.experiments.result import Result
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.insights import ExperimentSettings
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.small_site import Site, day, event, write_site

pytest.importorskip("tea_tasting", reason="the extra experiments is not installed")

USERS = 12
DAYS = [day(number) for number in range(3)]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Users who watch 10, 11, 12, ... seconds on the second of three days; every second one 30
    more."""
    require("sail")
    site = write_site(tmp_path_factory.mktemp("site"), 3)
    rows = [
        event(day(1), f"12:{second // 60:02}:{second % 60:02}", f"u{n}", name, position)
        for n in range(USERS)
        for watched in [10 + n // 2 + 30 * (n % 2)]
        for name, second, position in (("video_play", 0, 0), ("video_pause", watched, watched))
    ]
    site.write_day(day(1), rows)
    with using("sail"):
        spark: SparkSession = engine_session("sail")
        for step in StepName:
            run_step(spark, site.request(step, DAYS))
    return site


@pytest.fixture
def site(computed: Site, tmp_path: Path) -> Site:
    shutil.copytree(computed.folder, tmp_path / "copy")
    return Site(tmp_path / "copy")


def assign(site: Site, rows: Sequence[tuple[str, str, str]] = ()) -> None:
    """All users exposed as the second day begins, every other to the control; then more rows."""
    arms = ("control", "treatment")
    given = [(f"u{n}", arms[n % 2], f"{day(1)}T00:00:00Z") for n in range(USERS)]
    with (site.folder / "assignments.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(("experiment", "unitId", "variant", "exposedAt"))
        writer.writerows(("player-2", *row) for row in (*given, *rows))


def settings(site: Site) -> Settings:
    return Settings(
        start_date=day(0),
        data_root=site.tables,
        experiments=ExperimentSettings(
            assignments=site.folder / "assignments.csv", window_days=1, covariate_days=1
        ),
    )


def checks(site: Site) -> dict[str, bool]:
    with dg.DagsterInstance.ephemeral() as instance:
        job = experiments(settings(site)).resolve_job_def(JOB)
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def result_of(site: Site) -> Result:
    file = site.tables / EXPERIMENTS / "player-2.json"
    return Result.model_validate_json(file.read_text(encoding="utf-8"))


def test_the_asset_finds_the_effect_and_writes_a_page(site: Site) -> None:
    assign(site)
    assert set(checks(site).items()) == {
        (SAMPLE_RATIO, True),
        (ONE_ARM, True),
        (USABLE, True),
        (BELIEVABLE, True),
    }
    watched = result_of(site).effects[0]
    assert (watched.metric, watched.control, watched.effect) == ("watch_seconds", 12.5, 30)
    assert (site.tables / EXPERIMENTS / "player-2.html").is_file()
    assert checks(site)[SAMPLE_RATIO]
    assert result_of(site).looks == 2


def test_units_in_two_arms_and_unusable_rows_are_told_and_left_out(site: Site) -> None:
    assign(site, [("u0", "treatment", f"{day(1)}T05:00:00Z"), ("u99", "control", "some day")])
    found = checks(site)
    assert (found[ONE_ARM], found[USABLE], found[SAMPLE_RATIO]) == (False, False, True)
    assert {arm.variant: arm.units for arm in result_of(site).arms} == {
        "control": 5,
        "treatment": 6,
    }


def test_a_broken_sample_ratio_fails_its_check_and_no_effect_is_told(site: Site) -> None:
    assign(site, [(f"more{n}", "treatment", f"{day(1)}T00:00:00Z") for n in range(40)])
    assert checks(site)[SAMPLE_RATIO] is False
    assert result_of(site).effects == ()


def test_a_failed_check_is_told(site: Site) -> None:
    assign(site, [(f"more{n}", "treatment", f"{day(1)}T00:00:00Z") for n in range(40)])
    now = time.time()
    with dg.DagsterInstance.ephemeral() as instance:
        job = experiments(settings(site)).resolve_job_def(JOB)
        job.execute_in_process(instance=instance, raise_on_error=False)
        _, found = collect_alerts(instance, settings(site), Outbox(seen_until=now), now)
    told = [alert for alert in found if alert.asset == EXPERIMENTS]
    assert [alert.check for alert in told] == [SAMPLE_RATIO]


def test_a_day_that_is_stale_fails_its_check_and_no_effect_is_told(site: Site) -> None:
    assign(site)
    require("sail")
    site.write_day(day(1), [event(day(1), "12:00:00", "u1", "video_play", 0)])
    with using("sail"):
        run_step(engine_session("sail"), site.request(StepName.RAW_EVENTS, [day(0)]))
    assert checks(site)[BELIEVABLE] is False
    assert "source has changed" in result_of(site).refused[0]


def test_the_command_tells_the_same_and_lists_who_is_left_out(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assign(site, [("u0", "treatment", f"{day(1)}T05:00:00Z")])
    (site.folder / ".env").write_text(
        "VIDAGG_DATA_ROOT=tables\nVIDAGG_EXPERIMENTS_ASSIGNMENTS=assignments.csv\n"
        "VIDAGG_EXPERIMENTS_WINDOW_DAYS=1\n"
    )
    excluded = site.folder / "excluded.csv"
    code = main(["experiments", "--folder", str(site.folder), "--excluded", str(excluded)])
    said = capsys.readouterr().out
    assert code == 0
    assert "player-2: control 5 of 5, treatment 6 of 6; 1 in two arms" in said
    assert "Watched per user, treatment: +" in said
    assert excluded.read_text() == "experiment,unitId\nplayer-2,u0\n"
    stored = json.loads((site.tables / EXPERIMENTS / "player-2.json").read_text())
    assert stored["plan"]["window_days"] == 1


def test_a_table_that_is_not_there_is_named(site: Site) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = experiments(settings(site)).resolve_job_def(JOB)
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert "assignments.csv: there is no such file" in str(failed.event_specific_data)


def test_completion_is_forecast_on_the_tables_of_the_steps(site: Site) -> None:
    found = run(site.tables, "UTC", 75, try_learning=False)
    keep(site.tables, found)
    now = {
        row["userId"]: row["coverage"]
        for row in found.now.to_pylist()
        if row["videoId"] == "video_001"
    }
    assert (now["peter"], now["u0"], now["u1"]) == (40, 3.33, 13.33)
    pairs = USERS + 3  # peter, and anna with two videos
    with connect(site.tables) as connection:
        assert connection.sql("SELECT started FROM completion_cohorts").fetchall() == [(pairs,)]


def test_the_code_location_loads_with_all_of_it(site: Site) -> None:
    on = settings(site).model_copy(update={"completion_forecast": "learned"})
    steps = dg.Definitions(assets=build_assets(on), resources=step_resources(on))
    dg.Definitions.validate_loadable(
        dg.Definitions.merge(steps, verification(on), experiments(on), completion(on))
    )


def test_without_the_setting_nothing_is_there() -> None:
    nothing = experiments(Settings(start_date=date(2026, 1, 5)))
    assert not nothing.assets
    assert not nothing.jobs
