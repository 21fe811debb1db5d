"""Whatever days are run in whatever order, the tables are those of one pass over the same days."""

import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster.core.schemas import SOURCE_INVENTORY, TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.interface import Tables
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.dagster_project import Project
from vidagg_dagster_tests.support.nights import evening, morning, whole_day
from vidagg_dagster_tests.support.small_site import Row, Site, anna, day, peter, write_site

DAYS = 6
ROUNDS = 5
LATE = "late"
"""Part of the names of files that come later than the file of their day."""


@pytest.fixture
def project(tmp_path: Path, sail: SparkSession) -> Iterator[Project]:
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Project(write_site(tmp_path / "site", DAYS), instance, sail)


@pytest.mark.parametrize("seed", range(4))
def test_runs_in_any_order_end_in_the_tables_of_one_pass(
    project: Project, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    for number in range(DAYS):
        project.site.write_day(day(number), whole_day(day(number)))
    done: set[date] = set()
    for number in range(ROUNDS):
        stale = change(project.site, chance) & done
        for first, last in runs(chance, stale):
            result = project.run(first) if first == last else project.run(first, last)
            assert result.success
            done |= {first + n * ONE_DAY for n in range((last - first).days + 1)}
        assert rows(project) == in_one_pass(project, tmp_path / f"pass {number}", done)


def change(site: Site, chance: random.Random) -> set[date]:
    """Sometimes a day is emptied, written anew, or gets a file late; gives the days."""
    when = day(chance.randrange(DAYS))
    contents: list[list[Row]] = [[], whole_day(when), evening(when), morning(when)]
    match chance.randrange(3):
        case 0:
            site.write_day(when, chance.choice(contents))
        case 1:
            late = site.events / f"{LATE}-{when}-{chance.random()}.jsonl"
            scratch = Site(site.folder / "scratch")
            scratch.write_day(when, chance.choice([anna(when), peter(when), evening(when)]))
            (scratch.events / f"{when}.jsonl").rename(late)
        case _:
            return set()
    return {when}


def runs(chance: random.Random, stale: set[date]) -> list[tuple[date, date]]:
    """Single days and ranges, some twice, and the stale days, in any order."""
    spans = [(when, when) for when in stale]
    for _ in range(2):
        first = chance.randrange(DAYS)
        last = chance.choice([first, first, min(DAYS - 1, first + chance.randrange(1, 4))])
        spans.append((day(first), day(last)))
    if chance.random() < 0.5:
        spans.append(chance.choice(spans))
    chance.shuffle(spans)
    return spans


def rows(project: Project, tables: Tables | None = None) -> dict[str, list[dict[str, Any]]]:
    return {
        name: project.rows(table, tables)
        for name, table in TABLES.items()
        if table is not SOURCE_INVENTORY
    }


def in_one_pass(project: Project, folder: Path, days: set[date]) -> dict[str, list[dict[str, Any]]]:
    store = project.settings.store.model_copy(update={"location": str(folder)})
    for step in StepName:
        request = project.site.request(step, sorted(days))
        run_step(project.spark, request.model_copy(update={"store": store}))
    return rows(project, open_tables(project.spark, store))
