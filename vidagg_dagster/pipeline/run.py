"""One step over whole days: read, compute, replace the days, validate what was stored."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import (
    DayResult,
    LateReport,
    LifetimeUpdate,
    RuleOutcome,
    StepName,
    StepRequest,
    StepResult,
    TableStore,
)
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.metrics import ingestion as events
from vidagg_dagster.metrics import intervals, timeline
from vidagg_dagster.metrics.engagement import duration_estimates, user_video_engagement
from vidagg_dagster.metrics.lifetime import update_lifetime
from vidagg_dagster.pipeline.inventory import record_inventory, take_inventory
from vidagg_dagster.quality.evaluate import CheckContext, countable_ms, evaluate, with_day_before
from vidagg_dagster.quality.report import measure_days, report_frame
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster.spark.arrow import Kernels
from vidagg_dagster.spark.slices import Slicing
from vidagg_dagster.tables.interface import Frames, Tables

MAX_TOP_VIDEOS = 10
"""How many videos a step shows to people."""

Metrics = dict[str, int | float | str | None]
DayDone = Callable[[int, int, DayResult], None]


def open_tables(spark: SparkSession, store: TableStore) -> Tables:
    """The tables of a store, read and written through `spark`."""
    if store.kind == "catalog":
        from vidagg_dagster.tables.catalog import CatalogTables

        return CatalogTables(spark, store.location)
    from vidagg_dagster.tables.delta_folder import LocalTables

    return LocalTables(spark, store.location)


def run_step(spark: SparkSession, request: StepRequest, done: DayDone | None = None) -> StepResult:
    """Replaces the requested days of the step's table and validates them.

    Days are computed together up to `request.events_at_once`; each such part is one commit. A
    violated rule is an outcome, not an exception: the rows are there to be looked at.

    Args:
        spark: The engine.
        request: What to do.
        done: Called after each day with its number from 1 on, how many there are, and its result.

    Raises:
        StepError: The request lacks something that the step needs.
        SourceError: The events cannot be read. Nothing was written.
    """
    started = time.monotonic()
    work = _Work(spark, request, open_tables(spark, request.store))
    table = TABLES[request.step]
    if table.partitioned and not request.days:
        raise StepError(f"{request.step} needs at least one day")
    parts: list[_Part] = []
    finished = 0
    for days, weights in _parts(work, table):
        part = _run_part(work.of(days), table, weights)
        parts.append(part)
        for day in part.days:
            finished += 1
            if done is not None:
                done(finished, len(work.days), day)
    return StepResult(
        step=request.step,
        rows=sum(part.rows for part in parts),
        days=tuple(day for part in parts for day in part.days),
        outcomes=tuple(
            outcome
            for rule in RULES[table.name]
            for part in parts
            for outcome in part.outcomes
            if outcome.rule == rule.name
        ),
        top=_top_videos(work.tables, request.step, work.days),
        late=parts[-1].late,
        metrics={
            **parts[-1].metrics,
            "write_seconds": round(sum(part.write_seconds for part in parts), 1),
            "validate_seconds": round(sum(part.validate_seconds for part in parts), 1),
        },
        seconds=round(time.monotonic() - started, 3),
    )


@dataclass(frozen=True)
class _Part:
    """What came of the days that were computed together."""

    rows: int
    days: tuple[DayResult, ...]
    outcomes: tuple[RuleOutcome, ...]
    late: LateReport | None
    metrics: "Metrics"
    write_seconds: float
    validate_seconds: float


def _run_part(work: "_Work", table: TableSpec, weights: Mapping[date, int]) -> _Part:
    started = time.monotonic()
    _STEPS[work.request.step](work)
    written = time.monotonic()
    facts = CheckContext(work.tables, work.days, work.request.parameters, work.update, work.late)
    frame = _within_videos(work) if table is WATCH_INTERVALS else None
    evaluation = evaluate(facts, table, RULES[table.name], frame)
    ended = time.monotonic()
    whole = sum(weights.values())
    return _Part(
        rows=sum(evaluation.rows.values()),
        days=tuple(
            DayResult(
                day=day,
                rows=rows,
                seconds=round((ended - started) * weights[day] / whole, 3),
                metrics=_day_metrics(work, facts, day),
            )
            for day, rows in evaluation.rows.items()
            if day is not None
        ),
        outcomes=evaluation.outcomes,
        late=work.late,
        metrics=work.metrics,
        write_seconds=written - started,
        validate_seconds=ended - written,
    )


def _parts(
    work: "_Work", table: TableSpec
) -> Iterator[tuple[tuple[date, ...], Mapping[date, int]]]:
    """The days to compute together, each with its weight in events (and 1, so that none has 0)."""
    step, days = work.request.step, work.days
    if not table.partitioned or len(days) == 1:
        yield days, dict.fromkeys(days, 1)
        return
    if step is StepName.RAW_EVENTS:
        # The source is read once for all days, whose events are not counted before.
        yield days, dict.fromkeys(days, 1)
        return
    # An estimated duration is the largest position of all the days at once.
    together = work.request.estimate_missing_durations
    events = work.tables.day_counts(RAW_EVENTS, days)
    part: dict[date, int] = {}
    for day in days:
        weight = events.get(day, 0) + 1
        beyond = sum(part.values()) + weight > work.request.events_at_once
        if part and beyond and not together:
            yield tuple(part), part
            part = {}
        part[day] = weight
    yield tuple(part), part


@dataclass
class _Work:
    """What the parts of one step share."""

    spark: SparkSession
    request: StepRequest
    tables: Tables
    update: LifetimeUpdate | None = None
    late: LateReport | None = None
    measured: Mapping[date, Mapping[str, float]] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
    whole: "_Work | None" = None

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(sorted(set(self.request.days)))

    @cached_property
    def videos(self) -> DataFrame:
        """Read at most once, and only if asked for: half of the steps do not need them."""
        if self.whole is not None:
            return self.whole.videos
        return read_videos(self.spark, self.request.video_metadata, self.request.scratch)

    def of(self, days: tuple[date, ...]) -> "_Work":
        """The same for some of the days."""
        request = self.request.model_copy(update={"days": days})
        return _Work(self.spark, request, self.tables, whole=self)

    def replace(self, table: TableSpec, frames: Frames) -> None:
        self.tables.replace_days(table, frames, self.days)

    def slicing(self, events: int | None) -> Slicing:
        """How to compute so many events: at once where the engine spills or they fit."""
        return Slicing.of(
            self.spark,
            events,
            at_once=self.request.events_at_once,
            use_kernels=self.request.kernels,
        )


def _raw_events(work: _Work) -> None:
    request = work.request
    if request.source is None:
        raise StepError("raw_events needs a source to read: set VIDAGG_SOURCE")
    inventory = take_inventory(work.spark, work.tables, request)
    source = read_source(
        work.spark, request.source, request.scratch, only=inventory.names_of(work.days)
    )
    judged = events.judge(
        source,
        spec=request.source,
        start_date=request.start_date,
        timezone=request.timezone,
        run_time=request.run_time,
    ).where(F.col(EVENT_DATE).isin([F.lit(day) for day in work.days]))
    has_ids = "eventId" in source.columns
    slicing = work.slicing(inventory.rows_of(work.days))
    if has_ids and not slicing.use_kernels:
        # An id may come from two users, whom a slice would keep apart.
        slicing = replace(slicing, slices=1)
    with ExitStack() as stack:

        def computed(frames: Frames) -> DataFrame:
            return stack.enter_context(work.tables.computed(RAW_EVENTS, frames))

        if slicing.slices > 1:
            # Read once, and not once for each slice.
            judged = computed(judged)
            if has_ids:
                judged = computed(slicing.each(judged, events.with_same_id, by=events.id_or_user()))
        # Computed once also because Sail, asked for the rejected rows alone, plans for a minute: it
        # spells out every rule of rejection where it reads the source, each with all of parsing.
        rows = computed(
            slicing.each(
                judged,
                lambda part, kernels: events.find_duplicates(
                    part, has_ids=has_ids, kernels=kernels
                ),
            )
        )
        # What is built on reads raw_events only, so that changes last. Killed before, the counts
        # and the stored rows disagree: `input_reconciles` says so until the day is run again.
        work.replace(INGESTION_COUNTS, events.ingestion_counts(rows))
        work.replace(REJECTED_EVENTS, events.rejected(rows))
        work.replace(RAW_EVENTS, events.accepted(rows))
    work.late = record_inventory(work.spark, work.tables, request, inventory)


def _sessions(work: _Work) -> None:
    request = work.request
    days = with_day_before(work.days)

    def of_slice(events_: DataFrame, kernels: Kernels | None) -> DataFrame:
        return timeline.sessions(
            events_,
            work.videos,
            days=work.days,
            parameters=request.parameters,
            timezone=request.timezone,
            kernels=kernels,
        )

    slicing = work.slicing(sum(work.tables.day_counts(RAW_EVENTS, days).values()))
    work.replace(SESSIONS, slicing.each(work.tables.read(RAW_EVENTS, days), of_slice))


def _watch_intervals(work: _Work) -> None:
    sessions = work.tables.read(SESSIONS, work.days)
    work.replace(WATCH_INTERVALS, intervals.watch_intervals(sessions))


def _user_video_engagement(work: _Work) -> None:
    request = work.request
    estimates = None
    if request.estimate_missing_durations:
        other_days = ~F.col(EVENT_DATE).isin([F.lit(day) for day in work.days])
        estimates = duration_estimates(work.tables.read(USER_VIDEO_ENGAGEMENT).where(other_days))

    def of_slice(sessions: DataFrame, kernels: Kernels | None) -> DataFrame:
        return user_video_engagement(
            sessions,
            work.videos,
            parameters=request.parameters,
            run_time=request.run_time,
            estimates=estimates,
            kernels=kernels,
        )

    slicing = work.slicing(sum(work.tables.day_counts(RAW_EVENTS, work.days).values()))
    if estimates is not None:
        # An estimate is the largest position over all users.
        slicing = replace(slicing, slices=1)
    frames = slicing.each(work.tables.read(SESSIONS, work.days), of_slice)
    work.replace(USER_VIDEO_ENGAGEMENT, frames)


def _aggregated(work: _Work) -> None:
    request = work.request
    work.update = update_lifetime(
        work.tables,
        parameters=request.parameters,
        run_time=request.run_time,
        estimate=request.estimate_missing_durations,
        kernels=request.kernels,
    )
    days = work.update.days
    work.metrics.update(
        changed=work.update.changed,
        deleted=work.update.deleted,
        days_taken_in="all" if days is None else len(days),
    )


def _quality_report(work: _Work) -> None:
    work.measured = measure_days(work.tables, work.days)
    work.replace(QUALITY_REPORT, report_frame(work.spark, work.measured))


_STEPS: Mapping[StepName, Callable[[_Work], None]] = {
    StepName.RAW_EVENTS: _raw_events,
    StepName.SESSIONS: _sessions,
    StepName.WATCH_INTERVALS: _watch_intervals,
    StepName.USER_VIDEO_ENGAGEMENT: _user_video_engagement,
    StepName.AGGREGATED_ENGAGEMENT: _aggregated,
    StepName.QUALITY_REPORT: _quality_report,
}


def _within_videos(work: _Work) -> DataFrame:
    """Watched intervals with the duration of their video, for the rules about both."""
    durations = F.broadcast(work.videos.select("videoId", "durationMs"))
    return work.tables.read(WATCH_INTERVALS, work.days).join(durations, "videoId", how="left")


def _day_metrics(work: _Work, facts: CheckContext, day: date) -> Metrics:
    if work.request.step is StepName.RAW_EVENTS:
        return dict(facts.ingestion[day])
    return dict(work.measured.get(day, {}))


def _top_videos(
    tables: Tables, step: StepName, days: tuple[date, ...]
) -> tuple[dict[str, Any], ...]:
    """The videos that weigh most in what was written, as the step knows them."""
    rows = F.count(F.lit(1))
    if step is StepName.RAW_EVENTS:
        frame = tables.read(RAW_EVENTS, days).groupBy("videoId").agg(rows.alias("events"))
    elif step is StepName.SESSIONS:
        frame = (
            tables.read(SESSIONS, days)
            .select(F.explode("visits").alias("visit"))
            .groupBy(F.col("visit.videoId").alias("videoId"))
            .agg(F.sum(F.col("visit.startsHere").cast("bigint")).alias("sessions"))
        )
    elif step is StepName.WATCH_INTERVALS:
        watched = F.sum("watchMs") / F.lit(1000.0)
        frame = (
            tables.read(WATCH_INTERVALS, days)
            .groupBy("videoId")
            .agg(watched.alias("watchSeconds"), rows.alias("intervals"))
        )
    else:
        lifetime = step is StepName.AGGREGATED_ENGAGEMENT
        stored = (
            tables.read(AGGREGATED_ENGAGEMENT)
            if lifetime
            else tables.read(USER_VIDEO_ENGAGEMENT, days)
        )
        frame = stored.groupBy("videoId").agg(
            (F.sum(countable_ms("totalWatchTime")) / F.lit(1000.0)).alias("watchSeconds"),
            F.max("videoTitle").alias("title"),
            F.count_distinct("userId").alias("users"),
            F.sum("completionCount").alias("completions"),
        )
    heaviest = F.col(frame.columns[1]).desc_nulls_last()
    return tuple(
        row.asDict() for row in frame.orderBy(heaviest, "videoId").limit(MAX_TOP_VIDEOS).collect()
    )
