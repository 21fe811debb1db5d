"""Files that an engine has written beside a table, and their way into it.

Staged files become part of a table by a rename, and count only once a commit refers to them.
"""

import json
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from deltalake.transaction import AddAction
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec
from vidagg_dagster.spark.scratch import write_scratch
from vidagg_dagster.tables.checks import each
from vidagg_dagster.tables.delta_log import StoredFile, live_files, open_table
from vidagg_dagster.tables.disk import remove_folder, sync
from vidagg_dagster.tables.interface import Frames

STAGING: Final = "staging-"
"""Prefix of the folders. It must not begin with `_`: vacuum never looks into such folders."""

_OURS: Final = "rows-"
"""Prefix of the files that contain the day as a column."""

_HELPER: Final = "day"
"""The column that splits files by day, a copy of `event_date`.

Spark leaves the column that it splits by out of the files. Sail does not take it from the folder's
name, so `event_date` itself has to stay inside.
"""

_NO_DAY: Final = "none"

_ROW_GROUP: Final = ("max_row_group_size", str(1 << 18))
"""Rows that Sail writes together, and that one core reads: its own default of a million is all of a
day of some tables. Smaller groups repeat more dictionaries: these take a tenth more space than one
group, those of 1 << 17 a fifth. Spark, which bounds groups by bytes, knows no such option."""


@dataclass(frozen=True)
class Staged:
    """Files with rows that no commit refers to yet."""

    files: Sequence[StoredFile]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    def without(self, days: Collection[date]) -> "Staged":
        """The files of all other days."""
        return Staged([file for file in self.files if file.day not in days])

    def rows_outside(self, days: Sequence[date]) -> dict[str, int]:
        """Rows of other days than `days`: the day (or `no day`) -> how many."""
        rows: dict[str, int] = {}
        for file in self.files:
            if file.day is None or file.day not in days:
                name = "no day" if file.day is None else file.day.isoformat()
                rows[name] = rows.get(name, 0) + file.rows
        return rows


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A name for a folder in the table's `folder`; whatever is in it goes when the block ends."""
    staging = folder / f"{STAGING}{uuid.uuid4().hex}"
    try:
        yield staging
    finally:
        remove_folder(staging)


def stage(
    table: TableSpec, frames: Sequence[DataFrame], folder: Path, days: Sequence[date] = ()
) -> Staged:
    """Let the engine write `frames`, one after the other, as files in `folder`, split by day.

    Raises:
        TableError: The engine wrote times in a form that readers would misunderstand.
    """
    if table.partitioned:
        # Text, because Sail files a null date under 1970-01-01.
        day = F.coalesce(F.col(EVENT_DATE).cast("string"), F.lit(_NO_DAY))
        frames = [frame.withColumn(_HELPER, day) for frame in frames]
        if len(days) > 1:
            # Without it every task writes a file for every day.
            frames = [frame.hint("rebalance", _HELPER) for frame in frames]
    by = (_HELPER,) if table.partitioned else ()
    for frame in frames:
        frame.write.mode("append").option(*_ROW_GROUP).partitionBy(*by).parquet(str(folder))
    files = [file for file in _parquet_files(folder) if file.rows]
    if files:
        _require_utc_microseconds(table, files[0].path)
    return Staged(files)


def scratch(frames: Frames, folder: Path, *by: str) -> list[StoredFile]:
    """The files, which no table will have, that the engine writes into `folder`, split by `by`."""
    for frame in each(frames):
        write_scratch(frame, folder, *by)
    return _parquet_files(folder)


def _parquet_files(folder: Path) -> list[StoredFile]:
    """The files sorted by path."""
    files = []
    for path in sorted(folder.glob("**/[!._]*.parquet")):
        column, _, value = path.parent.name.partition("=")
        is_of_day = column == _HELPER and value != _NO_DAY
        day = date.fromisoformat(value) if is_of_day else None
        with path.open("rb") as file:
            files.append(StoredFile(path, day, pq.read_metadata(file).num_rows))
    return files


def contains_day(file: StoredFile) -> bool:
    """Whether `event_date` is a column of the file.

    Other programs that rewrite files (compaction, deletion) leave it out: it is in the folder's
    name, and an engine that reads the file alone would give null.
    """
    return file.path.name.startswith(_OURS)


def stored_rows(file: StoredFile, days: Collection[date] | None = None) -> list[dict[str, Any]]:
    """The rows of a table's file: those of `days`, or all."""
    with file.path.open("rb") as opened:
        rows = pq.read_table(opened).to_pylist()
    if not contains_day(file):
        rows = [{**row, EVENT_DATE: file.day} for row in rows]
    return [row for row in rows if days is None or row[EVENT_DATE] in days]


@contextmanager
def moved_in(folder: Path, *batches: Staged) -> Iterator[list[AddAction]]:
    """The staged files in the table's `folder`, as the actions of a commit.

    If the block fails, those that no commit refers to are removed again.
    """
    adds = [add for staged in batches for add in _move_in(folder, staged)]
    try:
        yield adds
    except BaseException:
        snapshot = open_table(folder)
        committed = [] if snapshot is None else [f.path for f in live_files(snapshot, folder)]
        for path in {folder / add.path for add in adds}.difference(committed):
            path.unlink(missing_ok=True)
        raise


def _move_in(folder: Path, staged: Staged) -> list[AddAction]:
    adds = []
    folders = {folder}
    batch = uuid.uuid4().hex
    for number, file in enumerate(staged.files):
        values: dict[str, str | None] = {}
        name = f"{_OURS}{batch}-{number:05d}.parquet"
        if file.day is not None:
            values = {EVENT_DATE: file.day.isoformat()}
            name = f"{EVENT_DATE}={file.day.isoformat()}/{name}"
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        sync(file.path)
        file.path.rename(target)
        folders.add(target.parent)
        status = target.stat()
        adds.append(
            AddAction(
                path=name,
                size=status.st_size,
                partition_values=values,
                modification_time=int(status.st_mtime * 1000),
                data_change=True,
                # No smallest and largest values: the log would keep the ids of erased users.
                stats=json.dumps({"numRecords": file.rows}),
            )
        )
    sync(*sorted(folders))
    return adds


def _require_utc_microseconds(table: TableSpec, path: Path) -> None:
    """Refuse a file from an engine whose setting for times was changed."""
    with path.open("rb") as file:
        written = pq.read_schema(file)
    for column in table.columns:
        kind = written.field(column.name).type
        if isinstance(column.type, T.TimestampType) and (kind.unit != "us" or not kind.tz):
            raise TableError(
                f"{table.name}: the engine wrote {column.name} as {kind}, not as UTC microseconds. "
                "Set spark.sql.parquet.outputTimestampType to TIMESTAMP_MICROS."
            )
