"""One contract for both kinds of tables, on every engine that writes them."""

import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import TableConflictError, TableError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    TABLES,
    TableSpec,
)
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.catalog import CatalogTables
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.interface import Replaced, Tables
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.arrow import rows_of

Rows = list[dict[str, Any]]

DAY_1, DAY_2, DAY_3, DAY_4 = (date(2024, 1, number) for number in range(1, 5))


class Store:
    """Tables under test, with the session that writes them."""

    def __init__(self, spark: SparkSession, place: Path | str) -> None:
        self.spark = spark
        self.place = place
        self.tables = self.open()

    def open(self) -> Tables:
        """The same tables once more, as another process would open them."""
        if isinstance(self.place, Path):
            return LocalTables(self.spark, self.place)
        return CatalogTables(self.spark, self.place)

    def delta(self, table: TableSpec, version: int | None = None) -> DeltaTable:
        assert isinstance(self.place, Path)
        return DeltaTable(str(self.place / table.name), version=version)

    def frame(self, table: TableSpec, rows: Rows) -> DataFrame:
        """Rows of a table; columns left out are null."""
        values = [tuple(row.get(name) for name in table.column_names) for row in rows]
        return self.spark.createDataFrame(values, table.struct)

    def keys(self, *keys: tuple[str, str]) -> DataFrame:
        return self.spark.createDataFrame(list(keys), "userId string, videoId string")

    def counts(self, *rows: tuple[date | None, str, int]) -> DataFrame:
        """Rows of ingestion_counts, the smallest table with days."""
        return self.spark.createDataFrame(list(rows), INGESTION_COUNTS.struct)

    def stored(
        self, table: TableSpec = INGESTION_COUNTS, days: Sequence[date] | None = None
    ) -> Rows:
        return content(self.tables.read(table, days))

    def values(self, days: Sequence[date] | None = None) -> list[tuple[date, str, int]]:
        return [(r[EVENT_DATE], r["measure"], r["value"]) for r in self.stored(days=days)]

    def lifetime(self) -> dict[tuple[str, str], float | None]:
        return {
            (row["userId"], row["videoId"]): row["totalWatchTime"]
            for row in self.stored(AGGREGATED_ENGAGEMENT)
        }

    def lifetime_keys(self, version: int) -> list[tuple[str, str]]:
        """Whom any reader saw in the lifetime table at a version."""
        if isinstance(self.place, Path):
            rows = self.delta(AGGREGATED_ENGAGEMENT, version).to_pyarrow_table().to_pylist()
        else:
            reader = self.spark.read.option("versionAsOf", version)
            rows = content(reader.table(f"{self.place}.{AGGREGATED_ENGAGEMENT.name}"))
        return sorted((row["userId"], row["videoId"]) for row in rows)


def content(frame: DataFrame) -> Rows:
    """The rows in an order of their own."""
    return sorted(rows_of(frame), key=repr)


def types(frame: DataFrame) -> list[tuple[str, T.DataType]]:
    return [(field.name, field.dataType) for field in frame.schema.fields]


def types_of(table: TableSpec) -> list[tuple[str, T.DataType]]:
    return [(column.name, column.type) for column in table.columns]


def pair(user: str, video: str, watched: float | None = None, **more: Any) -> dict[str, Any]:
    return {"userId": user, "videoId": video, "totalWatchTime": watched, **more}


