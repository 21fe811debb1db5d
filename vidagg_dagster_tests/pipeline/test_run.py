"""The steps as a whole."""

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import DayResult, StepName, TableStore
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.core.schemas import SESSIONS, TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.small_site import anna, day, peter, write_site
from vidagg_dagster_tests.support.whole_tables import stored

DAYS = [day(0), day(1)]


def test_days_computed_one_by_one_come_out_as_those_computed_together(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 3)
    days = [day(n) for n in range(3)]
    found: dict[int, Any] = {}
    # 13 events a day: two at a time, all three together.
    for at_once in (28, 1000):
        store = TableStore(kind="local", location=str(tmp_path / f"tables-{at_once}"))
        said: list[tuple[int, int, date]] = []

        def say(number: int, total: int, done: DayResult, said: Any = said) -> None:
            said.append((number, total, done.day))

        results = {}
        for step in StepName:
            request = site.request(step, days).model_copy(
                update={"store": store, "events_at_once": at_once}
            )
            results[step] = run_step(sail, request, say)
        assert said == 7 * [(number + 1, 3, days[number]) for number in range(3)]
        written = open_tables(sail, store).version(TABLES["sessions"])
        assert written == {28: 2, 1000: 1}[at_once], "one commit for each part"
        found[at_once] = (
            stored(sail, store),
            {step: (r.outcomes, r.top, r.rows) for step, r in results.items()},
        )
        for result in results.values():
            assert all(done.seconds >= 0 for done in result.days)
    assert found[28] == found[1000]


def test_slices_of_users_change_no_table(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path, 2)
    # The same id twice, the same event twice, and rows that are none.
    twice: list[Any] = [
        *anna(DAYS[1]),
        *anna(DAYS[1])[:2],
        "no event at all",
        '{"userId": "nobody"}',
    ]
    numbered = [
        row if isinstance(row, str) else {**row, "eventId": f"e{at % 9}"}
        for at, row in enumerate([*peter(DAYS[1]), *twice])
    ]
    site.write_day(DAYS[1], numbered)
    found = []
    for at_once in (10_000, 4):
        store = TableStore(kind="local", location=str(tmp_path / f"tables-{at_once}"))
        changes = {"store": store, "events_at_once": at_once}
        # The second time the lifetime table takes in one day: it has the other ones.
        results = [
            run_step(sail, site.request(step, days).model_copy(update=changes))
            for days in (DAYS, DAYS[1:])
            for step in StepName
        ]
        found.append((stored(sail, store), [result.outcomes for result in results]))
    rows = found[0][0]
    assert {len(rows[name]) > 0 for name in ("raw_events", "rejected_events")} == {True}
    assert {row["value"] for row in rows["ingestion_counts"] if row["measure"] == "duplicates"} > {
        0
    }
    for tables, outcomes in found[1:]:
        for name, expected in rows.items():
            assert tables[name] == expected, name
        assert outcomes == found[0][1]


def test_slices_keep_a_dimension_whatever_it_is_called(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path, 1)
    seen = [{**row, "slice": "1"} for row in [*peter(DAYS[0]), *anna(DAYS[0])]]
    site.write_day(DAYS[0], seen)
    found = []
    for at_once in (10_000, 4):
        store = TableStore(kind="local", location=str(tmp_path / f"tables-{at_once}"))
        changes = {"store": store, "events_at_once": at_once, "dimensions": {"slice": None}}
        for step in StepName:
            run_step(sail, site.request(step, DAYS[:1]).model_copy(update=changes))
        tables = open_tables(sail, store, None, ("slice",))
        names = [*tables.read(SESSIONS).columns]
        sessions = tables.read(SESSIONS).select("userId", "slice").collect()
        found.append((names, sorted(map(tuple, sessions)), stored(sail, store)))
    assert {told for _, told in found[0][1]} == {"1"}
    assert found[0] == found[1]


def test_only_files_that_hold_the_days_are_read(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path, 3)
    days = [day(n) for n in range(3)]
    run_step(sail, site.request(StepName.RAW_EVENTS, days))
    expected = stored(sail, TableStore(kind="local", location=str(site.tables)))["raw_events"]
    # Damaged since, but known and unchanged by size and time: another day does not touch it.
    broken = site.events / f"{days[0]}.jsonl"
    times = broken.stat()
    broken.write_bytes(b"\0" * times.st_size)
    os.utime(broken, ns=(times.st_atime_ns, times.st_mtime_ns))
    result = run_step(sail, site.request(StepName.RAW_EVENTS, days[2:]))
    assert result.rows == len([*peter(days[2]), *anna(days[2])])
    store = TableStore(kind="local", location=str(site.tables))
    assert stored(sail, store)["raw_events"] == expected


def test_a_step_without_days_is_refused(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 1)
    with pytest.raises(StepError, match="sessions needs at least one day"):
        run_step(sail, site.request(StepName.SESSIONS, []))
