"""The command line `vidagg`: demo, ui, aggregate, map, maintain, alert, databricks."""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from vidagg_dagster.cli import aggregate, alert, databricks, demo, maintain, mapping
from vidagg_dagster.cli.exit_codes import BAD_INPUT, FAILED
from vidagg_dagster.core.errors import CommandFailedError, SettingsError, VidaggError

COMMANDS = (
    demo.add_demo,
    demo.add_ui,
    aggregate.add_aggregate,
    mapping.add_map,
    maintain.add_maintain,
    alert.add_alert,
    databricks.add_databricks,
)
"""Functions that add a command, in the order of the help. Each sets `run` and `command`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        code: int = options.run(options)
    except VidaggError as error:
        print(f"{options.command}: {_message(error)}", file=sys.stderr)
        return FAILED if isinstance(error, CommandFailedError) else BAD_INPUT
    return code


def _message(error: VidaggError) -> str:
    # Has a line for each wrong setting. Other messages may quote many lines of an engine.
    return str(error) if isinstance(error, SettingsError) else _one_line(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="vidagg",
        description="Exact video engagement from raw player events: one row per user and video.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(commands)
    return parser


class _OneLineParser(argparse.ArgumentParser):
    """Prints errors in one line, without the usage, which --help shows."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {_one_line(message)} (see {self.prog} --help)\n")


def _one_line(message: str) -> str:
    return " ".join(message.split())


if __name__ == "__main__":
    sys.exit(main())
