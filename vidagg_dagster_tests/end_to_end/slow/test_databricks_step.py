"""A step of the real wheel on the loopback workspace, with real Spark and Delta."""

import re
from pathlib import Path

import dagster as dg
from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.databricks_rows import settings_for
from vidagg_dagster_tests.support.fake_databricks.site import Databricks
from vidagg_dagster_tests.support.small_site import anna, day, peter, write_site


def test_a_step_of_the_wheel_on_spark_connect_stores_the_rows_of_the_day(
    place: Databricks, schema: str, wheel: Path, catalog_spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path / "site", 1)
    site.write_day(day(0), [*peter(day(0)), *({**row, "device": "tv"} for row in anna(day(0)))])
    place.put_wheel(wheel)
    settings = settings_for(place, site, schema).model_copy(update={"dimensions": {"device": None}})
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_assets(settings),
            instance=instance,
            resources=step_resources(settings),
            partition_key=day(0).isoformat(),
            selection=["raw_events"],
        )
        told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert [line for line in told if re.fullmatch(rf"1/1 {day(0)} 13 events \d+\.\d s", line)]
    assert result.get_asset_check_evaluations()
    assert all(check.passed for check in result.get_asset_check_evaluations())
    tables = open_tables(catalog_spark, settings.store, None, ["device"])
    assert tables.day_counts(RAW_EVENTS, [day(0)]) == {day(0): 13}
    devices = {(row["userId"], row["device"]) for row in rows_of(tables.read(RAW_EVENTS))}
    assert devices == {("peter", None), ("anna", "tv")}
    assert place.leftovers() == []
