"""One user's rows out of the Delta tables of a folder: latest versions, history and leftovers.

No engine is started: files are rewritten batch by batch, so memory does not grow with the tables.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError

from vidagg_dagster.core.days import days_to_json
from vidagg_dagster.core.errors import TableConflictError
from vidagg_dagster.core.mentions import ERASED, Mentions
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    RAW_EVENTS,
    REJECTED_EVENTS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.spark.mentions import may_mention, parquet_mentions
from vidagg_dagster.tables.delta_log import StoredFile, latest_note, live_files, open_table
from vidagg_dagster.tables.disk import usable_root, write_whole_text
from vidagg_dagster.tables.interface import DAYS_ENTRY, ERASED_ENTRY, NOTE_ENTRY
from vidagg_dagster.tables.maintenance import remove_history
from vidagg_dagster.tables.retry import retry_conflicts
from vidagg_dagster.tables.staging import Staged, moved_in, staging_folder

USER_COLUMN: Final = "userId"
IGNORED_ERASED: Final = "ignored:erased"
"""The measure of `ingestion_counts` for rows of erased users; they count as ignored, too."""

MAX_ATTEMPTS: Final = 3

Rewrite = Callable[[pa.Table, date | None], pa.Table]


@dataclass(frozen=True)
class ErasedTable:
    """What was erased from a table; in a dry run, what would be."""

    table: str
    rows: int
    """Rows removed; of `rejected_events` rows whose payload was erased."""
    days: tuple[date, ...]
    version_before: int
    version_after: int
    rows_left: Mapping[date | None, int]
    """Rows of each of `days` afterwards; under None those of a table without days."""


def has_tables(root: Path) -> bool:
    """Whether any of our tables is below `root`."""
    return any(open_table(usable_root(root) / name) is not None for name in TABLES)


def erase(root: Path, mentions: Mentions, *, dry_run: bool) -> Iterator[ErasedTable]:
    """Remove the user's rows from the latest version of each table below `root`.

    The counts come first, and are found again if the process is killed: running it once more
    completes it. Earlier versions keep their rows until `erase_history`.

    Raises:
        TableConflictError: A run writes the same table at the same time.
    """
    root = usable_root(root)
    erased = _rows_by_day(root / RAW_EVENTS.name, mentions)
    if not dry_run and erased:
        retry_conflicts(lambda: _count_as_ignored(root, erased), attempts=MAX_ATTEMPTS)
    for table in TABLES.values():
        folder = root / table.name
        if open_table(folder) is None or not _holds_users(table):
            continue

        def once(table: TableSpec = table, folder: Path = folder) -> ErasedTable:
            return _erase_from(folder, table, mentions, dry_run)

        yield retry_conflicts(once, attempts=MAX_ATTEMPTS)


def erase_history(root: Path, mentions: Mentions, *, dry_run: bool) -> tuple[int, int]:
    """Remove every file that no latest version needs, and what logs say of the user.

    Staged leftovers go too. No run may be active, and no earlier version can be read afterwards.

    Returns:
        How many data files, and how many bytes.
    """
    files = size = 0
    for folder in (usable_root(root) / name for name in TABLES):
        if open_table(folder) is None:
            continue
        more, more_bytes = remove_history(folder, dry_run=dry_run)
        files, size = files + more, size + more_bytes
        if not dry_run:
            _erase_from_log(folder, mentions)
    return files, size


def files_that_mention(root: Path, mentions: Mentions) -> Iterator[Path]:
    """Every file below `root` that still mentions the user, whatever it is, hidden ones included.

    Of Parquet all values of all text columns are read, because they are compressed.
    """
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        if mentions.found_in(str(path.relative_to(root))) or _mentions(path, mentions):
            yield path


def _erase_from_log(folder: Path, mentions: Mentions) -> None:
    """Take the smallest and largest values out of log entries that mention the user.

    Compaction has written them, by versions before they were switched off or by other programs.
    """
    entries = folder / "_delta_log"
    for path in sorted(entries.glob("*.json")):
        if _mentions(path, mentions):
            with path.open(encoding="utf-8") as lines:
                shortened = "".join(map(_without_values, lines))
            write_whole_text(path, shortened)
    checkpoints = [path for path in entries.glob("*.parquet") if _mentions(path, mentions)]
    if checkpoints:
        # The newest one must not be removed before there is another.
        DeltaTable(str(folder)).create_checkpoint()
        newest = f"{int(DeltaTable(str(folder)).version()):020d}"
        for path in checkpoints:
            if not path.name.startswith(newest):
                path.unlink()


def _without_values(line: str) -> str:
    action = json.loads(line)
    stats = action.get("add", {}).get("stats")
    if stats:
        rows = json.loads(stats)["numRecords"]
        action["add"]["stats"] = json.dumps({"numRecords": rows})
    return json.dumps(action) + "\n"


def _mentions(path: Path, mentions: Mentions) -> bool:
    if path.suffix == ".parquet" and path.stat().st_size:
        try:
            return bool(parquet_mentions(path, mentions))
        except (pa.ArrowException, OSError):
            return True  # what cannot be read may hold the user
    content = path.read_bytes()
    return mentions.may_be_in(content) and mentions.found_in(content.decode("utf-8", "replace"))


def _holds_users(table: TableSpec) -> bool:
    return USER_COLUMN in table.column_names or table is REJECTED_EVENTS


def _rows_by_day(folder: Path, mentions: Mentions) -> dict[date | None, int]:
    """The user's rows of each day, days without any left out."""
    snapshot = open_table(folder)
    rows: dict[date | None, int] = {}
    for file in [] if snapshot is None else live_files(snapshot, folder):
        found = _rows_of(file.path, mentions)
        if found:
            rows[file.day] = rows.get(file.day, 0) + found
    return rows


