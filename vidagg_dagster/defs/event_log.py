"""Dagster's SQLite event log, with connections that stay open and one commit per file and call.

Dagster opens each file anew for every statement and compiles the statement anew: half of a small
day's processor time. Files, tables and rows are the same, so either class opens what the other
wrote. `sqlite-storage.yaml` selects this one.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

from dagster import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.pool import QueuePool

KEPT_FILES: Final = 4
"""The index of all runs, the run that writes, and those that someone looks at."""

BATCH_EVENTS: Final = 1_000
"""What Dagster plans, and what it says of a range of days, comes in batches of at most so many."""

_INDEX: Final = "index"
_BUSY_S: Final = 30.0


class KeptEventLogStorage(SqliteEventLogStorage):
    """The event log of Dagster's home `base_dir`, in `history/runs` as by default."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(BATCH_EVENTS))
        self._turn = RLock()
        self._engines: OrderedDict[tuple[str, int], Engine] = OrderedDict()
        self._known: set[str] = set()
        self._call: ExitStack | None = None
        self._opened: dict[str, Connection] = {}
        super().__init__(str(Path(base_dir) / "history" / "runs"), inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "KeptEventLogStorage":
        """As Dagster makes it from its settings."""
        return cls(inst_data=inst_data, **config_value)

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """A transaction in the file of a run; in a call that stores events, the one of the call."""
        return self._transaction(run_id or "")

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A transaction in the file of all runs; likewise."""
        return self._transaction(_INDEX)

    def has_table(self, table_name: str) -> bool:
        """Whether the file of all runs has a table."""
        with self.index_connection() as connection:
            return inspect(connection).has_table(table_name)

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event. When this returns, it is on disk."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events in one transaction per file. When this returns, they are on disk."""
        with self._turn, ExitStack() as self._call:
            try:
                for event in events:
                    super().store_event(event)
                for shard, connection in self._opened.items():
                    connection.commit()
                    # The UI follows a run by changes of its file. Those of a file that is open stay
                    # in its write-ahead log.
                    os.utime(self.path_for_shard(shard))
            finally:
                self._call, self._opened = None, {}

    def wipe(self) -> None:
        """Delete all that is stored."""
        with self._turn:
            self._close()
            self._known.clear()
            super().wipe()

    def dispose(self) -> None:
        """Close the files."""
        with self._turn:
            self._close()
        super().dispose()

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[Connection]:
        with self._turn:
            if self._call is None:
                with self._engine(shard).begin() as connection:
                    yield connection
                return
            if shard not in self._opened:
                connection = self._call.enter_context(self._engine(shard).connect())
                connection.begin()
                self._opened[shard] = connection
            yield self._opened[shard]

    def _engine(self, shard: str) -> Engine:
        if shard not in self._known:
            with super().run_connection(shard):  # Dagster makes what is missing in the file.
                self._known.add(shard)
        # A file that someone has deleted or restored is another one: nothing goes into the old one.
        key = shard, Path(self.path_for_shard(shard)).stat().st_ino
        if key not in self._engines:
            self._engines[key] = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": _BUSY_S},
            )
        self._engines.move_to_end(key)
        while len(self._engines) > KEPT_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[key]

    def _close(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()
