"""The command `vidagg map`: which vocabulary a file is in, and what would be read of it."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vidagg_dagster.cli.aggregate import FORMATS
from vidagg_dagster.cli.arguments import add_command, require_files
from vidagg_dagster.core.contract import ENGINE_NAMES, OPTIONAL_COLUMNS, SourceSpec
from vidagg_dagster.core.event_mapping import EventMapping

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SURE: Final = 0.5
"""The share of usable events from which a vocabulary is recognised."""

SHOWN_ROWS: Final = 10
_MAX_CELL: Final = 30

_SHOWN: Final = (
    "timestamp",
    "userId",
    "sessionId",
    "videoId",
    "eventName",
    "positionMs",
    "playbackRate",
    "seekFromMs",
    "outcome",
)


def add_map(commands: Any) -> None:
    """Add `map` to the subcommands of `vidagg`."""
    parser = add_command(
        commands,
        "map",
        help="recognise the vocabulary of events, and show how they would be read",
        description="Look at the first 1,000 rows of EVENTS: which vocabulary they are in, how the "
        "first ten would be read, and what would be lost.",
        examples=("vidagg map events.jsonl", "vidagg map events.csv --mapping own.yaml"),
    )
    parser.add_argument(
        "events", metavar="EVENTS", help="a file or folder of JSON lines, CSV or Parquet"
    )
    parser.add_argument(
        "--mapping",
        metavar="NAME|FILE.yaml",
        help="the vocabulary to try, instead of the one that fits best",
    )
    parser.add_argument(
        "--format",
        default="auto",
        choices=[form for form in FORMATS if form != "delta"],
        help="format of EVENTS; auto goes by what lies there",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINE_NAMES,
        help="what computes (VIDAGG_ENGINE, else auto, which means Sail)",
    )
    parser.set_defaults(run=_map)


def _map(options: argparse.Namespace) -> int:
    from vidagg_dagster.sources.mappings.recognise import OURS, fits, sampled_rows, take_sample
    from vidagg_dagster.sources.mappings.vocabularies import find_mapping

    require_files(options.events)
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        sample = take_sample(options.events, options.format, Path(folder))
        best = fits(sample.records)[0]
        if options.mapping:
            mapping = find_mapping(options.mapping)
            print(f"{options.events} as {mapping.name}: {mapping.title or 'a mapping of your own'}")
        elif best.usable == 0:
            print(f"{options.events} is in no vocabulary that is known: {_names(sample.records)}")
            print(
                f"vidagg init {options.events} says which columns it recognises, and takes "
                "--columns for the others.\nWhere one row becomes several, or none: write a "
                "mapping, docs/vocabularies.md"
            )
            return 0
        else:
            mapping = best.mapping
            sure = "is in the vocabulary" if best.share >= SURE else "is nearest to the vocabulary"
            print(
                f"{options.events} {sure} {mapping.name}: {mapping.title} "
                f"({best.usable} of {best.usable + best.other} events are understood)"
            )
        used = None if mapping.name == OURS.name else mapping
        sampled = sampled_rows(mapping, sample.records)
        if sampled:
            print(
                f"{sampled} of the first rows stand for several events ({mapping.sampled}): the "
                "others were dropped by sampling, so that watch time comes out too low"
            )
        for line in _preview(options, SourceSpec(location=str(sample.file), mapping=used)):
            print(line)
    for line in _advice(options, used):
        print(line)
    return 0


def _names(records: Sequence[Any]) -> str:
    names = sorted({name for record in records for name in record})
    return f"its columns are {', '.join(names)}" if names else "it has no record that can be read"


def _preview(options: argparse.Namespace, source: SourceSpec) -> Iterator[str]:
    from pyspark.sql import functions as F

    from vidagg_dagster.cli.engine import engine_of_command
    from vidagg_dagster.core.parameters import EngagementParameters
    from vidagg_dagster.core.text import spaced
    from vidagg_dagster.metrics.composition import EngagementChain
    from vidagg_dagster.metrics.ingestion import unknown_names
    from vidagg_dagster.settings.variables import engine_setting
    from vidagg_dagster.sources.read import read_source

    chain = EngagementChain(
        parameters=EngagementParameters(), timezone="UTC", run_time=datetime.now(UTC)
    )
    with engine_of_command(options.engine or engine_setting()) as spark:
        read = read_source(spark, source)
        rows = chain.classified(chain.judged(read, source))
        shown = rows.where(F.col("outcome") != "ignored").orderBy("timestamp", "userId")
        yield ""
        yield from _table([row.asDict() for row in shown.select(*_SHOWN).head(SHOWN_ROWS)])
        yield ""
        counts = rows.groupBy("outcome").count().collect()
        counted = {row["outcome"]: row["count"] for row in counts}
        yield "Of the first rows: " + ", ".join(
            f"{outcome} {spaced(counted.get(outcome, 0))}"
            for outcome in ("accepted", "duplicate", "ignored", "rejected")
        )
        reasons = rows.select(F.explode("reasons").alias("reason")).groupBy("reason").count()
        found = sorted((row["reason"], row["count"]) for row in reasons.collect())
        if found:
            yield "Rejected for: " + ", ".join(f"{name} {spaced(n)}" for name, n in found)
        if dict(found).get("unparsable_timestamp") == sum(counted.values()):
            yield _unread_time(read)
        unknown = unknown_names(rows)
        if unknown:
            yield "Names that are not known: " + ", ".join(
                f"{name} {spaced(n)}" for name, n in unknown.items()
            )


def _unread_time(read: "DataFrame") -> str:
    from pyspark.sql import functions as F

    (told,) = read.select(F.max("timestamp").alias("text")).collect()
    return (
        f"No time can be read, such as {told['text']}: say their pattern, such as "
        '--time-format "%m/%d/%Y %I:%M:%S %p"'
    )


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "No row."
        return
    cells = [list(_SHOWN), *([_cell(row[name]) for name in _SHOWN] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(_SHOWN))]
    for line in cells:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    text = "" if value is None else str(value)
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"


def _advice(options: argparse.Namespace, mapping: EventMapping | None) -> Iterator[str]:
    if mapping is not None:
        own = {name for rule in mapping.events.values() for name in rule.columns}
        untold = [name for name in OPTIONAL_COLUMNS if name not in mapping.columns.keys() | own]
        if untold:
            yield f"Not told by this vocabulary: {', '.join(untold)}"
        for note in mapping.notes:
            yield f"- {note}"
    more = f" --mapping {options.mapping or mapping.name}" if mapping is not None else ""
    if mapping is not None and mapping.whole_seconds:
        yield "- Positions are whole seconds: --parameters tolerance_ms=2000 allows for it."
        more += " --parameters tolerance_ms=2000"
    yield ""
    yield f"vidagg aggregate {options.events}{more} --output rows.csv"
    sys.stdout.flush()