@pytest.fixture(params=["local-spark", "local-sail", "catalog"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "catalog":
        spark: SparkSession = request.getfixturevalue("catalog_spark")
        schema = f"vidagg_{uuid.uuid4().hex}"
        spark.sql(f"CREATE SCHEMA {schema}")
        yield Store(spark, schema)
        spark.sql(f"DROP SCHEMA {schema} CASCADE")
        return
    engine = request.param.removeprefix("local-")
    require(engine)
    with using(engine):
        session = engine_session(engine)
        # People's folders have blanks and letters that not every reader expects.
        yield Store(session, tmp_path / "Meine Daten ü")


def awkward(kind: T.DataType, variant: int) -> Any:
    """A value that some engine or format might lose, twist or refuse."""
    if isinstance(kind, T.StringType):
        return ["", " ü🎬\n\t\"'\\,{}", "null", "a" * 300][variant % 4]
    if isinstance(kind, T.LongType):
        return [0, -(2**63), 2**63 - 1, 1_704_067_200_000][variant % 4]
    if isinstance(kind, T.DoubleType):
        return [0.0, 0.1 + 0.2, -1e-300, 1.7976931348623157e308][variant % 4]
    if isinstance(kind, T.BooleanType):
        return variant % 2 == 0
    if isinstance(kind, T.DateType):
        return [date(2000, 1, 1), date(2024, 2, 29), date(2099, 12, 31)][variant % 3]
    if isinstance(kind, T.TimestampType):
        return [
            datetime(2000, 1, 1, tzinfo=UTC),
            datetime(2024, 3, 31, 1, 30, 0, 1, tzinfo=UTC),
            datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ][variant % 3]
    if isinstance(kind, T.ArrayType):
        one = awkward(kind.elementType, variant)
        return [[], [one, awkward(kind.elementType, variant + 1), one], [one, None]][variant % 3]
    assert isinstance(kind, T.StructType)
    return {
        field.name: None if (variant + place) % 5 == 4 else awkward(field.dataType, variant + place)
        for place, field in enumerate(kind.fields)
    }


def awkward_rows(table: TableSpec, days: Sequence[date]) -> Rows:
    rows: Rows = []
    for variant in range(12):
        row = {
            column.name: awkward(column.type, variant + place)
            for place, column in enumerate(table.columns)
        }
        rows.append(row)
        rows.append(dict.fromkeys(row))  # every column may be null but the key
    for number, row in enumerate(rows):
        if EVENT_DATE in table.column_names:
            row[EVENT_DATE] = days[number % len(days)]
        for name in table.key:
            if name in ("userId", "videoId", "sourceFile"):
                row[name] = f"{name} {number} ü"
    return rows


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_every_declared_table_gives_back_what_was_written(store: Store, table: TableSpec) -> None:
    days = [date(2000, 1, 1), date(2024, 2, 29)]
    rows = awkward_rows(table, days)
    if table.partitioned:
        store.tables.replace_days(table, store.frame(table, rows), days)
    else:
        store.tables.upsert(table, store.frame(table, rows), None, {})

    read = store.tables.read(table)

    assert types(read) == types_of(table)
    assert content(read) == sorted(rows, key=repr)
    for day in days if table.partitioned else []:
        assert store.stored(table, [day]) == sorted(
            (row for row in rows if row[EVENT_DATE] == day), key=repr
        )


def test_a_table_that_nobody_wrote_is_empty_but_has_its_columns(store: Store) -> None:
    frame = store.tables.read(SESSIONS, [DAY_1])
    assert types(frame) == types_of(SESSIONS)
    assert frame.count() == 0
    assert store.tables.version(SESSIONS) == -1
    assert store.tables.note(AGGREGATED_ENGAGEMENT) == {}
    assert store.tables.day_counts(SESSIONS, [DAY_1]) == {DAY_1: 0}
    assert store.tables.days_replaced_since(SESSIONS, None) == Replaced(-1, None)
    assert store.tables.days_replaced_since(SESSIONS, -1) == Replaced(-1, frozenset())


def test_replacing_a_day_leaves_the_other_days_alone(store: Store) -> None:
    store.tables.replace_days(
        INGESTION_COUNTS, store.counts((DAY_1, "a", 1), (DAY_2, "a", 2)), [DAY_1, DAY_2]
    )
    store.tables.replace_days(INGESTION_COUNTS, store.counts((DAY_2, "b", 3)), [DAY_2])
    assert store.values() == [(DAY_1, "a", 1), (DAY_2, "b", 3)]


def test_replacing_a_day_by_nothing_empties_it(store: Store) -> None:
    store.tables.replace_days(
        INGESTION_COUNTS, store.counts((DAY_1, "a", 1), (DAY_2, "a", 2)), [DAY_1, DAY_2]
    )
    version = store.tables.version(INGESTION_COUNTS)
    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_2])
    assert store.values() == [(DAY_1, "a", 1)]
    assert store.tables.version(INGESTION_COUNTS) == version + 1


def test_several_days_are_replaced_in_one_commit(store: Store) -> None:
    days = [DAY_1, DAY_2, DAY_3]
    first = store.counts(*[(day, "first", 1) for day in days])
    store.tables.replace_days(INGESTION_COUNTS, first, days)
    version = store.tables.version(INGESTION_COUNTS)
    second = store.counts(*[(day, "second", 2) for day in days])
    store.tables.replace_days(INGESTION_COUNTS, second, days)
    assert store.tables.version(INGESTION_COUNTS) == version + 1
    assert store.values() == [(day, "second", 2) for day in days]


