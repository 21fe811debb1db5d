"""The commands `vidagg demo` and `vidagg ui`.

Dagster is imported only when they run, so that `vidagg aggregate` works without it.
"""

import argparse
from pathlib import Path
from typing import Any, Final

from vidagg_dagster.core.contract import ENGINE_NAMES
from vidagg_dagster.core.errors import BadInputError, CommandFailedError

DEMO_FOLDER: Final = Path("demo_data")


def add_demo(commands: Any) -> None:
    """Add `demo` to the subcommands of `vidagg`."""
    parser = commands.add_parser(
        "demo",
        help="make ten days of events and run them through Dagster",
        description="Generate ten days of player events, materialize every day through "
        "Dagster, and show what came out.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--folder", type=Path, default=DEMO_FOLDER, help="where all of it goes (%(default)s)"
    )
    parser.add_argument(
        "--engine",
        choices=ENGINE_NAMES,
        help="what computes (VIDAGG_ENGINE, else auto, which means Sail)",
    )
    parser.add_argument("--days", type=_count, default=10, help="how many days (%(default)s)")
    parser.add_argument(
        "--viewers", type=_count, default=610, help="how many viewers there are (%(default)s)"
    )
    parser.set_defaults(run=_demo, command=parser.prog)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _demo(options: argparse.Namespace) -> int:
    from vidagg_dagster.core.errors import DayFailedError
    from vidagg_dagster.demo.run import run_demo

    try:
        run_demo(options.folder, engine=options.engine, days=options.days, viewers=options.viewers)
    except DayFailedError as error:
        raise CommandFailedError(str(error)) from error
    return 0


def add_ui(commands: Any) -> None:
    """Add `ui` to the subcommands of `vidagg`."""
    parser = commands.add_parser(
        "ui",
        help="open Dagster's UI on the demo's tables and history",
        description="Start `dagster dev` with the demo's settings. Run `vidagg demo` first.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--folder", type=Path, default=DEMO_FOLDER, help="the demo's folder (%(default)s)"
    )
    parser.add_argument("--port", type=int, default=3000, help="port of the UI (%(default)s)")
    parser.set_defaults(run=_ui, command=parser.prog)


def _ui(options: argparse.Namespace) -> int:
    from vidagg_dagster.demo.run import demo_home, open_ui

    if not demo_home(options.folder).is_dir():
        raise BadInputError(f"no demo in {options.folder}; run vidagg demo first")
    return open_ui(options.folder, port=options.port)
