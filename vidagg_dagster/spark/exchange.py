"""Rows meet by key through files, where an engine would hold all of them in memory for that."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
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

_BYTES_AT_ONCE: Final = 1 << 28
"""Texts of that many bytes are written however few rows they are in."""


@dataclass(frozen=True)
class Exchange(Spread):
    """As `Spread`, but rows wait in files for the call of the kernel, and not in memory.

    For an engine that shares this machine's files. Whoever names the `folder` removes it, once what
    `apply` returns is computed. One call of the kernel gets about `at_once` rows.
    """

    folder: Path = Path()
    at_once: int = ROWS_AT_ONCE

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
        tasks = os.cpu_count() or 1
        self.folder.mkdir(parents=True, exist_ok=True)
        # Each task holds rows until they are worth writing, and Sail runs all tasks at once.
        parted = frame.withColumn(_PART, F.pmod(F.xxhash64(by), F.lit(parts))).coalesce(tasks)
        written = parted.mapInArrow(
            _ToParts(str(self.folder), parts, self.at_once), _WRITTEN
        ).collect()
        files = tuple(f"{self.folder}/{row['file']}" for row in written)
        numbers = frame.sparkSession.range(0, parts, 1, tasks)
        return numbers.mapInArrow(_OfParts(files, parts, kernel, tuple(schema.names)), schema)


_WRITTEN: Final = "file string"


@dataclass(frozen=True)
class _ToParts:
    """Rows -> a file whose batch number n has rows of part n % `parts`."""

    folder: str
    parts: int
    at_once: int

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        some = _some(batches, self.at_once)
        first = next(some, None)
        if first is not None:
            name = f"{uuid4().hex}.arrow"
            schema = first.drop_columns(_PART).schema
            with arrow_file(f"{self.folder}/{name}", schema) as file:
                self._write(file, first)
                del first
                for rows in some:
                    self._write(file, rows)
            yield pa.RecordBatch.from_pydict({"file": [name]})

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


def _some(batches: "Iterator[pa.RecordBatch]", at_once: int) -> "Iterator[pa.Table]":
    """Batches together, up to about `at_once` rows."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
        if rows >= at_once or size >= _BYTES_AT_ONCE:
            yield pa.Table.from_batches(held)
            held = []
            rows = size = 0
    if held:
        yield pa.Table.from_batches(held)


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
        files = [pa.ipc.open_file(file) for file in self.files]
        for numbers in batches:
            for part in numbers.column(0).to_pylist():
                yield from on_partition(self._rows(files, part))

    def _rows(
        self, files: "list[pa.RecordBatchFileReader]", part: int
    ) -> "Iterator[pa.RecordBatch]":
        for file in files:
            for at in range(part, file.num_record_batches, self.parts):
                yield file.get_batch(at)
