"""Settings for a loopback workspace, and the rows of its tables and of a local run."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName, TableStore
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.settings import Settings
from vidagg_dagster.settings.databricks import DatabricksSettings
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.fake_databricks.site import Databricks
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site

Rows = Mapping[str, list[dict[str, Any]]]


def without_run_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [{k: v for k, v in row.items() if k != "processedAt"} for row in rows]
    return sorted(kept, key=repr)


def stored(spark: SparkSession, store: TableStore) -> Rows:
    tables = open_tables(spark, store)
    return {name: without_run_time(rows_of(tables.read(table))) for name, table in TABLES.items()}


def local_rows(
    site: Site, days: Sequence[date], steps: Sequence[StepName] = tuple(StepName)
) -> Rows:
    """Rows that Sail computes in `steps`."""
    require(SAIL)
    with using(SAIL):
        spark = engine_session(SAIL)
        for step in steps:
            run_step(spark, site.request(step, days))
        return stored(spark, TableStore(kind="local", location=str(site.tables)))


def settings_for(place: Databricks, site: Site, schema: str, **more: Any) -> Settings:
    return Settings(
        target="databricks",
        source=str(site.events),
        video_metadata=str(site.videos),
        start_date=FIRST_DAY,
        databricks=DatabricksSettings(
            schema=schema, volume=place.volume, poll_seconds=0.5, retries=0, **more
        ),
    )