def _rows_of(path: Path, mentions: Mentions) -> int:
    """How many rows of a data file are the user's, or hold the user's payload."""
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        column = USER_COLUMN if USER_COLUMN in file.schema_arrow.names else "payload"
        return sum(
            pc.sum(_is_of_user(batch.column(0), column, mentions)).as_py() or 0
            for batch in file.iter_batches(columns=[column])
        )


def _is_of_user(values: pa.Array, column: str, mentions: Mentions) -> pa.Array:
    texts = values.cast(pa.large_string())
    if column == USER_COLUMN:
        return pc.fill_null(pc.equal(texts, pa.scalar(mentions.user, pa.large_string())), False)
    likely = may_mention(texts, mentions)
    found = [
        bool(maybe) and mentions.found_in(text)
        for maybe, text in zip(likely.to_pylist(), texts.to_pylist(), strict=True)
    ]
    return pa.array(found, pa.bool_())


def _erase_from(folder: Path, table: TableSpec, mentions: Mentions, dry_run: bool) -> ErasedTable:
    snapshot = DeltaTable(str(folder))
    files = live_files(snapshot, folder)
    found = {file: _rows_of(file.path, mentions) for file in files}
    rows = sum(found.values())
    days = tuple(sorted({f.day for f, count in found.items() if count and f.day is not None}))
    before = int(snapshot.version())
    if rows and not dry_run:
        touched = [file for file in files if file.day in days or not table.partitioned]
        _rewrite(folder, table, snapshot, touched, lambda batch, _: _without(batch, mentions))
    latest = DeltaTable(str(folder))
    left: dict[date | None, int] = dict.fromkeys(days if table.partitioned else (None,), 0)
    for file in live_files(latest, folder):
        if file.day in left:
            left[file.day] += file.rows
    return ErasedTable(table.name, rows, days, before, int(latest.version()), left)


def _without(rows: pa.Table, mentions: Mentions) -> pa.Table:
    """The rows without the user's; rejected rows stay, because they are counted, and lose what they
    say."""
    if USER_COLUMN in rows.column_names:
        users = rows.column(USER_COLUMN).combine_chunks()
        return rows.filter(pc.invert(_is_of_user(users, USER_COLUMN, mentions)))
    index = rows.schema.get_field_index("payload")
    field = rows.schema.field(index)
    payloads = rows.column(index).combine_chunks()
    of_user = _is_of_user(payloads, "payload", mentions)
    erased = pc.if_else(
        of_user, pa.scalar(ERASED, pa.large_string()), payloads.cast("large_string")
    )
    return rows.set_column(index, field, erased.cast(field.type))


