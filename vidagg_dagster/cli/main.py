"""The command line `vidagg`: demo, ui, aggregate, maintain, alert, databricks."""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn
from zoneinfo import available_timezones

from pydantic import ValidationError

from vidagg_dagster.cli import alert as alert_commands
from vidagg_dagster.cli import databricks as databricks_commands
from vidagg_dagster.core.contract import SourceSpec, parse_columns
from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.core.parameters import EngagementParameters

BAD_INPUT = 2
"""Exit code for arguments and files that cannot be used."""

DEMO_FOLDER = Path("demo_data")


class _OneLineParser(argparse.ArgumentParser):
    """Errors in one line; the usage is there for who asks for --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {_one_line(message)} (see {self.prog} --help)\n")


def _one_line(message: str) -> str:
    return " ".join(message.split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    code: int = options.run(options)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(
        prog="vidagg",
        description="Exact video engagement from raw player events: one row per user and video.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _demo_options(
        commands.add_parser(
            "demo",
            help="make ten days of events and run them through Dagster",
            description="Generate ten days of player events, materialize every day through "
            "Dagster, and show what came out.",
            allow_abbrev=False,
        )
    )
    _ui_options(
        commands.add_parser(
            "ui",
            help="open Dagster's UI on the demo's tables and history",
            description="Start `dagster dev` with the demo's settings. Run `vidagg demo` first.",
            allow_abbrev=False,
        )
    )
    _aggregate_options(
        commands.add_parser(
            "aggregate",
            help="events in files to one row per user and video, without Dagster",
            description="Compute one row per user and video over all the events in one go.",
            allow_abbrev=False,
        )
    )
    _maintain_options(
        commands.add_parser(
            "maintain",
            help="compact the tables and remove files that nothing refers to",
            description="Compact days of many small files, remove files that no version within the "
            "retention refers to (replaced rows, and what killed steps have left), and shorten the "
            "logs. Rows stay as they are; runs may go on meanwhile.",
            allow_abbrev=False,
        )
    )
    alert_commands.add_commands(commands)
    databricks_commands.add_commands(commands)
    return parser


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=DEMO_FOLDER, help="where all of it goes (%(default)s)"
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "spark", "sail"),
        help="what computes (VIDAGG_ENGINE, else auto: Spark where Java 17 is found, else Sail)",
    )
    parser.add_argument("--days", type=_count, default=10, help="how many days (%(default)s)")
    parser.add_argument(
        "--viewers", type=_count, default=610, help="how many viewers there are (%(default)s)"
    )
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    # Dagster is imported here only, so that `vidagg aggregate` works where it is not installed.
    from vidagg_dagster.demo.run import run_demo

    return run_demo(
        options.folder, engine=options.engine, days=options.days, viewers=options.viewers
    )


def _ui_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=DEMO_FOLDER, help="the demo's folder (%(default)s)"
    )
    parser.add_argument("--port", type=int, default=3000, help="port of the UI (%(default)s)")
    parser.set_defaults(run=_ui)


def _ui(options: argparse.Namespace) -> int:
    from vidagg_dagster.demo.run import open_ui

    return open_ui(options.folder, port=options.port)


def _maintain_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--retention-hours",
        type=_hours,
        default=168,
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


def _maintain(options: argparse.Namespace) -> int:
    from vidagg_dagster.core.errors import SettingsError, TableError
    from vidagg_dagster.settings.model import load_settings
    from vidagg_dagster.tables.maintenance import require_safe_retention

    hours, dry_run = options.retention_hours, options.dry_run
    try:
        settings = load_settings()
        require_safe_retention(hours, accept_risk=options.accept_risk)
        if settings.target == "databricks":
            return databricks_commands.remove_leftovers(settings, hours, dry_run=dry_run)
        # deltalake is an extra, and not there where steps run on Databricks.
        from vidagg_dagster.tables.maintenance import maintain

        count = 0
        for done in maintain(settings.data_root, retention_hours=hours, dry_run=dry_run):
            count += 1
            print(done.line(dry_run=dry_run), flush=True)
    except (SettingsError, TableError) as error:
        print(f"vidagg maintain: {error}", file=sys.stderr)
        return BAD_INPUT
    if not count:
        print(f"There are no tables in {settings.data_root} (VIDAGG_DATA_ROOT).")
    return 0


def _hours(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours from 0 on")
    return int(text)


def _aggregate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "events",
        metavar="EVENTS",
        help="a file or folder of JSON lines, CSV or Parquet, or the folder of a Delta table",
    )
    parser.add_argument(
        "--videos", help="file of videoId, duration (seconds) and title; may be left out"
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="the file to write; .jsonl, .csv or .parquet says the format",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        choices=("auto", "spark", "sail"),
        help="what computes; auto takes Spark where Java 17 is found, else Sail",
    )
    parser.add_argument(
        "--format",
        default="auto",
        choices=("auto", "jsonl", "csv", "parquet", "delta"),
        help="format of EVENTS; auto goes by what lies there",
    )
    parser.add_argument(
        "--timezone",
        type=_zone,
        default="UTC",
        help="zone whose calendar days are the days (%(default)s)",
    )
    parser.add_argument(
        "--source-timezone",
        type=_zone,
        default="UTC",
        help="zone of times that carry none (%(default)s)",
    )
    parser.add_argument(
        "--timestamp-unit",
        choices=("s", "ms", "us", "ns"),
        help="unit of numeric times; without one they are rejected, not guessed",
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        default={},
        metavar="OURS=THEIRS,...",
        help="the columns' names in EVENTS where they differ, e.g. userId=user,timestamp=ts",
    )
    parser.add_argument(
        "--parameters",
        "--rules",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="thresholds that differ from the published ones, e.g. session_timeout_ms=600000",
    )
    parser.add_argument(
        "--estimate-missing-durations",
        action="store_true",
        help="take the largest position ever seen for a duration that is not known",
    )
    parser.set_defaults(run=_aggregate)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _zone(text: str) -> str:
    if text not in available_timezones():
        raise argparse.ArgumentTypeError(f"unknown time zone {text!r}; say Europe/Berlin or UTC")
    return text


def _columns(text: str) -> dict[str, str]:
    try:
        return parse_columns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parameters(pairs: Sequence[str]) -> EngagementParameters:
    given = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        return EngagementParameters.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise BadInputError(
            f"--parameters {name}: {fault['msg']}" if name else f"--parameters: {fault['msg']}"
        ) from None


def _aggregate(options: argparse.Namespace) -> int:
    # Spark takes a second to import; wrong arguments are answered before that.
    from vidagg_dagster.cli.output import check_output, write_output
    from vidagg_dagster.core.errors import OutputError

    try:
        check_output(options.output)
        parameters = _parameters(options.parameters)
        for location in filter(None, (options.events, options.videos)):
            if not Path(location).exists():
                raise BadInputError(f"{location}: there is no such file or folder")
    except (OutputError, BadInputError) as error:
        return _refuse(error)

    from vidagg_dagster.core.errors import EngineError, SourceError
    from vidagg_dagster.pipeline.batch import aggregate_files
    from vidagg_dagster.spark.session import (
        CONNECT_PREFIX,
        engine_session,
        stop_sessions,
    )

    source = SourceSpec(
        location=options.events,
        format=options.format,
        columns=options.columns,
        timezone=options.source_timezone,
        timestamp_unit=options.timestamp_unit,
    )
    try:
        result = aggregate_files(
            engine_session(options.engine),
            source,
            video_metadata=options.videos,
            parameters=parameters,
            timezone=options.timezone,
            run_time=datetime.now(UTC),
            estimate_missing_durations=options.estimate_missing_durations,
            # The Python of a server elsewhere may lack this package.
            kernels=not options.engine.startswith(CONNECT_PREFIX),
        )
        write_output(result.rows, options.output)
    except (SourceError, EngineError, OSError) as error:
        return _refuse(error)
    finally:
        stop_sessions()
    print(f"{options.output}: {result.summary()}", file=sys.stderr)
    return 0


def _refuse(error: Exception) -> int:
    print(f"vidagg aggregate: {_one_line(str(error))}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
