"""The command `vidagg demo`.

Dagster is imported only when it runs, so that `vidagg aggregate` works without it.
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from vidagg_dagster.cli.arguments import DEMO_FOLDER, add_command, day
from vidagg_dagster.core.contract import ENGINE_NAMES
from vidagg_dagster.core.errors import CommandFailedError


def add_demo(commands: Any) -> None:
    """Add `demo` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "demo",
        help="make ten days of events and run them through Dagster",
        description="Generate player events of ten days that end yesterday, materialize the days "
        "through Dagster, and show what came out.",
        examples=("vidagg demo", "vidagg demo --days 3 --viewers 50 --folder small"),
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
    parser.add_argument(
        "--first-day",
        type=day,
        metavar="YYYY-MM-DD",
        help="the first day, where the last is not to be yesterday",
    )
    parser.set_defaults(run=_demo)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _demo(options: argparse.Namespace) -> int:
    from vidagg_dagster.core.errors import DayFailedError
    from vidagg_dagster.demo.run import run_demo

    first_day: date | None = options.first_day
    try:
        run_demo(
            options.folder,
            engine=options.engine,
            days=options.days,
            viewers=options.viewers,
            first_day=first_day,
        )
    except DayFailedError as error:
        raise CommandFailedError(str(error)) from error
    return 0
