"""What a step is, in one place: its table, what computes it, what is validated and what is shown.

A module of this folder declares one step for one asset. `steps.STEPS` lists them all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import (
    LateReport,
    LifetimeUpdate,
    Metrics,
    StepName,
    StepRequest,
)
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.quality.evaluate import CheckContext
from vidagg_dagster.sources.videos import videos_of_steps
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread
from vidagg_dagster.spark.session import spills
from vidagg_dagster.spark.slices import AT_ONCE, SLICE, Slicing
from vidagg_dagster.tables.interface import Frames, Tables, Versions


class VideoMetadata:
    """The videos of a request. They are read at most once, and only by steps that ask for them."""

    def __init__(self, spark: SparkSession, request: StepRequest) -> None:
        self._spark = spark
        self._request = request

    @cached_property
    def frame(self) -> DataFrame:
        """One row per video: `videoId`, `durationMs`, `videoTitle`."""
        request = self._request
        return videos_of_steps(
            self._spark, request.video_metadata, request.scratch, request.video_columns
        )


@dataclass(frozen=True)
class StepContext:
    """What a step computes with: the engine, the request, the tables and the days.

    Attributes:
        spark: The engine.
        request: What was asked for.
        tables: Where rows are read and written.
        metadata: The videos.
        days: The days to replace.
        following: Days right after them that were computed before: to be replaced as well where
            the evening before changes them.
    """

    spark: SparkSession
    request: StepRequest
    tables: Tables
    metadata: VideoMetadata
    days: tuple[date, ...]
    following: tuple[date, ...] = ()
    computed_from: Versions = field(default_factory=dict)

    @classmethod
    def of(cls, spark: SparkSession, request: StepRequest, tables: Tables) -> "StepContext":
        """The context of a whole request."""
        days = tuple(sorted(set(request.days)))
        return cls(spark, request, tables, VideoMetadata(spark, request), days)

    def part(self, days: Sequence[date], following: Sequence[date] = ()) -> "StepContext":
        """The same for some of the days."""
        request = self.request.model_copy(update={"days": tuple(days)})
        return replace(self, request=request, days=tuple(days), following=tuple(following))

    @property
    def every_day(self) -> tuple[date, ...]:
        """The days to compute: those to replace and those that follow."""
        return tuple(sorted({*self.days, *self.following}))

    def replace_days(self, table: TableSpec, frames: Frames) -> tuple[date, ...]:
        """Replace the days in a table by the rows of `every_day`; gives the others replaced."""
        return self.tables.replace_days(
            table,
            frames,
            self.days,
            if_changed=self.following,
            computed_from=self.computed_from,
        )

    @property
    def videos(self) -> DataFrame:
        """See `VideoMetadata.frame`."""
        return self.metadata.frame

    def chain(self, spread: Spread = ANY_SIZE) -> EngagementChain:
        """The arithmetic with the request's parameters."""
        request = self.request
        return EngagementChain(
            parameters=request.parameters,
            timezone=request.timezone,
            run_time=request.run_time,
            estimate_missing_durations=request.estimate_missing_durations,
            dimensions=tuple(request.dimensions),
            spread=spread,
        )

    def slicing(self, rows: int | None, *, events_each: float = 1.0) -> Slicing:
        """How to compute so many rows: at once where the engine spills or they fit.

        `events_each` says how many events take the memory of a row.
        """
        most = max(1, int(self.request.events_at_once / events_each))
        return Slicing.of(self.spark, rows, at_once=most)

    def slicing_of_stored(
        self, table: TableSpec, days: Sequence[date], *, events_each: float = 1.0
    ) -> Slicing:
        """The same for stored rows, which are counted only where the engine does not spill."""
        if spills(self.spark):
            return AT_ONCE
        rows = sum(self.tables.day_counts(table, days).values())
        return self.slicing(rows, events_each=events_each)

    @contextmanager
    def kept_in_slices(
        self, table: TableSpec, frame: DataFrame, slicing: Slicing
    ) -> Iterator[DataFrame]:
        """`frame`; kept beside `table` where there are slices, so that none reads all of it."""
        if slicing.slices == 1:
            yield frame
            return
        with self.tables.computed(table, slicing.marked(frame), SLICE) as kept:
            yield kept


@dataclass(frozen=True)
class StepOutput:
    """What a step knows when its days are replaced.

    Attributes:
        settled: Days that were replaced because the day before them was.
        taken_in: Of a table without days: rows of each day that this update took in.
        late: Days that have changed in the source since they were read.
        update: What an update of the lifetime table did.
        metrics: Numbers of the step as a whole.
        day_metrics: Numbers of single days.
        unknown_names: The commonest names of events that nobody knows, with their rows.
        samples: A few rejected rows of each day, without the ids of people.
    """

    settled: tuple[date, ...] = ()
    taken_in: Mapping[date, int] = field(default_factory=dict)
    late: LateReport | None = None
    update: LifetimeUpdate | None = None
    metrics: Metrics = field(default_factory=dict)
    day_metrics: Mapping[date, Metrics] = field(default_factory=dict)
    unknown_names: Mapping[str, int] = field(default_factory=dict)
    samples: Mapping[date, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def _no_numbers(context: "StepContext", checks: CheckContext) -> Mapping[date | None, Metrics]:
    del context, checks
    return {}


def _metrics_of_output(output: StepOutput, checks: CheckContext) -> Mapping[date, Metrics]:
    del checks
    return output.day_metrics


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: The step, named as its asset.
        table: The table that it replaces days of, or updates.
        compute: Replaces the days of the context in the table and says what it found.
        reads: The tables that its days are computed from. None may be replaced meanwhile.
        unit: What a row of the table is, for people.
        settles: Those of some days that the table holds and that depend on the day before them.
        one_part: Whether all days are computed together, however many events they have.
        validated: The rows that row rules look at; None: the stored rows as they are.
        top: The videos of what was written, for the heaviest to be shown: `event_date` where the
            table is kept by days, `videoId`, then the weight, then more.
        day_metrics: The numbers of single days, after the rules were evaluated.
        numbers: What people follow from day to day; under None, of a table without days.
    """

    name: StepName
    table: TableSpec
    compute: Callable[[StepContext], StepOutput]
    reads: tuple[TableSpec, ...] = ()
    unit: str = "rows"
    settles: Callable[[Tables, Sequence[date]], Sequence[date]] | None = None
    one_part: bool = False
    validated: Callable[[StepContext], DataFrame] | None = None
    top: Callable[[StepContext], DataFrame] | None = None
    day_metrics: Callable[[StepOutput, CheckContext], Mapping[date, Metrics]] = _metrics_of_output
    numbers: Callable[[StepContext, CheckContext], Mapping[date | None, Metrics]] = _no_numbers


def rows_counted() -> Column:
    """The aggregate that counts rows."""
    return F.count(F.lit(1))
