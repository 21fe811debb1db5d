"""Rows in files, read in the order of users and videos with few of them in memory."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT

ROWS_AT_ONCE: Final = 250_000
"""About how many rows are sorted, and handed over, together."""

_SORTING: Final = 2
"""So many threads sort while whoever asks for rows deals with those before."""

_SAMPLED: Final = 100
"""The user of every so many rows of a batch tells where to cut."""

_KEY: Final = list(AGGREGATED_ENGAGEMENT.key)
_USER: Final = _KEY[0]


@dataclass(frozen=True)
class _Run:
    """Batches of a file over which users ascend, or one batch in any order."""

    file: Path
    batches: range


@dataclass(frozen=True)
class SortedRows:
    """One row per user and video in Arrow files, sorted by them when they are read.

    What only counts has no user and is left out. Of each run of ascending users one batch is in
    memory, so long runs take little of it. Rows in any order are read as well.
    """

    schema: pa.Schema
    num_rows: int
    runs: Sequence[_Run]
    cuts: Sequence[str]
    """The users with whom a table of rows begins, but for the first, in their order."""

    @classmethod
    def of(
        cls, files: Sequence[Path], schema: pa.Schema, rows_at_once: int = ROWS_AT_ONCE
    ) -> "SortedRows":
        """The rows of `files`, in the columns of `schema`."""
        runs: list[_Run] = []
        sample: list[str] = []
        num_rows = 0
        for path in files:
            file = _opened(path, [_USER])
            begin, last = 0, ""
            for at in range(file.num_record_batches):
                users = file.get_batch(at).column(0).drop_null()
                if not len(users):
                    continue
                if not _ascend(users) or users[0].as_py() < last:
                    runs.append(_Run(path, range(begin, at)))
                    begin = at
                last = pc.max(users).as_py()
                sample += users[::_SAMPLED].to_pylist()
                num_rows += len(users)
            runs.append(_Run(path, range(begin, file.num_record_batches)))
        step = max(1, rows_at_once // _SAMPLED)
        cuts = sorted(set(sorted(sample)[step::step]))
        return cls(schema, num_rows, [run for run in runs if run.batches], cuts)

    def tables(self) -> Iterator[pa.Table]:
        """The rows, in tables that follow one another."""
        names = self.schema.names
        files = {run.file: _opened(run.file, names) for run in self.runs}
        runs = [_Reading(files[run.file], run.batches) for run in self.runs]
        with ThreadPoolExecutor(_SORTING) as threads:
            sorting: deque[Future[pa.Table]] = deque()
            for user in (*self.cuts, None):
                batches = [batch for run in runs for batch in run.before(user)]
                sorting.append(threads.submit(_sorted, batches, self.schema))
                del batches
                if len(sorting) > _SORTING:
                    yield sorting.popleft().result()
            while sorting:
                yield sorting.popleft().result()

    def to_table(self) -> pa.Table:
        """All rows."""
        return pa.concat_tables([self.schema.empty_table(), *self.tables()])


class _Reading:
    """A run that is read from its beginning to its end."""

    def __init__(self, file: pa.RecordBatchFileReader, batches: range) -> None:
        self._file = file
        self._coming = iter(batches)
        self._left: pa.RecordBatch | None = None

    def before(self, user: str | None) -> Iterator[pa.RecordBatch]:
        """The next rows, of all users before this one; None: all rows that are left."""
        while (rows := self._next()) is not None:
            end = rows.num_rows if user is None else _first_from(rows[_USER], user)
            yield rows.slice(0, end)
            if end < rows.num_rows:
                self._left = rows.slice(end)
                break

    def _next(self) -> pa.RecordBatch | None:
        rows, self._left = self._left, None
        if rows is None and (at := next(self._coming, None)) is not None:
            rows = self._file.get_batch(at)
            if rows[_USER].null_count:
                rows = rows.filter(pc.is_valid(rows[_USER]))
            if not _ascend(rows[_USER]):
                rows = rows.sort_by(_USER)
        return rows


def _opened(path: Path, names: Sequence[str]) -> pa.RecordBatchFileReader:
    """A file, of which only the columns of these names are read."""
    schema = pa.ipc.open_file(path).schema
    fields = [schema.get_field_index(name) for name in names]
    return pa.ipc.open_file(path, options=pa.ipc.IpcReadOptions(included_fields=fields))


def _ascend(users: pa.Array) -> bool:
    return bool(pc.all(pc.less_equal(users[:-1], users[1:])).as_py())


def _first_from(users: pa.Array, user: str) -> int:
    """Where in ascending `users` those begin who are not before `user`."""
    return int(pc.sum(pc.less(users, user)).as_py() or 0)


def _sorted(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    if not batches:
        return schema.empty_table()
    rows = pa.Table.from_batches(batches).select(schema.names).combine_chunks()
    return rows.take(pc.sort_indices(rows, [(column, "ascending") for column in _KEY]))
