"""Rows that meet in files reach the kernel as rows that meet in memory do."""

import os
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.spark.arrow import Spread, arrow_file
from vidagg_dagster.spark.exchange import Exchange

CALL = T.StructType(
    [T.StructField("users", T.ArrayType(T.StringType())), T.StructField("sum", T.LongType())]
)

ROWS = 20_000


def call(rows: pa.Table) -> pa.Table:
    """One row of what a call gets."""
    users = rows["userId"].unique().to_pylist()
    return pa.table({"users": [users], "sum": [sum(rows["n"].to_pylist())]})


@pytest.fixture
def rows(spark: SparkSession) -> DataFrame:
    """Of 97 users and of none."""
    number = F.col("id") % 98
    user = F.when(number < 97, number.cast("string"))
    return spark.range(ROWS).select(user.alias("userId"), F.col("id").alias("n"))


def users_of(calls: DataFrame) -> tuple[Counter[str | None], int]:
    found = calls.collect()
    return Counter(user for row in found for user in row["users"]), sum(row["sum"] for row in found)


@pytest.mark.parametrize("at_once", [300, 7_000, 1_000_000])
def test_each_user_reaches_one_call_with_all_rows(
    rows: DataFrame, tmp_path: Path, at_once: int
) -> None:
    exchange = Exchange(ROWS, folder=tmp_path, at_once=at_once)
    users, total = users_of(exchange.apply(rows, call, CALL))
    assert users == dict.fromkeys([*map(str, range(97)), None], 1)
    assert total == ROWS * (ROWS - 1) // 2
    assert (users, total) == users_of(Spread(ROWS).apply(rows, call, CALL))


def test_what_decides_may_be_computed_from_several_columns(rows: DataFrame, tmp_path: Path) -> None:
    by_row = F.xxhash64("userId", "n")
    users, total = users_of(
        Exchange(ROWS, folder=tmp_path, at_once=300).apply(rows, call, CALL, by=by_row)
    )
    assert max(users.values()) > 1
    assert total == ROWS * (ROWS - 1) // 2


def test_without_rows_no_call(rows: DataFrame, tmp_path: Path) -> None:
    none = rows.where(F.col("n") < 0)
    assert Exchange(ROWS, folder=tmp_path, at_once=300).apply(none, call, CALL).collect() == []


def test_the_rows_are_computed_once_and_wait_in_the_folder(rows: DataFrame, tmp_path: Path) -> None:
    calls = Exchange(ROWS, folder=tmp_path / "of" / "mine", at_once=300).apply(rows, call, CALL)
    (file, *_) = (tmp_path / "of" / "mine").glob("*.arrow")
    first = users_of(calls)
    assert users_of(calls) == first
    file.unlink()
    with pytest.raises(Exception, match=file.name):
        calls.collect()


@pytest.mark.parametrize(("bytes_at_once", "once"), [(1 << 28, True), (1, False)])
def test_many_bytes_are_written_however_few_their_rows_are(
    spark: SparkSession, tmp_path: Path, bytes_at_once: int, once: bool
) -> None:
    many = 60_000  # more than an engine hands over at once
    rows = spark.range(many).select(
        F.col("id").cast("string").alias("userId"), F.col("id").alias("n")
    )
    exchange = Exchange(many, folder=tmp_path, at_once=many, bytes_at_once=bytes_at_once)
    _, total = users_of(exchange.apply(rows, call, CALL))
    batches = [pa.ipc.open_file(file).num_record_batches for file in tmp_path.glob("*.arrow")]
    assert (max(batches) == 1) is once
    assert total == many * (many - 1) // 2


def test_no_more_tasks_hold_rows_at_a_time_than_there_are_cores(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sail computes in threads of this process, so the files that they have open are seen here."""
    cores = os.cpu_count() or 1
    parts = 8 * cores
    opened: set[str] = set()
    at_a_time = []

    @contextmanager
    def seen(path: str, schema: pa.Schema) -> Iterator[pa.RecordBatchFileWriter]:
        opened.add(path)
        at_a_time.append(len(opened))
        with arrow_file(path, schema) as file:
            yield file
        opened.remove(path)

    monkeypatch.setattr("vidagg_dagster.spark.exchange.arrow_file", seen)
    rows = sail.range(0, ROWS * parts, 1, parts).select(
        F.col("id").cast("string").alias("userId"), F.col("id").alias("n")
    )
    exchange = Exchange(ROWS * parts, folder=tmp_path, at_once=ROWS)
    _, total = users_of(exchange.apply(rows, call, CALL))
    assert total == sum(range(ROWS * parts))
    assert len(at_a_time) == parts
    assert max(at_a_time) <= cores


def test_there_may_be_more_files_than_a_process_may_have_open(
    sail: SparkSession, tmp_path: Path
) -> None:
    parts = 700
    rows = sail.range(0, 10 * parts, 1, parts).select(
        (F.col("id") % 97).cast("string").alias("userId"), F.col("id").alias("n")
    )
    calls = Exchange(10 * parts, folder=tmp_path, at_once=3_000).apply(rows, call, CALL)
    assert len(list(tmp_path.glob("*.arrow"))) == parts
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1_024, soft), hard))
    try:
        users, total = users_of(calls)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (users, total) == (dict.fromkeys(map(str, range(97)), 1), sum(range(10 * parts)))