def test_a_run_again_leaves_the_same_rows(store: Store) -> None:
    rows = awkward_rows(SESSIONS, [DAY_1, DAY_2])
    for _ in range(2):
        store.tables.replace_days(SESSIONS, store.frame(SESSIONS, rows), [DAY_1, DAY_2])
    assert store.stored(SESSIONS) == sorted(rows, key=repr)


@pytest.mark.parametrize("stray", [DAY_3, None], ids=["another day", "no day"])
def test_a_row_of_another_day_is_refused_before_anything_is_written(
    store: Store, stray: date | None
) -> None:
    store.tables.replace_days(INGESTION_COUNTS, store.counts((DAY_1, "a", 1)), [DAY_1])
    version = store.tables.version(INGESTION_COUNTS)
    rows = store.counts((DAY_1, "b", 1), (stray, "b", 1), (stray, "c", 1))
    with pytest.raises(TableError) as error:
        store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1, DAY_2])
    assert "ingestion_counts" in str(error.value)
    assert f"2 of {stray or 'no day'}" in str(error.value)
    assert "2024-01-01, 2024-01-02" in str(error.value)
    assert store.values() == [(DAY_1, "a", 1)]
    assert store.tables.version(INGESTION_COUNTS) == version


def test_a_missing_column_is_named_with_those_found(store: Store) -> None:
    rows = store.counts((DAY_1, "a", 1)).drop("value").withColumn("extra", F.lit(1))
    with pytest.raises(TableError, match=r"no column value .*Found: event_date, measure, extra"):
        store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])


def test_a_column_of_another_type_is_refused(store: Store) -> None:
    rows = store.counts((DAY_1, "a", 1)).withColumn("value", F.lit("1"))
    with pytest.raises(TableError, match="value is string, not bigint"):
        store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])


def test_columns_are_taken_by_name_and_narrower_numbers_are_widened(store: Store) -> None:
    rows = store.counts((DAY_1, "a", 7)).select(
        F.lit(True).alias("more"), F.col("value").cast("int").alias("value"), "measure", EVENT_DATE
    )
    store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])
    assert store.values() == [(DAY_1, "a", 7)]


def test_days_and_keys_belong_to_different_tables(store: Store) -> None:
    lifetime = store.frame(AGGREGATED_ENGAGEMENT, [])
    with pytest.raises(TableError, match="not kept by days"):
        store.tables.replace_days(AGGREGATED_ENGAGEMENT, lifetime, [DAY_1])
    with pytest.raises(TableError, match="not kept by days"):
        store.tables.read(AGGREGATED_ENGAGEMENT, [DAY_1])
    with pytest.raises(TableError, match="kept by days"):
        store.tables.upsert(INGESTION_COUNTS, store.counts(), store.counts(), {})
    with pytest.raises(TableError, match="no days to replace"):
        store.tables.replace_days(INGESTION_COUNTS, store.counts(), [])


def test_a_frame_read_before_a_write_still_gives_the_rows_of_then(store: Store) -> None:
    store.tables.replace_days(
        INGESTION_COUNTS, store.counts((DAY_1, "a", 1), (DAY_2, "a", 2)), [DAY_1, DAY_2]
    )
    before = store.tables.read(INGESTION_COUNTS)
    store.tables.replace_days(INGESTION_COUNTS, store.counts((DAY_1, "b", 9)), [DAY_1])
    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_2])
    assert [row["value"] for row in content(before)] == [1, 2]
    assert store.values() == [(DAY_1, "b", 9)]


def test_a_day_can_be_replaced_by_what_is_computed_from_it(store: Store) -> None:
    store.tables.replace_days(INGESTION_COUNTS, store.counts((DAY_1, "a", 1)), [DAY_1])
    more = store.tables.read(INGESTION_COUNTS).withColumn("value", F.col("value") + 1)
    store.tables.replace_days(INGESTION_COUNTS, more, [DAY_1])
    assert store.values() == [(DAY_1, "a", 2)]


def test_what_is_computed_once_keeps_its_rows_until_the_block_ends(store: Store) -> None:
    store.tables.replace_days(INGESTION_COUNTS, store.counts((DAY_1, "input", 1)), [DAY_1])
    counts = store.counts((DAY_1, "input", 7), (DAY_2, "input", None))
    # A dice thrown anew at each evaluation would show different numbers.
    frame = counts.withColumn("dice", F.rand())
    with store.tables.computed(INGESTION_COUNTS, frame) as rows:
        assert rows.columns == frame.columns
        assert content(rows) == content(rows)
        assert sorted(row["value"] or 0 for row in content(rows)) == [0, 7]
        assert store.values() == [(DAY_1, "input", 1)]
        assert store.tables.version(INGESTION_COUNTS) >= 0
    assert left_over(store) == []


