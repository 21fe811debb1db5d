"""What only tables of a catalog do."""

import uuid
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import (
    INGESTION_COUNTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
)
from vidagg_dagster.tables.catalog import CatalogTables
from vidagg_dagster_tests.support.table_store import DAY_1, DAY_2


@pytest.mark.parametrize(
    "location",
    [
        *("", "a.b.c", "a; DROP TABLE b", "a b", "ü", "a.", "a\n", "../a"),
        *("text.`/etc/passwd`", "parquet.`x`", "delta", "Parquet"),
    ],
)
def test_a_catalog_location_that_is_more_than_a_name_is_refused(
    location: str, sail: SparkSession
) -> None:
    with pytest.raises(TableError, match="names no place for tables"):
        CatalogTables(sail, location)


def test_a_catalog_table_keeps_a_user_together_and_no_id_in_its_log(
    catalog_spark: SparkSession, warehouse: Path
) -> None:
    schema = f"vidagg_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE SCHEMA {schema}")
    users = [f"user-{n % 7}" for n in range(70)]
    rows = [
        tuple(
            {"event_date": day, "userId": user, "positionMs": at}.get(name)
            for name in RAW_EVENTS.column_names
        )
        for day in (DAY_1, DAY_2)
        for at, user in enumerate(users)
    ]
    tables = CatalogTables(catalog_spark, f"spark_catalog.{schema}")
    frame = catalog_spark.createDataFrame(rows, RAW_EVENTS.struct)
    tables.replace_days(RAW_EVENTS, frame, [DAY_1, DAY_2])

    folder = warehouse / f"{schema}.db" / "raw_events"
    for day in (DAY_1, DAY_2):
        stored = [
            pq.ParquetFile(file).read(columns=["userId"])["userId"].to_pylist()
            for file in (folder / f"event_date={day}").glob("*.parquet")
        ]
        assert sorted(user for file in stored for user in file) == sorted(users)
        assert all(file == sorted(file) for file in stored)
        assert sum(len(set(file)) for file in stored) == 7  # no user is in two files
    log = "".join(file.read_text() for file in (folder / "_delta_log").glob("*.json"))
    assert '\\"positionMs\\":69' in log
    assert "user-" not in log

    # A table without a number or time: the payload of a rejected event names users too.
    bad = [(DAY_1, ["malformed_row"], "user-1", "a.jsonl")]
    frame = catalog_spark.createDataFrame(bad, REJECTED_EVENTS.struct)
    tables.replace_days(REJECTED_EVENTS, frame, [DAY_1])
    logs = (warehouse / f"{schema}.db" / "rejected_events" / "_delta_log").glob("*.json")
    assert "user-" not in "".join(file.read_text() for file in logs)
    catalog_spark.sql(f"DROP SCHEMA {schema} CASCADE")


def test_a_schema_that_is_not_there_is_named(catalog_spark: SparkSession) -> None:
    tables = CatalogTables(catalog_spark, "not_there")
    rows = catalog_spark.createDataFrame([], INGESTION_COUNTS.struct)
    with pytest.raises(TableError, match="no schema not_there"):
        tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])


def test_rows_for_one_step_are_files_of_the_scratch_folder_and_no_table(
    catalog_spark: SparkSession, tmp_path: Path
) -> None:
    """A managed table of Unity Catalog can be restored for a week after it was dropped."""
    schema = f"vidagg_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE SCHEMA {schema}")
    tables = CatalogTables(catalog_spark, f"spark_catalog.{schema}", str(tmp_path / "scratch"))
    at = datetime(2026, 1, 5, 10, 0, 0, 123456)
    rows = [("ada", at, [1, None], None), ("bob", None, None, b"x")]
    frame = catalog_spark.createDataFrame(
        rows, "userId string, timestamp timestamp, starts array<bigint>, payload binary"
    )
    with tables.computed(RAW_EVENTS, frame) as kept:
        assert kept.schema == frame.schema
        assert sorted(map(tuple, kept.collect())) == rows
        assert len(list((tmp_path / "scratch").iterdir())) == 1
        assert catalog_spark.sql(f"SHOW TABLES IN {schema}").collect() == []
    assert list((tmp_path / "scratch").iterdir()) == []
    catalog_spark.sql(f"DROP SCHEMA {schema}")
