"""Days through Dagster where a Spark Connect server computes, and its catalog has the tables.

The source and the videos are tables of that catalog, too. The server is Spark's own, with Delta's
jar.
"""

import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, TableStore
from vidagg_dagster.core.schemas import SOURCE_INVENTORY
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.settings import load_settings
from vidagg_dagster_tests.conftest import ConnectServer
from vidagg_dagster_tests.support.databricks_rows import Rows, local_rows, stored
from vidagg_dagster_tests.support.small_site import FIRST_DAY, day, write_site


@pytest.fixture
def schema(
    connect_server: ConnectServer, catalog_spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A new schema, and the settings for tables in it that are computed from tables in it."""
    name = f"spark_catalog.video_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE SCHEMA {name}")
    for variable, value in {
        "ENGINE": connect_server.address,
        "CATALOG_SCHEMA": name,
        "SOURCE": f"{name}.player_events",
        "VIDEO_METADATA": f"{name}.videos",
        "START_DATE": FIRST_DAY.isoformat(),
    }.items():
        monkeypatch.setenv(f"VIDAGG_{variable}", value)
    yield name
    catalog_spark.sql(f"DROP SCHEMA {name} CASCADE")


def add(spark: SparkSession, files: Path, table: str) -> None:
    spark.read.json(str(files)).write.format("delta").saveAsTable(table)


def run(first: date, last: date) -> str:
    """Materialize every asset of a range of days; gives the log."""
    settings = load_settings()
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            build_assets(settings),
            instance=instance,
            resources=step_resources(settings),
            tags={
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": last.isoformat(),
            },
        )
        told = " ".join(entry.user_message for entry in instance.all_logs(result.run_id))
    checks = result.get_asset_check_evaluations()
    assert checks
    assert all(check.passed for check in checks)
    return told


def comparable(rows: Rows) -> Rows:
    """Without where the rows were read: in a table, and on this machine in files."""
    return {
        name: [{key: row[key] for key in row if key != "sourceFile"} for row in found]
        for name, found in rows.items()
        if name != SOURCE_INVENTORY.name
    }


def test_two_days_and_the_first_again_give_the_rows_of_a_local_run(
    schema: str, catalog_spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path / "site", 2)
    add(catalog_spark, site.videos, f"{schema}.videos")
    add(catalog_spark, site.events, f"{schema}.player_events")
    run(day(0), day(1))
    # The commits of the daily table tell what is new.
    assert "days_taken_in 1" in run(day(0), day(0))
    store = TableStore(kind="catalog", location=schema)
    assert load_settings().store == store
    found = stored(catalog_spark, store)
    assert all(found[step] for step in StepName)
    assert comparable(found) == comparable(local_rows(site, [day(0), day(1)]))
