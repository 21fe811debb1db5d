"""`raw_events`: rows of the source are accepted, duplicate, ignored or rejected, and counted."""

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import (
    ABSENT_DIMENSIONS,
    ROWS_COUNTED,
    ROWS_OF_DAYS,
    Metrics,
    SourceSpec,
    StepName,
)
from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.core.schemas import EVENT_DATE, INGESTION_COUNTS, RAW_EVENTS, REJECTED_EVENTS
from vidagg_dagster.core.vocabulary import REJECTED_PREFIX
from vidagg_dagster.metrics import ingestion
from vidagg_dagster.pipeline.inventory import (
    Inventory,
    RowsRead,
    record_inventory,
    require_all_read,
    take_inventory,
)
from vidagg_dagster.pipeline.numbers import percent
from vidagg_dagster.pipeline.samples import rejected_samples
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput, rows_counted
from vidagg_dagster.quality.evaluate import CheckContext
from vidagg_dagster.sources.dimensions import absent_dimensions, told
from vidagg_dagster.sources.faults import naming_faults, says_gone
from vidagg_dagster.sources.read import read_source

log = logging.getLogger(__name__)

_UNKNOWN: Final = f"{REJECTED_PREFIX}unknown_event"


def _compute(context: StepContext) -> StepOutput:
    request = context.request
    source = request.source
    if source is None:
        raise StepError("raw_events needs a source to read: set VIDAGG_SOURCE")
    with ExitStack() as kept_until_written:
        with naming_faults(source):
            found = _read_all(context, source, kept_until_written)
        # Later steps read raw_events only, so that changes last. Killed before, the counts and the
        # stored rows disagree: `input_reconciles` says so until the day is run again.
        tables, days, rows = context.tables, context.days, found.rows
        counted = found.by_day(days)
        tables.replace_days(INGESTION_COUNTS, _as_frame(context, counted), days)
        tables.replace_days(REJECTED_EVENTS, ingestion.rejected(rows), days)
        tables.replace_days(RAW_EVENTS, ingestion.accepted(rows), days)
        named = any(counts.get(_UNKNOWN) for counts in counted.values())
        unknown = ingestion.unknown_names(rows) if named else {}
    late = record_inventory(context.spark, context.tables, request, found.inventory, found.read)
    if found.absent:
        log.warning("%s: %s", ABSENT_DIMENSIONS, told(found.absent))
    return StepOutput(
        late=late,
        unknown_names=unknown,
        metrics=_metrics(found, unknown),
        samples=rejected_samples(context.tables, counted, source),
    )


@dataclass(frozen=True)
class _Found:
    """The classified rows of the days, computed, and what became of them by file and day.

    `absent` are the dimensions that the source does not have.
    """

    inventory: Inventory
    rows: DataFrame
    counts: Mapping[tuple[str, date], Mapping[str, int]]
    absent: Mapping[str, str]

    @property
    def read(self) -> RowsRead:
        """How many rows each file gave."""
        return {key: counts["input"] for key, counts in self.counts.items()}

    def by_day(self, days: Collection[date]) -> dict[date, dict[str, int]]:
        """The counts of every day: measure -> rows."""
        counted: dict[date, Counter[str]] = {day: Counter() for day in days}
        for (_, day), counts in self.counts.items():
            counted[day].update(counts)
        return {day: dict(counts) for day, counts in counted.items()}


def _metrics(found: _Found, unknown: Mapping[str, int]) -> Metrics:
    names = ", ".join(f"{name} {rows}" for name, rows in unknown.items())
    return {
        **({"unknown event names": names} if names else {}),
        **({ABSENT_DIMENSIONS: told(found.absent)} if found.absent else {}),
        ROWS_COUNTED: found.inventory.rows_read,
        ROWS_OF_DAYS: sum(found.read.values()),
    }


def _read_all(context: StepContext, spec: SourceSpec, kept: ExitStack) -> _Found:
    """All that the inventory of the source says of the days."""
    try:
        found = _read(context, spec, kept)
        complete = not found.inventory.lacking(found.read, context.days)
    except Exception as error:
        if not says_gone(error):
            raise
        complete = False
    if not complete:
        # Files have changed or gone in between: look once more.
        found = _read(context, spec, kept)
    require_all_read(found.inventory, found.read, context.days)
    return found


