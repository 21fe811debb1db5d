"""Dagster's history in SQLite files, kept open while a run writes it.

Dagster opens and closes a file for each event. Whoever closes a file of SQLite last also empties
its write-ahead log, which waits for the disk several times: two thirds of the time of an event.
With the files held open nobody is last until the run ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

_EVERY_RUN = "index"
"""The file in which Dagster mirrors what it shows of assets and checks."""


@contextmanager
def history_open(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the files open into which Dagster writes the events of a run, if they are SQLite's."""
    storage = instance.event_log_storage
    with ExitStack() as held:
        if isinstance(storage, SqliteEventLogStorage):
            for shard in (_EVERY_RUN, run_id):
                path = Path(storage.path_for_shard(shard))
                if path.exists():
                    connection = held.enter_context(closing(sqlite3.connect(path)))
                    # SQLite opens a file when it is first read; read to the end, it is not locked.
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        yield
