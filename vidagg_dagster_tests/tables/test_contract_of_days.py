"""The contract of tables with days: what is written is read, and a day is replaced as a whole."""

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    SESSIONS,
    SOURCE_INVENTORY,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.tables.interface import Replaced
from vidagg_dagster_tests.support.table_store import (
    DAY_1,
    DAY_2,
    DAY_3,
    DAY_4,
    Store,
    awkward_rows,
    content,
    left_over,
    types,
    types_of,
)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
@pytest.mark.usefixtures("patient")
def test_every_declared_table_gives_back_what_was_written(
    any_store: Store, table: TableSpec
) -> None:
    days = [date(2000, 1, 1), date(2024, 2, 29)]
    rows = awkward_rows(table, days)
    if table.partitioned:
        any_store.tables.replace_days(table, any_store.frame(table, rows), days)
    else:
        any_store.tables.upsert(table, any_store.frame(table, rows), None, {})

    read = any_store.tables.read(table)

    assert types(read) == types_of(table)
    assert content(read) == sorted(rows, key=repr)
    for day in days if table.partitioned else []:
        assert any_store.stored(table, [day]) == sorted(
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


@pytest.mark.parametrize("table", [INGESTION_COUNTS, SOURCE_INVENTORY])
def test_few_rows_are_given_in_memory_all_or_by_day(any_store: Store, table: TableSpec) -> None:
    tables = any_store.tables
    assert tables.rows(table) == tables.rows(table, [DAY_1]) == []
    rows = awkward_rows(table, [DAY_1, DAY_2])
    if table.partitioned:
        tables.replace_days(table, any_store.frame(table, rows), [DAY_1, DAY_2])
    else:
        tables.upsert(table, any_store.frame(table, rows), None, {})

    assert sorted(tables.rows(table), key=repr) == sorted(rows, key=repr)
    of_day = [row for row in rows if row[EVENT_DATE] == DAY_2]
    assert sorted(tables.rows(table, [DAY_2, DAY_3]), key=repr) == sorted(of_day, key=repr)


def test_days_with_rows_are_those_that_have_some_now(any_store: Store) -> None:
    tables = any_store.tables
    assert tables.days_with_rows(INGESTION_COUNTS) == set()
    tables.replace_days(
        INGESTION_COUNTS, any_store.counts((DAY_1, "a", 1), (DAY_2, "a", 2)), [DAY_1, DAY_2, DAY_3]
    )
    assert tables.days_with_rows(INGESTION_COUNTS) == {DAY_1, DAY_2}
    tables.replace_days(INGESTION_COUNTS, any_store.counts(), [DAY_2])
    assert tables.days_with_rows(INGESTION_COUNTS) == {DAY_1}


def test_replacing_a_day_leaves_the_other_days_alone(any_store: Store) -> None:
    any_store.tables.replace_days(
        INGESTION_COUNTS, any_store.counts((DAY_1, "a", 1), (DAY_2, "a", 2)), [DAY_1, DAY_2]
    )
    any_store.tables.replace_days(INGESTION_COUNTS, any_store.counts((DAY_2, "b", 3)), [DAY_2])
    assert any_store.values() == [(DAY_1, "a", 1), (DAY_2, "b", 3)]


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


@pytest.mark.usefixtures("patient")
def test_a_further_day_is_replaced_in_the_same_commit_where_its_rows_differ(store: Store) -> None:
    days = [DAY_1, DAY_2, DAY_3, DAY_4]
    store.tables.replace_days(
        INGESTION_COUNTS,
        store.counts((DAY_1, "a", 1), (DAY_2, "a", 2), (DAY_3, "a", 3), (DAY_3, "b", 4)),
        days,
    )
    version = store.tables.version(INGESTION_COUNTS)
    new = store.counts((DAY_1, "a", 9), (DAY_2, "a", 2), (DAY_3, "b", 4), (DAY_3, "a", 5))
    changed = store.tables.replace_days(INGESTION_COUNTS, new, [DAY_1], if_changed=days[1:])
    assert changed == (DAY_3,)
    assert store.values() == [(DAY_1, "a", 9), (DAY_2, "a", 2), (DAY_3, "a", 5), (DAY_3, "b", 4)]
    replaced = store.tables.days_replaced_since(INGESTION_COUNTS, version)
    assert replaced == Replaced(version + 1, frozenset({DAY_1, DAY_3}))


@pytest.mark.usefixtures("patient")
def test_the_time_of_the_run_is_no_change_and_a_nested_value_is_one(store: Store) -> None:
    def engagement(minute: int, end_ms: int) -> DataFrame:
        row = {
            EVENT_DATE: DAY_2,
            "userId": "u",
            "videoId": "v",
            "watchedIntervals": [(0, end_ms)],
            "processedAt": datetime(2024, 1, 5, 0, minute, tzinfo=UTC),
        }
        return store.frame(USER_VIDEO_ENGAGEMENT, [row])

    def settled(frame: DataFrame) -> tuple[date, ...]:
        return store.tables.replace_days(USER_VIDEO_ENGAGEMENT, frame, [DAY_1], if_changed=[DAY_2])

    assert settled(engagement(0, 5)) == (DAY_2,)
    assert settled(engagement(1, 5)) == ()
    assert settled(engagement(2, 6)) == (DAY_2,)


def test_a_run_again_leaves_the_same_rows(any_store: Store) -> None:
    rows = awkward_rows(SESSIONS, [DAY_1, DAY_2])
    for _ in range(2):
        any_store.tables.replace_days(SESSIONS, any_store.frame(SESSIONS, rows), [DAY_1, DAY_2])
    assert any_store.stored(SESSIONS) == sorted(rows, key=repr)


@pytest.mark.parametrize("stray", [DAY_3, None], ids=["another day", "no day"])
def test_a_row_of_another_day_is_refused_before_anything_is_written(
    any_store: Store, stray: date | None
) -> None:
    any_store.tables.replace_days(INGESTION_COUNTS, any_store.counts((DAY_1, "a", 1)), [DAY_1])
    version = any_store.tables.version(INGESTION_COUNTS)
    rows = any_store.counts((DAY_1, "b", 1), (stray, "b", 1), (stray, "c", 1))
    with pytest.raises(TableError) as error:
        any_store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1, DAY_2])
    assert "ingestion_counts" in str(error.value)
    assert f"2 of {stray or 'no day'}" in str(error.value)
    assert "2024-01-01, 2024-01-02" in str(error.value)
    assert any_store.values() == [(DAY_1, "a", 1)]
    assert any_store.tables.version(INGESTION_COUNTS) == version