def _read(context: StepContext, spec: SourceSpec, kept: ExitStack) -> _Found:
    # Before the events are read: what arrives in between is found late, and never missed.
    inventory = take_inventory(context.spark, context.tables, context.request)
    seen: set[str] = set()
    rows = _classified(context, spec, inventory, kept, seen)
    counted = ingestion.outcome_counts(rows, "sourceFile", EVENT_DATE).collect()
    # Rows of tables have no file.
    counts = {
        (row["sourceFile"] or spec.location, row[EVENT_DATE]): ingestion.counts_of(row)
        for row in counted
    }
    dimensions = context.request.dimensions if seen else {}
    return _Found(inventory, rows, counts, absent_dimensions(dimensions, spec.mapping, seen))


def _classified(
    context: StepContext, spec: SourceSpec, inventory: Inventory, kept: ExitStack, seen: set[str]
) -> DataFrame:
    """Every row of the days, classified, computed once and kept as long as `kept` is open.

    `seen` is filled with the names of the source's columns.
    """
    names = inventory.names_of(_days_to_read(context.days, spec))
    request = context.request
    source = read_source(
        context.spark,
        spec,
        request.scratch,
        only=names,
        dimensions=request.dimensions,
        seen=seen,
    )
    near = ingestion.near_days(source, _days_to_read(context.days, spec))
    wanted = F.col(EVENT_DATE).isin([F.lit(day) for day in context.days])
    rows = context.chain().judged(near, spec, request.start_date)
    judged = ingestion.of_days(rows, wanted)
    slicing = context.slicing(inventory.rows_of(context.days))
    judged = kept.enter_context(context.kept_in_slices(RAW_EVENTS, judged, slicing))
    # Computed once also because Sail, asked for the rejected rows alone, plans for a minute: it
    # spells out every rule of rejection where it reads the source, each with all of parsing.
    frames = slicing.each(judged, lambda part, spread: context.chain(spread).classified(part))
    return kept.enter_context(context.tables.computed(RAW_EVENTS, frames))


def _as_frame(context: StepContext, counted: Mapping[date, Mapping[str, int]]) -> DataFrame:
    """The rows of `INGESTION_COUNTS`. A day without input has zeros, so that it counts as read."""
    values = [
        (day, name, counts.get(name, 0))
        for day, counts in counted.items()
        for name in ingestion.COUNTED
    ]
    return context.spark.createDataFrame(values, INGESTION_COUNTS.struct)


def _days_to_read(days: Collection[date], spec: SourceSpec) -> set[date]:
    """With the day before, where events may take something from those before them."""
    in_sequence = spec.mapping is not None and spec.mapping.in_sequence
    return {*days, *(day - ONE_DAY for day in days if in_sequence)}


def _top(context: StepContext) -> DataFrame:
    events = context.tables.read(RAW_EVENTS, context.days)
    return events.groupBy(EVENT_DATE, "videoId").agg(rows_counted().alias("events"))


def _day_metrics(output: StepOutput, checks: CheckContext) -> Mapping[date, Metrics]:
    """The counts as they are stored; the rules have read them already."""
    del output
    return {day: dict(counts) for day, counts in checks.ingestion.items()}


def _numbers(context: StepContext, checks: CheckContext) -> Mapping[date | None, Metrics]:
    del context
    return {
        day: {
            "rejected_percent": percent(counts.get("rejected", 0), counts.get("input", 0)),
            "duplicate_percent": percent(counts.get("duplicates", 0), counts.get("input", 0)),
        }
        for day, counts in checks.ingestion.items()
    }


STEP = Step(
    name=StepName.RAW_EVENTS,
    table=RAW_EVENTS,
    compute=_compute,
    unit="events",
    # The source is read once for all days. Nobody has counted its events before.
    one_part=True,
    top=_top,
    day_metrics=_day_metrics,
    numbers=_numbers,
)
