"""What the source holds ends in the tables, in an error, or in a day that is told as late."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import SourceSpec, StepName, StepRequest
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.metrics.ingestion import rows_by_file
from vidagg_dagster.pipeline import raw_events
from vidagg_dagster.pipeline.inventory import Entry, Inventory, require_all_read, take_inventory
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.sources.faults import require_without_rows
from vidagg_dagster_tests.support.comings_and_goings import run, unfold
from vidagg_dagster_tests.support.late_events import LATE, at
from vidagg_dagster_tests.support.small_site import Site, anna, day, peter, write_site
from vidagg_dagster_tests.support.stored_rows import rows

AHEAD = day(30)


def after_inventory(
    monkeypatch: pytest.MonkeyPatch, *moves: Callable[[], object]
) -> Callable[[], int]:
    """Make one move after each inventory; gives how many inventories were taken."""
    taken = 0
    take = take_inventory

    def taking(spark: SparkSession, tables: Any, request: StepRequest) -> Any:
        nonlocal taken
        inventory = take(spark, tables, request)
        if taken < len(moves):
            moves[taken]()
        taken += 1
        return inventory

    monkeypatch.setattr(raw_events, "take_inventory", taking)
    return lambda: taken


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Peter's events in a file of their own, anna's in the file of the day."""
    written = write_site(tmp_path, 0)
    written.write_day(day(0), anna(day(0)))
    written.write_day(LATE, peter(day(0)))
    return written


def test_a_file_that_is_away_is_told_as_late_when_it_is_back(
    sail: SparkSession, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, elsewhere = site.events / f"{LATE}.jsonl", tmp_path / "moved"
    taken = after_inventory(
        monkeypatch, lambda: file.rename(elsewhere), lambda: elsewhere.rename(file)
    )
    # Away also while the second inventory is taken: its rows then are not there at all.
    run(sail, site, [day(0)], at(day(1)))
    assert taken() == 2
    assert len(rows(sail, site, RAW_EVENTS)) == 7
    late = run(sail, site, [day(1)], at(day(2))).late
    assert late is not None
    assert [(found.day, found.rows) for found in late.days] == [(day(0), 6)]


def test_files_that_keep_going_away_end_in_an_error_that_names_them(
    sail: SparkSession, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sail, site, [day(0)], at(day(1)))
    before = rows(sail, site, RAW_EVENTS)
    file, elsewhere = site.events / f"{LATE}.jsonl", tmp_path / "moved"
    take = take_inventory

    def away_after_each(*arguments: Any) -> Any:
        if elsewhere.exists():
            elsewhere.rename(file)
        inventory = take(*arguments)
        file.rename(elsewhere)
        return inventory

    monkeypatch.setattr(raw_events, "take_inventory", away_after_each)
    with pytest.raises(SourceError, match=rf"Cannot read .*{LATE}.jsonl: No such file"):
        run(sail, site, [day(0)], at(day(1)))
    assert rows(sail, site, RAW_EVENTS) == before


def test_a_file_that_gives_fewer_rows_than_it_has_is_named() -> None:
    """As where an engine takes a file for an empty one, after it was found."""
    entries = {("a", day(0)): Entry(7, 1, "s", 1), ("b", day(0)): Entry(6, 1, "s", 1)}
    inventory = Inventory(1, entries, {}, {}, 0, frozenset(("a", "b")))
    require_all_read(inventory, {("a", day(0)): 7, ("b", day(0)): 9}, [day(0)])
    with pytest.raises(SourceError, match=r"Of 13 rows of 2026-01-05 only 9 .* See to a\."):
        require_all_read(inventory, {("b", day(0)): 9}, [day(0)])


def test_a_file_that_is_away_while_it_is_counted_is_counted_again(
    sail: SparkSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sail plans without it, and gives no error: the inventory must not note it as empty."""
    hidden = [f"{LATE}.jsonl"]

    def counting(source: DataFrame, **more: Any) -> DataFrame:
        without = hidden.pop() if hidden else ""
        return rows_by_file(source.where(F.col("sourceFile") != without), **more)

    monkeypatch.setattr("vidagg_dagster.pipeline.inventory.rows_by_file", counting)
    assert run(sail, site, [day(0)], at(day(1))).rows == 13


def test_a_file_that_is_away_whenever_it_is_counted_is_an_error(
    sail: SparkSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counting(source: DataFrame, **more: Any) -> DataFrame:
        return rows_by_file(source.where(F.col("sourceFile") != f"{LATE}.jsonl"), **more)

    monkeypatch.setattr("vidagg_dagster.pipeline.inventory.rows_by_file", counting)
    with pytest.raises(SourceError, match=rf"Cannot read .*{LATE}.jsonl.* were counted"):
        run(sail, site, [day(0)], at(day(1)))


def test_a_file_that_is_gone_is_not_one_without_rows(site: Site) -> None:
    spec = SourceSpec(location=str(site.events))
    with pytest.raises(SourceError, match=r"Cannot read gone\.jsonl"):
        require_without_rows(spec, ["gone.jsonl"])
    require_without_rows(SourceSpec(location="a_table", format="table"), ["a_table"])


def test_files_without_rows_are_no_error(sail: SparkSession, site: Site) -> None:
    (site.events / "blank.jsonl").write_text("\n  \n")
    assert run(sail, site, [day(0)], at(day(1))).rows == 13


def test_a_file_that_grows_while_it_is_read_is_told_as_late_until_it_is_read_again(
    sail: SparkSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = [*anna(day(0)), *peter(day(0))]
    site.write_day(LATE, [])
    taken = after_inventory(monkeypatch, lambda: site.write_day(day(0), grown))
    run(sail, site, [day(0)], at(day(1)))
    assert taken() == 1
    late = run(sail, site, [day(1)], at(day(2))).late
    assert late is not None
    assert [found.day for found in late.days] == [day(0)]
    assert run(sail, site, [day(0)], at(day(2))).rows == 13
    late = run(sail, site, [day(1)], at(day(2))).late
    assert late is not None
    assert late.days == ()


def ahead(result: Any) -> tuple[dict[date, int], bool]:
    [outcome] = [o for o in result.outcomes if o.rule == "none_ahead"]
    return result.late.ahead, outcome.passed


def test_rows_dated_ahead_wait_for_their_day_and_are_warned_of(
    sail: SparkSession, site: Site
) -> None:
    site.write_day(LATE, peter(AHEAD))
    for number in range(2):
        found = run(sail, site, [day(number)], at(day(number + 1)))
        assert ahead(found) == ({AHEAD: 6}, False)
    tomorrow = run(sail, site, [day(1)], at(AHEAD - timedelta(days=1)))
    assert ahead(tomorrow) == ({}, True)
    assert run(sail, site, [AHEAD], at(AHEAD + timedelta(days=1))).rows == 6


def test_a_clock_that_was_behind_for_a_night_costs_nothing(sail: SparkSession, site: Site) -> None:
    assert run(sail, site, [day(0)], at(day(1)) - timedelta(days=10)).rows == 13
    assert run(sail, site, [day(0)], at(day(1))).rows == 13


def test_in_any_order_the_tables_end_as_after_one_undisturbed_run(
    sail: SparkSession, tmp_path: Path
) -> None:
    unfold(sail, tmp_path, seed=1, moves=6)


def test_the_check_counts_what_the_source_holds(sail: SparkSession, site: Site) -> None:
    result = run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    [outcome] = [o for o in result.outcomes if o.rule == "input_reconciles"]
    assert (outcome.detail["input"], outcome.detail["in the source"]) == (13, 13)
