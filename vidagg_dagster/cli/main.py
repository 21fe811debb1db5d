"""The command line `vidagg`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from vidagg_dagster import __version__
from vidagg_dagster.cli import (
    aggregate,
    alert,
    completion,
    databricks,
    demo,
    experiments,
    forget,
    init,
    kql,
    live,
    maintain,
    mapping,
    query,
    report,
    ui,
    verify,
)
from vidagg_dagster.cli.exit_codes import BAD_INPUT, FAILED, INTERRUPTED, NOTHING_ACCEPTED
from vidagg_dagster.core.errors import (
    CommandFailedError,
    NothingAcceptedError,
    SettingsError,
    VidaggError,
)

COMMANDS = (
    demo.add_demo,
    init.add_init,
    ui.add_ui,
    aggregate.add_aggregate,
    mapping.add_map,
    kql.add_kql,
    query.add_query,
    query.add_export,
    experiments.add_assign,
    experiments.add_experiments,
    completion.add_completion,
    report.add_report,
    live.add_live,
    maintain.add_maintain,
    verify.add_verify,
    forget.add_forget,
    alert.add_alert,
    databricks.add_databricks,
)
"""Functions that add a command, in the order of the help. Each sets `run` and `command`."""


_CODES: Final = ((CommandFailedError, FAILED), (NothingAcceptedError, NOTHING_ACCEPTED))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except VidaggError as error:
        print(f"{options.command}: {_message(error)}", file=sys.stderr)
        return next((code for kind, code in _CODES if isinstance(error, kind)), BAD_INPUT)
    except BrokenPipeError:
        # The reader has seen enough, such as `head`. Without this Python complains as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or _ended_by_dagster(error):
            _end_interrupted(options.command)
        raise
    return code


def _ended_by_dagster(error: BaseException) -> bool:
    """Whether it is what Dagster makes of Ctrl-C. Without Dagster loaded, it is not."""
    dagster = sys.modules.get("dagster")
    return dagster is not None and isinstance(error, dagster.DagsterExecutionInterruptedError)


def _end_interrupted(command: str) -> NoReturn:
    """End at once: an engine that still computes would hold up the usual end for minutes."""
    print(f"{command}: interrupted", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def _message(error: VidaggError) -> str:
    # Has a line for each wrong setting. Other messages may quote many lines of an engine.
    return str(error) if isinstance(error, SettingsError) else _one_line(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="vidagg",
        description="Exact video engagement from raw player events: one row per user and video.",
        epilog="vidagg COMMAND --help has the options and examples of a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"vidagg {__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
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
