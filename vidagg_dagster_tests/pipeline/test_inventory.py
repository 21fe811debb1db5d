"""Late events: what arrives for days that were read already is found, counted, and taken in."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import (
    REQUIRED_COLUMNS,
    ROWS_COUNTED,
    ROWS_OF_DAYS,
    LateReport,
    SourceSpec,
    StepName,
    StepRequest,
    StepResult,
)
from vidagg_dagster.core.event_mapping import EventMapping
from vidagg_dagster.core.schemas import NOTED_READ
from vidagg_dagster.pipeline.inventory import (
    GONE,
    Entry,
    Inventory,
    late_report,
    record_inventory,
    take_inventory,
    updated,
)
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.sources.listing import list_source
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.late_events import LATE, at, follow_up
from vidagg_dagster_tests.support.small_site import (
    FIRST_DAY,
    Site,
    anna,
    day,
    event,
    peter,
    write_site,
)


def read_events(
    spark: SparkSession, site: Site, days: Sequence[date], now: datetime, **more: object
) -> StepResult:
    request = site.request(StepName.RAW_EVENTS, days)
    return run_step(spark, request.model_copy(update={"run_time": now, **more}))


def late(result: StepResult) -> dict[int, tuple[int, bool]]:
    """Number of the day -> rows, within the limit."""
    assert result.late is not None
    return {
        (found.day - FIRST_DAY).days: (found.rows, found.within_limit) for found in result.late.days
    }


@pytest.mark.usefixtures("patient")
def test_a_day_takes_from_the_day_before_what_only_the_first_event_of_a_session_tells(
    spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 2)
    night = [event(day(0), "23:59:00", "eve", "video_play", 0, sessionId="night")]
    later = [event(day(1), "00:01:00", "eve", "video_pause", 120, sessionId="night", videoId=None)]
    site.write_day(day(0), night)
    site.write_day(day(1), [*later, event(day(1), "10:00:00", "bob", "video_play", 0)])
    columns = {name: name for name in REQUIRED_COLUMNS}
    mapping = EventMapping.model_validate(
        {"name": "own", "columns": columns, "fill_down": ["videoId"]}
    )
    request = site.request(StepName.RAW_EVENTS, [day(1)])
    assert request.source is not None
    source = request.source.model_copy(update={"mapping": mapping})
    result = run_step(spark, request.model_copy(update={"source": source}))
    assert result.rows == 2


@pytest.mark.usefixtures("patient")
def test_events_that_arrive_for_a_day_that_was_read_are_counted_by_their_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 4)
    for number in range(3):
        found = read_events(spark, site, [day(number)], at(day(number + 1)))
        assert (late(found), follow_up(found)) == ({}, [])
    site.write_day(LATE, [*peter(day(0)), *anna(day(2)), *peter(day(3))])
    found = read_events(spark, site, [day(3)], at(day(4)))
    # Day 3 is being read, so it is not late.
    assert late(found) == {0: (6, True), 2: (7, True)}
    assert follow_up(found) == [0, 2]
    [outcome] = [o for o in found.outcomes if o.rule == "late_within_limit"]
    assert outcome.passed


def test_a_day_further_back_than_the_limit_is_counted_and_left(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 5)
    for number in range(4):
        read_events(sail, site, [day(number)], at(day(number + 1)))
    site.write_day(LATE, [*peter(day(0)), *peter(day(1))])
    found = read_events(sail, site, [day(4)], at(day(5)))
    # The last complete day is day 4: day 1 is three days before it, day 0 four.
    assert late(found) == {0: (6, False), 1: (6, True)}
    assert follow_up(found) == [1]
    [outcome] = [o for o in found.outcomes if o.rule == "late_within_limit"]
    assert (outcome.passed, outcome.day, outcome.violations) == (False, day(4), 1)
    assert outcome.detail == {"rows": 6, "days": day(0).isoformat()}
    # They are kept: whoever runs the day has them.
    again = read_events(sail, site, [day(0)], at(day(5)))
    assert again.rows == 13
    assert (late(again), again.days[0].metrics["input"]) == ({1: (6, True)}, 19)


def test_late_events_are_told_until_their_day_has_run_again(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 3)
    read_events(sail, site, [day(0), day(1)], at(day(2)))
    site.write_day(LATE, peter(day(0)))
    assert late(read_events(sail, site, [day(1)], at(day(2)))) == {0: (6, True)}
    assert late(read_events(sail, site, [day(2)], at(day(3)))) == {0: (6, True)}
    assert late(read_events(sail, site, [day(0)], at(day(3)))) == {}
    assert late(read_events(sail, site, [day(2)], at(day(3)))) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda events: (events / f"{day(0)}.jsonl").touch(), {}),
        (lambda events: (events / f"{day(0)}.jsonl").rename(events / "other.jsonl"), {0: 0}),
        (lambda events: (events / f"{day(0)}.jsonl").unlink(), {0: -13}),
        (lambda events: (events / "empty.jsonl").touch(), {}),
        (
            lambda events: (events / "copy.jsonl").write_bytes(
                (events / f"{day(0)}.jsonl").read_bytes()
            ),
            {0: 13},
        ),
        (
            lambda events: (events / f"{day(0)}.jsonl").write_text(
                (events / f"{day(0)}.jsonl").read_text().replace("anna", "hugo")
            ),
            {0: 0},
        ),
    ],
    ids=["touched", "renamed", "removed", "empty", "delivered twice", "corrected"],
)
def test_what_counts_as_a_change(
    sail: SparkSession,
    tmp_path: Path,
    change: Callable[[Path], object],
    expected: Mapping[int, int],
) -> None:
    site = write_site(tmp_path, 2)
    read_events(sail, site, [day(0)], at(day(1)))
    change(site.events)
    found = late(read_events(sail, site, [day(1)], at(day(2))))
    assert {number: rows for number, (rows, _) in found.items()} == expected


def test_a_day_that_was_empty_notices_its_first_events(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path, 1)
    read_events(sail, site, [day(0), day(1)], at(day(2)))
    site.write_day(day(1), peter(day(1)))
    found = read_events(sail, site, [day(2)], at(day(3)))
    assert late(found) == {1: (6, True)}
    assert follow_up(found) == [1]


def test_files_that_did_not_change_are_not_read_again(
    sail: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = write_site(tmp_path, 2)
    with caplog.at_level("INFO", "vidagg_dagster"):
        read_events(sail, site, [day(0)], at(day(1)))
        assert "source: 2 new or changed, of 2; 26 rows counted" in caplog.text
        caplog.clear()
        result = read_events(sail, site, [day(1)], at(day(2)))
        assert "source:" not in caplog.text
        assert (result.metrics[ROWS_COUNTED], result.metrics[ROWS_OF_DAYS]) == (0, 13)
        site.write_day(LATE, peter(day(0)))
        result = read_events(sail, site, [day(1)], at(day(2)))
        assert "source: 1 new or changed, of 3; 6 rows counted" in caplog.text
        assert (result.metrics[ROWS_COUNTED], result.metrics[ROWS_OF_DAYS]) == (6, 13)


def test_another_way_to_read_the_source_reads_all_of_it_again(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 3)
    read_events(sail, site, [day(0), day(1)], at(day(2)))
    found = read_events(sail, site, [day(2)], at(day(3)), timezone="Pacific/Kiritimati")
    assert set(late(found)) == {0, 1}, "14 hours further east other events belong to these days"


def as_delta(
    site: Site, rows: Sequence[Mapping[str, Any]], mode: Literal["overwrite", "append"]
) -> None:
    import pyarrow as pa

    write_deltalake(str(site.folder / "delta"), pa.Table.from_pylist(list(rows)), mode=mode)


@pytest.mark.usefixtures("patient")
def test_a_new_version_of_a_delta_table_is_counted_by_day(
    spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path, 0)
    source = SourceSpec(location=str(site.folder / "delta"))
    as_delta(site, [*peter(day(0)), *peter(day(1))], "overwrite")
    read_events(spark, site, [day(0)], at(day(1)), source=source)
    as_delta(site, peter(day(1)), "append")
    assert late(read_events(spark, site, [day(1)], at(day(2)), source=source)) == {}
    # A version with the same rows in other files is no change.
    as_delta(site, [*peter(day(1)), *peter(day(1)), *peter(day(0))], "overwrite")
    assert late(read_events(spark, site, [day(2)], at(day(3)), source=source)) == {}
    as_delta(site, [event(day(0), "12:00:00", "kim", "video_play", 1)], "append")
    assert late(read_events(spark, site, [day(2)], at(day(3)), source=source)) == {0: (1, True)}


def test_a_table_without_versions_is_counted_anew(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path, 0)
    source = SourceSpec(location="late_events_view", format="table")
    assert list_source(source) is None

    def holds(rows: Sequence[Mapping[str, Any]]) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        sail.read.json(str(path)).createOrReplaceTempView("late_events_view")

    holds(peter(day(0)))
    read_events(sail, site, [day(0)], at(day(1)), source=source)
    holds([*peter(day(0)), *anna(day(0))])
    assert late(read_events(sail, site, [day(1)], at(day(2)), source=source)) == {0: (7, True)}
    sail.catalog.dropTempView("late_events_view")


def test_an_inventory_that_another_run_has_overtaken_is_taken_again(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs of different days, and a file for both days that only the second one has seen."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    site = write_site(tmp_path, 3)

    def request(*days: date) -> StepRequest:
        asked = site.request(StepName.RAW_EVENTS, days)
        return asked.model_copy(update={"run_time": at(day(3))})

    tables = open_tables(sail, request(day(0)).store)
    first = take_inventory(sail, tables, request(day(0)))
    site.write_day(LATE, [*peter(day(0)), *peter(day(1))])
    second = take_inventory(sail, tables, request(day(1)))
    record_inventory(sail, tables, request(day(1)), second, read_of(second, day(1)))
    found = record_inventory(sail, tables, request(day(0)), first, read_of(first, day(0)))
    assert found == LateReport()
    # Day 0 was read before the file was there, day 1 with it.
    third = take_inventory(sail, tables, request(day(2)))
    found = record_inventory(sail, tables, request(day(2)), third, read_of(third, day(2)))
    assert [(one.day, one.rows) for one in found.days] == [(day(0), 6)]


def read_of(inventory: Inventory, when: date) -> dict[tuple[str, date], int]:
    return {key: entry.rows for key, entry in inventory.entries.items() if key[1] == when}


D0, D1 = date(2026, 1, 1), date(2026, 1, 2)


def test_an_entry_keeps_its_number_while_its_rows_stay_the_same() -> None:
    known = {
        ("a", D0): Entry(5, 50, "old", 1),
        ("b", D0): Entry(6, 60, "old", 1),
        ("c", D0): Entry(7, 70, "old", 1),
        ("gone", D0): Entry(8, 80, "old", 1),
        (NOTED_READ, D0): Entry(26, 0, None, 1),
    }
    counts = {("a", D0): (5, 50), ("b", D0): (6, 61), ("new", D1): (1, 1)}
    present = {"a": "new", "b": "new", "c": "old", "new": "new", "empty": "new"}
    assert updated(known, counts, {"a", "b", "new", "empty"}, present, 2, D0) == {
        ("a", D0): Entry(5, 50, "new", 1),
        ("b", D0): Entry(6, 61, "new", 2),
        ("c", D0): Entry(7, 70, "old", 1),
        ("gone", D0): Entry(0, 0, GONE, 2),
        (NOTED_READ, D0): Entry(26, 0, None, 1),
        ("new", D1): Entry(1, 1, "new", 2),
        ("empty", D0): Entry(0, 0, "new", 0),
    }


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 5))
def test_the_limit_counts_from_the_last_complete_day(back: int, limit: int, read: int) -> None:
    today = date(2026, 6, 20)
    when = today - timedelta(days=1 + back)
    entries = {("a", when): Entry(3, 1, "s", read + 1), (NOTED_READ, when): Entry(1, 0, None, read)}
    [found] = late_report(entries, [], today, limit).days
    assert (found.days_late, found.rows) == (back, 2)
    assert found.within_limit == (back <= limit)
    assert late_report(entries, [when], today, limit).days == ()
    entries[NOTED_READ, when] = Entry(3, 0, None, read + 1)
    assert late_report(entries, [], today, limit).days == ()
