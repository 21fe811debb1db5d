"""The contract between writers at the same time, and what readers are told of a table."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest

from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    QUALITY_REPORT,
)
from vidagg_dagster_tests.support.table_store import DAY_1, Store


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


@pytest.mark.usefixtures("patient")
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