def test_a_missing_column_is_named_with_those_found(any_store: Store) -> None:
    rows = any_store.counts((DAY_1, "a", 1)).drop("value").withColumn("extra", F.lit(1))
    with pytest.raises(TableError, match=r"no column value .*Found: event_date, measure, extra"):
        any_store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])


def test_a_column_of_another_type_is_refused(any_store: Store) -> None:
    rows = any_store.counts((DAY_1, "a", 1)).withColumn("value", F.lit("1"))
    with pytest.raises(TableError, match="value is string, not bigint"):
        any_store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])


def test_columns_are_taken_by_name_and_narrower_numbers_are_widened(any_store: Store) -> None:
    rows = any_store.counts((DAY_1, "a", 7)).select(
        F.lit(True).alias("more"), F.col("value").cast("int").alias("value"), "measure", EVENT_DATE
    )
    any_store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])
    assert any_store.values() == [(DAY_1, "a", 7)]


def test_days_and_keys_belong_to_different_tables(any_store: Store) -> None:
    lifetime = any_store.frame(AGGREGATED_ENGAGEMENT, [])
    with pytest.raises(TableError, match="not kept by days"):
        any_store.tables.replace_days(AGGREGATED_ENGAGEMENT, lifetime, [DAY_1])
    with pytest.raises(TableError, match="not kept by days"):
        any_store.tables.read(AGGREGATED_ENGAGEMENT, [DAY_1])
    with pytest.raises(TableError, match="kept by days"):
        any_store.tables.upsert(INGESTION_COUNTS, any_store.counts(), any_store.counts(), {})
    with pytest.raises(TableError, match="no days to replace"):
        any_store.tables.replace_days(INGESTION_COUNTS, any_store.counts(), [])


def test_a_frame_read_before_a_write_still_gives_the_rows_of_then(store: Store) -> None:
    store.tables.replace_days(
        INGESTION_COUNTS, store.counts((DAY_1, "a", 1), (DAY_2, "a", 2)), [DAY_1, DAY_2]
    )
    before = store.tables.read(INGESTION_COUNTS)
    store.tables.replace_days(INGESTION_COUNTS, store.counts((DAY_1, "b", 9)), [DAY_1])
    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_2])
    assert [row["value"] for row in content(before)] == [1, 2]
    assert store.values() == [(DAY_1, "b", 9)]


def test_a_day_can_be_replaced_by_what_is_computed_from_it(any_store: Store) -> None:
    any_store.tables.replace_days(INGESTION_COUNTS, any_store.counts((DAY_1, "a", 1)), [DAY_1])
    more = any_store.tables.read(INGESTION_COUNTS).withColumn("value", F.col("value") + 1)
    any_store.tables.replace_days(INGESTION_COUNTS, more, [DAY_1])
    assert any_store.values() == [(DAY_1, "a", 2)]


def test_what_is_computed_once_keeps_its_rows_until_the_block_ends(any_store: Store) -> None:
    any_store.tables.replace_days(INGESTION_COUNTS, any_store.counts((DAY_1, "input", 1)), [DAY_1])
    counts = any_store.counts((DAY_1, "input", 7), (DAY_2, "input", None))
    # A dice thrown anew at each evaluation would show different numbers.
    frame = counts.withColumn("dice", F.rand())
    with any_store.tables.computed(INGESTION_COUNTS, frame) as rows:
        assert rows.columns == frame.columns
        assert content(rows) == content(rows)
        assert sorted(row["value"] or 0 for row in content(rows)) == [0, 7]
        assert any_store.values() == [(DAY_1, "input", 1)]
        assert any_store.tables.version(INGESTION_COUNTS) >= 0
    assert left_over(any_store) == []


def test_no_rows_can_be_computed_once_too(any_store: Store) -> None:
    with any_store.tables.computed(INGESTION_COUNTS, any_store.counts()) as rows:
        assert content(rows) == []
        assert types(rows) == types_of(INGESTION_COUNTS)


def test_what_was_computed_for_a_failing_block_is_removed(any_store: Store) -> None:
    counts = any_store.counts((DAY_1, "input", 7))
    with pytest.raises(LookupError), any_store.tables.computed(INGESTION_COUNTS, counts):
        raise LookupError
    assert left_over(any_store) == []


def test_rows_are_counted_by_day(any_store: Store) -> None:
    rows = any_store.counts((DAY_1, "a", 1), (DAY_1, "b", 1), (DAY_2, "a", 1))
    any_store.tables.replace_days(INGESTION_COUNTS, rows, [DAY_1, DAY_2])
    counts = any_store.tables.day_counts(INGESTION_COUNTS, [DAY_1, DAY_3])
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
