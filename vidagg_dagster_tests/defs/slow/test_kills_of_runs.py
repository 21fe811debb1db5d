"""A whole run is killed at a random moment and run again: all tables are those of a calm run."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.core.schemas import PROCESSED_AT, SOURCE_INVENTORY, TABLES
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.nights import whole_day
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, anna, day, write_site
from vidagg_dagster_tests.support.whole_run import STARTED

RUN_S = 300


@dataclass(frozen=True)
class Calm:
    """A site before a run, the tables after it, and how long it takes once the engine is up."""

    before: Path
    after: Mapping[str, list[dict[str, Any]]]
    seconds: float


def start(site: Site, number: int = 0) -> subprocess.Popen[str]:
    """The run of a day, after its engine has started."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "vidagg_dagster_tests.support.whole_run"),
            *(site.folder, str(day(number))),
        ],
        cwd=REPO,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == STARTED
    return process


def rows(sail: SparkSession, site: Site) -> dict[str, list[dict[str, Any]]]:
    tables = LocalTables(sail, site.tables)
    return {
        name: sorted((row | {PROCESSED_AT: None} for row in rows_of(tables.read(table))), key=repr)
        for name, table in TABLES.items()
        if table is not SOURCE_INVENTORY
    }


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Calm:
    require(SAIL)
    sail = engine_session(SAIL)
    site = write_site(tmp_path_factory.mktemp("calm") / "site", 2)
    for number in range(2):
        site.write_day(day(number), whole_day(day(number)))
    # Both days have been run; then the first one changes, so that its run settles the second too.
    for number in range(2):
        assert start(site, number).wait(RUN_S) == 0
    site.write_day(day(0), anna(day(0)))
    before = site.folder.parent / "before"
    shutil.copytree(site.folder, before)
    old = rows(sail, site)
    process = start(site)
    started = time.monotonic()
    assert process.wait(RUN_S) == 0
    seconds = time.monotonic() - started
    after = rows(sail, site)
    differing = {name for name in TABLES if name in old and old[name] != after[name]}
    assert differing == set(old) - {"rejected_events"}
    return Calm(before, after, seconds)


@pytest.mark.parametrize("seed", range(8))
def test_a_run_killed_at_any_moment_and_run_again_leaves_nothing_behind(
    sail: SparkSession, calm: Calm, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    shutil.copytree(calm.before, tmp_path / "site")
    site = Site(tmp_path / "site")
    for _ in range(2):
        process = start(site)
        time.sleep(chance.uniform(0, calm.seconds))
        process.send_signal(signal.SIGKILL)
        assert process.wait(RUN_S) in (-signal.SIGKILL, 0)
    assert start(site).wait(RUN_S) == 0
    assert rows(sail, site) == calm.after
