"""The whole computation over files in one go: events in, one row per user and video out."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property, partial, reduce
from operator import and_
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import DEFAULT_EVENTS_AT_ONCE, SourceSpec
from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster.core.dimensions import NO_DIMENSIONS, Dimensions
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, EVENT_DATE, with_dimensions
from vidagg_dagster.core.text import spaced
from vidagg_dagster.core.vocabulary import REASONS, REJECTED_PREFIX
from vidagg_dagster.metrics import ingestion
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.from_events import COUNTS
from vidagg_dagster.metrics.ingestion import UNKNOWN_NAME
from vidagg_dagster.pipeline.sorted_rows import SortedRows
from vidagg_dagster.sources.dimensions import absent_dimensions, told
from vidagg_dagster.sources.faults import naming_faults
from vidagg_dagster.sources.listing import estimated_rows
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import (
    MAX_HELD,
    CatalogueCount,
    count_catalogue,
    videos_of_steps,
)
from vidagg_dagster.spark.arrow import ROWS_AT_ONCE, Spread, write_files
from vidagg_dagster.spark.exchange import Exchange
from vidagg_dagster.spark.jvm import OF_FEW_ROWS, set_to
from vidagg_dagster.spark.scratch import write_scratch
from vidagg_dagster.spark.session import is_connect, spills

Report = Callable[[str], None]


def silent(stage: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Outcome:
    """How many rows there are, one per user and video, and what became of the input rows.

    `counts` has `input` = `accepted` + `duplicates` + `ignored` + `rejected`, and
    `rejected:<reason>`; a row with two reasons counts under both.
    """

    num_rows: int
    counts: Mapping[str, int]
    unknown_names: Mapping[str, int] = field(default_factory=dict)
    """The commonest names of events that are not known, with their rows."""
    catalogue: CatalogueCount | None = None
    """The rows of the video catalogue, where there is one."""
    without_duration: int = 0
    """How many videos of the rows have no duration, where there is a catalogue."""
    absent_dimensions: Mapping[str, str] = field(default_factory=dict)
    """The dimensions that are in no column of the source, and what to say of each."""

    def summary(self) -> str:
        """The counts as one line."""
        count = {name: spaced(value) for name, value in self.counts.items()}
        reasons = ", ".join(
            f"{name.removeprefix(REJECTED_PREFIX)} {value}"
            for name, value in sorted(count.items())
            if name.startswith(REJECTED_PREFIX) and self.counts[name]
        )
        rows = self.num_rows
        ignored = f"ignored {count['ignored']} + " if self.counts["ignored"] else ""
        return (
            (
                f"{spaced(rows)} {'row' if rows == 1 else 'rows'}; input {count['input']} = "
                f"accepted {count['accepted']} + duplicates {count['duplicates']} + "
                f"{ignored}rejected {count['rejected']}" + (f" ({reasons})" if reasons else "")
            )
            + ("" if self.counts["input"] else "; no row was read: is it the right place?")
            + self._unknown()
            + self._absent()
            + self._catalogue()
        )

    def _absent(self) -> str:
        absent = told(self.absent_dimensions)
        return f"; dimensions that the source does not have: {absent}" if absent else ""

    def _unknown(self) -> str:
        names = ", ".join(f"{name} {spaced(n)}" for name, n in self.unknown_names.items())
        return f"; names of events that are not known: {names}" if names else ""

    def _catalogue(self) -> str:
        """What is wrong with the catalogue; empty if nothing is."""
        if self.catalogue is None:
            return ""
        faults = []
        if self.catalogue.unusable:
            faults.append(f"{spaced(self.catalogue.unusable)} rows name no video")
        if self.catalogue.unreadable:
            count = spaced(self.catalogue.unreadable)
            faults.append(f"{count} durations cannot be read, such as {self.catalogue.example!r}")
        if self.without_duration:
            faults.append(f"{spaced(self.without_duration)} videos of events have no duration")
        of_all = f"; video catalogue of {spaced(self.catalogue.rows)} rows: "
        return of_all + ", ".join(faults) if faults else ""


@dataclass(frozen=True)
class Aggregation(Outcome):
    """The rows, sorted by user and video, and what became of the input rows.

    They lie in files until `rows` was read, or nothing refers to this any more.
    """

    sorted_rows: SortedRows = field(kw_only=True)
    folder: "_Folder" = field(kw_only=True)

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.sorted_rows.schema

    def tables(self) -> Iterator[pa.Table]:
        """The rows in tables that follow one another, for more rows than fit into memory."""
        # Says `yield` for itself, because the files must stay until the last row was read.
        yield from [self.rows] if "rows" in vars(self) else self.sorted_rows.tables()

    @cached_property
    def rows(self) -> pa.Table:
        """All rows."""
        rows = self.sorted_rows.to_table()
        self.folder.remove()
        return rows


class _Folder:
    """A folder that is there until it is removed, or nothing refers to this any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="vidagg-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def aggregate_files(
    spark: SparkSession,
    source: SourceSpec,
    *,
    video_metadata: str | None = None,
    video_columns: Mapping[str, str] | None = None,
    parameters: EngagementParameters | None = None,
    timezone: str = "UTC",
    run_time: datetime,
    estimate_missing_durations: bool = False,
    dimensions: Dimensions = NO_DIMENSIONS,
    events_at_once: int = DEFAULT_EVENTS_AT_ONCE,
    first_day: date | None = None,
    last_day: date | None = None,
    report: Report = silent,
) -> Aggregation:
    """The events of `source`, of all its days or of some, to one row per user and video.

    Args:
        spark: any engine that shares this machine's files.
        source: where the events are, and how they are to be read.
        video_metadata: a file or table of `videoId`, `duration`, `title`.
        video_columns: our names of its columns -> its own, where they differ.
        parameters: the thresholds; the published ones if None.
        timezone: the zone whose calendar days are the days.
        run_time: becomes `processedAt`; an event may not be later by more than a day.
        estimate_missing_durations: take the largest position seen where the metadata has none.
        dimensions: further columns of the events, of whose values rows have sets.
        events_at_once: on an engine that does not spill, more than so many rows are
            gathered by user in files instead of memory.
        first_day: the first day that counts. The day before is read as context. None: all.
        last_day: the last day that counts, itself included. None: up to the newest event.
        report: is told each stage as it begins, for people.

    Raises:
        SourceError: the events or the metadata cannot be read, or lack a column.
    """
    chain = EngagementChain(
        parameters=parameters or EngagementParameters(),
        timezone=timezone,
        run_time=run_time,
        estimate_missing_durations=estimate_missing_durations,
        dimensions=tuple(dimensions),
    )
    days = _Days(first_day, last_day)
    batch = _Batch(spark, source, chain, dimensions, events_at_once, days, report)
    folder = _Folder()
    try:
        with naming_faults(source):
            return _aggregated(batch, folder, video_metadata, video_columns)
    except BaseException:
        folder.remove()
        raise


