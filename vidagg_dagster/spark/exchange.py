"""Rows meet by key through files, where an engine would hold all of them in memory for that."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.spark.arrow import (
    ROWS_AT_ONCE,
    ColumnOrName,
    Kernel,
    OnPartition,
    Spread,
    arrow_file,
)

if TYPE_CHECKING:
    import pyarrow as pa

_PART: Final = "part-of-exchange"
"""The column with the number of a row's part. No dimension can be called so."""


@dataclass(frozen=True)
class Exchange(Spread):
    """As `Spread`, but rows wait in files for the call of the kernel, and not in memory.

    For an engine that shares this machine's files. Whoever names the `folder` removes it, once what
    `apply` returns is computed. One call of the kernel gets about `at_once` rows. A task writes
    when it holds so many, or `bytes_at_once`, which texts may take however few their rows are.
    """

    folder: Path = field(kw_only=True)
    at_once: int = field(default=ROWS_AT_ONCE, kw_only=True)
    bytes_at_once: int = field(default=1 << 28, kw_only=True)

    def apply(
        self,
        frame: DataFrame,
        kernel: Kernel,
        schema: T.StructType,
        *,
        by: ColumnOrName = "userId",
    ) -> DataFrame:
        """As `Spread.apply`. `frame` is computed now, `kernel` when the result is."""
        parts = max(1, -(-(self.rows or 0) // self.at_once))
        self.folder.mkdir(parents=True, exist_ok=True)
        parted = frame.withColumn(_PART, F.pmod(F.xxhash64(by), F.lit(parts)))
        to_parts = _ToParts(str(self.folder), parts, self.at_once, self.bytes_at_once)
        written = parted.mapInArrow(to_parts, _WRITTEN).collect()
        files = tuple(f"{self.folder}/{row['file']}" for row in written)
        numbers = frame.sparkSession.range(0, parts, 1, os.cpu_count() or 1)
        return numbers.mapInArrow(_OfParts(files, parts, kernel, tuple(schema.names)), schema)


_WRITTEN: Final = "file string"

_OPEN_FILES: Final = 400
"""So many are open at most, of all tasks together. Many systems let a process have 1 024."""


@dataclass(frozen=True)
class _ToParts:
    """Rows -> a file whose batch number n has rows of part n % `parts`."""

    folder: str
    parts: int
    at_once: int
    bytes_at_once: int

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        with _turns():
            name = self._written(batches)
        if name is not None:
            yield pa.RecordBatch.from_pydict({"file": [name]})

    def _written(self, batches: "Iterator[pa.RecordBatch]") -> str | None:
        some = self._some(batches)
        first = next(some, None)
        if first is None:
            return None
        name = f"{uuid4().hex}.arrow"
        schema = first.drop_columns(_PART).schema
        with arrow_file(f"{self.folder}/{name}", schema) as file:
            self._write(file, first)
            del first
            for rows in some:
                self._write(file, rows)
        return name

    def _write(self, file: "pa.RecordBatchFileWriter", rows: "pa.Table") -> None:
        import numpy as np

        # Narrow numbers, because those NumPy sorts by radix.
        part = rows[_PART].to_numpy().astype(np.min_scalar_type(self.parts))
        ends = np.cumsum(np.bincount(part, minlength=self.parts))
        by_part = rows.drop_columns(_PART).take(np.argsort(part, kind="stable"))
        (batch,) = by_part.combine_chunks().to_batches()
        begin = 0
        for end in ends.tolist():
            file.write_batch(batch.slice(begin, end - begin))
            begin = end

    def _some(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.Table]":
        """Batches together, until they are worth writing."""
        import pyarrow as pa

        held: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in batches:
            if batch.num_rows:
                held.append(batch)
                rows += batch.num_rows
                size += batch.nbytes
            if rows >= self.at_once or size >= self.bytes_at_once:
                yield pa.Table.from_batches(held)
                held = []
                rows = size = 0
        if held:
            yield pa.Table.from_batches(held)


@cache
def _turns() -> BoundedSemaphore:
    """As many tasks read and write at a time as there are cores.

    Sail starts a task for each file of a source, all at once. Together they would hold what each
    of them has read, and the processor's cache would hold nothing.
    """
    return BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True)
class _OfParts:
    """Numbers of parts -> what `kernel` makes of the rows of each."""

    files: tuple[str, ...]
    parts: int
    kernel: Kernel
    columns: tuple[str, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        on_partition = OnPartition(self.kernel, self.columns)
        # There may be more files than a process may have open.
        opened = lru_cache(_OPEN_FILES // (os.cpu_count() or 1) or 1)(pa.ipc.open_file)
        for numbers in batches:
            for part in numbers.column(0).to_pylist():
                yield from on_partition(self._rows(opened, part))

    def _rows(
        self, opened: "Callable[[str], pa.RecordBatchFileReader]", part: int
    ) -> "Iterator[pa.RecordBatch]":
        for path in self.files:
            file = opened(path)
            for at in range(part, file.num_record_batches, self.parts):
                yield file.get_batch(at)
