"""How an engine runs a kernel: all rows of a user in one partition, one call per partition."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final, Protocol
from uuid import uuid4

from pyspark.sql import Column, DataFrame
from pyspark.sql import types as T

if TYPE_CHECKING:
    import pyarrow as pa

ColumnOrName = Column | str


class Kernel(Protocol):
    """Table -> table. Must be picklable, because it is sent to other processes."""

    def __call__(self, rows: "pa.Table", /) -> "pa.Table":
        """Nobody else refers to `rows`: who deletes them frees their memory."""


ROWS_AT_ONCE: Final = 500_000
"""About how many rows one call of a kernel gets, where the number of rows is known."""

_WORTH_TWO: Final = 50_000

_BATCH_ROWS: Final = 50_000

_BATCH_OF_ARRAYS: Final = 1_000
"""Rows of results that are added up; they may have arrays of hundreds of numbers."""


@dataclass(frozen=True)
class Spread:
    """How rows are spread over calls of a kernel: by about how many `rows` there are.

    None: unknown, the engine decides.
    """

    rows: int | None = None

    def apply(
        self,
        frame: DataFrame,
        kernel: Kernel,
        schema: T.StructType,
        *,
        by: ColumnOrName = "userId",
    ) -> DataFrame:
        """Apply `kernel` to `frame`, partitioned by `by`: all rows of a key reach one call."""
        if self.rows is None:
            parted = frame.repartition(by)
        else:
            # Few rows are not worth the start of a second worker.
            least = 1 if self.rows < _WORTH_TWO else 2
            parted = frame.repartition(max(least, -(-self.rows // ROWS_AT_ONCE)), by)
        return parted.mapInArrow(OnPartition(kernel, tuple(schema.names)), schema)


def apply_to_parts(
    frame: DataFrame, kernel: Kernel, added_up: Kernel, schema: T.StructType
) -> DataFrame:
    """Apply `kernel` to parts of `frame` as it is partitioned, up to `ROWS_AT_ONCE` rows each.

    Without a shuffle, so a key may be in several partitions: for results that are added up
    afterwards, as `added_up` does it with those of one partition.
    """
    return frame.mapInArrow(_OnParts(kernel, added_up, tuple(schema.names)), schema)


ANY_SIZE: Final = Spread()
"""For an unknown number of rows."""


@dataclass(frozen=True)
class OnPartition:
    """All batches of a partition -> what `kernel` makes of them in one call."""

    kernel: Kernel
    columns: tuple[str, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        """The columns of these names; nothing where there is no row."""
        import pyarrow as pa

        held = [batch for batch in batches if batch.num_rows]
        if held:
            rows = [pa.Table.from_batches(held)]
            held.clear()
            with _slots():
                # By its name, because CPython hands the arguments of a method over, but keeps those
                # of an object that is called.
                result = self.kernel.__call__(rows.pop())
            # Engines match columns by position.
            yield from result.select(self.columns).to_batches(max_chunksize=_BATCH_ROWS)


def write_files(frame: DataFrame, folder: Path) -> list[Path]:
    """Write `frame` as Arrow files into a folder that the engine shares; returns the files.

    A partition that an engine computes twice leaves two files, of which one is returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = frame.mapInArrow(_ToFile(str(folder)), _WRITTEN).collect()
    return [folder / row["file"] for row in files]


def arrow_file(path: str, schema: "pa.Schema") -> "pa.RecordBatchFileWriter":
    """A new file for batches.

    Compressed, because the operating system keeps such files in memory. It takes no longer.
    """
    import pyarrow as pa

    return pa.ipc.new_file(path, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))


_WRITTEN: Final = "file string"


@dataclass(frozen=True)
class _ToFile:
    folder: str

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        first = next(batches, None)
        if first is not None:
            name = f"{uuid4().hex}.arrow"
            with arrow_file(f"{self.folder}/{name}", first.schema) as file:
                file.write(first)
                for batch in batches:
                    file.write(batch)
            yield pa.RecordBatch.from_pydict({"file": [name]})


@dataclass(frozen=True)
class _OnParts:
    kernel: Kernel
    added_up: Kernel
    columns: tuple[str, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        found: pa.Table | None = None
        for part in _parts(batches):
            with _slots():
                result = self.kernel(pa.Table.from_batches(part))
                if found is not None:
                    result = self.added_up(pa.concat_tables([found, result]))
            found = result
        if found is not None:
            yield from found.select(self.columns).to_batches(max_chunksize=_BATCH_OF_ARRAYS)


def _parts(batches: "Iterator[pa.RecordBatch]") -> "Iterator[list[pa.RecordBatch]]":
    """Batches together, up to `ROWS_AT_ONCE` rows."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
        if sum(one.num_rows for one in held) >= ROWS_AT_ONCE:
            yield held
            held = []
    if held:
        yield held


@cache
def _slots() -> BoundedSemaphore:
    """One slot per core.

    Sail runs all partitions as threads of one process. Without slots every kernel waits for
    Python's lock between its steps, and takes three times as long.
    """
    return BoundedSemaphore(os.cpu_count() or 1)
