"""The command `vidagg init`: looks at a user's events, and writes `.env` and Dagster's home."""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from vidagg_dagster.cli.arguments import add_command, require_files
from vidagg_dagster.cli.mapping import SURE
from vidagg_dagster.core.column_mapping import parse_columns, parse_event_names
from vidagg_dagster.core.contract import EVENT_COLUMNS, REQUIRED_COLUMNS, TimestampUnit
from vidagg_dagster.core.errors import BadInputError
from vidagg_dagster.core.event_mapping import EventMapping
from vidagg_dagster.core.text import spaced
from vidagg_dagster.core.time_format import parse_time_formats
from vidagg_dagster.core.vocabulary import ALIASES, EVENT_NAMES, IGNORE

if TYPE_CHECKING:
    from vidagg_dagster.sources.look import Look

SOME_TIMES: Final = 5_000
"""So many times are looked at to tell how they are written."""

Parsed = TypeVar("Parsed")

SKIP: Final = ""
"""The answer to a question about a name that stays unknown."""


def add_init(commands: Any) -> None:
    """Add `init` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "init",
        help="look at your events, and write the settings for them",
        description="Look at files of events: say which columns and names of events are "
        "recognised, ask for the others on a terminal, and write .env and a Dagster home. Without "
        "an engine, and nothing is changed in the files.",
        examples=(
            "vidagg init my_events.csv --videos videos.csv",
            "vidagg init events/ --folder my_site --columns userId=viewer,timestamp=at",
            "vidagg init events.jsonl --event-names 'video_play=Begin|Start,ignore=Ad Start'",
        ),
    )
    parser.add_argument(
        "events", metavar="EVENTS", help="a file or folder of JSON lines, CSV, Parquet or Delta"
    )
    parser.add_argument("--videos", help="file of videoId, duration (seconds) and title")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where .env is written (the current folder)"
    )
    parser.add_argument(
        "--columns",
        type=_of(parse_columns),
        default={},
        metavar="OURS=THEIRS,...",
        help="columns that are not recognised, or wrongly",
    )
    parser.add_argument(
        "--event-names",
        type=_of(parse_event_names),
        default={},
        metavar="OURS=THEIRS|THEIRS,...",
        help="names of events that are not recognised, or wrongly; `ignore` drops them",
    )
    parser.add_argument(
        "--timestamp-unit", choices=get_args(TimestampUnit), help="unit of numeric times"
    )
    parser.add_argument(
        "--time-format",
        type=_of(parse_time_formats),
        default=(),
        metavar="PATTERN|PATTERN",
        help="how times that are text are written, where that is not recognised",
    )
    parser.add_argument("--force", action="store_true", help="replace a .env that is there")
    parser.set_defaults(run=_init)


def _of(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    def parsed(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


@dataclass(frozen=True)
class _Found:
    """What is known of a source. `vocabulary` stands for columns and names where it is known."""

    rows: int
    columns: Mapping[str, str]
    names: Mapping[str, int]
    events: Mapping[str, str | None]
    unit: str | None
    days: tuple[date, date] | None
    vocabulary: EventMapping | None = None
    time: str = ""
    """A time as it is written, where that is not as ISO 8601 has it."""
    patterns: Sequence[str] = ()
    """How times may be written; one of them where it is sure."""


def _init(options: argparse.Namespace) -> int:
    from vidagg_dagster.sources.look import look_at

    if (options.folder / ".env").exists() and not options.force:
        raise BadInputError(
            f"{options.folder / '.env'} is there already; --force replaces it, --folder writes "
            "elsewhere"
        )
    if options.videos:
        require_files(options.videos)
    with closing(look_at(options.events)) as look:
        vocabulary = None if options.columns or options.event_names else _vocabulary(options)
        if vocabulary is None:
            found = _find(look, options)
        else:
            found = _of_vocabulary(look, vocabulary, options)
    written = _write(options, found)
    print("\n".join((*_report(options.events, found), written, *_what_next(options, found))))
    return 0


def _find(look: "Look", options: argparse.Namespace) -> _Found:
    from vidagg_dagster.sources.recognise import recognise_columns, recognise_events

    if not look.rows:
        raise BadInputError(f"{options.events} has no rows, so nothing can be recognised")
    unknown = sorted(set(options.columns.values()) - set(look.columns))
    if unknown:
        raise BadInputError(
            f"--columns: {options.events} has no {', '.join(unknown)}; it has "
            + ", ".join(look.columns)
        )
    columns = recognise_columns(look.columns) | options.columns
    lacking = [ours for ours in REQUIRED_COLUMNS if ours not in columns]
    columns |= _ask_columns(lacking, look.columns, options)
    names = look.values(columns["eventName"])
    lower = {name: name.lower() for name in names}
    events = recognise_events(names) | {
        name: options.event_names[low] for name, low in lower.items() if low in options.event_names
    }
    for name, ours in events.items():
        if ours is None and sys.stdin.isatty():
            events[name] = _ask_event(name, names[name]) or None
    unit = options.timestamp_unit or look.unit(columns["timestamp"])
    found = _Found(look.rows, columns, names, events, unit, None)
    return _with_days(found, look, columns["timestamp"], options)


def _with_days(found: _Found, look: "Look", column: str, options: argparse.Namespace) -> _Found:
    """The same with the days of a column of times, and with the patterns if it needs some."""
    from vidagg_dagster.sources.recognise import time_patterns

    patterns = options.time_format
    days = look.days(column, found.unit, patterns)
    if days:
        return replace(found, days=days, patterns=patterns)
    times = look.values(column, SOME_TIMES)
    if not patterns:
        patterns = time_patterns(times)
        days = look.days(column, None, patterns) if len(patterns) == 1 else None
    return replace(found, days=days, time=next(iter(times), ""), patterns=patterns)


def _vocabulary(options: argparse.Namespace) -> EventMapping | None:
    """The vocabulary that fits most of the first rows, if it is not our own."""
    from vidagg_dagster.sources.files import is_delta
    from vidagg_dagster.sources.mappings.recognise import OURS, fits, take_sample

    if is_delta(Path(options.events)):
        return None
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        best = fits(take_sample(options.events, "auto", Path(folder)).records)[0]
    sure = best.mapping.name != OURS.name and best.usable and best.share >= SURE
    return best.mapping if sure else None


def _of_vocabulary(look: "Look", vocabulary: EventMapping, options: argparse.Namespace) -> _Found:
    paths = [path for place in vocabulary.columns.get("timestamp", ()) for path in place.paths]
    times = next((path for path in paths if path in look.columns), None)
    found = _Found(look.rows, {}, {}, {}, None, None, vocabulary, patterns=options.time_format)
    if times is None:
        return found
    unit = look.unit(times)
    if unit:
        return replace(found, days=look.days(times, unit))
    return _with_days(found, look, times, options)


def _ask_columns(
    lacking: Sequence[str], there: tuple[str, ...], options: argparse.Namespace
) -> dict[str, str]:
    """Our columns that are not recognised -> the source's, asked for on a terminal."""
    answers: dict[str, str] = {}
    for ours in lacking if sys.stdin.isatty() else ():
        answer = input(f"Which column is {ours}? One of {', '.join(there)}: ").strip()
        if answer not in there:
            break
        answers[ours] = answer
    unknown = [ours for ours in lacking if ours not in answers]
    if unknown:
        raise BadInputError(
            f"{options.events}: no column is recognised as {' or '.join(unknown)}; it has "
            f"{', '.join(there)}. Say which: --columns " + ",".join(f"{n}=..." for n in unknown)
        )
    return answers


