"""A step of the real wheel on the loopback workspace, with real Spark and Delta."""

import re
from pathlib import Path

import dagster as dg
from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.targets import steps
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.databricks_rows import settings_for
from vidagg_dagster_tests.support.fake_databricks.site import Databricks
from vidagg_dagster_tests.support.small_site import day, write_site


def test_a_step_of_the_wheel_on_spark_connect_stores_the_rows_of_the_day(
    place: Databricks, schema: str, wheel: Path, catalog_spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path / "site", 1)
    place.put_wheel(wheel)
    settings = settings_for(place, site, schema)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_assets(settings),
            instance=instance,
            resources={"steps": steps(settings)},
            partition_key=day(0).isoformat(),
            selection=["raw_events"],
        )
        told = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert [line for line in told if re.fullmatch(rf"1/1 {day(0)} 13 events \d+\.\d s", line)]
    assert result.get_asset_check_evaluations()
    assert all(check.passed for check in result.get_asset_check_evaluations())
    counts = open_tables(catalog_spark, settings.store).day_counts(TABLES["raw_events"], [day(0)])
    assert counts == {day(0): 13}
    assert place.leftovers() == []