def _count_as_ignored(root: Path, erased: Mapping[date | None, int]) -> None:
    """Book the rows that are about to be erased as ignored, so that the counts add up."""
    folder = root / INGESTION_COUNTS.name
    snapshot = open_table(folder)
    if snapshot is None:
        return
    touched = [file for file in live_files(snapshot, folder) if file.day in erased]
    raw_events = DeltaTable(str(root / RAW_EVENTS.name))
    stored: dict[date | None, int] = {}
    for file in live_files(raw_events, root / RAW_EVENTS.name):
        stored[file.day] = stored.get(file.day, 0) + file.rows

    def booked(rows: pa.Table, day: date | None) -> pa.Table:
        counted = {row["measure"]: row for row in rows.to_pylist()}
        count = erased.get(day, 0)
        accepted = counted.get("accepted")
        # An erasure that was killed right after this has booked them already.
        if accepted is None or accepted["value"] == stored.get(day, 0) - count:
            return rows
        for measure, change in (
            ("accepted", -count),
            ("ignored", count),
            (IGNORED_ERASED, count),
        ):
            row = counted.setdefault(measure, {**accepted, "measure": measure, "value": 0})
            row["value"] += change
        return pa.Table.from_pylist(list(counted.values()), schema=rows.schema)

    if touched:
        _rewrite(folder, INGESTION_COUNTS, snapshot, touched, booked, whole_files=True)


def _rewrite(
    folder: Path,
    table: TableSpec,
    snapshot: DeltaTable,
    files: Sequence[StoredFile],
    rewrite: Rewrite,
    *,
    whole_files: bool = False,
) -> None:
    """Replace `files`, all those of their days, by what `rewrite` makes of them, in one commit.

    Raises:
        TableConflictError: Another writer was faster. Nothing was written.
    """
    with staging_folder(folder) as staging:
        staging.mkdir()
        written = [
            _rewritten(file, table, staging / f"{number}.parquet", rewrite, whole_files)
            for number, file in enumerate(files)
        ]
        staged = Staged([file for file in written if file.rows])
        days = sorted({file.day for file in files if file.day is not None})
        with moved_in(folder, staged) as adds:
            try:
                snapshot.create_write_transaction(
                    [*adds],
                    "overwrite",
                    snapshot.schema(),
                    [EVENT_DATE] if table.partitioned else None,
                    [(EVENT_DATE, "in", [day.isoformat() for day in days])]
                    if table.partitioned
                    else None,
                    commit_properties=CommitProperties(
                        _entry(folder, table, days), max_commit_retries=0
                    ),
                )
            except CommitFailedError as error:
                raise TableConflictError(
                    f"{table.name}: another writer changed the table while a user was erased from "
                    "it. Nothing was written. Wait until no run is active, then forget the user "
                    "again."
                ) from error


def _entry(folder: Path, table: TableSpec, days: Sequence[date]) -> dict[str, str]:
    """What a write of a run would say. The lifetime table keeps its note, and need not take the
    daily rows in again: the user's go from both."""
    if table is USER_VIDEO_ENGAGEMENT:
        return {DAYS_ENTRY: days_to_json([])}
    if table.partitioned:
        return {DAYS_ENTRY: days_to_json(days), ERASED_ENTRY: "true"}
    return {NOTE_ENTRY: json.dumps(latest_note(folder))}


def _rewritten(
    file: StoredFile, table: TableSpec, target: Path, rewrite: Rewrite, whole_file: bool
) -> StoredFile:
    rows = 0
    with (
        file.path.open("rb") as opened,
        pq.ParquetFile(opened) as source,
        target.open("wb") as out,
    ):
        batches: Iterator[Any] = (
            iter([source.read()])
            if whole_file
            else (pa.Table.from_batches([batch]) for batch in source.iter_batches())
        )
        writer: pq.ParquetWriter | None = None
        try:
            for batch in batches:
                kept = rewrite(_with_day(batch, table, file.day), file.day)
                writer = writer or pq.ParquetWriter(out, kept.schema)
                writer.write_table(kept)
                rows += kept.num_rows
        finally:
            if writer is not None:
                writer.close()
    return StoredFile(target, file.day, rows)


def _with_day(rows: pa.Table, table: TableSpec, day: date | None) -> pa.Table:
    """The rows with the day as a column, which other programs leave out of files."""
    if not table.partitioned or EVENT_DATE in rows.column_names:
        return rows
    return rows.add_column(0, EVENT_DATE, pa.array([day] * rows.num_rows, pa.date32()))
