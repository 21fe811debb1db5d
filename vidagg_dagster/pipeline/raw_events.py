"""`raw_events`: rows of the source are accepted, duplicate, ignored or rejected, and counted."""

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import Metrics, SourceSpec, StepName
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.core.schemas import EVENT_DATE, INGESTION_COUNTS, RAW_EVENTS, REJECTED_EVENTS
from vidagg_dagster.metrics import ingestion
from vidagg_dagster.pipeline.inventory import Inventory, record_inventory, take_inventory
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput, rows_counted
from vidagg_dagster.quality.evaluate import CheckContext
from vidagg_dagster.sources.event_names import unknown_event_names
from vidagg_dagster.sources.read import read_source


def _compute(context: StepContext) -> StepOutput:
    request = context.request
    source = request.source
    if source is None:
        raise StepError("raw_events needs a source to read: set VIDAGG_SOURCE")
    # Before the events are read: what arrives in between is found late, and never missed.
    inventory = take_inventory(context.spark, context.tables, request)
    with ExitStack() as kept_until_written:
        rows = _classified(context, source, inventory, kept_until_written)
        # Later steps read raw_events only, so that changes last. Killed before, the counts and the
        # stored rows disagree: `input_reconciles` says so until the day is run again.
        tables, days = context.tables, context.days
        tables.replace_days(INGESTION_COUNTS, ingestion.ingestion_counts(rows), days)
        tables.replace_days(REJECTED_EVENTS, ingestion.rejected(rows), days)
        tables.replace_days(RAW_EVENTS, ingestion.accepted(rows), days)
    late = record_inventory(context.spark, context.tables, request, inventory)

    def unknown_names() -> Mapping[str, int]:
        only = inventory.names_of(context.days)
        return unknown_event_names(context.spark, source, request.scratch, only=only)

    return StepOutput(late=late, unknown_names=unknown_names)


def _classified(
    context: StepContext, spec: SourceSpec, inventory: Inventory, kept: ExitStack
) -> DataFrame:
    """Every row of the days, classified, computed once and kept as long as `kept` is open."""

    def computed(frames: DataFrame | list[DataFrame]) -> DataFrame:
        return kept.enter_context(context.tables.computed(RAW_EVENTS, frames))

    names = inventory.names_of(context.days)
    source = read_source(context.spark, spec, context.request.scratch, only=names)
    wanted = F.col(EVENT_DATE).isin([F.lit(day) for day in context.days])
    judged = context.chain().judged(source, spec, context.request.start_date).where(wanted)
    slicing = context.slicing(inventory.rows_of(context.days))
    if slicing.slices > 1:
        # Read once, and not once for each slice.
        judged = computed(judged)
    # Computed once also because Sail, asked for the rejected rows alone, plans for a minute: it
    # spells out every rule of rejection where it reads the source, each with all of parsing.
    return computed(
        slicing.each(judged, lambda part, kernels: context.chain(kernels).classified(part))
    )


def _top(context: StepContext) -> DataFrame:
    events = context.tables.read(RAW_EVENTS, context.days)
    return events.groupBy("videoId").agg(rows_counted().alias("events"))


def _day_metrics(output: StepOutput, checks: CheckContext) -> Mapping[date, Metrics]:
    """The counts as they are stored; the rules have read them already."""
    del output
    return {day: dict(counts) for day, counts in checks.ingestion.items()}


STEP = Step(
    name=StepName.RAW_EVENTS,
    table=RAW_EVENTS,
    compute=_compute,
    unit="events",
    # The source is read once for all days. Nobody has counted its events before.
    one_part=True,
    top=_top,
    day_metrics=_day_metrics,
)
