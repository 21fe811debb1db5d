"""Processes that write a day at the same time."""

from pathlib import Path

from vidagg_dagster.spark.session import SAIL
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
    # Both may create the table, in a commit of its own each, before either has written rows.
    created = next(at for at, version in enumerate(versions) if version is not None)
    assert created in (1, 2)
    written = versions[created:]
    assert set(written) <= set(sizes.items())
    assert len(written) > rounds
    kept = delta(tmp_path).vacuum(retention_hours=0, enforce_retention_duration=False, full=True)
    removed_by_commits = len(written) - 1
    assert len(kept) == removed_by_commits, "a conflict left files that no version knows"