def _aggregated(
    batch: "_Batch",
    folder: _Folder,
    video_metadata: str | None,
    video_columns: Mapping[str, str] | None,
) -> Aggregation:
    spark = batch.spark
    with _catalogue_read(spark, video_metadata):
        videos = videos_of_steps(spark, video_metadata, columns=video_columns)
    found = batch.compute(videos, folder.path)
    # The operating system keeps files in memory, which is needed now, as long as they exist.
    shutil.rmtree(folder.path / _EVENTS, ignore_errors=True)
    batch.report("counting the rows")
    table = with_dimensions(AGGREGATED_ENGAGEMENT, batch.chain.dimensions)
    schema = _schema_of(found.files, table.column_names)
    if schema is None:  # Where there are no rows, some engines write no file.
        schema = spark.createDataFrame([], table.struct).toArrow().schema
    with ThreadPoolExecutor(1) as beside:
        rows = beside.submit(SortedRows.of, found.files, schema)
        # Small questions, for which an engine uses less than one core.
        some = found.counts[f"{REJECTED_PREFIX}unknown_event"] > 0
        unknown = found.unknown_names() if some else {}
        catalogue, without_duration = None, 0
        if video_metadata:
            without_duration = _without_duration(found.files)
            with _catalogue_read(spark, video_metadata):
                catalogue = count_catalogue(spark, video_metadata, video_columns)
    return Aggregation(
        num_rows=rows.result().num_rows,
        counts=found.counts,
        unknown_names=unknown,
        catalogue=catalogue,
        without_duration=without_duration,
        absent_dimensions=batch.absent_dimensions(),
        sorted_rows=rows.result(),
        folder=folder,
    )


