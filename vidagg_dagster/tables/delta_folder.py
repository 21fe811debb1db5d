"""Delta tables in a folder: any engine writes the Parquet files, `deltalake` commits them.

No JVM and no Delta jar is needed, and every Delta reader can open the tables.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.days import days_text, days_to_json
from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec, with_dimensions
from vidagg_dagster.spark.compat import union
from vidagg_dagster.tables import delta_log
from vidagg_dagster.tables.checks import (
    bad_keys,
    changed_since_error,
    conform,
    dayless_error,
    differing_columns,
    distinct_days,
    each,
    key_error,
    lost_batch_error,
    lost_days_error,
    new_dimensions,
    other_columns_error,
    require_days,
    require_key_columns,
    stray_days_error,
)
from vidagg_dagster.tables.damage import damage_of, require_whole
from vidagg_dagster.tables.delta_log import StoredFile
from vidagg_dagster.tables.disk import sync, usable_root
from vidagg_dagster.tables.interface import (
    DAYS_ENTRY,
    FROM_ENTRY,
    NO_VERSIONS,
    NOTE_ENTRY,
    Frames,
    Replaced,
    Versions,
)
from vidagg_dagster.tables.retry import pause, retry_conflicts
from vidagg_dagster.tables.same_rows import changed_days
from vidagg_dagster.tables.staging import (
    Staged,
    contains_day,
    moved_in,
    scratch,
    stage,
    staging_folder,
    stored_rows,
)

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 4
"""How often a write of days is tried while other writers replace the same days."""

_MAX_WAIT_S: Final = 0.2
"""A commit takes some hundredths of a second."""


class LocalTables:
    """The declared tables as Delta tables `root/<table name>`.

    The engine behind `spark` must see the same file system as this process. Tables that carry
    dimensions have a column for each of `dimensions`. One that is new is added to a stored table;
    one that was asked for before is null in all rows that are written.

    Example:
        >>> from vidagg_dagster.core.schemas import RAW_EVENTS
        >>> tables = LocalTables(spark, "data")  # doctest: +SKIP
        >>> tables.read(RAW_EVENTS, [date(2024, 1, 1)]).count()  # doctest: +SKIP
        10342
    """

    def __init__(
        self, spark: SparkSession, root: str | Path, dimensions: Sequence[str] = ()
    ) -> None:
        self._spark = spark
        self._root = usable_root(root)
        self._dimensions = tuple(dimensions)

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """See `Tables.read`."""
        table = with_dimensions(table, self._dimensions)
        require_days(table, days)
        return self._read_files(table, self._files(table, days))

    def rows(self, table: TableSpec, days: Sequence[date] | None = None) -> list[dict[str, Any]]:
        """See `Tables.rows`."""
        files = self._files(table, days if table.partitioned else None)
        require_whole(table, files)
        return [row for file in files for row in stored_rows(file, days)]

    def replace_days(
        self,
        table: TableSpec,
        frames: Frames,
        days: Sequence[date],
        *,
        if_changed: Sequence[date] = (),
        computed_from: Versions = NO_VERSIONS,
    ) -> tuple[date, ...]:
        """See `Tables.replace_days`."""
        table = with_dimensions(table, self._dimensions)
        every = distinct_days(table, [*days, *if_changed])
        frames = [conform(table, frame) for frame in each(frames)]
        folder = self._folder(table)
        # Before anything is computed, so that wrong columns are reported at once.
        stored = delta_log.live_files(self._open_or_create(table), folder)
        damaged = {found.file for found in damage_of([f for f in stored if f.day in if_changed])}
        stored = [file for file in stored if file not in damaged]
        with staging_folder(folder) as staging:
            staged = stage(table, frames, staging / "rows", every)
            stray = staged.rows_outside(every)
            if stray:
                raise stray_days_error(table, every, stray)
            changed = changed_days(table, staged.files, stored, if_changed)
            staged = staged.without(set(if_changed) - set(changed))
            days = distinct_days(table, [*days, *changed])
            with moved_in(folder, staged) as adds:
                retry_conflicts(
                    lambda: _commit_days(folder, table, adds, days, computed_from),
                    attempts=MAX_ATTEMPTS,
                    max_wait_s=_MAX_WAIT_S,
                )
        log.info("%s: %d rows written for %s", table.name, staged.rows, days_text(days))
        return changed

    def append_once(self, table: TableSpec, rows: DataFrame, writer: str, batch: int) -> bool:
        """See `LandingTables.append_once`."""
        rows = conform(table, rows)
        folder = self._folder(table)
        if _has_batch(self._open_or_create(table), writer, batch):
            return False
        with staging_folder(folder) as staging:
            staged = stage(table, [rows], staging / "rows")
            without_day = sum(file.rows for file in staged.files if file.day is None)
            if without_day:
                raise dayless_error(table, without_day)
            with moved_in(folder, staged) as adds:
                _commit_batch(folder, table, adds, staged, (writer, batch))
        log.info("%s: batch %d, %d rows appended", table.name, batch, staged.rows)
        return True

    def upsert(
        self,
        table: TableSpec,
        rows: Frames,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """See `Tables.upsert`.

        The whole table is written again: its rows have no order by which a file could be kept.
        """
        table = with_dimensions(table, self._dimensions)
        gone = None if deleted is None else require_key_columns(table, deleted)
        frames = [conform(table, frame) for frame in each(rows)]
        key, folder = list(table.key), self._folder(table)
        snapshot = self._open_or_create(table)
        if based_on is not None and snapshot.version() != max(based_on, 0):
            raise changed_since_error(table, based_on, snapshot.version())
        stored = delta_log.live_files(snapshot, folder)
        current = self._read_files(table, stored)
        with staging_folder(folder) as staging:
            # Written first, so that what the rows are computed from is computed once.
            changed = stage(table, frames, staging / "rows")
            touched = self._distinct_keys(table, changed)
            removed = 0
            if gone is not None and stored:
                gone = gone.distinct().join(touched, on=key, how="left_anti")
                gone = current.select(*key).join(gone, on=key, how="left_semi")
                removed = sum(file.rows for file in scratch(gone, staging / "deleted"))
                if removed:
                    ended = self._spark.read.parquet(str(staging / "deleted"))
                    touched = touched.union(ended.select(*key))
            if not changed.rows and not removed:
                _commit_upsert(folder, table, snapshot, None, note)
                return 0, 0
            kept = current.join(touched, on=key, how="left_anti").select(*table.column_names)
            untouched = stage(table, [kept] if stored else [], staging / "kept")
            with moved_in(folder, changed, untouched) as adds:
                _commit_upsert(folder, table, snapshot, adds, note)
        log.info("%s: %d rows upserted, %d deleted", table.name, changed.rows, removed)
        return changed.rows, removed

    def replace_all(self, table: TableSpec, rows: DataFrame) -> None:
        """See `Tables.replace_all`."""
        table = with_dimensions(table, self._dimensions)
        rows, folder = conform(table, rows), self._folder(table)
        snapshot = self._open_or_create(table)
        with staging_folder(folder) as staging:
            staged = stage(table, [rows], staging / "rows")
            with moved_in(folder, staged) as adds:
                _commit_upsert(folder, table, snapshot, adds, {})
        log.info("%s: %d rows written", table.name, staged.rows)

    @contextmanager
    def computed(self, table: TableSpec, frames: Frames, *by: str) -> Iterator[DataFrame]:
        """See `Tables.computed`."""
        with staging_folder(self._folder(table)) as staging:
            files = [str(file.path) for file in scratch(frames, staging, *by) if file.rows]
            if files:
                # The names of folders have the values of `by`, which a list of files would lose.
                yield self._spark.read.parquet(*([str(staging)] if by else files))
            else:
                yield self._spark.createDataFrame([], each(frames)[0].schema)

    def version(self, table: TableSpec) -> int:
        """See `Tables.version`."""
        return delta_log.version_of(self._folder(table))

    def commit_id(self, table: TableSpec, version: int) -> str | None:
        """See `Tables.commit_id`."""
        return delta_log.commit_id(self._folder(table), version)

    def discard_damaged(self, table: TableSpec) -> bool:
        """See `Tables.discard_damaged`."""
        folder = self._folder(table)
        snapshot = delta_log.open_table(folder)
        damaged = [] if snapshot is None else damage_of(delta_log.live_files(snapshot, folder))
        if snapshot is None or not damaged:
            return False
        log.warning("%s is damaged and written anew: %s", table.name, damaged[0].text)
        _commit_upsert(folder, table, snapshot, [], {})
        return True

    def days_replaced_since(self, table: TableSpec, version: int | None) -> Replaced:
        """See `Tables.days_replaced_since`."""
        return delta_log.days_replaced_since(self._folder(table), version)

    def note(self, table: TableSpec) -> dict[str, str]:
        """See `Tables.note`."""
        return delta_log.latest_note(self._folder(table))

    def day_counts(self, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
        """See `Tables.day_counts`. From the log alone, without the engine."""
        return delta_log.day_counts(self._root, table, days)

    def days_with_rows(self, table: TableSpec) -> set[date]:
        """See `Tables.days_with_rows`. From the log alone, without the engine."""
        counts = delta_log.rows_by_day(self._root, table)
        return {day for day, rows in counts.items() if day is not None and rows}

    def _folder(self, table: TableSpec) -> Path:
        return self._root / table.name

    def _files(self, table: TableSpec, days: Sequence[date] | None) -> list[StoredFile]:
        """The files of the latest version with the rows of `days`; None: of every day."""
        folder = self._folder(table)
        snapshot = delta_log.open_table(folder)
        files = [] if snapshot is None else delta_log.live_files(snapshot, folder)
        wanted = None if days is None else set(days)
        return [file for file in files if wanted is None or file.day in wanted]

    def _open_or_create(self, table: TableSpec) -> DeltaTable:
        folder = self._folder(table)
        snapshot = delta_log.open_table(folder) or delta_log.new_table(folder, table)
        added = new_dimensions(table, _stored_schema(snapshot).names)
        if added:
            snapshot.alter.add_columns(
                delta_log.delta_schema(replace(table, columns=tuple(added))).fields
            )
            snapshot = DeltaTable(str(folder))
        differing = differing_columns(table, _stored_schema(snapshot))
        if differing:
            raise other_columns_error(str(folder), differing)
        return snapshot

    def _read_files(self, table: TableSpec, files: Sequence[StoredFile]) -> DataFrame:
        """Exactly these files, so that no later commit changes what the frame gives."""
        require_whole(table, files)
        groups: dict[date | None, list[str]] = {}
        for file in files:
            lacks_day = table.partitioned and not contains_day(file)
            groups.setdefault(file.day if lacks_day else None, []).append(str(file.path))
        frames = []
        for day, paths in groups.items():
            frame = self._spark.read.schema(table.struct).parquet(*paths)
            # In place: the schema has the column, and its order stays.
            frames.append(frame if day is None else frame.withColumn(EVENT_DATE, F.lit(day)))
        if not frames:
            return self._spark.createDataFrame([], table.struct)
        return union(frames)

    def _distinct_keys(self, table: TableSpec, staged: Staged) -> DataFrame:
        """The keys of staged rows, none of them null or repeated."""
        rows = self._read_files(table, staged.files)
        for bad in bad_keys(table, rows).limit(1).collect():
            raise key_error(table, bad.asDict())
        return rows.select(*table.key)


def _stored_schema(snapshot: DeltaTable) -> T.StructType:
    return T.StructType.fromJson(json.loads(snapshot.schema().to_json()))


def _commit_days(
    folder: Path,
    table: TableSpec,
    adds: Sequence[AddAction],
    days: Sequence[date],
    computed_from: Versions,
) -> None:
    """Replace the files of `days` by `adds`; a commit of other days in between does not hinder."""
    info = {DAYS_ENTRY: days_to_json(days), FROM_ENTRY: json.dumps(dict(computed_from))}
    while True:
        snapshot = DeltaTable(str(folder))
        base = int(snapshot.version())
        try:
            snapshot.create_write_transaction(
                [*adds],
                "overwrite",
                snapshot.schema(),
                [EVENT_DATE],
                [(EVENT_DATE, "in", [day.isoformat() for day in days])],
                # No retries inside: they would keep the list of files to remove that was made
                # before the other commit, and leave that commit's rows beside ours.
                commit_properties=CommitProperties(info, max_commit_retries=0),
            )
        except CommitFailedError as error:
            others = delta_log.days_replaced_since(folder, base)
            if others.version == base:
                raise TableError(
                    f"{table.name}: the commit of {days_text(days)} failed: {error}"
                ) from error
            if others.days is None or others.days & set(days):
                raise lost_days_error(table, days, others.version) from error
            pause(1, _MAX_WAIT_S)
        else:
            _sync_log(folder, base + 1)
            return


def _has_batch(snapshot: DeltaTable, writer: str, batch: int) -> bool:
    last = snapshot.transaction_version(writer)
    return last is not None and last >= batch


def _commit_batch(
    folder: Path,
    table: TableSpec,
    adds: Sequence[AddAction],
    staged: Staged,
    of: tuple[str, int],
) -> None:
    """Append `adds` as the batch `of` a writer. Other writers in between do not hinder."""
    writer, batch = of
    days = sorted({file.day for file in staged.files if file.day is not None})
    snapshot = DeltaTable(str(folder))
    base = int(snapshot.version())
    if _has_batch(snapshot, writer, batch):  # it came while the rows were being written
        raise lost_batch_error(table, writer, batch)
    try:
        snapshot.create_write_transaction(
            [*adds],
            "append",
            snapshot.schema(),
            [EVENT_DATE],
            commit_properties=CommitProperties(
                {DAYS_ENTRY: days_to_json(days)},
                app_transactions=[Transaction(writer, batch)],
            ),
        )
    except CommitFailedError as error:
        raise lost_batch_error(table, writer, batch) from error
    for version in range(base + 1, delta_log.version_of(folder) + 1):
        _sync_log(folder, version)


def _commit_upsert(
    folder: Path,
    table: TableSpec,
    snapshot: DeltaTable,
    adds: Sequence[AddAction] | None,
    note: Mapping[str, str],
) -> None:
    """Keep the note, and replace all files by `adds` unless they are None."""
    base = int(snapshot.version())
    try:
        snapshot.create_write_transaction(
            [*(adds or [])],
            "append" if adds is None else "overwrite",
            snapshot.schema(),
            commit_properties=CommitProperties(
                {NOTE_ENTRY: json.dumps(dict(note))}, max_commit_retries=0
            ),
        )
    except CommitFailedError as error:
        raise changed_since_error(table, base, delta_log.version_of(folder)) from error
    _sync_log(folder, base + 1)


def _sync_log(folder: Path, version: int) -> None:
    """Wait until the entry of a commit is on the disk, after the files that it refers to."""
    entries = folder / "_delta_log"
    sync(entries / f"{version:020d}.json", entries)
