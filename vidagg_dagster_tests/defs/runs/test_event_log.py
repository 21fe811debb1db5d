"""The event log with connections that stay open holds what Dagster's own holds."""

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import dagster as dg
import pytest
from dagster._check import CheckError
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import serialize_value

from vidagg_dagster.defs.event_log import KEPT_FILES, KeptEventLogStorage
from vidagg_dagster.settings.project import make_home, shipped_configuration

DAYS = dg.DailyPartitionsDefinition("2026-01-05", end_offset=1)
RANGE = {
    "dagster/asset_partition_range_start": "2026-01-06",
    "dagster/asset_partition_range_end": "2026-01-08",
}
TABLE = dg.AssetKey("table")


@dg.asset(
    partitions_def=DAYS,
    check_specs=[dg.AssetCheckSpec(name, asset="table") for name in ("holds", "fails")],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    context.log.info("rows written")
    return dg.MaterializeResult(
        metadata={"rows": 3},
        tags={"kind": "rows"},
        check_results=[
            dg.AssetCheckResult(passed=name == "holds", check_name=name, metadata={"rows": 3})
            for name in ("holds", "fails")
        ],
    )


@dg.asset(deps=[table], tags={"kind": "total"})
def total() -> None:
    raise dg.Failure("too few")


def run_all(instance: dg.DagsterInstance) -> list[str]:
    """The ids of a run of a day, of a run of a range, and of one that fails."""
    daily = dg.Definitions(assets=[table], jobs=[dg.define_asset_job("daily", [table])])
    job = daily.resolve_job_def("daily")
    console: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    done = [
        job.execute_in_process(console, instance=instance, partition_key="2026-01-05"),
        job.execute_in_process(console, instance=instance, tags=RANGE),
        dg.materialize(
            [total], instance=instance, raise_on_error=False, run_config=console, resources={}
        ),
    ]
    return [result.run_id for result in done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Dagster as the commands make it."""
    folder = tmp_path / "home"
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    make_home(folder)
    return folder


def shown(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, Any]:
    """What the UI asks for, and what sensors subscribe to."""
    log = instance.event_log_storage
    checks = [dg.AssetCheckKey(TABLE, name) for name in ("holds", "fails")]
    return {
        "logs": [[serialize_value(e) for e in instance.all_logs(one)] for one in run_ids],
        "stats": [instance.get_run_stats(one) for one in run_ids],
        "steps": [instance.get_run_step_stats(one) for one in run_ids],
        "assets": [one.asset_entry for one in instance.get_asset_records([TABLE])],
        "partitions": instance.get_materialized_partitions(TABLE),
        "materializations": instance.fetch_materializations(TABLE, limit=100).records,
        "checks": [log.get_asset_check_execution_history(key, limit=100) for key in checks],
        "latest": log.get_latest_asset_check_execution_by_key(checks),
        "changes": [
            instance.fetch_run_status_changes(kind, limit=100).records
            for kind in (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE)
        ],
    }


def test_a_home_with_it_is_read_by_dagsters_own_and_shows_the_same(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, KeptEventLogStorage)
        run_ids = run_all(instance)
        kept = shown(instance, run_ids)
    assert all(kept.values())
    shipped = shipped_configuration()
    (home / "dagster.yaml").write_text(shipped[: shipped.index("event_log_storage")])
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        assert shown(instance, run_ids) == kept


OF_THE_WRITER = ("create_timestamp", "migration_completed")


def stored(folder: Path) -> dict[str, list[Any]]:
    """All rows of all files; the moment at which a row was made is the writer's own."""
    found = {}
    for file in sorted(folder.rglob("history/runs/*.db")):
        with closing(sqlite3.connect(file)) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'"):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
                told = ", ".join(f'"{one}"' for one in columns if one not in OF_THE_WRITER)
                found[f"{file.name} {name}"] = connection.execute(
                    f"SELECT {told} FROM {name} ORDER BY 1"
                ).fetchall()
    return found


def test_the_same_events_become_the_same_rows_one_by_one_and_in_batches(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        events = [one for run_id in run_all(instance) for one in instance.all_logs(run_id)]
    folders = [home.parent / name for name in ("own", "singles", "batches")]
    own = SqliteEventLogStorage(str(folders[0] / "history" / "runs"))
    singles, batches = (KeptEventLogStorage(str(folder)) for folder in folders[1:])
    for event in events:
        own.store_event(event)
        singles.store_event(event)
    runs: dict[str, list[dg.EventLogEntry]] = {}
    for event in events:
        runs.setdefault(event.run_id, []).append(event)
    for of_one_run in runs.values():
        batches.store_event_batch(of_one_run)
    wanted = stored(folders[0])
    assert len(wanted["index.db event_logs"]) > 10
    assert stored(folders[1]) == wanted
    assert stored(folders[2]) == wanted
    singles.dispose()
    batches.dispose()


def test_a_batch_that_cannot_be_stored_whole_is_not_stored(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        events = instance.all_logs(run_all(instance)[0])
    log = KeptEventLogStorage(str(home.parent / "other"))
    with pytest.raises(CheckError):
        log.store_event_batch([*events, None])  # type: ignore[list-item]
    assert not log.get_logs_for_run(events[0].run_id)
    assert not log.get_asset_records()
    log.store_event_batch(events)
    assert log.get_logs_for_run(events[0].run_id) == events
    log.dispose()


KILLED = """
import os, signal, sys
from dagster import EventLogEntry
from vidagg_dagster.defs.event_log import KeptEventLogStorage

log = KeptEventLogStorage(sys.argv[1])
def event(name):
    return EventLogEntry(None, 10, name, "r", 1.0)
for number in range(20):
    log.store_event(event(f"one {number}"))
    print(f"one {number}", flush=True)
log.store_event_batch([event("of a batch"), event("last of a batch")])
print("of a batch\\nlast of a batch", flush=True)
store = log.prepare_insert_event
def killed(event):
    return os.kill(os.getpid(), signal.SIGKILL) if event.level > 10 else store(event)
log.prepare_insert_event = killed
log.store_event_batch([event("half"), EventLogEntry(None, 20, "killed", "r", 1.0)])
"""


def test_what_was_stored_outlives_kill_9_and_half_a_batch_is_not_there(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -9, done.stderr
    own = SqliteEventLogStorage(str(tmp_path / "history" / "runs"))
    kept = [one.user_message for one in own.get_logs_for_run("r")]
    assert kept == done.stdout.splitlines()
    assert len(kept) == 22


def message(run_id: str, text: str) -> dg.EventLogEntry:
    return dg.EventLogEntry(None, 10, text, run_id, 1.0)  # type: ignore[no-untyped-call]


def test_threads_take_turns_in_more_files_than_are_kept_open(tmp_path: Path) -> None:
    log = KeptEventLogStorage(str(tmp_path))
    names = [f"run{number}" for number in range(KEPT_FILES + 2)]

    def write(name: str) -> int:
        for number in range(10):
            log.store_event(message(name, str(number)))
        return len(log.get_logs_for_run(name))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(write, names)) == [10] * len(names)
    log.dispose()


def test_nothing_is_written_into_a_file_that_someone_has_deleted(tmp_path: Path) -> None:
    log = KeptEventLogStorage(str(tmp_path))
    log.store_event(message("r", "before"))
    Path(log.path_for_shard("r")).unlink()
    with pytest.raises(FileNotFoundError):
        log.store_event(message("r", "after"))
    log.wipe()
    log.store_event(message("r", "anew"))
    assert [one.user_message for one in log.get_logs_for_run("r")] == ["anew"]
    log.dispose()


def hear(queue: "Queue[str]", event: dg.EventLogEntry, _: str) -> None:
    queue.put(event.user_message)


def test_who_follows_a_run_hears_of_each_event_while_it_runs(tmp_path: Path) -> None:
    writer = KeptEventLogStorage(str(tmp_path))
    writer.store_event(message("r", "first"))
    readers = [
        KeptEventLogStorage(str(tmp_path)),
        SqliteEventLogStorage(str(tmp_path / "history" / "runs")),
    ]
    heard: list[Queue[str]] = [Queue() for _ in readers]
    for reader, queue in zip(readers, heard, strict=True):
        reader.watch("r", None, partial(hear, queue))
    for text in ("second", "third"):
        writer.store_event(message("r", text))
    for reader, queue in zip(readers, heard, strict=True):
        assert [queue.get(timeout=10) for _ in range(3)] == ["first", "second", "third"]
        reader.dispose()
    writer.dispose()
