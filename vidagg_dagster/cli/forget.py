"""The command `vidagg forget`: one user out of everything that is stored, with a receipt."""

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from vidagg_dagster.cli.arguments import add_command
from vidagg_dagster.cli.exit_codes import FAILED
from vidagg_dagster.core.contract import LIVE_NOTES
from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.core.mentions import Mentions
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.tables.disk import is_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidagg_dagster.settings import Settings
    from vidagg_dagster.tables.erasure import ErasedTable


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableReceipt(_Part):
    """Rows removed from one table; of `rejected_events`, rows whose payload was erased."""

    table: str
    rows: int
    days: tuple[date, ...]
    version_before: int
    version_after: int


class PlaceReceipt(_Part):
    """A file or database, and how many lines, values or texts in it mention the user."""

    name: str
    count: int


class Receipt(_Part):
    """What was removed where. It does not hold the user's id, so that it can be kept."""

    at: datetime
    dry_run: bool
    tables: tuple[TableReceipt, ...]
    history_files: int
    """Data files of earlier versions and of killed steps that were removed."""
    history_bytes: int
    dagster: tuple[PlaceReceipt, ...]
    page_removed: bool
    """Whether there was a page of the tables; it is removed, whomever it names."""
    source: tuple[PlaceReceipt, ...]
    """Files of the source that still hold the user: a run of their days brings the user back."""
    remaining: tuple[str, ...]
    """Files below the data root that still mention the user."""
    not_searched: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing that mentions the user is left, and everything was searched."""
        return not (self.source or self.remaining or self.not_searched)


def add_forget(commands: Any) -> None:
    """Add `forget` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "forget",
        help="erase one user from all tables, their history and Dagster's history",
        description="Erase one user: rows of all tables, payloads of rejected rows, earlier "
        "versions, what killed steps have left, and Dagster's own texts. Files of the source are "
        "searched and named, and not changed. No run may be active. Exit code 1: something still "
        "mentions the user, or could not be searched; the receipt says what. See docs/privacy.md.",
        examples=("vidagg forget user-0001 --dry-run", "vidagg forget user-0001 --json > receipt"),
    )
    parser.add_argument("user", metavar="USER", help="the userId, as the tables have it")
    parser.add_argument("--json", action="store_true", help="print the receipt as JSON")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be erased, and change nothing"
    )
    parser.set_defaults(run=_forget)


def _forget(options: argparse.Namespace) -> int:
    from vidagg_dagster.settings import load_settings

    settings = load_settings()
    user = options.user.strip()
    if not user:
        raise BadInputError("the user's id is empty")
    if not settings.tables_in_files:
        raise BadInputError(
            f"the tables are in {settings.store.location}: run the statements of "
            "docs/privacy.md there"
        )
    with nullcontext() if options.dry_run else _without_live(settings.data_root):
        receipt = _receipt(settings, Mentions(user), dry_run=options.dry_run)
    print(receipt.model_dump_json(indent=2) if options.json else _text(receipt))
    return 0 if options.dry_run or receipt.complete else FAILED


def _without_live(root: Path) -> AbstractContextManager[None]:
    """As long as it lasts, nobody takes in events, which would bring the user back."""
    from vidagg_dagster.live.alone import alone

    notes = root / LIVE_NOTES
    return alone(notes) if notes.is_dir() else nullcontext()


