"""All tables of a store, row by row."""

from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import TableStore
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of


def stored(spark: SparkSession, store: TableStore) -> dict[str, list[dict[str, Any]]]:
    """Rows by table, sorted. `state` is blanked because it holds a file's time of change."""
    tables = open_tables(spark, store)
    return {
        name: sorted((row | {"state": None} for row in rows_of(tables.read(table))), key=repr)
        for name, table in TABLES.items()
    }
