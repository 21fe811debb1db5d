"""The log of a Delta table in a folder, without an engine: its start, versions, files, commits."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from vidagg_dagster.core.days import days_from_json
from vidagg_dagster.core.errors import DamagedTableError, TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec
from vidagg_dagster.tables.catalog_sql import NO_STATISTICS
from vidagg_dagster.tables.disk import make_private, usable_root
from vidagg_dagster.tables.interface import (
    DAYS_ENTRY,
    ERASED_ENTRY,
    FROM_ENTRY,
    NOTE_ENTRY,
    Replaced,
)

_MAX_SAID: Final = 300

_ENTRY: Final = re.compile("[0-9]{20}[.]json")


@dataclass(frozen=True)
class StoredFile:
    """A Parquet file of a table, the day of its rows (None without one), and their number."""

    path: Path
    day: date | None
    rows: int
    size_bytes: int | None = None
    """As the log says; None where no commit refers to the file yet."""


@dataclass(frozen=True)
class Commit:
    """One entry of the log. `info` is the metadata that its writer added."""

    info: Mapping[str, Any]
    changes_rows: bool


def open_table(folder: Path) -> DeltaTable | None:
    """The latest version of the table in `folder`; None where there is no table yet.

    Raises:
        TableError: The log cannot be read, or the table needs features that a list of its files
            does not express.
    """
    log = folder / "_delta_log"
    if not log.is_dir():
        return None
    files = _log_files(log)
    latest = _latest_entry(log, files)
    try:
        snapshot = _opened(folder, files)
        if snapshot.version() != latest:
            # A commit of this process has moved on what is kept.
            snapshot = DeltaTable(str(folder))
    except TableNotFoundError:
        return None
    except DeltaError as error:
        said = " ".join(str(error).split())[:_MAX_SAID]
        raise TableError(
            f"{folder} cannot be read: {said}. Restore its _delta_log, or move the folder away and "
            "run all its days again."
        ) from error
    if snapshot.protocol().min_reader_version > 1:
        raise TableError(
            f"{folder} uses features of Delta that a list of its files does not show: "
            f"{snapshot.protocol()}. Write it again without them."
        )
    return snapshot


def new_table(folder: Path, table: TableSpec) -> DeltaTable:
    """The table of `folder`, which is made unless another process is faster."""
    make_private(folder)
    try:
        DeltaTable.create(
            str(folder),
            delta_schema(table),
            mode="ignore",
            partition_by=[EVENT_DATE] if table.partitioned else None,
            name=table.name,
            description=table.doc,
            # Compaction, ours or another program's, would write ids into the log.
            configuration=dict([NO_STATISTICS]),
            # The slower of two creations would be repeated as version 1.
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except CommitFailedError:
        if open_table(folder) is None:
            raise
    return DeltaTable(str(folder))


class _LogFile(NamedTuple):
    """A file of a log. What is written anew under the same name is another one."""

    name: str
    size_bytes: int
    inode: int
    modified_ns: int


def _log_files(log: Path) -> tuple[_LogFile, ...]:
    files = []
    for path in log.iterdir():
        with suppress(FileNotFoundError):  # drafts of a writer that commits meanwhile
            status = path.stat()
            files.append(_LogFile(path.name, status.st_size, status.st_ino, status.st_mtime_ns))
    return tuple(sorted(files))


def _latest_entry(log: Path, files: Sequence[_LogFile]) -> int | None:
    """The version of the last entry; refuses an empty one: deltalake would read the one before."""
    latest = max((file for file in files if _ENTRY.fullmatch(file.name)), default=None)
    if latest is None:
        return None
    if not latest.size_bytes:
        raise DamagedTableError(
            f"{log / latest.name} is empty, as after a power cut: the last write of the table is "
            "lost. Remove this file, then run the days of the last runs again."
        )
    return int(Path(latest.name).stem)


@lru_cache(maxsize=32)
def _opened(folder: Path, files: tuple[_LogFile, ...]) -> DeltaTable:
    """The table with a log of these `files`. Steps ask for each table a dozen times."""
    del files
    return DeltaTable(str(folder))


def version_of(folder: Path) -> int:
    """The number of the latest commit; -1 where there is no table yet."""
    snapshot = open_table(folder)
    return -1 if snapshot is None else int(snapshot.version())


def live_files(snapshot: DeltaTable, folder: Path) -> list[StoredFile]:
    """The files that make up a version of the table in `folder`, sorted by path."""
    files = []
    for action in pa.table(snapshot.get_add_actions()).to_pylist():
        path = folder / action["path"]
        rows = action.get("num_records")
        if rows is None:  # other programs may leave it out
            with path.open("rb") as file:
                rows = pq.read_metadata(file).num_rows
        day = (action.get("partition") or {}).get(EVENT_DATE)
        files.append(StoredFile(path, day, rows, action["size_bytes"]))
    return sorted(files, key=lambda file: file.path)


def read_commit(folder: Path, number: int) -> Commit | None:
    """The commit of version `number`; None if the log was cleaned up after a checkpoint."""
    path = folder / "_delta_log" / f"{number:020d}.json"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    info: dict[str, Any] = {}
    changes = False
    for action in (json.loads(line) for line in lines if line.strip()):
        info.update(action.get("commitInfo", {}))
        for kind in ("add", "remove"):
            changes = changes or bool(action.get(kind, {}).get("dataChange"))
    return Commit(info, changes)


def commit_id(folder: Path, version: int) -> str | None:
    """See `Tables.commit_id`."""
    snapshot = open_table(folder)
    if snapshot is None or version < 0:
        return "none" if snapshot is None and version < 0 else None
    commit = read_commit(folder, version)
    return None if commit is None else f"{snapshot.metadata().id} {commit.info.get('timestamp')}"


def days_replaced_since(folder: Path, version: int | None) -> Replaced:
    """See `Tables.days_replaced_since`."""
    latest = version_of(folder)
    if version is None or version > latest:
        return Replaced(latest, None)
    days: frozenset[date] = frozenset()
    for number in range(version + 1, latest + 1):
        commit = read_commit(folder, number)
        if commit is None:
            return Replaced(latest, None)
        if DAYS_ENTRY in commit.info:
            days |= days_from_json(commit.info[DAYS_ENTRY])
        elif commit.changes_rows:
            return Replaced(latest, None)
    return Replaced(latest, days)


@dataclass(frozen=True)
class WrittenDay:
    """The last commit that replaced a day, and the versions that it was computed from."""

    version: int
    computed_from: Mapping[str, int]


def written_days(folder: Path) -> dict[date, WrittenDay]:
    """Day -> its last write, as far back as the log goes. Erasing a user is none."""
    days: dict[date, WrittenDay] = {}
    for number in range(version_of(folder), -1, -1):
        commit = read_commit(folder, number)
        if commit is None:
            break
        if DAYS_ENTRY in commit.info and ERASED_ENTRY not in commit.info:
            written = WrittenDay(number, json.loads(commit.info.get(FROM_ENTRY, "{}")))
            for day in days_from_json(commit.info[DAYS_ENTRY]):
                days.setdefault(day, written)
    return days


def latest_note(folder: Path) -> dict[str, str]:
    """The note of the latest upsert; empty if there is none."""
    for number in range(version_of(folder), -1, -1):
        commit = read_commit(folder, number)
        if commit is None:
            return {}
        if NOTE_ENTRY in commit.info:
            return dict(json.loads(commit.info[NOTE_ENTRY]))
    return {}


def day_counts(root: str | Path, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
    """Rows of each of `days` in the table below `root`, 0 included."""
    counts = rows_by_day(root, table)
    return {day: counts[day] for day in days}


def rows_by_day(root: str | Path, table: TableSpec) -> Counter[date | None]:
    """Rows of each day that the table below `root` holds; under None, of a table without days."""
    folder = usable_root(root) / table.name
    snapshot = open_table(folder)
    rows: Counter[date | None] = Counter()
    for file in [] if snapshot is None else live_files(snapshot, folder):
        rows[file.day] += file.rows
    return rows


def delta_schema(table: TableSpec) -> Schema:
    """The Delta schema of a table, with every column's meaning as its comment."""
    declared = json.loads(table.struct.json())
    for field, column in zip(declared["fields"], table.columns, strict=True):
        field["metadata"] = {"comment": column.doc}
    return Schema.from_json(json.dumps(declared))
