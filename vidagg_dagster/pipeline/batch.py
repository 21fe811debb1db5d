"""The whole computation over files in one go: events in, one row per user and video out."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from vidagg_dagster.core.contract import DEFAULT_EVENTS_AT_ONCE, SourceSpec
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.core.text import spaced
from vidagg_dagster.core.vocabulary import REASONS, REJECTED_PREFIX
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.ingestion import (
    OUTCOME,
    accepted,
    id_or_user,
    ingestion_counts,
    with_same_id,
)
from vidagg_dagster.metrics.kernels.names import COUNTS
from vidagg_dagster.sources.listing import estimated_rows
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster.spark.arrow import Kernels
from vidagg_dagster.spark.slices import Slicing

_STAGED = T.StructType(
    [
        *RAW_EVENTS.struct.fields,
        T.StructField("reasons", T.ArrayType(T.StringType())),
        T.StructField(OUTCOME, T.StringType()),
    ]
)
"""What the counts and the rows need of a classified row: all but its payload."""


@dataclass(frozen=True)
class Aggregation:
    """One row per user and video, sorted by them, and what became of the input rows.

    `counts` has `input` = `accepted` + `duplicates` + `rejected`, and `rejected:<reason>`; a row
    with two reasons counts under both.
    """

    rows: pa.Table
    counts: Mapping[str, int]

    def summary(self) -> str:
        """The counts as one line."""
        count = {name: spaced(value) for name, value in self.counts.items()}
        reasons = ", ".join(
            f"{name.removeprefix(REJECTED_PREFIX)} {value}"
            for name, value in sorted(count.items())
            if name.startswith(REJECTED_PREFIX) and self.counts[name]
        )
        rows = self.rows.num_rows
        return (
            f"{spaced(rows)} {'row' if rows == 1 else 'rows'}; input {count['input']} = "
            f"accepted {count['accepted']} + duplicates {count['duplicates']} + "
            f"rejected {count['rejected']}" + (f" ({reasons})" if reasons else "")
        )


def aggregate_files(
    spark: SparkSession,
    source: SourceSpec,
    *,
    video_metadata: str | None = None,
    parameters: EngagementParameters | None = None,
    timezone: str = "UTC",
    run_time: datetime,
    estimate_missing_durations: bool = False,
    kernels: bool = True,
    events_at_once: int = DEFAULT_EVENTS_AT_ONCE,
) -> Aggregation:
    """Every event of `source`, of all its days, to one row per user and video.

    Args:
        spark: any engine that shares this machine's files.
        source: where the events are, and how they are to be read.
        video_metadata: a file or table of `videoId`, `duration`, `title`.
        parameters: the thresholds; the published ones if None.
        timezone: the zone whose calendar days are the days.
        run_time: becomes `processedAt`; an event may not be later by more than a day.
        estimate_missing_durations: take the largest position seen where the metadata has none.
        kernels: compute by numpy kernels; False for engines whose Python lacks this package.
        events_at_once: with kernels on an engine that does not spill, more are computed in slices
            of their users, of so many events each, about.

    Raises:
        SourceError: the events or the metadata cannot be read, or lack a column.
    """
    chain = EngagementChain(
        parameters=parameters or EngagementParameters(),
        timezone=timezone,
        run_time=run_time,
        estimate_missing_durations=estimate_missing_durations,
    )
    batch = _Batch(spark, source, chain, events_at_once)
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        compute = batch.by_kernels if kernels else batch.by_windows
        rows, counts = compute(read_videos(spark, video_metadata), folder)
        rows.write.parquet(f"{folder}/rows")
        files = _files(folder, "rows")
        # Where there are no rows, some engines write no file.
        table = _read_sorted(files) if files else rows.limit(0).toArrow()
        return Aggregation(rows=table, counts=counts)


@dataclass(frozen=True)
class _Batch:
    """A source and the stages that its rows go through. Intermediate frames lie in a folder."""

    spark: SparkSession
    source: SourceSpec
    chain: EngagementChain
    events_at_once: int

    def by_kernels(self, videos: DataFrame, folder: str) -> tuple[DataFrame, dict[str, int]]:
        """The rows, and the counts, which come from the same pass over the events."""
        judged, has_ids = self._judged()
        slicing = Slicing.of(
            self.spark,
            estimated_rows(self.source),
            at_once=self.events_at_once,
            use_kernels=True,
        )
        unused = ["payload", "sourceFile", "_hash", "reasons"]
        if not has_ids:
            unused += ["eventId", "_broken", "_rank"]
        rows = judged.drop(*unused)
        if has_ids and slicing.slices > 1:
            rows = self._marked_by_id(rows, slicing, folder)

        def of_slice(part: DataFrame, kernels: Kernels | None) -> DataFrame:
            return replace(self.chain, kernels=kernels).lifetime_sums(part, videos)

        frames = slicing.each_from_disk(self.spark, rows, of_slice, Path(folder, "judged"))
        sums = self._kept(frames, folder, "sums")
        return self.chain.published(sums, videos), _counts(_files(folder, "sums"))

    def by_windows(self, videos: DataFrame, folder: str) -> tuple[DataFrame, dict[str, int]]:
        """The same by window expressions alone, which any Spark computes."""
        judged, has_ids = self._judged()
        classified = self.chain.classified(judged, has_ids=has_ids)
        classified.select(*_STAGED.names).write.parquet(f"{folder}/classified")
        staged = self.spark.read.schema(_STAGED).parquet(f"{folder}/classified")
        rows = self.chain.lifetime(self.chain.daily_from_events(accepted(staged), videos))
        counts = dict.fromkeys(("input", "accepted", "duplicates", "rejected"), 0)
        for row in ingestion_counts(staged).groupBy("measure").sum("value").collect():
            counts[row[0]] = row[1]
        return rows, counts

    def _judged(self) -> tuple[DataFrame, bool]:
        """The judged rows, and whether they have ids."""
        events = read_source(self.spark, self.source)
        return self.chain.judged(events, self.source), "eventId" in events.columns

    def _marked_by_id(self, rows: DataFrame, slicing: Slicing, folder: str) -> DataFrame:
        """Rows that say whether another row has their id, whose user may be in another slice."""
        marked = slicing.each_from_disk(
            self.spark, rows, with_same_id, Path(folder, "by_id"), by=id_or_user()
        )
        return self._kept(marked, folder, "marked")

    def _kept(self, frames: Sequence[DataFrame], folder: str, name: str) -> DataFrame:
        """The rows of all frames from disk, since several things are made from them."""
        for frame in frames:
            frame.write.mode("append").parquet(f"{folder}/{name}")
        # The schema is said, because there may be no row to take it from.
        return self.spark.read.schema(frames[0].schema).parquet(f"{folder}/{name}")


def _counts(files: Sequence[str]) -> dict[str, int]:
    """The counts of all calls of the kernel together; where there were none, there was no row."""
    total = [0] * (3 + len(REASONS))
    for file in files:
        for part in pq.read_table(file, columns=[COUNTS])[COUNTS].drop_null().to_pylist():
            total = [so_far + more for so_far, more in zip(total, part, strict=True)]
    read, accepted, rejected, *by_reason = total
    return {
        "input": read,
        "accepted": accepted,
        "duplicates": read - accepted - rejected,
        "rejected": rejected,
        **{f"{REJECTED_PREFIX}{n}": rows for n, rows in zip(REASONS, by_reason, strict=True)},
    }


def _files(folder: str, name: str) -> list[str]:
    return sorted(str(file) for file in Path(folder, name).rglob("*.parquet"))


def _read_sorted(files: Sequence[str]) -> pa.Table:
    columns = AGGREGATED_ENGAGEMENT.column_names
    rows = ds.dataset(files, format="parquet").to_table(columns=columns)
    return rows.sort_by([(column, "ascending") for column in AGGREGATED_ENGAGEMENT.key])
