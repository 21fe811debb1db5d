"""What is special to tables in a folder: other readers, other writers of files, odd places."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Schema
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, SPARK
from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, INGESTION_COUNTS, SESSIONS, TABLES, TableSpec
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.delta_log import day_counts
from vidagg_dagster.tables.interface import Replaced
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.table_store import DAY_1, DAY_2, DAY_3, awkward_rows, content
from vidagg_dagster_tests.support.writers import delta, files


def counts(spark: SparkSession, *rows: tuple[date, str, int]) -> Any:
    return spark.createDataFrame(list(rows), INGESTION_COUNTS.struct)


@pytest.fixture(scope="module")
def written(patient: None, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table with days, full of awkward rows, written by each engine in turn."""
    del patient
    root = tmp_path_factory.mktemp("tables")
    tables = LocalTables(spark, root)
    for table in (table for table in TABLES.values() if table.partitioned):
        rows = awkward_rows(table, [DAY_1, DAY_2])
        values = [tuple(row[name] for name in table.column_names) for row in rows]
        frame = spark.createDataFrame(values, table.struct)
        tables.replace_days(table, frame, [DAY_1, DAY_2, DAY_3])
    return root


DAILY = [pytest.param(table, id=table.name) for table in TABLES.values() if table.partitioned]


def expected(table: TableSpec, day: date | None = None) -> list[dict[str, Any]]:
    rows = awkward_rows(table, [DAY_1, DAY_2])
    return sorted((row for row in rows if day in (None, row[EVENT_DATE])), key=repr)


@pytest.mark.parametrize("table", DAILY)
def test_each_engine_reads_what_the_other_wrote(written: Path, table: TableSpec) -> None:
    for engine in (SPARK, SAIL):
        require(engine)
        with using(engine):
            tables = LocalTables(engine_session(engine), written)
            assert content(tables.read(table)) == expected(table)
            assert content(tables.read(table, [DAY_2])) == expected(table, DAY_2)


@pytest.mark.parametrize("table", DAILY)
def test_polars_reads_the_same_rows(written: Path, table: TableSpec) -> None:
    scan = pl.scan_delta(str(written / table.name))
    assert sorted(scan.collect().to_arrow().to_pylist(), key=repr) == expected(table)
    one_day = scan.filter(pl.col(EVENT_DATE) == DAY_2).collect()
    assert sorted(one_day.to_arrow().to_pylist(), key=repr) == expected(table, DAY_2)


@pytest.mark.parametrize("table", DAILY)
def test_duckdb_reads_the_same_rows(written: Path, table: TableSpec) -> None:
    """By Arrow: DuckDB's own Delta reader is an extension to download, as a user would."""
    connection = duckdb.connect()
    connection.register("stored", delta(written, table).to_pyarrow_dataset())
    connection.execute("SET TimeZone = 'UTC'")
    rows = connection.sql("SELECT * FROM stored").to_arrow_table().to_pylist()
    assert sorted(rows, key=repr) == expected(table)
    one_day = connection.sql(f"SELECT count(*) FROM stored WHERE event_date = DATE '{DAY_2}'")
    assert one_day.fetchall() == [(len(expected(table, DAY_2)),)]


@pytest.mark.parametrize("table", DAILY)
def test_sparks_own_delta_reads_the_same_rows(
    written: Path, table: TableSpec, catalog_spark: SparkSession
) -> None:
    frame = catalog_spark.read.format("delta").load(str(written / table.name))
    assert content(frame) == expected(table)
    assert content(frame.where(f"event_date = '{DAY_2}'")) == expected(table, DAY_2)


def test_the_log_counts_rows_truly_and_tells_no_values(written: Path) -> None:
    for table in (table for table in TABLES.values() if table.partitioned):
        stats = [
            json.loads(json.loads(line)["add"]["stats"])
            for commit in (written / table.name / "_delta_log").glob("*.json")
            for line in commit.read_text(encoding="utf-8").splitlines()
            if "add" in json.loads(line)
        ]
        assert sum(stat["numRecords"] for stat in stats) == len(expected(table))
        assert all(stat.keys() == {"numRecords"} for stat in stats), "a log keeps erased users"


def test_times_are_stored_as_utc_microseconds(written: Path) -> None:
    for path in files(written, SESSIONS):
        assert str(pq.read_schema(path).field("sessionStart").type) == "timestamp[us, tz=UTC]"


def test_times_in_another_form_are_refused(jvm: SparkSession, tmp_path: Path) -> None:
    setting = "spark.sql.parquet.outputTimestampType"
    rows = jvm.createDataFrame(
        [tuple(row.values()) for row in awkward_rows(SESSIONS, [DAY_1])], SESSIONS.struct
    )
    jvm.conf.set(setting, "INT96")
    try:
        with pytest.raises(TableError, match=r"sessionStart as timestamp\[ns\]"):
            LocalTables(jvm, tmp_path).replace_days(SESSIONS, rows, [DAY_1])
    finally:
        jvm.conf.set(setting, "TIMESTAMP_MICROS")
    assert files(tmp_path, SESSIONS) == []


def test_rows_are_counted_without_an_engine(written: Path) -> None:
    assert day_counts(written, SESSIONS, [DAY_1, DAY_3]) == {DAY_1: 12, DAY_3: 0}
    assert day_counts(written / "nowhere", SESSIONS, [DAY_1]) == {DAY_1: 0}


