"""Keeping the Delta tables of a folder small: compaction, and removal of files that nothing needs.

Safe while steps run: files that a step has staged are younger than any retention that is allowed,
and compaction gives way to a writer. Nothing heavy is imported with this module, so that the
command line can show the retention in its help.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.tables.disk import is_address

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from vidagg_dagster.core.schemas import TableSpec

SAFE_RETENTION_HOURS: Final = 168
"""A week, Delta's own limit: how long files are kept after their last version was replaced.

Readers and steps that began before still need them, and so do readers of earlier versions.
"""

MIN_FILES: Final = 8
"""Days of fewer files are not compacted: a day is written as few files, and rewriting costs."""

SMALL_FILE_BYTES: Final = 16 << 20
"""Days whose files are larger than this on average are not compacted."""


_LOG_RETENTION: Final = "delta.logRetentionDuration"


@dataclass(frozen=True)
class Maintained:
    """What was done to a table; in a dry run, what would be done."""

    table: str
    version: int
    compacted: dict[str, int] = field(default_factory=dict)
    """Day (empty for a table without days) -> how many files it had before."""
    removed: int = 0
    """How many files."""
    removed_bytes: int = 0
    busy: bool = False
    """A writer was faster; compaction is left for the next time."""

    def line(self, *, dry_run: bool) -> str:
        """The result as a line for people."""
        would = "would be " if dry_run else ""
        files = sum(self.compacted.values())
        parts = [f"version {self.version}"]
        if self.compacted:
            parts.append(f"{files} files of {len(self.compacted)} days {would}compacted")
        if self.busy:
            parts.append("compaction left, the table is being written")
        megabytes = self.removed_bytes / 1e6
        parts.append(f"{self.removed} files {would}removed ({megabytes:.1f} MB)")
        return f"{self.table}: {', '.join(parts)}"


def require_safe_retention(hours: int, *, accept_risk: bool) -> None:
    """Refuse to remove files that may still be needed.

    Raises:
        TableError: The retention is negative, or under a week without `accept_risk`.
    """
    if hours < 0:
        raise TableError(f"A retention of {hours} hours is none. Use 0 or more.")
    if hours < SAFE_RETENTION_HOURS and not accept_risk:
        raise TableError(
            f"A retention of {hours} hours is refused: under {SAFE_RETENTION_HOURS} (a week) files "
            "go that running steps, readers and earlier versions may still need. If no run and no "
            "reader is active, and earlier versions are not wanted, say --accept-risk."
        )


def maintain(
    root: Path, *, retention_hours: int = SAFE_RETENTION_HOURS, dry_run: bool = False
) -> Iterator[Maintained]:
    """Compact, vacuum and checkpoint every table below `root`, one after the other.

    No engine is started, and no row changes. For the retention see `require_safe_retention`.

    Raises:
        TableError: A table cannot be read or written.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError

    from vidagg_dagster.core.schemas import TABLES

    for table in TABLES.values():
        folder = root / table.name
        if not (folder / "_delta_log").is_dir():
            continue
        try:
            yield _maintain(folder, table, retention_hours, dry_run)
        except TableNotFoundError:
            continue
        except (DeltaError, OSError) as error:
            raise TableError(
                f"{folder} cannot be maintained: {error}. Nothing that its latest version needs "
                "was removed. Check the folder's permissions and space, then run it again."
            ) from error


def remove_history(folder: Path, *, dry_run: bool = False) -> tuple[int, int]:
    """Remove what the latest version of a table does not need, however young it is.

    Only while no step runs: what a step has staged goes as well, and so do earlier versions.

    Returns:
        How many files, and how many bytes.
    """
    from deltalake import DeltaTable

    delta = DeltaTable(str(folder))
    waste = _vacuum(delta, 0, dry_run=True)
    waste_bytes = sum(_size(folder / name) for name in waste)
    if not dry_run:
        _vacuum(delta, 0, dry_run=False)
        _remove_empty_folders(folder)
    return len(waste), waste_bytes


def keep_small(folder: Path, table: "TableSpec", retention_hours: int) -> None:
    """Keep a table small that is written every few seconds; its history lasts for hours.

    A writer that is faster goes first; then compaction is left for the next time.

    Raises:
        TableError: See `maintain`.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        delta = DeltaTable(str(folder))
        wanted = f"interval {retention_hours} hours"
        if delta.metadata().configuration.get(_LOG_RETENTION) != wanted:
            delta.alter.set_table_properties({_LOG_RETENTION: wanted})
        _maintain(folder, table, retention_hours, dry_run=False)
    except (DeltaError, OSError) as error:
        raise TableError(f"{folder} cannot be kept small: {error}") from error


def _maintain(folder: Path, table: "TableSpec", retention_hours: int, dry_run: bool) -> Maintained:
    from deltalake import DeltaTable

    delta = DeltaTable(str(folder))
    crowded = _crowded(delta, folder)
    busy = not dry_run and not _compact(delta, table, crowded)
    waste = _vacuum(delta, retention_hours, dry_run=True)
    waste_bytes = sum(_size(folder / name) for name in waste)
    if not dry_run:
        _vacuum(delta, retention_hours, dry_run=False)
        _remove_empty_folders(folder)
        delta.update_incremental()
        delta.create_checkpoint()
        delta.cleanup_metadata()
    return Maintained(
        table=table.name,
        version=int(delta.version()),
        compacted={} if busy else crowded,
        removed=len(waste),
        removed_bytes=waste_bytes,
        busy=busy,
    )


def _compact(delta: "DeltaTable", table: "TableSpec", days: Collection[str]) -> bool:
    """Rewrite the files of each of `days`; whether no writer was faster."""
    from deltalake.exceptions import CommitFailedError

    from vidagg_dagster.core.schemas import EVENT_DATE
    from vidagg_dagster.tables.catalog_sql import NO_STATISTICS

    done = True
    setting, value = NO_STATISTICS
    if days and delta.metadata().configuration.get(setting) != value:
        # Tables of earlier versions: the log would keep the smallest and largest ids of each file.
        delta.alter.set_table_properties(dict([NO_STATISTICS]))
    for day in days:
        filters = [(EVENT_DATE, "=", day)] if table.partitioned else None
        try:
            delta.optimize.compact(partition_filters=filters)
        except CommitFailedError:
            done = False
            delta.update_incremental()
    return done


def _vacuum(delta: "DeltaTable", retention_hours: int, *, dry_run: bool) -> list[str]:
    """The files that no version within the retention refers to, removed unless in a dry run."""
    return list(
        delta.vacuum(
            retention_hours=retention_hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            full=True,
        )
    )


def _crowded(delta: "DeltaTable", folder: Path) -> dict[str, int]:
    """Days that consist of many small files -> how many; the day is empty without days."""
    from vidagg_dagster.tables.delta_log import live_files

    files: dict[str, list[Path]] = defaultdict(list)
    for file in live_files(delta, folder):
        files["" if file.day is None else file.day.isoformat()].append(file.path)
    return {
        day: len(paths)
        for day, paths in files.items()
        if len(paths) >= MIN_FILES and _mean_size(paths) < SMALL_FILE_BYTES
    }


def _mean_size(paths: Sequence[Path]) -> float:
    return sum(_size(path) for path in paths) / len(paths)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a step has just removed what it staged
        return 0


def _remove_empty_folders(folder: Path) -> None:
    """Remove the folders of killed steps; a folder that is not empty stays."""
    if is_address(folder):
        return  # object storage has none
    for path in sorted(folder.glob("staging-*/**/"), reverse=True):
        with suppress(OSError):
            path.rmdir()
