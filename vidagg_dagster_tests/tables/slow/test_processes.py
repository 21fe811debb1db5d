"""Processes that are killed while they write, and the contract without Spark Connect."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from vidagg_dagster.spark.session import SAIL, SPARK
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.writers import delta, files, go, owner_and_rows, start_writer

TESTS = Path(__file__).parents[1]


def test_a_killed_writer_leaves_the_old_day_or_the_new_one(tmp_path: Path) -> None:
    require(SAIL)
    rows = 200_000
    first = start_writer(tmp_path, "old", rows, 1)
    go(first)
    assert first.wait(timeout=120) == 0
    for attempt in range(12):
        writer = start_writer(tmp_path, "new", rows, 1000)
        go(writer)
        time.sleep(0.05 + 0.11 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert owner_and_rows(tmp_path, delta(tmp_path).version()) in (("old", rows), ("new", rows))
    again = start_writer(tmp_path, "new", rows, 1)
    go(again)
    assert again.wait(timeout=120) == 0
    assert owner_and_rows(tmp_path, delta(tmp_path).version()) == ("new", rows)
    live = {Path(uri).name for uri in delta(tmp_path).file_uris()}
    delta(tmp_path).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    assert {path.name for path in files(tmp_path) if path.suffix == ".parquet"} == live


def test_catalog_tables_keep_the_contract_without_spark_connect_too() -> None:
    require(SPARK)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-k",
            "catalog",
            *map(str, sorted(TESTS.glob("test_contract_*.py"))),
            str(TESTS / "test_catalog.py"),
        ],
        env={**os.environ, "VIDAGG_TEST_CATALOG_SESSION": "classic"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
