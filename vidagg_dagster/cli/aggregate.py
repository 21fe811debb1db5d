"""The command `vidagg aggregate`: events in files to one file of rows, without Dagster."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args
from zoneinfo import available_timezones

from pydantic import ValidationError

from vidagg_dagster.cli.arguments import add_command, add_for_spreadsheet, day, require_files
from vidagg_dagster.core.column_mapping import (
    parse_columns,
    parse_event_names,
    parse_video_columns,
)
from vidagg_dagster.core.contract import (
    DEFAULT_MAX_POSITION_S,
    ENGINE_NAMES,
    MAX_MAX_POSITION_S,
    SourceFormat,
    SourceSpec,
    TimestampUnit,
)
from vidagg_dagster.core.dimensions import parse_dimensions
from vidagg_dagster.core.errors import BadInputError, NothingAcceptedError
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.terminal import Status
from vidagg_dagster.core.time_format import parse_time_formats

if TYPE_CHECKING:
    from vidagg_dagster.pipeline.batch import Aggregation

FORMATS: Final = tuple(form for form in get_args(SourceFormat) if form != "table")
"""The formats of EVENTS: files only, because there is no catalog of tables."""


def add_aggregate(commands: Any) -> None:
    """Add `aggregate` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "aggregate",
        help="events in files to one row per user and video, without Dagster",
        description="Compute one row per user and video over all the events in one go.",
        examples=(
            "vidagg aggregate events.jsonl --videos videos.csv --output rows.csv",
            "vidagg aggregate events.csv --output rows.parquet --columns userId=user,timestamp=ts",
            "vidagg aggregate events/ --output week.csv --from 2026-11-02 --to 2026-11-08",
        ),
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
        "--video-columns",
        type=_video_columns,
        default={},
        metavar="OURS=THEIRS,...",
        help="the columns' names in that file, e.g. videoId=id,durationMs=length,title=name",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="the file to write; .jsonl, .csv or .parquet says the format",
    )
    add_for_spreadsheet(parser)
    parser.add_argument(
        "--engine",
        choices=ENGINE_NAMES,
        help="what computes (VIDAGG_ENGINE, else auto, which means Sail)",
    )
    parser.add_argument(
        "--from",
        dest="first_day",
        type=day,
        metavar="DAY",
        help="the first day that counts, YYYY-MM-DD; the day before is read as context",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="fail, and write nothing, if more than 1 %% of the rows are rejected",
    )
    parser.add_argument(
        "--to", dest="last_day", type=day, metavar="DAY", help="the last day that counts"
    )
    _add_reading(parser)
    _add_computing(parser)
    parser.set_defaults(run=_aggregate)


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
        "--time-format",
        type=_time_formats,
        default=(),
        metavar="PATTERN|PATTERN",
        help="how times are written, if in no notation that is known, e.g. %%d.%%m.%%Y %%H:%%M:%%S",
    )
    parser.add_argument(
        "--mapping",
        metavar="NAME|FILE.yaml",
        help="the vocabulary of EVENTS: one that is known, or a file; `vidagg map EVENTS` names "
        "it. Names in --columns are then paths into its records",
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        default={},
        metavar="OURS=THEIRS,...",
        help="the columns' names in EVENTS where they differ, e.g. userId=user,timestamp=ts",
    )
    parser.add_argument(
        "--dimensions",
        type=_dimensions,
        default={},
        metavar="NAME[=THEIRS],...",
        help="further columns of EVENTS, of whose values rows have sets, e.g. "
        "device,country=geo.country",
    )
    parser.add_argument(
        "--event-names",
        type=_event_names,
        default={},
        metavar="OURS=THEIRS|THEIRS,...",
        help="names of events that we do not know, e.g. video_play=begin,ignore=share|like",
    )
    parser.add_argument(
        "--max-position",
        type=_max_position,
        default=DEFAULT_MAX_POSITION_S,
        metavar="SECONDS",
        help="positions above are invalid (%(default)s); live streams may need more",
    )