def _ask_event(name: str, rows: int) -> str:
    while True:
        answer = input(
            f"What is {name!r} ({spaced(rows)} rows)? One of {', '.join(EVENT_NAMES)}, {IGNORE}, "
            "or nothing to leave it: "
        ).strip()
        if answer in (*EVENT_NAMES, IGNORE, SKIP):
            return answer


def _report(source: str, found: _Found) -> Iterator[str]:
    yield f"{source}: {spaced(found.rows)} {'row' if found.rows == 1 else 'rows'}"
    yield from _times(found)
    if found.vocabulary is not None:
        yield f"  names     {found.vocabulary.name}: {found.vocabulary.title}"
        yield "            vidagg map shows how its rows are read, and what it does not tell"
        return
    yield "  columns   " + ", ".join(
        ours if ours == theirs else f"{ours} = {theirs}"
        for ours in EVENT_COLUMNS
        if (theirs := found.columns.get(ours))
    )
    for name, rows in found.names.items():
        ours = found.events[name]
        yield f"  event     {name!r} {spaced(rows)}: " + (
            ours or "not known, its rows will be rejected; --event-names OURS=" + name
        )


def _times(found: _Found) -> Iterator[str]:
    if found.days:
        yield f"  days      {found.days[0]} to {found.days[1]} (UTC)"
    if found.unit:
        yield f"  times     are numbers of {found.unit}"
    if len(found.patterns) == 1:
        yield f"  times     are written as {found.patterns[0]}"
    if found.days:
        return
    shown = f", such as {found.time!r}" if found.time else ""
    if len(found.patterns) > 1:
        yield f"  times     may be written as {' or '.join(found.patterns)}{shown}."
        yield "            Say which one it is: --time-format"
    else:
        yield f"  days      none are recognised{shown}. If vidagg map cannot read the times either,"
        yield "            say how they are written, such as --time-format '%d.%m.%Y %H:%M:%S', and"
        yield "            in .env the first day as VIDAGG_START_DATE"


