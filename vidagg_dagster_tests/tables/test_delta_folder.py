"""What is special to tables in a folder: other readers and writers, crashes, odd places."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Schema
from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, INGESTION_COUNTS, SESSIONS, TABLES, TableSpec
from vidagg_dagster.spark.session import SAIL, SPARK, engine_session, using
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.delta_log import day_counts
from vidagg_dagster.tables.interface import Replaced
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.tables.test_tables import awkward_rows, content

DAY_1, DAY_2, DAY_3 = date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)


def counts(spark: SparkSession, *rows: tuple[date, str, int]) -> Any:
    return spark.createDataFrame(list(rows), INGESTION_COUNTS.struct)


def files(root: Path, table: TableSpec = INGESTION_COUNTS) -> list[Path]:
    """Everything in a table's folder but its log and empty folders."""
    found = (root / table.name).rglob("*")
    return sorted(p for p in found if p.is_file() and "_delta_log" not in p.parts)


def delta(root: Path, table: TableSpec = INGESTION_COUNTS) -> DeltaTable:
    return DeltaTable(str(root / table.name))


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table with days, full of awkward rows, written by each engine in turn."""
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


WRITER = """
import sys
from datetime import date
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.core.schemas import INGESTION_COUNTS
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster.core.errors import TableConflictError

root, name, rows, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
spark = engine_session("sail")
tables = LocalTables(spark, root)
values = [(date(2024, 1, 1), name, number) for number in range(rows)]
frame = spark.createDataFrame(values, INGESTION_COUNTS.struct)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(rounds):
    try:
        tables.replace_days(INGESTION_COUNTS, frame, [date(2024, 1, 1)])
    except TableConflictError as error:
        assert "2024-01-01" in str(error) and "version" in str(error), error
"""


def start_writer(root: Path, name: str, rows: int, rounds: int) -> "subprocess.Popen[str]":
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(rows), str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "ready"
    return writer


def go(writer: "subprocess.Popen[str]") -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def owner_and_rows(root: Path, version: int) -> tuple[str, int] | None:
    """Whose rows a version has, and how many; None if it has none."""
    stored = DeltaTable(str(root / "ingestion_counts"), version=version).to_pyarrow_table()
    owners = set(stored["measure"].to_pylist())
    assert len(owners) <= 1, f"version {version} mixes the rows of {owners}"
    return (owners.pop(), stored.num_rows) if owners else None


def test_two_processes_never_mix_their_rows_of_a_day(tmp_path: Path) -> None:
    require(SAIL)
    rounds = 8
    sizes = {"one": 300, "other": 700}
    writers = [start_writer(tmp_path, name, rows, rounds) for name, rows in sizes.items()]
    for writer in writers:
        go(writer)
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]

    versions = [owner_and_rows(tmp_path, number) for number in range(delta(tmp_path).version() + 1)]
    # Both may create the table, in a commit of its own each, before either has written rows.
    created = next(at for at, version in enumerate(versions) if version is not None)
    assert created in (1, 2)
    written = versions[created:]
    assert set(written) <= set(sizes.items())
    assert len(written) > rounds
    kept = delta(tmp_path).vacuum(retention_hours=0, enforce_retention_duration=False, full=True)
    removed_by_commits = len(written) - 1
    assert len(kept) == removed_by_commits, "a conflict left files that no version knows"


@pytest.mark.slow
def test_a_killed_writer_leaves_the_old_day_or_the_new_one(tmp_path: Path) -> None:
    require(SAIL)
    rows = 200_000
    first = start_writer(tmp_path, "old", rows, 1)
    go(first)
    assert first.wait(timeout=120) == 0
    for attempt in range(12):
        writer = start_writer(tmp_path, "new", rows, 1000)
        go(writer)
        time.sleep(0.05 + 0.11 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert owner_and_rows(tmp_path, delta(tmp_path).version()) in (("old", rows), ("new", rows))
    again = start_writer(tmp_path, "new", rows, 1)
    go(again)
    assert again.wait(timeout=120) == 0
    assert owner_and_rows(tmp_path, delta(tmp_path).version()) == ("new", rows)
    live = {Path(uri).name for uri in delta(tmp_path).file_uris()}
    delta(tmp_path).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    assert {path.name for path in files(tmp_path) if path.suffix == ".parquet"} == live


@pytest.mark.slow
def test_catalog_tables_keep_the_contract_without_spark_connect_too() -> None:
    require(SPARK)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-k",
            "catalog",
            str(Path(__file__).with_name("test_tables.py")),
        ],
        env={**os.environ, "VIDAGG_TEST_CATALOG_SESSION": "classic"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
