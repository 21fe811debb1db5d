"""The contract of the lifetime table: rows change by key, in one commit."""

import pytest

from vidagg_dagster.core.errors import TableConflictError, TableError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
)
from vidagg_dagster_tests.support.table_store import DAY_1, Rows, Store, awkward_rows, content, pair


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


@pytest.mark.usefixtures("patient")
def test_all_rows_of_a_table_are_replaced_in_one_commit(store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    store.tables.replace_all(table, store.frame(table, [pair("u", "old", 1.0)]))
    before, version = store.tables.read(table), store.tables.version(table)
    store.tables.replace_all(table, store.frame(table, [pair("u", "new", 2.0)]))
    assert store.lifetime_keys(store.tables.version(table)) == [("u", "new")]
    assert store.tables.version(table) == version + 1
    assert len(content(before)) == 1, "who reads meanwhile sees the rows of before"
    store.tables.replace_all(table, store.frame(table, []))
    assert store.stored(table) == []


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


@pytest.mark.usefixtures("patient")
def test_the_note_of_the_latest_upsert_is_given_back(store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    nothing = store.frame(table, [])
    store.tables.upsert(table, nothing, None, {"version": "1", "text": 'it\'s ü \\ "x" {}'})
    assert store.open().note(table) == {"version": "1", "text": 'it\'s ü \\ "x" {}'}
    store.tables.upsert(table, store.frame(table, [pair("u", "v", 1.0)]), None, {"version": "2"})
    store.tables.upsert(table, nothing, store.keys(), {"version": "3"})
    assert store.open().note(table) == {"version": "3"}
    assert store.lifetime() == {("u", "v"): 1.0}


@pytest.mark.usefixtures("patient")
def test_upserting_the_same_rows_twice_changes_nothing(any_store: Store) -> None:
    table = AGGREGATED_ENGAGEMENT
    rows = awkward_rows(table, [])
    for _ in range(2):
        any_store.tables.upsert(table, any_store.frame(table, rows), None, {})
    assert any_store.stored(table) == sorted(rows, key=repr)


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
