"""What Dagster's own storage says of a user: error texts, and logs of runs.

Only SQLite databases and files below `DAGSTER_HOME` are known here.
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.core.errors import CommandFailedError
from vidagg_dagster.core.mentions import Mentions

if TYPE_CHECKING:
    import dagster as dg

HOME: Final = "DAGSTER_HOME"

_SQLITE_HEAD: Final = b"SQLite format 3\x00"
_BUSY_S: Final = 30.0


@dataclass(frozen=True)
class ErasedPlace:
    """A database or file below `DAGSTER_HOME`, and how many texts in it mentioned the user."""

    path: str
    count: int


def dagster_home() -> Path | None:
    """The folder that `DAGSTER_HOME` names; None if it names none."""
    home = os.environ.get(HOME)
    return Path(home).expanduser() if home and Path(home).is_dir() else None


def require_no_run() -> None:
    """Refuse to go on while a run is active.

    Raises:
        CommandFailedError: A run is active.
    """
    import dagster as dg
    from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

    with dg.DagsterInstance.get() as instance:
        active = instance.get_run_records(
            dg.RunsFilter(statuses=list(IN_PROGRESS_RUN_STATUSES)), limit=1
        )
    if active:
        raise CommandFailedError(
            f"The run {active[0].dagster_run.run_id} is active, and the files that it is "
            "writing would go. Switch the schedule off, wait until no run is active, then "
            "forget the user again."
        )


def storage_elsewhere() -> str | None:
    """The kind of storage that holds Dagster's history, unless it is SQLite below its home."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        storage = type(instance.run_storage).__name__
    return None if storage.startswith("Sqlite") else storage


def tell_rows(table: str, rows: Mapping[date | None, int]) -> None:
    """Tell Dagster how many rows an asset has after a user was erased from it.

    Args:
        table: An asset, or another table, of which nothing is told.
        rows: Rows of each day that has changed; under None those of an asset without days.
    """
    import dagster as dg

    from vidagg_dagster.core.contract import StepName
    from vidagg_dagster.defs.metadata import PARTITION_ROW_COUNT, ROW_COUNT, RULES

    if table not in list(StepName):
        return
    with dg.DagsterInstance.get() as instance:
        for day, count in rows.items():
            partition = None if day is None else day.isoformat()
            before = _metadata_of(instance, dg.AssetKey(table), partition)
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    table,
                    description="A user was forgotten (vidagg forget).",
                    metadata={
                        ROW_COUNT if day is None else PARTITION_ROW_COUNT: count,
                        **({RULES: before[RULES]} if RULES in before else {}),
                    },
                    partition=partition,
                )
            )


def _metadata_of(
    instance: "dg.DagsterInstance", asset: "dg.AssetKey", partition: str | None
) -> "Mapping[str, dg.MetadataValue[Any]]":
    """What the newest materialization of an asset, or of one of its days, shows."""
    from dagster import AssetRecordsFilter

    partitions = None if partition is None else [partition]
    chosen = AssetRecordsFilter(asset_key=asset, asset_partitions=partitions)
    records = instance.fetch_materializations(chosen, limit=1).records
    newest = records[0].asset_materialization if records else None
    return {} if newest is None else newest.metadata


def erase_from_home(home: Path, mentions: Mentions, *, dry_run: bool) -> Iterator[ErasedPlace]:
    """Put `(erased)` in place of the user, in each database and file below `home`.

    Raises:
        CommandFailedError: A database cannot be changed.
    """
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        name = str(path.relative_to(home))
        content = path.read_bytes()
        if content.startswith(_SQLITE_HEAD):
            try:
                count = _in_database(path, mentions, dry_run)
            except sqlite3.Error as error:
                raise CommandFailedError(
                    f"{path} cannot be changed: {error}. Stop Dagster's webserver and daemon, then "
                    "forget the user again."
                ) from error
        elif not path.name.endswith(("-wal", "-shm", "-journal")) and mentions.may_be_in(content):
            count = _in_file(path, content, mentions, dry_run)
        else:
            continue
        if count:
            yield ErasedPlace(name, count)


def _in_file(path: Path, content: bytes, mentions: Mentions, dry_run: bool) -> int:
    lines = content.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    found = sum(map(mentions.found_in, lines))
    if found and not dry_run:
        erased = "".join(map(mentions.erased_from, lines))
        path.write_bytes(erased.encode("utf-8", "surrogateescape"))
    return found


def _in_database(path: Path, mentions: Mentions, dry_run: bool) -> int:
    connection = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        count = 0
        with connection:
            for table, column in _text_columns(connection):
                count += _in_column(connection, table, column, mentions, dry_run)
        if not dry_run and (count or _left_in_pages(path, mentions)):
            # What was replaced or deleted earlier stays in free pages until then.
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count
    finally:
        connection.close()


def _text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if not table.startswith("sqlite_"):
            for column in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
                yield table, column[1]


def _in_column(
    connection: sqlite3.Connection, table: str, column: str, mentions: Mentions, dry_run: bool
) -> int:
    holds = " OR ".join([f'instr("{column}", ?) > 0'] * len(mentions.forms))
    rows = connection.execute(
        f'SELECT rowid, "{column}" FROM "{table}" '
        f"WHERE typeof(\"{column}\") = 'text' AND ({holds})",
        mentions.forms,
    ).fetchall()
    found = [(mentions.erased_from(text), row) for row, text in rows if mentions.found_in(text)]
    if not dry_run:
        connection.executemany(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', found)
    return len(found)


def _left_in_pages(path: Path, mentions: Mentions) -> bool:
    wal = path.with_name(f"{path.name}-wal")
    return mentions.may_be_in(path.read_bytes()) or (
        wal.exists() and mentions.may_be_in(wal.read_bytes())
    )
