"""The contract of appended batches: each is kept once, whoever repeats it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from vidagg_dagster.core.errors import TableConflictError, TableError
from vidagg_dagster.core.schemas import INGESTION_COUNTS
from vidagg_dagster_tests.support.table_store import DAY_1, DAY_2, DAY_3, Store, left_over


def append(store: Store, writer: str, batch: int, *rows: tuple[object, str, int]) -> bool:
    frame = store.counts(*rows)  # type: ignore[arg-type]
    return store.landing.append_once(INGESTION_COUNTS, frame, writer, batch)


def test_a_batch_is_kept_once_and_its_days_are_told(store: Store) -> None:
    assert append(store, "w", 1, (DAY_1, "a", 1), (DAY_2, "a", 2))
    first = store.landing.version(INGESTION_COUNTS)
    assert not append(store, "w", 1, (DAY_1, "a", 1), (DAY_2, "a", 2))
    assert append(store, "w", 2, (DAY_1, "b", 3))
    assert not append(store, "w", 1, (DAY_3, "a", 4))
    assert append(store, "other", 1, (DAY_1, "c", 5))
    assert store.values() == [(DAY_1, "a", 1), (DAY_1, "b", 3), (DAY_1, "c", 5), (DAY_2, "a", 2)]
    assert store.landing.days_replaced_since(INGESTION_COUNTS, first).days == frozenset({DAY_1})
    # The numbers last when days are replaced.
    store.tables.replace_days(INGESTION_COUNTS, store.counts(), [DAY_1, DAY_2])
    assert not append(store, "w", 2, (DAY_1, "b", 3))
    assert store.values() == []
    assert left_over(store) == []


def test_a_row_without_a_day_is_refused_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(TableError, match="event_date"):
        append(store, "w", 1, (DAY_1, "a", 1), (None, "a", 2))
    assert store.values() == []
    assert append(store, "w", 1, (DAY_1, "a", 1))


@pytest.mark.usefixtures("patient")
def test_processes_that_repeat_a_batch_at_the_same_time_keep_it_once(store: Store) -> None:
    append(store, "w", 1, (DAY_1, "a", 1))

    def repeat(_: int) -> None:
        with suppress(TableConflictError):
            append(store, "w", 2, (DAY_1, "b", 2))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(repeat, range(3)))
    assert store.values() == [(DAY_1, "a", 1), (DAY_1, "b", 2)]


@pytest.mark.usefixtures("patient")
def test_writers_of_batches_do_not_hinder_each_other(store: Store) -> None:
    append(store, "w", 1, (DAY_1, "a", 0))
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda n: append(store, f"w{n}", 1, (DAY_1, "b", n)), range(3)))
    assert all(done)
    assert store.values() == [(DAY_1, "a", 0), *((DAY_1, "b", number) for number in range(3))]
