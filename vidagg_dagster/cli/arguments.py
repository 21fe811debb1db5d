"""What the commands' arguments share: examples in the help, days, project folders."""

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.core.errors import BadInputError

if TYPE_CHECKING:
    from vidagg_dagster.settings.model import Settings

DEMO_FOLDER: Final = Path("demo_data")


def add_command(
    commands: Any, name: str, *, examples: Sequence[str], **texts: str
) -> argparse.ArgumentParser:
    """Add a subcommand whose help ends with examples. `texts` are `help` and `description`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        **texts,
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.set_defaults(command=parser.prog)
    return parser


class _Help(argparse.HelpFormatter):
    """Fills the description, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return super()._fill_text(text, width, indent)


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add `--folder` and `--demo`: whose settings and tables are meant."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        help="the folder whose .env has the settings (the current one)",
    )
    which.add_argument(
        "--demo", action="store_true", help=f"what `vidagg demo` made in {DEMO_FOLDER}"
    )


def folder_of(options: argparse.Namespace) -> Path:
    """The folder that the arguments of `add_folder` mean."""
    folder: Path = DEMO_FOLDER if options.demo else options.folder
    return folder


def settings_of(options: argparse.Namespace) -> "Settings":
    """The settings of the folder that the arguments of `add_folder` mean.

    Raises:
        BadInputError: There is no such folder.
        SettingsError: A setting is missing or wrong.
    """
    from vidagg_dagster.settings.project import open_project

    folder = folder_of(options)
    if not folder.is_dir():
        raise BadInputError(f"there is no folder {folder}")
    return open_project(folder, isolated=options.demo).settings


def add_for_spreadsheet(parser: argparse.ArgumentParser) -> None:
    """Add the option `--for-spreadsheet`."""
    parser.add_argument(
        "--for-spreadsheet",
        action="store_true",
        help="write .csv so that a spreadsheet takes no id or title for a formula: an apostrophe "
        "before those that begin like one. Without it texts are as the players sent them",
    )


def day(text: str) -> date:
    """A day as `YYYY-MM-DD`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write YYYY-MM-DD") from None


def require_files(location: str, source_format: str = "auto") -> None:
    """Make sure that files lie at a location, or that a pattern of files is meant.

    Raises:
        VidaggError: Nothing is there, or it is an address from which this format is not read.
    """
    from vidagg_dagster.sources.files import lies_here, local_path, not_here

    path = local_path(location)
    if path is None and source_format != "delta":
        raise not_here(location)
    if path is not None and not lies_here(path):
        raise BadInputError(f"{location}: there is no such file or folder")
