"""Delta tables in a folder: any engine writes the Parquet files, `deltalake` commits them.

No JVM and no Delta jar is needed, and every Delta reader can open the tables.
"""

import json
import logging
import random
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec
from vidagg_dagster.tables.interface import (
    DAYS_ENTRY,
    NOTE_ENTRY,
    Frames,
    Replaced,
    bad_keys,
    changed_since_error,
    conform,
    days_from_json,
    days_to_json,
    differing_columns,
    distinct_days,
    each,
    key_error,
    lost_days_error,
    other_columns_error,
    require_days,
    require_key_columns,
    span,
    stray_days_error,
)

log = logging.getLogger(__name__)

MAX_TRIES: Final = 3
"""How often a write loses against other writers of the same days before it gives up."""

_UNUSABLE: Final = set("[]{}*?^|%\\") | {chr(code) for code in range(32)}
"""What an engine takes for a pattern in a path, or deltalake for something else than a name."""

_HELPER: Final = "day"
"""The column that splits files by day. A second one, because Spark leaves the column it splits by
out of the files: with `event_date` inside them, a list of files is all that a reader needs (Sail
does not take the day from a file's folder)."""

_OURS: Final = "rows-"
"""How the names of files begin that contain the day as a column."""

_NO_DAY: Final = "none"

_STAGING: Final = "staging-"
"""Not beginning with `_`: vacuum would never look into such a folder."""


@dataclass(frozen=True)
class StoredFile:
    """A Parquet file of a table, the day of its rows (None without one), and their number."""

    path: Path
    day: date | None
    rows: int


