"""Delta folders and tables of a catalog as sources."""

import json
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    SourceFormat,
    SourceSpec,
)
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.read import read_source
from vidagg_dagster_tests.support.source_files import (
    MOMENT,
    WALL,
    delta,
    parquet,
    read,
    typed,
    values,
)


def test_a_delta_folder_is_read_at_its_latest_version_with_its_partition_columns(
    spark: SparkSession, tmp_path: Path
) -> None:
    table = tmp_path / "events"
    stamps = pa.array([MOMENT] * 3, pa.timestamp("us", "UTC"))
    rows = typed(3, timestamp=stamps, userId=["007", "\u00e4 b", "x=y/z"], videoId=["1", "01", "2"])
    delta(table, typed(userId=["gone"], timestamp=stamps[:1]), partition_by=["userId"])
    delta(table, rows, partition_by=["userId"], mode="overwrite")
    delta(table, typed(userId=["late"], timestamp=stamps[:1]), mode="append")
    for form in ("auto", "delta"):
        found = read(spark, table, format=form).collect()
        assert sorted((r.userId, r.videoId, r.typedTimestamp, r.sourceFile) for r in found) == [
            ("007", "1", WALL, None),
            ("late", "v", WALL, None),
            ("x=y/z", "2", WALL, None),
            ("\u00e4 b", "01", WALL, None),
        ]
        assert {json.loads(row.payload)["userId"] for row in found} == {
            *("007", "late", "x=y/z", "\u00e4 b")
        }


def test_a_delta_table_without_rows_is_fine(spark: SparkSession, tmp_path: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in EVENT_COLUMNS])
    write_deltalake(tmp_path / "events", schema.empty_table())
    assert read(spark, tmp_path / "events").collect() == []


def test_a_folder_that_is_no_delta_table_is_refused_as_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="no Delta table: it has no _delta_log"):
        read(spark, tmp_path, format="delta")


def test_a_damaged_delta_table_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "events" / "_delta_log").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"Delta table .*events cannot be read"):
        read(spark, tmp_path / "events").collect()


def test_a_delta_table_within_a_folder_of_files_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    delta(tmp_path / "all" / "table", typed())
    parquet(tmp_path / "all" / "a.parquet", typed())
    with pytest.raises(SourceError, match="is a Delta table inside the source folder"):
        read(spark, tmp_path / "all")


def test_a_table_is_read_by_its_name(spark: SparkSession, tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", typed(2, userId=["1", "2"]))
    spark.read.parquet(str(tmp_path / "a.parquet")).createOrReplaceTempView("some_events")
    try:
        for form in ("auto", "table"):
            assert values(spark, "some_events", "userId", "sourceFile", format=form) == [
                ("1", None),
                ("2", None),
            ]
    finally:
        spark.catalog.dropTempView("some_events")


@pytest.mark.parametrize(
    "name",
    [
        *("text.`/etc/passwd`", "json.events", "parquet.x", "a.b.c.d", "a b", "a;b", "a--", "1a"),
        *("../events", "/etc/passwd", "events where 1=1", "", "t\u00e4ble", "a.", "`a`"),
    ],
)
def test_what_is_no_plain_table_name_is_never_looked_up(spark: SparkSession, name: str) -> None:
    with pytest.raises(SourceError, match=r"is no table name|is empty"):
        read(spark, name, format="table")


def test_a_table_that_is_not_there_is_named(spark: SparkSession) -> None:
    with pytest.raises(SourceError, match=r"Table nowhere\.events cannot be read"):
        read(spark, "nowhere.events", format="table")


class _Refusing:
    """A session whose catalog refuses every table, as Unity Catalog does without privileges."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spark, name)

    def table(self, _: str) -> DataFrame:
        raise AnalysisException(
            "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have USE SCHEMA on "
            "Schema 'main.raw'. SQLSTATE: 42501"
        )


@pytest.mark.parametrize("form", ["auto", "table"])
def test_a_table_without_privileges_is_told_as_that_and_not_as_a_missing_file(
    spark: SparkSession, form: SourceFormat
) -> None:
    refusing = cast("SparkSession", _Refusing(spark))
    said = r"Table main\.raw\.player_events cannot be read: .*USE SCHEMA.* grant USE CATALOG"
    with pytest.raises(SourceError, match=said):
        read_source(refusing, SourceSpec(location="main.raw.player_events", format=form))


def test_a_name_that_is_neither_file_nor_table_is_told_as_missing(spark: SparkSession) -> None:
    with pytest.raises(SourceError, match="no file or folder"):
        read(spark, "nowhere.raw.events", format="auto")
