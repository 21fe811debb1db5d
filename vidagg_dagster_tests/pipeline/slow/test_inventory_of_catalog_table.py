"""A table of the catalog that grows: only what has come to it is counted."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec, StepName, StepRequest
from vidagg_dagster.pipeline.inventory import Inventory, record_inventory, take_inventory
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.late_events import at
from vidagg_dagster_tests.support.small_site import Site, anna, day, peter


@pytest.fixture
def table(catalog_spark: SparkSession) -> Iterator[str]:
    name = f"events_{uuid.uuid4().hex}"
    yield name
    catalog_spark.sql(f"DROP TABLE IF EXISTS {name}")


def append(spark: SparkSession, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    frame = spark.createDataFrame([dict(row) for row in rows])
    frame.coalesce(1).write.format("delta").mode("append").saveAsTable(table)


def rows_by_day(inventory: Inventory) -> dict[int, int]:
    return {
        (when - day(0)).days: entry.rows
        for (_, when), entry in inventory.entries.items()
        if entry.rows
    }


def test_only_what_has_come_to_a_delta_table_is_counted(
    catalog_spark: SparkSession, table: str, tmp_path: Path
) -> None:
    spark, site = catalog_spark, Site(tmp_path)
    asked: StepRequest = site.request(StepName.RAW_EVENTS, [day(0)]).model_copy(
        update={"source": SourceSpec(location=table, format="table"), "run_time": at(day(1))}
    )
    tables = open_tables(spark, asked.store)

    def counted() -> Inventory:
        inventory = take_inventory(spark, tables, asked)
        record_inventory(spark, tables, asked, inventory, {})
        return inventory

    append(spark, table, peter(day(0)))
    first = counted()
    assert (first.rows_read, rows_by_day(first)) == (6, {0: 6})

    assert counted().rows_read == 0

    seconds = [{name: row[name] for name in peter(day(1))[0]} for row in anna(day(1))]
    append(spark, table, seconds)
    append(spark, table, peter(day(0)))
    grown = counted()
    assert (grown.rows_read, rows_by_day(grown)) == (13, {0: 12, 1: 7})

    # The same rows in other files: what went is subtracted, so no day has changed.
    spark.sql(f"OPTIMIZE {table}")
    compacted = counted()
    assert (compacted.rows_read, rows_by_day(compacted)) == (38, {0: 12, 1: 7})
    assert {entry.inventory for entry in compacted.entries.values()} <= {
        entry.inventory for entry in grown.entries.values()
    }

    # Rows of files that stay may have changed: everything is counted.
    spark.sql(f"DELETE FROM {table} WHERE userId = 'anna'")
    fewer = counted()
    assert (fewer.rows_read, rows_by_day(fewer)) == (12, {0: 12})

    append(spark, table, peter(day(2)))
    together = counted()
    assert (together.rows_read, rows_by_day(together)) == (6, {0: 12, 2: 6})
    anew = take_inventory(
        spark,
        open_tables(spark, Site(tmp_path / "new").request(StepName.RAW_EVENTS, [day(0)]).store),
        asked,
    )
    assert {key: (e.rows, e.checksum) for key, e in together.entries.items() if e.rows} == {
        key: (e.rows, e.checksum) for key, e in anew.entries.items()
    }