def test_no_rows_can_be_computed_once_too(store: Store) -> None:
    with store.tables.computed(INGESTION_COUNTS, store.counts()) as rows:
        assert content(rows) == []
        assert types(rows) == types_of(INGESTION_COUNTS)


def test_what_was_computed_for_a_failing_block_is_removed(store: Store) -> None:
    counts = store.counts((DAY_1, "input", 7))
    with pytest.raises(LookupError), store.tables.computed(INGESTION_COUNTS, counts):
        raise LookupError
    assert left_over(store) == []


def left_over(store: Store) -> list[str]:
    """What lies beside or in the table and is neither its rows nor its log."""
    if isinstance(store.place, Path):
        return [path.name for path in (store.place / INGESTION_COUNTS.name).glob("staging-*")]
    tables = store.spark.sql(f"SHOW TABLES IN {store.place}").collect()
    return [row["tableName"] for row in tables if row["tableName"] != INGESTION_COUNTS.name]


def test_rows_are_counted_by_day(store: Store) -> None:
    rows = store.counts((DAY_1, "a", 1), (DAY_1, "b", 1), (DAY_2, "a", 1))
    store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1, DAY_2])
    counts = store.tables.day_counts(INGESTION_COUNTS, [DAY_1, DAY_3])
    assert counts == {DAY_1: 2, DAY_3: 0}


def test_the_days_replaced_since_a_version_are_known(store: Store) -> None:
    rows = store.counts((DAY_1, "a", 1), (DAY_2, "a", 1))
    store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1, DAY_2])
    first = store.tables.version(INGESTION_COUNTS)
    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_2])
    store.tables.replace_days(
        INGESTION_COUNTS, store.counts((DAY_3, "a", 1)), [DAY_4, DAY_3, DAY_3]
    )
    last = store.tables.version(INGESTION_COUNTS)

    since = store.tables.days_replaced_since
    assert since(INGESTION_COUNTS, first) == Replaced(last, frozenset({DAY_2, DAY_3, DAY_4}))
    assert since(INGESTION_COUNTS, -1) == Replaced(last, frozenset({DAY_1, DAY_2, DAY_3, DAY_4}))
    assert since(INGESTION_COUNTS, last) == Replaced(last, frozenset())
    assert since(INGESTION_COUNTS, None) == Replaced(last, None)
    assert since(INGESTION_COUNTS, last + 1) == Replaced(last, None)


def test_an_upsert_updates_inserts_and_deletes_by_key_at_once(store: Store) -> None:
    upsert = store.tables.upsert
    rows = [
        pair("u", "kept", 1.0, activeDays=[DAY_1], watchedIntervals=[{"startMs": 0, "endMs": 9}]),
        pair("u", "changed", 2.0, activeDays=[DAY_1], qualityFlags=["open_ended"]),
        pair("u", "gone", 3.0),
    ]
    assert upsert(AGGREGATED_ENGAGEMENT, store.frame(AGGREGATED_ENGAGEMENT, rows), None, {}) == (
        3,
        0,
    )
    before = store.tables.read(AGGREGATED_ENGAGEMENT)
    rows = [pair("u", "changed", 5.0, qualityFlags=[]), pair("v", "new", 6.0)]

    done = upsert(
        AGGREGATED_ENGAGEMENT,
        store.frame(AGGREGATED_ENGAGEMENT, rows),
        store.keys(("u", "gone"), ("u", "gone"), ("never", "there"), ("v", "new")),
        {"state": "7"},
    )

    assert done == (2, 1)
    found = {row["videoId"]: row for row in store.stored(AGGREGATED_ENGAGEMENT)}
    assert {video: row["totalWatchTime"] for video, row in found.items()} == {
        "kept": 1.0,
        "changed": 5.0,
        "new": 6.0,
    }
    assert found["kept"]["watchedIntervals"] == [{"startMs": 0, "endMs": 9}]
    assert found["kept"]["activeDays"] == [DAY_1]
    assert found["changed"]["activeDays"] is None
    assert found["changed"]["qualityFlags"] == []
    assert len(content(before)) == 3


