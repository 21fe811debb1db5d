"""The command `vidagg aggregate`: events in files to one file of rows, without Dagster."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args
from zoneinfo import available_timezones

from pydantic import ValidationError

from vidagg_dagster.core.column_mapping import parse_columns
from vidagg_dagster.core.contract import ENGINE_NAMES, SourceFormat, SourceSpec, TimestampUnit
from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.core.parameters import EngagementParameters

FORMATS: Final = tuple(form for form in get_args(SourceFormat) if form != "table")
"""The formats of EVENTS: files only, because there is no catalog of tables."""


def add_aggregate(commands: Any) -> None:
    """Add `aggregate` to the subcommands of `vidagg`."""
    parser = commands.add_parser(
        "aggregate",
        help="events in files to one row per user and video, without Dagster",
        description="Compute one row per user and video over all the events in one go.",
        allow_abbrev=False,
    )
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
        "--for-spreadsheet",
        action="store_true",
        help="write .csv so that a spreadsheet takes no id or title for a formula: an apostrophe "
        "before those that begin like one. Without it texts are as the players sent them",
    )
    parser.add_argument(
        "--engine",
        default="auto",
        choices=ENGINE_NAMES,
        help="what computes; auto takes Spark where Java 17 is found, else Sail",
    )
    _add_reading(parser)
    _add_computing(parser)
    parser.set_defaults(run=_aggregate, command=parser.prog)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """The options that say how events are to be understood."""
    parser.add_argument(
        "--format",
        default="auto",
        choices=FORMATS,
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
        choices=get_args(TimestampUnit),
        help="unit of numeric times; without one they are rejected, not guessed",
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        default={},
        metavar="OURS=THEIRS,...",
        help="the columns' names in EVENTS where they differ, e.g. userId=user,timestamp=ts",
    )


def _add_computing(parser: argparse.ArgumentParser) -> None:
    """The options that change what is computed."""
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
    from vidagg_dagster.cli.output import check_output

    check_output(options.output)
    if options.for_spreadsheet and options.output.suffix.lower() != ".csv":
        raise BadInputError(f"--for-spreadsheet is for .csv, and {options.output} is none")
    parameters = _parameters(options.parameters)
    for location in filter(None, (options.events, options.videos)):
        if not Path(location).exists():
            raise BadInputError(f"{location}: there is no such file or folder")
    try:
        summary = _write_rows(options, parameters)
    except OSError as error:
        raise BadInputError(str(error)) from error
    print(f"{options.output}: {summary}", file=sys.stderr)
    return 0


def _write_rows(options: argparse.Namespace, parameters: EngagementParameters) -> str:
    """Compute the rows and write them; returns what became of the events."""
    # Spark takes a second to import; wrong arguments are answered before that.
    from vidagg_dagster.cli.output import write_output
    from vidagg_dagster.pipeline.batch import aggregate_files
    from vidagg_dagster.spark.session import engine_session, stop_sessions

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
        )
        write_output(result.rows, options.output, for_spreadsheet=options.for_spreadsheet)
    finally:
        stop_sessions()
    return result.summary()