@dataclass
class _Staged:
    """Files that an engine has written and no commit refers to yet."""

    files: list[StoredFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


class LocalTables:
    """The declared tables as Delta tables `root/<table name>`.

    The engine behind `spark` must see the same file system as this process.

    Example:
        >>> from vidagg_dagster.core.schemas import RAW_EVENTS
        >>> tables = LocalTables(spark, "data")  # doctest: +SKIP
        >>> tables.read(RAW_EVENTS, [date(2024, 1, 1)]).count()  # doctest: +SKIP
        10342
    """

    def __init__(self, spark: SparkSession, root: str | Path) -> None:
        self._spark = spark
        self._root = _usable_root(root)

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """See `Tables.read`."""
        require_days(table, days)
        snapshot = self._open(table)
        return self._read_files(
            table, [] if snapshot is None else self._files(snapshot, table, days)
        )

    def replace_days(self, table: TableSpec, frames: Frames, days: Sequence[date]) -> None:
        """See `Tables.replace_days`."""
        days = distinct_days(table, days)
        frames = [conform(table, frame) for frame in each(frames)]
        self._open_or_create(table)  # other columns are said before anything is computed
        with self._staging(table) as staging:
            staged = self._stage(table, frames, staging / "rows", days)
            stray = _rows_by_day(staged, without=days)
            if stray:
                raise stray_days_error(table, days, stray)
            with self._moved_in(table, staged) as adds:
                self._commit_days(table, adds, days)
        log.info("%s: %d rows written for %s", table.name, staged.rows, span(days))

    def upsert(
        self,
        table: TableSpec,
        rows: DataFrame,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """See `Tables.upsert`.

        The whole table is written anew: its rows are in no order that would spare a file.
        """
        gone = None if deleted is None else require_key_columns(table, deleted)
        rows = conform(table, rows)
        key = list(table.key)
        snapshot = self._open_or_create(table)
        if based_on is not None and snapshot.version() != max(based_on, 0):
            raise changed_since_error(table, based_on, snapshot.version())
        current = self._read_files(table, self._files(snapshot, table))
        with self._staging(table) as staging:
            # Written first, so that what they are computed from is computed once.
            changed = self._stage(table, [rows], staging / "rows")
            new = self._read_files(table, changed.files)
            for bad in bad_keys(table, new).limit(1).collect():
                raise key_error(table, bad.asDict())
            touched = new.select(*key)
            removed = 0
            if gone is not None:
                gone = gone.distinct().join(touched, on=key, how="left_anti")
                gone = current.select(*key).join(gone, on=key, how="left_semi")
                folder = staging / "deleted"
                gone.write.parquet(str(folder))
                removed = sum(file.rows for file in _parquet_files(folder))
                if removed:
                    touched = touched.union(self._spark.read.parquet(str(folder)).select(*key))
            if not changed.rows and not removed:
                self._commit_upsert(table, snapshot, [], "append", note)
                return 0, 0
            kept = current.join(touched, on=key, how="left_anti").select(*table.column_names)
            untouched = self._stage(table, [kept], staging / "kept")
            with self._moved_in(table, changed, untouched) as adds:
                self._commit_upsert(table, snapshot, adds, "overwrite", note)
        log.info("%s: %d rows upserted, %d deleted", table.name, changed.rows, removed)
        return changed.rows, removed

    @contextmanager
    def computed(self, table: TableSpec, frames: Frames) -> Iterator[DataFrame]:
        """See `Tables.computed`."""
        with self._staging(table) as staging:
            for frame in each(frames):
                frame.write.mode("append").parquet(str(staging))
            files = [str(file.path) for file in _parquet_files(staging) if file.rows]
            if files:
                yield self._spark.read.parquet(*files)
            else:
                yield self._spark.createDataFrame([], each(frames)[0].schema)

    def version(self, table: TableSpec) -> int:
        """See `Tables.version`."""
        snapshot = self._open(table)
        return -1 if snapshot is None else int(snapshot.version())

    def days_replaced_since(self, table: TableSpec, version: int | None) -> Replaced:
        """See `Tables.days_replaced_since`."""
        latest = self.version(table)
        if version is None or version > latest:
            return Replaced(latest, None)
        days: frozenset[date] = frozenset()
        for number in range(version + 1, latest + 1):
            commit = self._commit(table, number)
            if commit is None:
                return Replaced(latest, None)
            if DAYS_ENTRY in commit.info:
                days |= days_from_json(commit.info[DAYS_ENTRY])
            elif commit.changes_rows:
                return Replaced(latest, None)
        return Replaced(latest, days)

    def note(self, table: TableSpec) -> dict[str, str]:
        """See `Tables.note`."""
        for number in range(self.version(table), -1, -1):
            commit = self._commit(table, number)
            if commit is None:
                return {}
            if NOTE_ENTRY in commit.info:
                return dict(json.loads(commit.info[NOTE_ENTRY]))
        return {}

    def day_counts(self, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
        """See `Tables.day_counts`. From the log alone, without the engine."""
        return day_counts(self._root, table, days)

    def _folder(self, table: TableSpec) -> Path:
        return self._root / table.name

    def _open(self, table: TableSpec) -> DeltaTable | None:
        return _open(self._root, table)

    def _open_or_create(self, table: TableSpec) -> DeltaTable:
        snapshot = self._open(table)
        if snapshot is None:
            folder = self._folder(table)
            folder.mkdir(parents=True, exist_ok=True)
            DeltaTable.create(
                str(folder),
                delta_schema(table),
                mode="ignore",  # another process may be faster
                partition_by=[EVENT_DATE] if table.partitioned else None,
                name=table.name,
                description=table.doc,
            )
            snapshot = DeltaTable(str(folder))
        stored = T.StructType.fromJson(json.loads(snapshot.schema().to_json()))
        differing = differing_columns(table, {f.name: f.dataType for f in stored.fields})
        if differing:
            raise other_columns_error(str(self._folder(table)), differing)
        return snapshot

    def _files(
        self, snapshot: DeltaTable, table: TableSpec, days: Sequence[date] | None = None
    ) -> "list[StoredFile]":
        files = live_files(snapshot, self._folder(table))
        wanted = None if days is None else set(days)
        return [file for file in files if wanted is None or file.day in wanted]

    def _read_files(self, table: TableSpec, files: "Sequence[StoredFile]") -> DataFrame:
        """Exactly these files, so that no later commit changes what the frame gives."""
        groups: dict[date | None, list[str]] = {}
        for file in files:
            # Files of other programs (compaction, deletion) may lack the day that is in their
            # folder's name; an engine would then read null.
            lacks_day = table.partitioned and not file.path.name.startswith(_OURS)
            groups.setdefault(file.day if lacks_day else None, []).append(str(file.path))
        frames = []
        for day, paths in groups.items():
            frame = self._spark.read.schema(table.struct).parquet(*paths)
            if day is not None:
                frame = frame.withColumn(EVENT_DATE, F.lit(day))
            frames.append(frame.select(*table.column_names))
        if not frames:
            return self._spark.createDataFrame([], table.struct)
        return reduce(DataFrame.unionByName, frames)

    @contextmanager
    def _staging(self, table: TableSpec) -> Iterator[Path]:
        staging = self._folder(table) / f"{_STAGING}{uuid.uuid4().hex}"
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _stage(
        self, table: TableSpec, frames: Sequence[DataFrame], folder: Path, days: Sequence[date] = ()
    ) -> _Staged:
        for frame in frames:
            if table.partitioned:
                # Text, because Sail files a null date under 1970-01-01.
                day = F.coalesce(F.col(EVENT_DATE).cast("string"), F.lit(_NO_DAY))
                frame = frame.withColumn(_HELPER, day)
                if len(days) > 1:
                    # Else every task writes a file for every day.
                    frame = frame.hint("rebalance", _HELPER)
                frame.write.mode("append").partitionBy(_HELPER).parquet(str(folder))
            else:
                frame.write.mode("append").parquet(str(folder))
        staged = _Staged([file for file in _parquet_files(folder) if file.rows])
        for file in staged.files[:1]:
            _require_utc_microseconds(table, file.path)
        return staged

    def _move_in(self, table: TableSpec, staged: _Staged) -> list[AddAction]:
        adds = []
        batch = uuid.uuid4().hex
        for number, file in enumerate(staged.files):
            values: dict[str, str | None] = {}
            name = f"{_OURS}{batch}-{number:05d}.parquet"
            if file.day is not None:
                values = {EVENT_DATE: file.day.isoformat()}
                name = f"{EVENT_DATE}={file.day.isoformat()}/{name}"
            target = self._folder(table) / name
            target.parent.mkdir(exist_ok=True)
            file.path.rename(target)
            status = target.stat()
            adds.append(
                AddAction(
                    path=name,
                    size=status.st_size,
                    partition_values=values,
                    modification_time=int(status.st_mtime * 1000),
                    data_change=True,
                    stats=json.dumps({"numRecords": file.rows}),
                )
            )
        return adds

    @contextmanager
    def _moved_in(self, table: TableSpec, *batches: _Staged) -> "Iterator[list[AddAction]]":
        """Files at their place; removed again if the block fails and no commit refers to them."""
        adds = [add for staged in batches for add in self._move_in(table, staged)]
        try:
            yield adds
        except BaseException:
            snapshot = self._open(table)
            folder = self._folder(table)
            committed = [] if snapshot is None else [f.path for f in live_files(snapshot, folder)]
            for path in {folder / add.path for add in adds}.difference(committed):
                path.unlink(missing_ok=True)
            raise

    def _commit_days(self, table: TableSpec, adds: list[AddAction], days: Sequence[date]) -> None:
        lost = 0
        while True:
            snapshot = DeltaTable(str(self._folder(table)))
            base = int(snapshot.version())
            try:
                # No retries inside: they would keep the list of files to remove that was made
                # before the other commit, and leave that one's rows beside ours.
                snapshot.create_write_transaction(
                    [*adds],
                    "overwrite",
                    snapshot.schema(),
                    [EVENT_DATE],
                    [(EVENT_DATE, "in", [day.isoformat() for day in days])],
                    commit_properties=CommitProperties(
                        {DAYS_ENTRY: days_to_json(days)}, max_commit_retries=0
                    ),
                )
            except CommitFailedError as error:
                others = self.days_replaced_since(table, base)
                if others.version == base:
                    raise TableError(
                        f"{table.name}: the commit of {span(days)} failed: {error}"
                    ) from error
                if others.days is None or others.days & set(days):
                    lost += 1
                if lost > MAX_TRIES:
                    raise lost_days_error(table, days, lost, others.version) from error
                time.sleep(random.uniform(0.01, 0.2) * (1 + lost))
            else:
                return

    def _commit_upsert(
        self,
        table: TableSpec,
        snapshot: DeltaTable,
        adds: list[AddAction],
        mode: str,
        note: Mapping[str, str],
    ) -> None:
        base = int(snapshot.version())
        try:
            snapshot.create_write_transaction(
                [*adds],
                mode,
                snapshot.schema(),
                commit_properties=CommitProperties(
                    {NOTE_ENTRY: json.dumps(dict(note))}, max_commit_retries=0
                ),
            )
        except CommitFailedError as error:
            raise changed_since_error(table, base, self.version(table)) from error

    def _commit(self, table: TableSpec, number: int) -> "_Commit | None":
        path = self._folder(table) / "_delta_log" / f"{number:020d}.json"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:  # cleaned up after a checkpoint
            return None
        actions = [json.loads(line) for line in lines if line.strip()]
        info: dict[str, Any] = {}
        changes = False
        for action in actions:
            info.update(action.get("commitInfo", {}))
            for kind in ("add", "remove"):
                changes = changes or bool(action.get(kind, {}).get("dataChange"))
        return _Commit(info, changes)


@dataclass(frozen=True)
class _Commit:
    info: Mapping[str, Any]
    changes_rows: bool


def day_counts(root: str | Path, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
    """Rows of each of `days` in the table under `root`, from its log alone: no engine needed."""
    counts = dict.fromkeys(days, 0)
    usable = _usable_root(root)
    snapshot = _open(usable, table)
    for file in [] if snapshot is None else live_files(snapshot, usable / table.name):
        if file.day in counts:
            counts[file.day] += file.rows
    return counts


def require_writable(root: str | Path) -> None:
    """Make sure that tables can be written below `root`, before anything is computed.

    Raises:
        TableError: They cannot; says why.
    """
    folder = _usable_root(root)
    there = folder.exists()
    probe = folder / f".vidagg-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
    except OSError as error:
        raise storage_fault(root, error) or _unwritable(folder, error) from error
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
            if not there:  # No tables, no folder: a run that fails later leaves nothing behind.
                folder.rmdir()


def storage_fault(root: str | Path, error: BaseException) -> TableError | None:
    """The plain words for an error that says that the disk of `root` is full or read-only.

    Engines hide what the operating system said in errors of their own. None: it is another error.
    """
    said = str(error)
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return TableError(
            f"There is no space left in {Path(root).absolute()} (VIDAGG_DATA_ROOT). The tables "
            "hold what they held before. Make room (`vidagg maintain` removes what no version "
            "needs), then run the days again."
        )
    if "Read-only file system" in said or "Permission denied" in said:
        return _unwritable(Path(root).absolute(), said.splitlines()[0][:300])
    return None


def _unwritable(folder: Path, reason: object) -> TableError:
    return TableError(
        f"The folder {folder} (VIDAGG_DATA_ROOT) cannot be written: {reason}. Allow it, or choose "
        "another folder."
    )


def delta_schema(table: TableSpec) -> Schema:
    """The Delta schema of a table, with every column's meaning as its comment."""
    declared = json.loads(table.struct.json())
    for field_, column in zip(declared["fields"], table.columns, strict=True):
        field_["metadata"] = {"comment": column.doc}
    return Schema.from_json(json.dumps(declared))


def _usable_root(root: str | Path) -> Path:
    absolute = Path(root).absolute()
    bad = sorted(_UNUSABLE & set(str(absolute)))
    if bad:
        raise TableError(
            f"Tables cannot live in {absolute}: the engines give {' '.join(map(repr, bad))} in a "
            "path a meaning of their own. Choose another folder with VIDAGG_DATA_ROOT."
        )
    return absolute


def _open(root: Path, table: TableSpec) -> DeltaTable | None:
    folder = root / table.name
    if not (folder / "_delta_log").is_dir():
        return None
    try:
        snapshot = DeltaTable(str(folder))
    except TableNotFoundError:
        return None
    if snapshot.protocol().min_reader_version > 1:
        raise TableError(
            f"{folder} uses features of Delta that a list of its files does not show: "
            f"{snapshot.protocol()}. Write it anew without them."
        )
    return snapshot


def live_files(snapshot: DeltaTable, folder: Path) -> list[StoredFile]:
    """The files that make up a version of the table in `folder`, sorted by path."""
    files = []
    for action in pa.table(snapshot.get_add_actions()).to_pylist():
        path = folder / action["path"]
        rows = action.get("num_records")
        if rows is None:  # other programs may leave it out
            rows = pq.read_metadata(path).num_rows
        files.append(StoredFile(path, (action.get("partition") or {}).get(EVENT_DATE), rows))
    return sorted(files, key=lambda file: file.path)


def _parquet_files(folder: Path) -> list[StoredFile]:
    files = []
    for path in sorted(folder.glob("**/[!._]*.parquet")):
        day = None
        if path.parent != folder:
            value = path.parent.name.removeprefix(f"{_HELPER}=")
            day = None if value == _NO_DAY else date.fromisoformat(value)
        files.append(StoredFile(path, day, pq.read_metadata(path).num_rows))
    return files


def _rows_by_day(staged: _Staged, *, without: Sequence[date]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for file in staged.files:
        if file.day is None or file.day not in without:
            name = "no day" if file.day is None else file.day.isoformat()
            rows[name] = rows.get(name, 0) + file.rows
    return rows


def _require_utc_microseconds(table: TableSpec, path: Path) -> None:
    """An engine whose setting for times was changed would write what readers understand unlike."""
    written = pq.read_schema(path)
    for column in table.columns:
        kind = written.field(column.name).type
        if isinstance(column.type, T.TimestampType) and (kind.unit != "us" or not kind.tz):
            raise TableError(
                f"{table.name}: the engine wrote {column.name} as {kind}, not as UTC microseconds. "
                "Set spark.sql.parquet.outputTimestampType to TIMESTAMP_MICROS."
            )
