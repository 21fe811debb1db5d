"""Keeping the local Delta tables small: compaction, removal of files that nothing refers to.

Safe beside running steps: what a step has staged is younger than any retention that is allowed,
and compaction gives way to a writer.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TABLES, TableSpec
from vidagg_dagster.tables.delta_folder import live_files
from vidagg_dagster.tables.retention import SAFE_RETENTION_HOURS

log = logging.getLogger(__name__)

MANY_FILES: Final = 8
"""Days of fewer files are left alone: a day is written in few files, and each rewriting costs."""
SMALL_FILE_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class Maintained:
    """What was done to a table; in a dry run what would be done."""

    table: str
    version: int
    compacted: dict[str, int] = field(default_factory=dict)
    """Day (empty without days) -> how many files became few."""
    removed: int = 0
    removed_bytes: int = 0
    busy: bool = False
    """A writer was faster; compaction is left for the next time."""

    def line(self, *, dry_run: bool) -> str:
        """For people."""
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


def maintain(
    root: Path, *, retention_hours: int = SAFE_RETENTION_HOURS, dry_run: bool = False
) -> Iterator[Maintained]:
    """Compact, vacuum and checkpoint every table below `root`; gives what came of each.

    Without an engine. Rows stay as they are; for the retention see `retention.py`.

    Raises:
        TableError: A table cannot be read or written.
    """
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
                "was removed. See to the folder's permissions and space, then run it again."
            ) from error


def _maintain(folder: Path, table: TableSpec, retention_hours: int, dry_run: bool) -> Maintained:
    delta = DeltaTable(str(folder))
    crowded = _crowded(delta, folder)
    busy = False
    if not dry_run:
        for day in crowded:
            filters = [(EVENT_DATE, "=", day)] if table.partitioned else None
            try:
                delta.optimize.compact(partition_filters=filters)
            except CommitFailedError:
                busy = True
                delta.update_incremental()
    waste = delta.vacuum(
        retention_hours=retention_hours,
        dry_run=True,
        enforce_retention_duration=False,
        full=True,
    )
    size = sum(_size(folder / name) for name in waste)
    if not dry_run:
        delta.vacuum(
            retention_hours=retention_hours,
            dry_run=False,
            enforce_retention_duration=False,
            full=True,
        )
        _remove_empty_folders(folder)
        delta.update_incremental()
        delta.create_checkpoint()
        delta.cleanup_metadata()
    return Maintained(
        table=table.name,
        version=int(delta.version()),
        compacted={} if busy else crowded,
        removed=len(waste),
        removed_bytes=size,
        busy=busy,
    )


def _crowded(delta: DeltaTable, folder: Path) -> dict[str, int]:
    """Days whose rows lie in many small files, with how many."""
    files: dict[date | None, list[Path]] = defaultdict(list)
    for file in live_files(delta, folder):
        files[file.day].append(file.path)
    return {
        "" if day is None else day.isoformat(): len(paths)
        for day, paths in files.items()
        if len(paths) >= MANY_FILES and _mean_size(paths) < SMALL_FILE_BYTES
    }


def _mean_size(paths: Sequence[Path]) -> float:
    return sum(_size(path) for path in paths) / len(paths)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a step has just removed what it staged
        return 0


def _remove_empty_folders(folder: Path) -> None:
    """Those that killed steps have left; a folder that holds anything refuses to go."""
    for path in sorted(folder.glob("staging-*/**/"), reverse=True):
        with suppress(OSError):
            path.rmdir()
