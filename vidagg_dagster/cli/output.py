"""Result rows as a file: JSON lines, CSV or Parquet, written whole or not at all."""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vidagg_dagster.core.errors import OutputError

INTERVALS = "watchedIntervals"
_ROWS_AT_ONCE = 10_000
_DICTIONARY_BYTES = 1 << 16
"""Larger dictionaries, of numbers that hardly repeat, cost a third of the time and save nothing."""

_BEFORE_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take for the beginning of a formula, or strip before one. The last four are the
wide forms of the first four."""


def check_output(path: Path, *, for_spreadsheet: bool = False) -> None:
    """Refuse, before anything is computed, an output that could not be written afterwards.

    Raises:
        OutputError: unknown extension, no such folder, or the path is a folder.
    """
    if path.suffix.lower() not in WRITERS:
        raise OutputError(
            f"{path}: the output's extension says the format; use {', '.join(sorted(WRITERS))}"
        )
    if for_spreadsheet and path.suffix.lower() != ".csv":
        raise OutputError(f"--for-spreadsheet is for .csv, and {path} is none")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; create it first")
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"{path}: no permission to write into {path.absolute().parent}")


def write_output(rows: pa.Table, path: Path, *, for_spreadsheet: bool = False) -> None:
    """Write the rows in the format that the path's extension names; see `write_tables`."""
    write_tables(rows.schema, [rows], path, for_spreadsheet=for_spreadsheet)


def write_tables(
    schema: pa.Schema, tables: Iterable[pa.Table], path: Path, *, for_spreadsheet: bool = False
) -> None:
    """Write the rows of `tables`, one table at a time, as the path's extension says.

    The file appears in one step when it is complete: a reader never sees half of it, and a failed
    run leaves what was there before.

    Args:
        schema: The columns of all tables.
        tables: The rows.
        path: The file.
        for_spreadsheet: Let no text be a formula; CSV only.
    """
    write = _write_csv_for_spreadsheets if for_spreadsheet else WRITERS[path.suffix.lower()]
    with _replacing(path) as draft:
        pairs = map(_intervals_as_pairs, tables)
        write(_intervals_as_pairs(schema.empty_table()).schema, pairs, draft)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        # mkstemp makes files private to their owner; a result is as readable as any new file.
        mask = os.umask(0)
        os.umask(mask)
        draft.chmod(0o666 & ~mask)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _intervals_as_pairs(rows: pa.Table) -> pa.Table:
    """`watchedIntervals` as [[start, end], ...] instead of structs, which few readers handle."""
    index = rows.schema.get_field_index(INTERVALS)
    if index < 0:
        return rows
    pair = pa.list_(pa.int64())
    chunks = [_pairs(chunk, pair) for chunk in rows.column(index).chunks]
    return rows.set_column(index, INTERVALS, pa.chunked_array(chunks, pa.list_(pair)))


def _pairs(chunk: pa.Array, pair: pa.DataType) -> pa.Array:
    spans = chunk.flatten()
    edges = np.empty(2 * len(spans), dtype=np.int64)
    edges[0::2] = spans.field("startMs").to_numpy(zero_copy_only=False)
    edges[1::2] = spans.field("endMs").to_numpy(zero_copy_only=False)
    inner = pa.ListArray.from_arrays(
        pa.array(np.arange(0, 2 * len(spans) + 1, 2, dtype=np.int32)), pa.array(edges), type=pair
    )
    lengths = chunk.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner, mask=chunk.is_null())


def _write_parquet(schema: pa.Schema, tables: Iterable[pa.Table], path: Path) -> None:
    with pq.ParquetWriter(path, schema, dictionary_pagesize_limit=_DICTIONARY_BYTES) as file:
        for rows in tables:
            file.write_table(rows)


def _write_jsonl(_schema: pa.Schema, tables: Iterable[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in _python_rows(tables):
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_csv(schema: pa.Schema, tables: Iterable[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        _csv_rows(schema.names, tables, file, _csv_value)


def _write_csv_for_spreadsheets(schema: pa.Schema, tables: Iterable[pa.Table], path: Path) -> None:
    # The mark tells Excel that the file is UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        _csv_rows(schema.names, tables, file, _cell)


def _csv_rows(
    names: Sequence[str], tables: Iterable[pa.Table], file: TextIO, shown: Callable[[Any], Any]
) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for row in _python_rows(tables):
        writer.writerow(map(shown, row.values()))


def _csv_value(value: Any) -> Any:
    if isinstance(value, bool | list):
        return json.dumps(value, ensure_ascii=False)
    return value


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula: an apostrophe makes it text."""
    value = _csv_value(value)
    is_formula = isinstance(value, str) and value.lstrip(" ").startswith(_BEFORE_FORMULAS)
    return f"'{value}" if is_formula else value


def _python_rows(tables: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    for rows in tables:
        for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


WRITERS: dict[str, Callable[[pa.Schema, Iterable[pa.Table], Path], None]] = {
    ".jsonl": _write_jsonl,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
"""File extension -> how it is written."""