def _receipt(settings: "Settings", mentions: Mentions, *, dry_run: bool) -> Receipt:
    from vidagg_dagster.tables import erasure

    root: Path = settings.data_root
    if not erasure.has_tables(root):
        # Else a wrong folder would give the receipt that nothing is left.
        raise BadInputError(f"there are no tables in {root} (VIDAGG_DATA_ROOT)")
    dagster, not_searched = _in_dagster(mentions, dry_run=dry_run)
    tables = list(erasure.erase(root, mentions, dry_run=dry_run))
    if not dry_run:
        _tell_dagster(tables)
    files, size = erasure.erase_history(root, mentions, dry_run=dry_run)
    page_removed = _remove_page(root, dry_run=dry_run)
    source, unknown = _in_source(settings, mentions)
    remaining = () if dry_run else erasure.files_that_mention(root, mentions)
    return Receipt(
        at=datetime.now(UTC),
        dry_run=dry_run,
        tables=tuple(
            TableReceipt(
                table=table.table,
                rows=table.rows,
                days=table.days,
                version_before=table.version_before,
                version_after=table.version_after,
            )
            for table in tables
        ),
        history_files=files,
        history_bytes=size,
        dagster=dagster,
        page_removed=page_removed,
        source=source,
        remaining=tuple(str(path.relative_to(root)) for path in remaining),
        not_searched=(*not_searched, *unknown, *_versions_of_objects(root)),
    )


def _versions_of_objects(root: Path) -> Iterator[str]:
    if is_address(root):
        yield (
            f"earlier versions of objects, and removed ones, if the storage keeps them: {root}, "
            "see docs/privacy.md"
        )


def _remove_page(root: Path, *, dry_run: bool) -> bool:
    """Whether there was a page. It escapes what it names, so nobody can search it for a user."""
    page = root / FILE
    there = page.is_file()
    if there and not dry_run:
        page.unlink()
    return there


def _tell_dagster(tables: "Sequence[ErasedTable]") -> None:
    from vidagg_dagster.defs.history import dagster_home, tell_rows

    if dagster_home() is not None:
        for table in tables:
            if table.rows:
                tell_rows(table.table, table.rows_left)


def _in_dagster(
    mentions: Mentions, *, dry_run: bool
) -> tuple[tuple[PlaceReceipt, ...], tuple[str, ...]]:
    from vidagg_dagster.defs.history import (
        HOME,
        dagster_home,
        erase_from_home,
        require_no_run,
        storage_elsewhere,
    )

    home = dagster_home()
    if home is None:
        return (), (f"Dagster's history: {HOME} is not set to a folder",)
    if not dry_run:
        require_no_run()
    elsewhere = storage_elsewhere()
    places = tuple(
        PlaceReceipt(name=place.path, count=place.count)
        for place in erase_from_home(home, mentions, dry_run=dry_run)
    )
    if elsewhere is not None:
        return places, (f"Dagster's history: it is in {elsewhere}, see docs/privacy.md",)
    return places, ()


def _in_source(
    settings: "Settings", mentions: Mentions
) -> tuple[tuple[PlaceReceipt, ...], tuple[str, ...]]:
    from vidagg_dagster.sources.mentions import files_of_source, files_that_mention

    spec = settings.source_spec
    files = None if spec is None else files_of_source(spec)
    if files is None:
        why = "VIDAGG_SOURCE is not set" if spec is None else "no files of this machine"
        return (), (f"the source: {why}",)
    return tuple(
        PlaceReceipt(name=found.name, count=found.count)
        for found in files_that_mention(files, mentions)
    ), ()


def _text(receipt: Receipt) -> str:
    would = "would be " if receipt.dry_run else ""
    lines = [
        f"{table.table}: {table.rows} rows of {len(table.days)} days {would}erased, "
        f"version {table.version_before} -> {table.version_after}"
        for table in receipt.tables
    ]
    megabytes = receipt.history_bytes / 1e6
    lines.append(f"history: {receipt.history_files} files {would}removed ({megabytes:.1f} MB)")
    lines += [f"Dagster: {place.name}: {place.count} {would}erased" for place in receipt.dagster]
    if receipt.page_removed:
        lines.append(f"{FILE}: {would}removed; vidagg report writes it anew")
    lines += [
        f"STILL IN THE SOURCE: {place.name}: {place.count} (a run of its days brings the user back)"
        for place in receipt.source
    ]
    lines += [f"STILL MENTIONED: {name}" for name in receipt.remaining]
    lines += [f"NOT SEARCHED: {what}" for what in receipt.not_searched]
    if receipt.dry_run:
        lines.append("Nothing was changed.")
    elif receipt.complete:
        lines.append("Nothing that is stored mentions the user any more.")
    return "\n".join(lines)