def test_rows_change_in_one_commit_of_an_upsert(store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    store.tables.upsert(table, store.frame(table, [pair("u", "v", 1.0)]), None, {})
    version = store.tables.version(table)
    store.tables.upsert(
        table, store.frame(table, [pair("u", "w", 2.0)]), store.keys(("u", "v")), {}
    )
    seen = [
        store.lifetime_keys(number) for number in range(version, store.tables.version(table) + 1)
    ]
    assert seen[0] == [("u", "v")]
    assert seen[1:] == [[("u", "w")]] * len(seen[1:])


def test_the_note_of_the_latest_upsert_is_given_back(store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    nothing = store.frame(table, [])
    store.tables.upsert(table, nothing, None, {"version": "1", "text": 'it\'s ü \\ "x" {}'})
    assert store.open().note(table) == {"version": "1", "text": 'it\'s ü \\ "x" {}'}
    store.tables.upsert(table, store.frame(table, [pair("u", "v", 1.0)]), None, {"version": "2"})
    store.tables.upsert(table, nothing, store.keys(), {"version": "3"})
    assert store.open().note(table) == {"version": "3"}
    assert store.lifetime() == {("u", "v"): 1.0}


def test_upserting_the_same_rows_twice_changes_nothing(store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    rows = awkward_rows(table, [])
    for _ in range(2):
        store.tables.upsert(table, store.frame(table, rows), None, {})
    assert store.stored(table) == sorted(rows, key=repr)


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        ([pair("u", "v", 1.0), pair("u", "v", 2.0)], "userId='u', videoId='v'"),
        ([{"userId": "u"}], "userId='u', videoId=None"),
    ],
    ids=["twice", "null"],
)
def test_a_key_that_is_null_or_there_twice_is_refused(store: Store, rows: Rows, shown: str) -> None:
    table = AGGREGATED_ENGAGEMENT
    store.tables.upsert(table, store.frame(table, [pair("a", "b", 1.0)]), None, {"n": "1"})
    with pytest.raises(TableError, match=shown):
        store.tables.upsert(table, store.frame(table, rows), None, {"n": "2"})
    assert store.lifetime() == {("a", "b"): 1.0}
    assert store.tables.note(table) == {"n": "1"}


def test_rows_computed_from_an_old_state_are_refused(store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    one, other = store.open(), store.open()
    base = one.version(table)
    one.upsert(table, store.frame(table, [pair("u", "v", 1.0)]), None, {"n": "1"}, based_on=base)
    with pytest.raises(TableConflictError, match="another writer changed the table"):
        other.upsert(
            table, store.frame(table, [pair("u", "v", 2.0)]), None, {"n": "2"}, based_on=base
        )
    assert store.lifetime() == {("u", "v"): 1.0}
    assert store.tables.note(table) == {"n": "1"}
    again = store.frame(table, [pair("u", "v", 3.0)])
    other.upsert(table, again, None, {"n": "3"}, based_on=other.version(table))
    assert store.lifetime() == {("u", "v"): 3.0}


def test_writers_of_the_same_day_never_mix_their_rows(store: Store) -> None:
    """Both may win or one may give up, but the day is always one writer's."""

    def write(writer: int) -> None:
        tables = store.open()
        for number in range(3):
            measure = f"{writer}-{number}"
            rows = store.counts(*[(DAY_1, measure, value) for value in range(writer * 10 + 5)])
            with suppress(TableConflictError):
                tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])

    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_1])
    with ThreadPoolExecutor() as pool:
        list(pool.map(write, (1, 2)))
    stored = store.stored()
    assert len({row["measure"] for row in stored}) == 1
    assert len(stored) == int(stored[0]["measure"][0]) * 10 + 5


def test_writers_of_different_days_do_not_hinder_each_other(store: Store) -> None:
    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_1])
    days = [DAY_1 + timedelta(number) for number in range(6)]

    def write(day: date) -> None:
        store.open().replace_days(INGESTION_COUNTS, store.counts((day, "a", day.day)), [day])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, days))
    assert store.values() == [(day, "a", day.day) for day in days]


def test_comments_say_what_tables_and_columns_mean(store: Store) -> None:
    store.tables.replace_days(
        QUALITY_REPORT, store.frame(QUALITY_REPORT, [{EVENT_DATE: DAY_1}]), [DAY_1]
    )
    if isinstance(store.place, Path):
        snapshot = store.delta(QUALITY_REPORT)
        declared = json.loads(snapshot.schema().to_json())
        comments = {f["name"]: f["metadata"].get("comment") for f in declared["fields"]}
        assert snapshot.metadata().description == QUALITY_REPORT.doc
    else:
        frame = store.tables.read(QUALITY_REPORT)
        comments = {f.name: f.metadata.get("comment") for f in frame.schema.fields}
    assert comments == {column.name: column.doc for column in QUALITY_REPORT.columns}


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
