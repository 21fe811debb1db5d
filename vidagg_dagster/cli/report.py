"""The command `vidagg report`: the tables as one page that opens in any browser."""

import argparse
from pathlib import Path
from typing import Any

from vidagg_dagster.cli.arguments import add_command, add_folder, settings_of
from vidagg_dagster.core.errors import BadInputError, OutputError
from vidagg_dagster.report.language import LANGUAGES
from vidagg_dagster.report.scope import DEFAULT_SCOPE, FILE, Scope


def add_report(commands: Any) -> None:
    """Add `report` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "report",
        help="write the tables as a page with charts",
        description="Write one HTML file: an overview, curves and viewers of each video, who comes "
        "back, users by videos, data quality. It needs no server and loads nothing. Every number "
        "has its query. See docs/report.md.",
        examples=(
            "vidagg report --demo",
            "vidagg report --language de --output nutzung.html",
            "vidagg report --without-users --output for_everybody.html",
        ),
    )
    add_folder(parser)
    parser.add_argument(
        "--output", type=Path, help=f"the file ({FILE} beside the tables, as Dagster writes it)"
    )
    parser.add_argument(
        "--language", choices=LANGUAGES, default="en", help="of the page (%(default)s)"
    )
    parser.add_argument(
        "--videos",
        type=_count,
        default=DEFAULT_SCOPE.videos,
        help="how many of the most watched videos (%(default)s)",
    )
    parser.add_argument(
        "--users",
        type=_count,
        default=DEFAULT_SCOPE.users,
        help="how many rows the table of users has (%(default)s)",
    )
    parser.add_argument(
        "--without-users", action="store_true", help="leave out everything that names a user"
    )
    parser.set_defaults(run=_report)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _report(options: argparse.Namespace) -> int:
    from vidagg_dagster.report.page import write_page

    settings = settings_of(options)
    if not settings.tables_in_files:
        raise BadInputError(
            f"the tables are in {settings.store.location}; this page reads those of a folder"
        )
    output: Path = options.output or settings.data_root / FILE
    if options.output and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise OutputError(f"{output}: name a file in a folder that exists")
    page = write_page(
        settings.data_root,
        output,
        scope=Scope(options.videos, options.users),
        name=options.language,
        with_users=not options.without_users,
    )
    kilobytes = output.stat().st_size / 1000
    print(f"{output}: {len(page.videos)} videos, {kilobytes:.0f} kB")
    return 0
