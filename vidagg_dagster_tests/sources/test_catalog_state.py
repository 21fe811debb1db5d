"""Whether a table of the catalog has changed is known without reading it."""

import uuid
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.sources.listing import list_source


@pytest.fixture
def table(catalog_spark: SparkSession) -> Iterator[str]:
    name = f"events_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE TABLE {name} (userId STRING) USING DELTA")
    yield name
    catalog_spark.sql(f"DROP TABLE IF EXISTS {name}")


def test_a_delta_table_is_one_entry_with_its_latest_commit(
    catalog_spark: SparkSession, table: str
) -> None:
    source = SourceSpec(location=table, format="table")
    before = list_source(source, catalog_spark)
    assert before is not None
    assert list(before) == [table]
    assert list_source(source, catalog_spark) == before
    catalog_spark.sql(f"INSERT INTO {table} VALUES ('ada')")
    after = list_source(source, catalog_spark)
    assert after != before
    # Made anew, it is at its first version again.
    catalog_spark.sql(f"DROP TABLE {table}")
    catalog_spark.sql(f"CREATE TABLE {table} (userId STRING) USING DELTA")
    assert list_source(source, catalog_spark) not in (before, after)


def test_of_a_view_only_reading_tells(catalog_spark: SparkSession, table: str) -> None:
    view = f"view_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE VIEW {view} AS SELECT * FROM {table}")
    try:
        assert list_source(SourceSpec(location=view, format="table"), catalog_spark) is None
    finally:
        catalog_spark.sql(f"DROP VIEW {view}")
    assert list_source(SourceSpec(location="nowhere", format="table"), catalog_spark) is None
    assert list_source(SourceSpec(location=table, format="table")) is None
