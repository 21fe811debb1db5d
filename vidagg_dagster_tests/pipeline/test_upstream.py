"""A run that is overtaken by another one of the same days leaves the newer rows behind."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.core.schemas import SESSIONS, TableSpec
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster_tests.support.small_site import Site, anna, day, peter, write_site
from vidagg_dagster_tests.support.stored_rows import rows


@pytest.fixture
def site(sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("vidagg_dagster.tables.retry.time.sleep", lambda _: None)
    site = write_site(tmp_path, 3)
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0), day(1), day(2)]))
    return site


def before_each_write(monkeypatch: pytest.MonkeyPatch, do: Any) -> None:
    """Call `do` whenever sessions have been computed and are about to be written."""
    replace = LocalTables.replace_days

    def replacing(
        self: LocalTables, table: TableSpec, frames: Any, days: Sequence[date], **more: Any
    ) -> Any:
        if table is SESSIONS:
            do()
        return replace(self, table, frames, days, **more)

    monkeypatch.setattr(LocalTables, "replace_days", replacing)


def test_days_that_another_run_has_replaced_are_computed_again(
    sail: SparkSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = 0

    def other_run() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            site.write_day(day(0), peter(day(0)))
            run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))

    before_each_write(monkeypatch, other_run)
    # Day 1 reads day 0 too.
    run_step(sail, site.request(StepName.SESSIONS, [day(0), day(1)]))
    found = [row for row in rows(sail, site, SESSIONS) if repr(day(0)) in row]
    assert attempts == 2
    assert len(found) == 1, "anna's events of day 0 are gone"


def test_a_run_that_is_overtaken_again_and_again_fails_and_says_so(
    sail: SparkSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_run() -> None:
        run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))

    before_each_write(monkeypatch, other_run)
    with pytest.raises(TableConflictError, match="raw_events: another run replaced"):
        run_step(sail, site.request(StepName.SESSIONS, [day(0)]))


def test_other_days_do_not_matter(
    sail: SparkSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0

    def other_run() -> None:
        nonlocal runs
        runs += 1
        site.write_day(day(2), anna(day(2)))
        run_step(sail, site.request(StepName.RAW_EVENTS, [day(2)]))

    before_each_write(monkeypatch, other_run)
    run_step(sail, site.request(StepName.SESSIONS, [day(0)]))
    assert runs == 1
