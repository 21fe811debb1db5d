"""`vidagg maintain` on a Spark Connect server with Delta: its OPTIMIZE, its VACUUM."""

import uuid
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import RAW_EVENTS, SESSIONS
from vidagg_dagster.core.unity_catalog import scratch_table
from vidagg_dagster.tables.catalog_maintenance import maintain_catalog


@pytest.fixture
def schema(catalog_spark: SparkSession) -> Iterator[str]:
    name = f"video_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE SCHEMA {name}")
    yield name
    catalog_spark.sql(f"DROP SCHEMA {name} CASCADE")


def test_tables_are_compacted_and_what_killed_steps_left_is_dropped(
    catalog_spark: SparkSession, schema: str
) -> None:
    table, left = f"{schema}.{SESSIONS.name}", f"{schema}.{scratch_table(RAW_EVENTS.name)}"
    for _ in range(2):
        catalog_spark.range(3).write.format("delta").mode("overwrite").saveAsTable(table)
    for name in (left, f"{schema}.of_somebody_else"):
        catalog_spark.range(1).write.format("delta").saveAsTable(name)

    def maintained(hours: int, *, dry_run: bool) -> dict[str, str]:
        lines = maintain_catalog(catalog_spark, schema, retention_hours=hours, dry_run=dry_run)
        return dict(line.split(": ", 1) for line in lines)

    assert maintained(168, dry_run=True) == {
        table: "0 files would be removed, its small files would be compacted"
    }
    done = maintained(0, dry_run=False)
    assert done.keys() == {table, left}
    assert done[table].endswith("small files compacted, old files removed")
    assert done[left] == "dropped, left by a step that was killed"
    assert catalog_spark.table(table).count() == 3
    assert catalog_spark.table(f"{schema}.of_somebody_else").count() == 1
    assert not catalog_spark.catalog.tableExists(left)
