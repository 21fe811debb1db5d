"""Tables that carry dimensions: a new one is added to what is stored, one that is gone is null."""

from typing import Any

import pytest

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
    with_dimensions,
)
from vidagg_dagster.tables.interface import Tables
from vidagg_dagster_tests.support.table_store import DAY_1, DAY_2, DAY_3, Store, content, pair


def write(store: Store, tables: Tables, dimensions: list[str], *rows: dict[str, Any]) -> None:
    frame = store.frame(with_dimensions(SESSIONS, dimensions), list(rows))
    tables.replace_days(SESSIONS, frame, sorted({row["event_date"] for row in rows}))


def told(tables: Tables, table: TableSpec, *names: str) -> list[tuple[Any, ...]]:
    return sorted(
        (tuple(row[name] for name in ("userId", *names)) for row in content(tables.read(table))),
        key=repr,
    )


def test_a_new_dimension_is_null_in_what_was_stored_before(any_store: Store) -> None:
    write(any_store, any_store.open(), [], {"event_date": DAY_1, "userId": "ada"})
    one = any_store.open(["device"])
    assert told(one, SESSIONS, "device") == [("ada", None)]
    write(any_store, one, ["device"], {"event_date": DAY_2, "userId": "bob", "device": "tv"})
    assert told(one, SESSIONS, "device") == [("ada", None), ("bob", "tv")]
    two = any_store.open(["country", "device"])
    row = {"event_date": DAY_3, "userId": "cy", "device": "tv", "country": "DE"}
    write(any_store, two, ["country", "device"], row)
    expected = [("ada", None, None), ("bob", "tv", None), ("cy", "tv", "DE")]
    assert told(two, SESSIONS, "device", "country") == expected
    # Who asks for none reads the table as ever.
    assert any_store.open().read(SESSIONS).columns == SESSIONS.column_names


@pytest.mark.usefixtures("patient")
def test_a_day_of_before_counts_as_changed_once_a_dimension_is_asked_for(store: Store) -> None:
    write(store, store.open(), [], {"event_date": DAY_1, "userId": "ada"})
    tables = store.open(["device"])
    rows = [{"event_date": DAY_1, "userId": "ada", "device": "tv"}]
    frame = store.frame(with_dimensions(SESSIONS, ["device"]), rows)
    for changed in ([DAY_1], []):
        given = tables.replace_days(SESSIONS, frame, [DAY_2], if_changed=[DAY_1])
        assert list(given) == changed


@pytest.mark.usefixtures("patient")
def test_rows_without_days_get_a_new_dimension_as_well(any_store: Store) -> None:
    lifetime = with_dimensions(AGGREGATED_ENGAGEMENT, ["device"])
    before = any_store.frame(AGGREGATED_ENGAGEMENT, [pair("ada", "v"), pair("bob", "v")])
    any_store.open().upsert(AGGREGATED_ENGAGEMENT, before, None, {})
    tables = any_store.open(["device"])
    rows = any_store.frame(lifetime, [pair("bob", "v", device=["phone", "tv"])])
    assert tables.upsert(AGGREGATED_ENGAGEMENT, rows, any_store.keys(("cy", "v")), {}) == (1, 0)
    assert told(tables, AGGREGATED_ENGAGEMENT, "device") == [
        ("ada", None),
        ("bob", ["phone", "tv"]),
    ]


def test_adding_a_dimension_replaces_no_day(store: Store) -> None:
    daily = with_dimensions(USER_VIDEO_ENGAGEMENT, ["device"])
    rows = [pair("ada", "v", event_date=DAY_1)]
    plain = store.open()
    plain.replace_days(USER_VIDEO_ENGAGEMENT, store.frame(USER_VIDEO_ENGAGEMENT, rows), [DAY_1])
    version = plain.version(USER_VIDEO_ENGAGEMENT)
    rows = [pair("ada", "v", event_date=DAY_2, device=["tv"])]
    tables = store.open(["device"])
    tables.replace_days(USER_VIDEO_ENGAGEMENT, store.frame(daily, rows), [DAY_2])
    assert tables.days_replaced_since(USER_VIDEO_ENGAGEMENT, version).days == frozenset({DAY_2})


def test_a_dimension_that_is_asked_for_no_more_is_null_from_then_on(store: Store) -> None:
    row = {"event_date": DAY_1, "userId": "ada", "device": "tv"}
    write(store, store.open(["device"]), ["device"], row)
    write(store, store.open(), [], {"event_date": DAY_2, "userId": "bob"})
    other = {"event_date": DAY_3, "userId": "cy", "country": "DE"}
    write(store, store.open(["country"]), ["country"], other)
    tables = store.open(["country", "device"])
    expected = [("ada", "tv", None), ("bob", None, None), ("cy", None, "DE")]
    assert told(tables, SESSIONS, "device", "country") == expected


@pytest.mark.usefixtures("patient")
def test_a_row_that_is_merged_without_its_dimension_loses_the_set(store: Store) -> None:
    lifetime = with_dimensions(AGGREGATED_ENGAGEMENT, ["device"])
    rows = [pair("ada", "v", device=["tv"]), pair("bob", "v", device=["tv"])]
    tables = store.open(["device"])
    tables.upsert(AGGREGATED_ENGAGEMENT, store.frame(lifetime, rows), None, {})
    again = store.frame(AGGREGATED_ENGAGEMENT, [pair("bob", "v"), pair("cy", "v")])
    assert store.open().upsert(AGGREGATED_ENGAGEMENT, again, None, {})[0] == 2
    found = dict(told(tables, AGGREGATED_ENGAGEMENT, "device"))
    assert (found["bob"], found["cy"]) == (None, None)


def test_another_case_of_its_name_is_refused(store: Store) -> None:
    """To people it is another column, to Delta the same one."""
    row = {"event_date": DAY_1, "userId": "ada", "device": "tv"}
    write(store, store.open(["device"]), ["device"], row)
    row = {"event_date": DAY_2, "userId": "bob", "Device": "tv"}
    with pytest.raises(TableError, match=r"other columns.*: Device"):
        write(store, store.open(["Device"]), ["Device"], row)
    assert told(store.open(["device"]), SESSIONS, "device") == [("ada", "tv")]


def test_tables_of_anything_else_carry_none(any_store: Store) -> None:
    tables = any_store.open(["device"])
    tables.replace_days(INGESTION_COUNTS, any_store.counts((DAY_1, "input", 1)), [DAY_1])
    assert tables.read(INGESTION_COUNTS).columns == INGESTION_COUNTS.column_names