@contextmanager
def _catalogue_read(spark: SparkSession, location: str | None) -> Iterator[None]:
    """Have JVM Spark read a catalogue of few rows as it reads few rows; that saves a second."""
    rows = estimated_rows(SourceSpec(location=location)) if location else None
    few = rows is not None and rows <= MAX_HELD and not is_connect(spark)
    with set_to(spark, OF_FEW_ROWS if few else {}):
        yield


@dataclass(frozen=True)
class _Days:
    """Days from `first` to `last`; None is open."""

    first: date | None = None
    last: date | None = None

    def contain(self, day: Column) -> Column:
        bounds = []
        if self.first is not None:
            bounds.append(day >= F.lit(self.first))
        if self.last is not None:
            bounds.append(day <= F.lit(self.last))
        return reduce(and_, bounds, F.lit(True))

    @property
    def with_context(self) -> "_Days":
        return _Days(self.first - ONE_DAY if self.first else None, self.last)


_ALL_DAYS: Final = _Days()

_EVENTS: Final = "events"
"""The folder of events that wait for their fold."""


class _Found(NamedTuple):
    """The files of the result, and what became of the input rows.

    The files are Arrow's, because Parquet takes three times as long. `unknown_names` asks the
    engine.
    """

    files: list[Path]
    counts: dict[str, int]
    unknown_names: Callable[[], dict[str, int]]


