"""The command `vidagg maintain`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidagg_dagster.cli import databricks
from vidagg_dagster.cli.arguments import add_command
from vidagg_dagster.tables.maintenance import SAFE_RETENTION_HOURS, require_safe_retention

if TYPE_CHECKING:
    from vidagg_dagster.settings import Settings


def add_maintain(commands: Any) -> None:
    """Add `maintain` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "maintain",
        help="compact the tables and remove files that nothing refers to",
        description="Compact days of many small files, remove files that no version within the "
        "retention refers to (replaced rows, and what killed steps have left), and shorten the "
        "logs. Rows stay as they are; runs may go on meanwhile.",
        examples=("vidagg maintain --dry-run", "vidagg maintain --retention-hours 336"),
    )
    parser.add_argument(
        "--retention-hours",
        type=_hours,
        default=SAFE_RETENTION_HOURS,
        help="keep files for so long after nothing refers to them any more (%(default)s)",
    )
    parser.add_argument(
        "--accept-risk",
        action="store_true",
        help="allow a retention under a week: steps and readers that run now may fail",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    parser.set_defaults(run=_maintain)


def _hours(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours from 0 on")
    return int(text)


def _maintain(options: argparse.Namespace) -> int:
    from vidagg_dagster.settings import load_settings

    hours, dry_run = options.retention_hours, options.dry_run
    settings = load_settings()
    require_safe_retention(hours, accept_risk=options.accept_risk)
    if settings.target == "databricks":
        databricks.remove_leftovers(settings, hours, dry_run=dry_run)
    elif settings.store.kind == "catalog":
        _maintain_catalog(settings, hours, dry_run=dry_run)
    else:
        _maintain_folder(settings.data_root, hours, dry_run=dry_run)
    return 0


def _maintain_catalog(settings: "Settings", retention_hours: int, *, dry_run: bool) -> None:
    from vidagg_dagster.spark.session import engine_session
    from vidagg_dagster.tables.catalog_maintenance import maintain_catalog

    for line in maintain_catalog(
        engine_session(settings.engine),
        settings.store.location,
        retention_hours=retention_hours,
        dry_run=dry_run,
    ):
        print(line, flush=True)


def _maintain_folder(data_root: Path, retention_hours: int, *, dry_run: bool) -> None:
    # deltalake is an extra, and is not there where steps run on Databricks.
    from vidagg_dagster.tables.maintenance import maintain

    count = 0
    for done in maintain(data_root, retention_hours=retention_hours, dry_run=dry_run):
        count += 1
        print(done.line(dry_run=dry_run), flush=True)
    if not count:
        print(f"There are no tables in {data_root} (VIDAGG_DATA_ROOT).")
