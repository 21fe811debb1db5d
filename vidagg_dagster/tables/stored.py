"""What is stored of a table in a folder, by its log and `stat` alone: no engine is started."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.tables import delta_log
from vidagg_dagster.tables.damage import Damage, damage_of
from vidagg_dagster.tables.delta_log import StoredFile

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Stored:
    """A table as it is stored. `version` is -1 where there is none."""

    table: TableSpec
    folder: Path
    version: int = -1
    files: Sequence[StoredFile] = ()
    damage: Sequence[Damage] = ()
    note: Mapping[str, str] = field(default_factory=dict)
    unreadable: str | None = None
    """Why its log cannot be read; None where it can."""
    broken_entry: Path | None = None
    """The last entry of its log, where that is why."""

    @property
    def rows(self) -> dict[date, int]:
        """Rows of each day that has any, by the log."""
        counts: dict[date, int] = {}
        for file in self.files:
            if file.day is not None:
                counts[file.day] = counts.get(file.day, 0) + file.rows
        return {day: rows for day, rows in counts.items() if rows}

    def columns(self, *names: str) -> Iterator[tuple[date | None, "pa.Table"]]:
        """Of each file that is whole: its day (None without one), and some of its columns.

        Do not ask for the column of the day: some files leave it to the name of their folder.
        """
        import pyarrow.parquet as pq

        damaged = {found.file.path for found in self.damage}
        for file in self.files:
            if file.path not in damaged:
                with file.path.open("rb") as opened:
                    yield file.day, pq.ParquetFile(opened).read(list(names))


def look(root: Path, table: TableSpec) -> Stored:
    """What is stored of a table below `root`."""
    folder = root / table.name
    try:
        snapshot = delta_log.open_table(folder)
        if snapshot is None:
            return Stored(table, folder)
        files = delta_log.live_files(snapshot, folder)
        note = {} if table.partitioned else delta_log.latest_note(folder)
    except TableError as error:
        return Stored(table, folder, unreadable=str(error), broken_entry=_broken_entry(folder))
    return Stored(table, folder, int(snapshot.version()), files, damage_of(files), note)


def _broken_entry(folder: Path) -> Path | None:
    """The last entry of the log if it is empty or cut."""
    entries = sorted((folder / "_delta_log").glob("[0-9]*.json"))
    if not entries:
        return None
    try:
        lines = entries[-1].read_text(encoding="utf-8").splitlines()
        actions = [json.loads(line) for line in lines]
    except ValueError:
        return entries[-1]
    return None if actions else entries[-1]
