"""Data files that are missing, or have another size than the log says, and what heals them.

To some engines a file that is missing or empty holds no rows, so that rows would vanish without a
word. One `stat` a file tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vidagg_dagster.core.contract import LIVE_NOTES
from vidagg_dagster.core.days import days_text
from vidagg_dagster.core.errors import DamagedTableError
from vidagg_dagster.core.insight_schemas import WRITTEN_WITH
from vidagg_dagster.core.schemas import (
    INGESTION_COUNTS,
    LIVE_TABLES,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SOURCE_INVENTORY,
    TableSpec,
)
from vidagg_dagster.tables.delta_log import StoredFile

_BY_RAW_EVENTS: Final = (INGESTION_COUNTS, REJECTED_EVENTS, SOURCE_INVENTORY)


@dataclass(frozen=True)
class Damage:
    """A file that is not what the log says. `found_bytes` is None where there is none."""

    file: StoredFile
    found_bytes: int | None

    @property
    def text(self) -> str:
        """What is wrong with the file."""
        if self.found_bytes is None:
            return f"{self.file.path} is missing"
        return f"{self.file.path} has {self.found_bytes} bytes instead of {self.file.size_bytes}"


def damage_of(files: Sequence[StoredFile]) -> list[Damage]:
    """Those of `files` that are missing or have another size than the log says."""
    found = ((file, _size(file.path)) for file in files if file.size_bytes is not None)
    return [Damage(file, size) for file, size in found if size != file.size_bytes]


def require_whole(table: TableSpec, files: Sequence[StoredFile]) -> None:
    """Refuse to read damaged files.

    Raises:
        DamagedTableError: A file is missing or has another size than the log says.
    """
    damaged = damage_of(files)
    if damaged:
        more = f" (and {len(damaged) - 1} more files)" if len(damaged) > 1 else ""
        raise DamagedTableError(
            f"{table.name} is damaged: {damaged[0].text}{more}. {remedy(table, damaged)}"
        )


def remedy(table: TableSpec, damaged: Sequence[Damage]) -> str:
    """What to do about damaged files of a table."""
    if table.name in LIVE_TABLES:
        names = ", ".join(LIVE_TABLES)
        return f"Remove {names} and the folder {LIVE_NOTES}: `vidagg live` makes them anew."
    asset = asset_of(table)
    if not table.partitioned:
        return f"Run {asset} again: it writes this table anew."
    days = [found.file.day for found in damaged if found.file.day is not None]
    return f"Run {asset} of {days_text(days)} again."


def asset_of(table: TableSpec) -> str:
    """The asset whose run writes the table."""
    if table in _BY_RAW_EVENTS:
        return RAW_EVENTS.name
    return WRITTEN_WITH.get(table.name, table.name)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