def _add_computing(parser: argparse.ArgumentParser) -> None:
    """The options that change what is computed."""
    parser.add_argument(
        "--parameters",
        "--rules",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="thresholds that differ from the published ones, e.g. session_timeout_ms=600000; "
        f"there are {', '.join(EngagementParameters.model_fields)}",
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


def _dimensions(text: str) -> dict[str, str | None]:
    try:
        return parse_dimensions(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _video_columns(text: str) -> dict[str, str]:
    try:
        return parse_video_columns(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _time_formats(text: str) -> tuple[str, ...]:
    try:
        return parse_time_formats(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _event_names(text: str) -> dict[str, str]:
    try:
        return parse_event_names(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _max_position(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0 < seconds <= MAX_MAX_POSITION_S:
        return seconds
    raise argparse.ArgumentTypeError(
        f"{text!r}: say seconds above 0 and up to {MAX_MAX_POSITION_S:.0f}"
    )


def _parameters(pairs: Sequence[str]) -> EngagementParameters:
    given = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        return EngagementParameters.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            there = ", ".join(EngagementParameters.model_fields)
            raise BadInputError(f"--parameters: no threshold {name!r}; there are {there}") from None
        raise BadInputError(
            f"--parameters {name}: {fault['msg']}" if name else f"--parameters: {fault['msg']}"
        ) from None


def _aggregate(options: argparse.Namespace) -> int:
    from vidagg_dagster.cli.output import check_output

    check_output(options.output, for_spreadsheet=options.for_spreadsheet)
    first, last = options.first_day, options.last_day
    if first and last and first > last:
        raise BadInputError(f"--from {first} is after --to {last}")
    parameters = _parameters(options.parameters)
    require_files(options.events, options.format)
    if options.videos:
        require_files(options.videos)
    try:
        told = _write_rows(options, parameters)
    except OSError as error:
        raise BadInputError(str(error)) from error
    print(f"{options.output}: {told}", file=sys.stderr)
    return 0


def _write_rows(options: argparse.Namespace, parameters: EngagementParameters) -> str:
    """Compute the rows and write them; returns what became of the events.

    Raises:
        NothingAcceptedError: There were rows, and all of them were rejected. Nothing is written.
        BadInputError: With --strict, too many rows were rejected. Nothing is written.
    """
    # Spark takes a second to import; wrong arguments are answered before that.
    from vidagg_dagster.cli.engine import engine_of_command
    from vidagg_dagster.cli.output import write_tables
    from vidagg_dagster.pipeline.batch import aggregate_files
    from vidagg_dagster.settings.variables import engine_setting
    from vidagg_dagster.spark.engines import resolve_engine

    source = _source(options)

    def report(stage: str) -> None:
        status.stage = f"{stage}, on {engine}"

    engine = resolve_engine(options.engine or engine_setting()).engine
    with Status(f"starting {engine}") as status, engine_of_command(engine) as spark:
        result = aggregate_files(
            spark,
            source,
            video_metadata=options.videos,
            video_columns=options.video_columns,
            parameters=parameters,
            timezone=options.timezone,
            run_time=datetime.now(UTC),
            estimate_missing_durations=options.estimate_missing_durations,
            dimensions=options.dimensions,
            first_day=options.first_day,
            last_day=options.last_day,
            report=report,
        )
        _require_usable(result, strict=options.strict)
        report("sorting and writing the rows")
        write_tables(
            result.schema,
            result.tables(),
            options.output,
            for_spreadsheet=options.for_spreadsheet,
        )
    return result.summary()


def _require_usable(result: "Aggregation", *, strict: bool) -> None:
    """Refuse a result of which too much was rejected.

    Raises:
        NothingAcceptedError: There were rows, and all of them were rejected.
        BadInputError: With `strict`, more than a hundredth of the rows were rejected.
    """
    from vidagg_dagster.quality.rules.raw_events import MAX_REJECTED_SHARE

    counts = result.counts
    if counts["rejected"] and not counts["accepted"]:
        raise NothingAcceptedError(
            f"no row could be used, so nothing was written: {result.summary()}. vidagg init "
            "and vidagg map say what they recognise in EVENTS, and what to map"
        )
    if strict and counts["rejected"] > MAX_REJECTED_SHARE * counts["input"]:
        raise BadInputError(
            f"more than {MAX_REJECTED_SHARE:.0%} of the rows are rejected, so nothing was written: "
            f"{result.summary()}. vidagg map EVENTS shows how they are read"
        )


def _source(options: argparse.Namespace) -> SourceSpec:
    from vidagg_dagster.sources.mappings.vocabularies import find_mapping

    return SourceSpec(
        location=options.events,
        format=options.format,
        columns=options.columns,
        timezone=options.source_timezone,
        timestamp_unit=options.timestamp_unit,
        time_formats=options.time_format,
        event_names=options.event_names,
        max_position_s=options.max_position,
        mapping=find_mapping(options.mapping) if options.mapping else None,
    )
