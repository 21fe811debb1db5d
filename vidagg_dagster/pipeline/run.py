"""One step over whole days: read, compute, replace the days, validate what was stored."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import (
    DayResult,
    Metrics,
    RuleOutcome,
    StepRequest,
    StepResult,
)
from vidagg_dagster.core.days import days_after
from vidagg_dagster.core.edition import rules_of
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.core.schemas import EVENT_DATE, RAW_EVENTS
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.pipeline.steps import STEPS
from vidagg_dagster.pipeline.upstream import compute_current
from vidagg_dagster.quality.evaluate import CheckContext, evaluate
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster.spark.slices import AT_ONCE
from vidagg_dagster.tables.open import open_tables

MAX_TOP_VIDEOS: Final = 10
"""How many videos a step shows to people."""

_PLACE: Final = "__place"
_EVENTS_PER_KEY: Final = 0.35
"""What a key to count takes of the memory of an event: 43 M keys at once took 5 GB."""

Weights = Mapping[date, int]
"""Days that are computed together, each with its events (and 1, so that none has 0)."""

DayDone = Callable[[int, int, DayResult], None]
"""Called after each day with its number from 1 on, how many there are, and its result."""


def run_step(spark: SparkSession, request: StepRequest, done: DayDone | None = None) -> StepResult:
    """Replace the requested days of the step's table and validate them.

    The day after a requested one is replaced too where it was computed before and comes out
    different. It is part of the result like the others.

    Days are computed together up to `request.events_at_once`; each such part is one commit. A
    violated rule is an outcome, not an exception: the rows are there to be looked at.

    Raises:
        StepError: The request lacks something that the step needs.
        SourceError: The events cannot be read. Nothing was written.
    """
    started = time.monotonic()
    step = STEPS[request.step]
    tables = open_tables(spark, request.store, request.scratch, tuple(request.dimensions))
    context = StepContext.of(spark, request, tables)
    if step.table.partitioned and not request.days:
        raise StepError(f"{request.step} needs at least one day")
    parts: list[_Part] = []
    finished = 0
    for weights in _weighted_parts(step, context):
        days = tuple(weights)
        part = _run_part(step, context.part(days, _following(step, context, days)), weights)
        parts.append(part)
        for day in part.days:
            finished += 1
            if done is not None:
                done(finished, max(finished, len(context.days)), day)
    return StepResult(
        step=request.step,
        rows=sum(part.rows for part in parts),
        unit=step.unit,
        days=tuple(day for part in parts for day in part.days),
        outcomes=_outcomes_by_rule(step, parts),
        top=_top_videos(step, context) if not step.table.partitioned else (),
        late=parts[-1].output.late,
        metrics={
            **parts[-1].output.metrics,
            "write_seconds": round(sum(part.write_seconds for part in parts), 1),
            "validate_seconds": round(sum(part.validate_seconds for part in parts), 1),
        },
        numbers=parts[-1].numbers,
        rules=rules_of(
            request.parameters, request.timezone, estimates=request.estimate_missing_durations
        ),
        seconds=round(time.monotonic() - started, 3),
    )


@dataclass(frozen=True)
class _Part:
    """What came of the days that were computed together."""

    rows: int
    days: tuple[DayResult, ...]
    numbers: Metrics
    outcomes: tuple[RuleOutcome, ...]
    output: StepOutput
    write_seconds: float
    validate_seconds: float


def _run_part(step: Step, context: StepContext, weights: Weights) -> _Part:
    started = time.monotonic()
    output = compute_current(step, context)
    written = time.monotonic()
    context = context.part(sorted({*context.days, *output.settled}))
    checks = CheckContext(
        context.tables,
        context.days,
        context.request.parameters,
        output.update,
        output.late,
        output.unknown_names,
    )
    frame = step.validated(context) if step.validated else None
    slicing = AT_ONCE
    if step.table.partitioned:
        slicing = context.slicing_of_stored(step.table, context.days, events_each=_EVENTS_PER_KEY)
    evaluation = evaluate(checks, step.table, RULES[step.table.name], frame, slicing)
    day_metrics = step.day_metrics(output, checks)
    numbers = step.numbers(context, checks)
    top = _top_videos_by_day(step, context)
    ended = time.monotonic()
    by_day = output.taken_in or {day: n for day, n in evaluation.rows.items() if day is not None}
    weights = {**dict.fromkeys(by_day, 1), **weights}
    whole = sum(weights[day] for day in by_day)
    return _Part(
        rows=sum(evaluation.rows.values()),
        days=tuple(
            DayResult(
                day=day,
                rows=rows,
                unit=step.unit,
                seconds=round((ended - started) * weights[day] / whole, 3),
                metrics=day_metrics.get(day, {}),
                numbers=numbers.get(day, {}),
                sample=tuple(dict(row) for row in output.samples.get(day, ())),
                top=tuple(top.get(day, ())),
            )
            for day, rows in by_day.items()
        ),
        numbers=numbers.get(None, {}),
        outcomes=evaluation.outcomes,
        output=output,
        write_seconds=written - started,
        validate_seconds=ended - written,
    )


def _following(step: Step, context: StepContext, days: Sequence[date]) -> tuple[date, ...]:
    """Days right after `days` that the table holds, and that no later part replaces anyway."""
    if step.settles is None:
        return ()
    after = [day for day in days_after(days) if day not in context.days]
    return tuple(step.settles(context.tables, after)) if after else ()


def _weighted_parts(step: Step, context: StepContext) -> Iterator[Weights]:
    """The days to compute together, up to `request.events_at_once` events each."""
    days = context.days
    # An estimated duration is the largest position of all the days at once.
    together = step.one_part or context.request.estimate_missing_durations
    if not step.table.partitioned or len(days) == 1 or together:
        yield dict.fromkeys(days, 1)
        return
    events = context.tables.day_counts(RAW_EVENTS, days)
    part: dict[date, int] = {}
    for day in days:
        weight = events.get(day, 0) + 1
        if part and sum(part.values()) + weight > context.request.events_at_once:
            yield part
            part = {}
        part[day] = weight
    yield part


def _outcomes_by_rule(step: Step, parts: Sequence[_Part]) -> tuple[RuleOutcome, ...]:
    """Outcomes of all parts, rule after rule."""
    return tuple(
        outcome
        for rule in RULES[step.table.name]
        for part in parts
        for outcome in part.outcomes
        if outcome.rule == rule.name
    )


def _top_videos(step: Step, context: StepContext) -> tuple[dict[str, Any], ...]:
    if step.top is None:
        return ()
    frame = step.top(context)
    heaviest = F.col(frame.columns[1]).desc_nulls_last()
    rows = frame.orderBy(heaviest, "videoId").limit(MAX_TOP_VIDEOS).collect()
    return tuple(row.asDict() for row in rows)


def _top_videos_by_day(step: Step, context: StepContext) -> Mapping[date, Sequence[dict[str, Any]]]:
    if step.top is None or not step.table.partitioned:
        return {}
    frame = step.top(context)
    heaviest = F.col(frame.columns[2]).desc_nulls_last()
    place = F.row_number().over(Window.partitionBy(EVENT_DATE).orderBy(heaviest, "videoId"))
    ranked = frame.withColumn(_PLACE, place).where(F.col(_PLACE) <= MAX_TOP_VIDEOS)
    top: dict[date, list[dict[str, Any]]] = {}
    for row in sorted(ranked.collect(), key=lambda row: int(row[_PLACE])):
        shown = row.asDict()
        del shown[_PLACE]
        top.setdefault(shown.pop(EVENT_DATE), []).append(shown)
    return top
