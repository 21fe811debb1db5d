"""Dagster's history: its SQLite files kept open while a run writes them, and where retries begin.

Dagster opens and closes a file for each event. Whoever closes a file of SQLite last also empties
its write-ahead log, which waits for the disk several times: two thirds of the time of an event.
With the files held open nobody is last until the run ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

_EVERY_RUN = "index"
"""The file in which Dagster mirrors what it shows of assets and checks."""

_READ_BY_RETRIES: Final = tuple(
    f"EVENT_LOG_CONSUMER_CURSOR-{event.value}"
    for event in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS)
)
"""Where Dagster's daemon notes how far it has read the log for runs to start again."""


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


def begin_retries(instance: dg.DagsterInstance) -> None:
    """Have Dagster's daemon start runs again that die from now on, in a history that is new.

    The daemon does the same at its first start, and warns twice of a cursor that is missing.
    """
    cursors = instance.daemon_cursor_storage
    known = cursors.get_cursor_values(set(_READ_BY_RETRIES))
    last = str(instance.event_log_storage.get_maximum_record_id() or 0)
    if missing := {name: last for name in _READ_BY_RETRIES if name not in known}:
        cursors.set_cursor_values(missing)
