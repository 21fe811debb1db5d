"""Processes that write a day at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from deltalake.exceptions import DeltaError

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.core.schemas import INGESTION_COUNTS
from vidagg_dagster.tables import delta_log
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.writers import delta, go, owner_and_rows, start_writer


def test_two_processes_never_mix_their_rows_of_a_day(tmp_path: Path) -> None:
    require(SAIL)
    rounds = 8
    sizes = {"one": 300, "other": 700}
    writers = [start_writer(tmp_path, name, rows, rounds) for name, rows in sizes.items()]
    for writer in writers:
        go(writer)
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]

    versions = [owner_and_rows(tmp_path, number) for number in range(delta(tmp_path).version() + 1)]
    assert versions[0] is None, "the table is made before either has written rows"
    written = versions[1:]
    assert set(written) <= set(sizes.items())
    assert len(written) > rounds
    kept = delta(tmp_path).vacuum(retention_hours=0, enforce_retention_duration=False, full=True)
    removed_by_commits = len(written) - 1
    assert len(kept) == removed_by_commits, "a conflict left files that no version knows"


def test_a_table_that_two_make_at_once_is_made_once(tmp_path: Path) -> None:
    for number in range(8):
        folder, both_ready = tmp_path / str(number), Barrier(2)

        def make(folder: Path = folder, both_ready: Barrier = both_ready) -> int:
            both_ready.wait()
            return int(delta_log.new_table(folder, INGESTION_COUNTS).version())

        with ThreadPoolExecutor(2) as threads:
            versions = [made.result() for made in [threads.submit(make), threads.submit(make)]]
        assert versions == [0, 0]
        assert len([*(folder / "_delta_log").glob("*.json")]) == 1


def test_a_table_that_nobody_could_make_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").write_text("a file where a folder must be")
    with pytest.raises((DeltaError, OSError)):
        delta_log.new_table(tmp_path, INGESTION_COUNTS)