@dataclass(frozen=True)
class _Batch:
    """A source and the stages that its rows go through. Intermediate rows lie in a folder."""

    spark: SparkSession
    source: SourceSpec
    chain: EngagementChain
    dimensions: Dimensions
    events_at_once: int
    days: _Days
    report: Report
    seen: set[str] = field(default_factory=set)
    """The names of the source's columns, once it is read."""

    def compute(self, videos: DataFrame, folder: Path) -> _Found:
        """The rows of the days, in files in a folder."""
        of = self._compute_all if self.days == _ALL_DAYS else self._compute_days
        return of(videos, folder)

    def _compute_all(self, videos: DataFrame, folder: Path) -> _Found:
        """All days, from one pass over the events."""
        events = self._source()
        spread = self._spread(folder / _EVENTS)
        unused = ["eventName", "payload", "sourceFile", "_hash", "reasons", "_broken", "_ignored"]
        unused.append(UNKNOWN_NAME)
        if "eventId" not in events.columns:
            unused.append("eventId")
        # Only to a row without a time its file tells the day, and that row is rejected.
        nameless = events.withColumn("sourceFile", F.lit(None).cast("string"))
        rows = self.chain.judged(nameless, self.source).drop(*unused)
        sums = replace(self.chain, spread=spread).lifetime_sums(rows, videos)
        self._report_gathered(spread)
        if self.chain.estimate_missing_durations:
            # Durations are estimated over all rows.
            sums = self._kept(sums, folder / "sums")
        files = write_files(self.chain.published(sums, videos), folder / "rows")
        return _Found(files, _counts(files), self._unknown_names)

    def _unknown_names(self) -> dict[str, int]:
        """Of all days; reads the source again."""
        return ingestion.unknown_names_of_source(read_source(self.spark, self.source), self.source)

    def _compute_days(self, videos: DataFrame, folder: Path) -> _Found:
        """The days alone. What happens on a day may have begun the day before."""
        judged = self.chain.judged(self._source(), self.source)
        wanted = ingestion.of_days(judged, self.days.with_context.contain(F.col(EVENT_DATE)))

        spread = self._spread(folder / _EVENTS)
        classified = replace(self.chain, spread=spread).classified(wanted)
        self._report_gathered(spread)
        classified = self._kept(classified, folder / "classified")
        of_the_days = classified.where(self.days.contain(F.col(EVENT_DATE)))
        counted = ingestion.ingestion_counts(of_the_days)
        totals = counted.groupBy("measure").agg(F.sum("value").alias("rows")).collect()
        counts = dict.fromkeys(_MEASURES, 0) | {row["measure"]: row["rows"] for row in totals}
        daily = self.chain.daily_from_events(ingestion.accepted(classified), videos)
        of_days = daily.where(self.days.contain(F.col(EVENT_DATE)))
        files = write_files(self.chain.lifetime(of_days), folder / "rows")
        return _Found(files, counts, partial(ingestion.unknown_names, of_the_days))

    def absent_dimensions(self) -> dict[str, str]:
        """See `dimensions.absent_dimensions`; of a source without any column there are none."""
        dimensions = self.dimensions if self.seen else {}
        return absent_dimensions(dimensions, self.source.mapping, self.seen)

    def _source(self) -> DataFrame:
        return read_source(self.spark, self.source, dimensions=self.dimensions, seen=self.seen)

    def _spread(self, folder: Path) -> Spread:
        """How rows meet: in memory where the engine spills or they fit, else through files."""
        rows = estimated_rows(self.source)
        self.report("reading" if rows is None else f"reading about {spaced(rows)} rows")
        if rows is None or rows <= self.events_at_once or spills(self.spark):
            return Spread(rows)
        return Exchange(rows, folder=folder, at_once=min(ROWS_AT_ONCE, self.events_at_once))

    def _report_gathered(self, spread: Spread) -> None:
        if isinstance(spread, Exchange):
            self.report("computing the rows of a few users after the other")

    def _kept(self, frame: DataFrame, folder: Path) -> DataFrame:
        """The rows, from disk."""
        write_scratch(frame, folder)
        # The schema is said, because there may be no row to take it from.
        return self.spark.read.schema(frame.schema).parquet(str(folder))


_MEASURES: Final = (
    *("input", "accepted", "duplicates", "ignored", "rejected"),
    *(f"{REJECTED_PREFIX}{reason}" for reason in REASONS),
)


def _counts(files: Sequence[Path]) -> dict[str, int]:
    """The counts of all calls of the kernel together; where there were none, there was no row."""
    total = [0] * (len(REASONS) + 4)
    if files:
        for part in _dataset(files).to_table(columns=[COUNTS])[COUNTS].drop_null().to_pylist():
            total = [so_far + more for so_far, more in zip(total, part, strict=True)]
    read, accepted, *by_reason, ignored, rejected = total
    return {
        "input": read,
        "accepted": accepted,
        "duplicates": read - accepted - ignored - rejected,
        "ignored": ignored,
        "rejected": rejected,
        **{f"{REJECTED_PREFIX}{n}": rows for n, rows in zip(REASONS, by_reason, strict=True)},
    }


def _without_duration(files: Sequence[Path]) -> int:
    """How many videos of the rows have no duration."""
    if not files:
        return 0
    unknown = pc.field("videoDuration").is_null() & pc.field("videoId").is_valid()
    videos = _dataset(files).to_table(columns=["videoId"], filter=unknown)
    return len(videos["videoId"].unique())


def _schema_of(files: Sequence[Path], names: Sequence[str]) -> pa.Schema | None:
    """The columns of these names; None if there is no file."""
    if not files:
        return None
    schema = _dataset(files[:1]).schema
    return pa.schema([schema.field(name) for name in names])


def _dataset(files: Sequence[Path]) -> ds.Dataset:
    return ds.dataset([str(file) for file in files], format="ipc")