def test_local_tables_work_through_spark_connect(
    connect_spark: SparkSession, tmp_path: Path
) -> None:
    tables = LocalTables(connect_spark, tmp_path)
    first = counts(connect_spark, (DAY_1, "a", 1), (DAY_2, "a", 1))
    tables.replace_days(INGESTION_COUNTS, first, [DAY_1, DAY_2])
    before = tables.read(INGESTION_COUNTS)
    tables.replace_days(INGESTION_COUNTS, counts(connect_spark, (DAY_1, "b", 2)), [DAY_1])
    assert [row["measure"] for row in content(before)] == ["a", "a"]
    assert [row["measure"] for row in content(tables.read(INGESTION_COUNTS))] == ["b", "a"]


def test_a_refused_write_leaves_no_file(spark: SparkSession, tmp_path: Path) -> None:
    tables = LocalTables(spark, tmp_path)
    tables.replace_days(INGESTION_COUNTS, counts(spark, (DAY_1, "a", 1)), [DAY_1])
    before = files(tmp_path)
    with pytest.raises(TableError):
        tables.replace_days(
            INGESTION_COUNTS, counts(spark, (DAY_1, "b", 1), (DAY_2, "b", 1)), [DAY_1]
        )
    assert files(tmp_path) == before


def test_a_failing_computation_leaves_no_file(jvm: SparkSession, tmp_path: Path) -> None:
    tables = LocalTables(jvm, tmp_path)
    rows = jvm.range(10_000).selectExpr(
        "DATE'2024-01-01' AS event_date",
        "CAST(id AS string) AS measure",
        "IF(id = 9999, raise_error('broken row'), id) AS value",
    )
    with pytest.raises(Exception, match="broken row"):
        tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])
    assert files(tmp_path) == []
    assert tables.version(INGESTION_COUNTS) == 0


def test_files_compacted_or_rewritten_by_others_keep_their_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    """deltalake leaves the day out of its files, and an engine would read null."""
    tables = LocalTables(spark, tmp_path)
    for number, day in enumerate((DAY_1, DAY_2, DAY_1)):
        rows = counts(spark, (day, "a", number), (day, "b", number))
        tables.replace_days(INGESTION_COUNTS, rows, [day])
    seen = tables.version(INGESTION_COUNTS)
    delta(tmp_path).optimize.compact()
    assert tables.days_replaced_since(INGESTION_COUNTS, seen).days == frozenset()

    delta(tmp_path).delete("measure = 'b' AND value = 2")

    assert [tuple(row.values()) for row in content(tables.read(INGESTION_COUNTS))] == [
        (DAY_1, "a", 2),
        (DAY_2, "a", 1),
        (DAY_2, "b", 1),
    ]
    assert len(content(tables.read(INGESTION_COUNTS, [DAY_1]))) == 1
    assert tables.rows(INGESTION_COUNTS, [DAY_1]) == content(tables.read(INGESTION_COUNTS, [DAY_1]))
    assert tables.day_counts(INGESTION_COUNTS, [DAY_1, DAY_2]) == {DAY_1: 1, DAY_2: 2}
    latest = tables.version(INGESTION_COUNTS)
    assert tables.days_replaced_since(INGESTION_COUNTS, seen) == Replaced(latest, None)


def test_days_are_unknown_where_the_log_was_cleaned_up(sail: SparkSession, tmp_path: Path) -> None:
    tables = LocalTables(sail, tmp_path)
    for number in range(3):
        tables.replace_days(INGESTION_COUNTS, counts(sail, (DAY_1, "a", number)), [DAY_1])
    delta(tmp_path).create_checkpoint()
    for number in (0, 1):
        (tmp_path / "ingestion_counts" / "_delta_log" / f"{number:020d}.json").unlink()
    assert tables.days_replaced_since(INGESTION_COUNTS, 0) == Replaced(3, None)
    assert tables.days_replaced_since(INGESTION_COUNTS, 1) == Replaced(3, frozenset({DAY_1}))
    assert len(content(tables.read(INGESTION_COUNTS))) == 1


def test_a_table_of_another_version_is_named_and_left_alone(
    sail: SparkSession, tmp_path: Path
) -> None:
    folder = tmp_path / "ingestion_counts"
    declared = json.loads(INGESTION_COUNTS.struct.json())
    declared["fields"][1]["name"] = "kind"
    DeltaTable.create(folder, Schema.from_json(json.dumps(declared)), partition_by=[EVENT_DATE])
    with pytest.raises(TableError, match=r"has other columns .*: measure, kind"):
        LocalTables(sail, tmp_path).replace_days(
            INGESTION_COUNTS, counts(sail, (DAY_1, "a", 1)), [DAY_1]
        )


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "{a}", "50%", "a\\b", "a\nb"])
def test_a_folder_whose_name_engines_take_for_a_pattern_is_refused(
    name: str, sail: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match="Choose another folder with VIDAGG_DATA_ROOT"):
        LocalTables(sail, tmp_path / name)


@pytest.mark.parametrize(
    "name", ["Meine Daten", "Jörg", "a#b", "a&b", "a=b", "a,b", "日本", "it's"]
)
def test_other_folder_names_are_fine(name: str, spark: SparkSession, tmp_path: Path) -> None:
    tables = LocalTables(spark, tmp_path / name)
    tables.replace_days(INGESTION_COUNTS, counts(spark, (DAY_1, "a", 1)), [DAY_1])
    assert [tuple(r.values()) for r in content(tables.read(INGESTION_COUNTS))] == [(DAY_1, "a", 1)]
    assert files(tmp_path / name)