def _write(options: argparse.Namespace, found: _Found) -> str:
    """Write `.env` and the home; says what was written."""
    from vidagg_dagster.settings.project import DEFAULT_HOME, make_home, write_settings

    options.folder.mkdir(parents=True, exist_ok=True)
    variables = {"VIDAGG_SOURCE": str(Path(options.events).absolute())}
    if options.videos:
        variables["VIDAGG_VIDEO_METADATA"] = str(Path(options.videos).absolute())
    if found.vocabulary is not None:
        variables["VIDAGG_MAPPING"] = found.vocabulary.name
    columns = {ours: theirs for ours, theirs in found.columns.items() if ours != theirs}
    if columns:
        variables["VIDAGG_COLUMNS"] = _pairs(columns)
    if mapped := _mapped(found):
        variables["VIDAGG_EVENT_NAMES"] = _names(mapped)
    if found.unit:
        variables["VIDAGG_TIMESTAMP_UNIT"] = found.unit
    if options.time_format or len(found.patterns) == 1:
        variables["VIDAGG_TIME_FORMAT"] = "|".join(found.patterns)
    if found.days:
        variables["VIDAGG_START_DATE"] = found.days[0].isoformat()
    file = write_settings(
        options.folder, variables, "Written by `vidagg init`. All settings: docs/settings.md"
    )
    make_home(options.folder / DEFAULT_HOME)
    return f"Written: {file} and {options.folder / DEFAULT_HOME}"


def _mapped(found: _Found) -> dict[str, str]:
    """The names that need a mapping -> ours."""
    known = {*EVENT_NAMES, *ALIASES}
    return {name: ours for name, ours in found.events.items() if ours and name.lower() not in known}


def _pairs(columns: Mapping[str, str]) -> str:
    if any(mark in name for name in columns.values() for mark in ",="):
        return json.dumps(columns)
    return ",".join(f"{ours}={theirs}" for ours, theirs in columns.items())


def _names(mapped: Mapping[str, str]) -> str:
    """As VIDAGG_EVENT_NAMES has it: `ours=theirs|theirs,...`, or JSON from theirs to ours."""
    if any(mark in name for name in mapped for mark in ",=|"):
        return json.dumps(mapped)
    by_ours: dict[str, list[str]] = {}
    for theirs, ours in mapped.items():
        by_ours.setdefault(ours, []).append(theirs)
    return ",".join(f"{ours}={'|'.join(theirs)}" for ours, theirs in by_ours.items())


def _what_next(options: argparse.Namespace, found: _Found) -> Iterator[str]:
    at = "" if options.folder == Path() else f" --folder {shlex.quote(str(options.folder))}"
    yield "What next:"
    yield f"  vidagg ui{at}"
    yield "      opens Dagster's UI: Lineage, Materialize all" + (
        f", days {found.days[0]} to {found.days[1]}" if found.days else ""
    )
    yield f"  vidagg query{at}"
    yield "      asks the tables once they are there"
    if not options.videos:
        yield "Without --videos there are no percentages, scores and tiers: they need durations."
