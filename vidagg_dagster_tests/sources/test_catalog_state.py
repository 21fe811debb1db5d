"""Whether a table of the catalog has changed is known without reading it."""

import uuid
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.sources.catalog import TableVersion
from vidagg_dagster.sources.listing import list_source
from vidagg_dagster.sources.table_changes import table_changes


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


def test_what_came_to_a_table_and_what_went_is_told_by_its_files(
    catalog_spark: SparkSession, table: str
) -> None:
    def state() -> str:
        (found,) = (
            list_source(SourceSpec(location=table, format="table"), catalog_spark) or {}
        ).values()
        return found

    def insert(user: str) -> str:
        catalog_spark.sql(f"INSERT INTO {table} VALUES ('{user}')")
        return state()

    first, second, third = insert("ada"), insert("bob"), insert("cyd")
    changes = table_changes(catalog_spark, table, first, third)
    assert changes is not None
    assert (len(changes.added.files or ()), changes.removed.files, changes.rows) == (
        2,
        frozenset(),
        3,
    )

    catalog_spark.sql(f"OPTIMIZE {table}")
    changes = table_changes(catalog_spark, table, second, state())
    assert changes is not None
    assert (len(changes.added.files or ()), len(changes.removed.files or ())) == (1, 2)

    # Of these, the files that stay do not tell.
    assert table_changes(catalog_spark, table, third, first) is None
    assert table_changes(catalog_spark, table, None, third) is None
    catalog_spark.sql(f"DELETE FROM {table} WHERE userId = 'ada'")
    assert table_changes(catalog_spark, table, third, state()) is None


@pytest.mark.parametrize(
    "state", [None, "", "13 bytes, 17 ns", "00000000000000000012, 7 bytes, 1 ns"]
)
def test_states_of_files_are_no_versions_of_a_table(state: str | None) -> None:
    assert TableVersion.parse(state) is None
    version = TableVersion("6f1c-id", 12, "2026-01-05 10:00:00.123000")
    assert TableVersion.parse(str(version)) == version
