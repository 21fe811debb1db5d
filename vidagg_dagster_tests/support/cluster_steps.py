"""All steps on CatalogTables, in an environment without Dagster: `SITE OUT conf=value ...`.

Only the wheel, Spark and these helpers are needed; `conf` adds Delta. Writes the rows of all tables
to OUT as JSON.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName, TableStore
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site, day

Rows = Mapping[str, list[dict[str, Any]]]


def stored_rows(spark: SparkSession, store: TableStore) -> Rows:
    tables = open_tables(spark, store)
    return {name: rows_of(tables.read(table)) for name, table in TABLES.items()}


def comparable(rows: Rows) -> Any:
    """Rows as they come back from JSON, sorted."""
    ordered = {name: sorted(found, key=repr) for name, found in rows.items()}
    return json.loads(json.dumps(ordered, default=str))


def main(folder: str, out: str, *conf: str) -> None:
    from vidagg_dagster.spark.session import cluster_session

    site = Site(Path(folder))
    days = [day(n) for n in range(len(list(site.events.iterdir())))]
    assert days[0] == FIRST_DAY
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for setting in conf:
        name, _, value = setting.partition("=")
        builder = builder.config(name, value)
    builder.getOrCreate()
    spark = cluster_session()
    spark.sql("CREATE SCHEMA video")
    store = TableStore(kind="catalog", location="spark_catalog.video")
    for step in StepName:
        request = site.request(step, days).model_copy(update={"store": store})
        result = run_step(spark, request)
        assert all(outcome.passed for outcome in result.outcomes), result
    Path(out).write_text(json.dumps(comparable(stored_rows(spark, store))))


if __name__ == "__main__":
    main(*sys.argv[1:])
