"""Whether the rows of a day in new files are those in the stored ones, without an engine."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from vidagg_dagster.core.schemas import EVENT_DATE, PROCESSED_AT, TableSpec
from vidagg_dagster.tables.delta_log import StoredFile

MAX_COMPARED_ROWS: Final = 1_000_000
"""Days of more rows count as changed: comparing them needs more memory than writing them."""


def changed_days(
    table: TableSpec,
    new: Sequence[StoredFile],
    stored: Sequence[StoredFile],
    days: Sequence[date],
) -> tuple[date, ...]:
    """Those of `days` whose rows differ in more than the time of the run."""
    return tuple(
        day
        for day in days
        if _differ(
            table,
            [file for file in new if file.day == day],
            [file for file in stored if file.day == day],
        )
    )


def _differ(table: TableSpec, new: Sequence[StoredFile], stored: Sequence[StoredFile]) -> bool:
    rows = sum(file.rows for file in new)
    if rows != sum(file.rows for file in stored) or rows > MAX_COMPARED_ROWS:
        return True
    if not rows:
        return False
    try:
        before, after = _sorted(table, stored), _sorted(table, new)
    except KeyError:  # the stored rows are older than a dimension
        return True
    try:
        # Engines give lists and texts different Arrow types.
        return not before.cast(after.schema).equals(after)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return True


def _sorted(table: TableSpec, files: Sequence[StoredFile]) -> pa.Table:
    # The day is the same in all rows, and other programs leave it out of the files.
    columns = [name for name in table.column_names if name not in (PROCESSED_AT, EVENT_DATE)]
    read = [_columns(file.path, columns) for file in files]
    rows = pa.concat_tables(read, promote_options="permissive").select(columns)
    return rows.sort_by([(name, "ascending") for name in table.key if name != EVENT_DATE])


def _columns(path: Path, names: Sequence[str]) -> pa.Table:
    with path.open("rb") as file:
        return pq.ParquetFile(file).read(names)
