"""The whole computation over files in one go: events in, one row per user and video out."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.core.text import spaced
from vidagg_dagster.metrics.engagement import user_video_engagement
from vidagg_dagster.metrics.ingestion import (
    OUTCOME,
    REASONS,
    accepted,
    find_duplicates,
    id_or_user,
    ingestion_counts,
    judge,
    with_same_id,
)
from vidagg_dagster.metrics.kernels.names import COUNTS
from vidagg_dagster.metrics.lifetime import (
    lifetime_from_events,
    merge_days,
    publish_lifetime,
)
from vidagg_dagster.metrics.timeline import sessions
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

EVENTS_AT_ONCE = 10_000_000
"""An engine that does not spill computes so many events together; about 5 GB."""

REJECTED_BY = "rejected:"
"""Prefix of the counts of single rejection reasons."""


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
            f"{name.removeprefix(REJECTED_BY)} {value}"
            for name, value in sorted(count.items())
            if name.startswith(REJECTED_BY) and self.counts[name]
        )
        rows = self.rows.num_rows
        return (
            f"{spaced(rows)} {'row' if rows == 1 else 'rows'}; input {count['input']} = "
            f"accepted {count['accepted']} + duplicates {count['duplicates']} + "
            f"rejected {count['rejected']}" + (f" ({reasons})" if reasons else "")
        )


def daily_engagement(
    events: DataFrame,
    videos: DataFrame,
    *,
    parameters: EngagementParameters,
    timezone: str,
    run_time: datetime,
    unique: bool = True,
) -> DataFrame:
    """Accepted events of all days -> one row per user, video and day."""
    return user_video_engagement(
        sessions(events, videos, days=None, parameters=parameters, timezone=timezone),
        videos,
        parameters=parameters,
        run_time=run_time,
        unique=unique,
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
    events_at_once: int = EVENTS_AT_ONCE,
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
    work = _Work(
        spark,
        source,
        parameters or EngagementParameters(),
        timezone,
        run_time,
        estimate_missing_durations,
        events_at_once,
    )
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        by = work.by_kernels if kernels else work.by_windows
        rows, counts = by(read_videos(spark, video_metadata), folder)
        rows.write.parquet(f"{folder}/rows")
        files = _files(folder, "rows")
        # Where there are no rows, some engines write no file.
        table = _read_sorted(files) if files else rows.limit(0).toArrow()
        return Aggregation(rows=table, counts=counts)


@dataclass(frozen=True)
class _Work:
    spark: SparkSession
    source: SourceSpec
    parameters: EngagementParameters
    timezone: str
    run_time: datetime
    estimate: bool
    events_at_once: int

    def by_kernels(self, videos: DataFrame, folder: str) -> tuple[DataFrame, dict[str, int]]:
        """The rows, and the counts, which come from the same pass over the events."""
        judged, has_ids = self._judged()
        unused = ["payload", "sourceFile", "_hash", "reasons"]
        if not has_ids:
            unused += ["eventId", "_broken", "_rank"]
        slicing = Slicing.of(
            self.spark,
            estimated_rows(self.source),
            at_once=self.events_at_once,
            use_kernels=True,
        )

        def of_slice(rows: DataFrame, kernels: Kernels | None) -> DataFrame:
            return lifetime_from_events(
                rows,
                videos,
                parameters=self.parameters,
                timezone=self.timezone,
                kernels=kernels or Kernels(),
            )

        rows = judged.drop(*unused)
        if has_ids and slicing.slices > 1:
            # First by ids, because one may come from two users, whom a slice would keep apart.
            marked = slicing.each_from_disk(
                self.spark, rows, with_same_id, Path(folder, "by_id"), by=id_or_user()
            )
            for part in marked:
                part.write.mode("append").parquet(f"{folder}/marked")
            rows = self.spark.read.schema(marked[0].schema).parquet(f"{folder}/marked")
        frames = slicing.each_from_disk(self.spark, rows, of_slice, Path(folder, "judged"))
        # Kept on disk, because the counts, the rows and estimated durations are made from it. The
        # schema is said, because there may be no row to take it from.
        for facts in frames:
            facts.write.mode("append").parquet(f"{folder}/facts")
        published = publish_lifetime(
            self.spark.read.schema(frames[0].schema).parquet(f"{folder}/facts"),
            videos,
            parameters=self.parameters,
            run_time=self.run_time,
            estimate=self.estimate,
        )
        return published, _counts(_files(folder, "facts"))

    def by_windows(self, videos: DataFrame, folder: str) -> tuple[DataFrame, dict[str, int]]:
        """The same by window expressions alone, which any Spark computes."""
        judged, has_ids = self._judged()
        classified = find_duplicates(judged, has_ids=has_ids)
        classified.select(*_STAGED.names).write.parquet(f"{folder}/classified")
        staged = self.spark.read.schema(_STAGED).parquet(f"{folder}/classified")
        daily = daily_engagement(
            accepted(staged),
            videos,
            parameters=self.parameters,
            timezone=self.timezone,
            run_time=self.run_time,
        )
        rows = merge_days(
            daily, parameters=self.parameters, run_time=self.run_time, estimate=self.estimate
        )
        counts = dict.fromkeys(("input", "accepted", "duplicates", "rejected"), 0)
        for row in ingestion_counts(staged).groupBy("measure").sum("value").collect():
            counts[row[0]] = row[1]
        return rows, counts

    def _judged(self) -> tuple[DataFrame, bool]:
        """The judged rows, and whether they have ids."""
        events = read_source(self.spark, self.source)
        rows = judge(
            events,
            spec=self.source,
            start_date=None,
            timezone=self.timezone,
            run_time=self.run_time,
        )
        return rows, "eventId" in events.columns


def _counts(files: Sequence[str]) -> dict[str, int]:
    """The counts of all calls of the kernel together; where there were none, there was no row."""
    total = [0] * (3 + len(REASONS))
    for file in files:
        for part in pq.read_table(file, columns=[COUNTS])[COUNTS].drop_null().to_pylist():
            total = [so_far + more for so_far, more in zip(total, part, strict=False)]
    read, accepted, rejected, *by_reason = total
    return {
        "input": read,
        "accepted": accepted,
        "duplicates": read - accepted - rejected,
        "rejected": rejected,
        **{f"{REJECTED_BY}{n}": rows for n, rows in zip(REASONS, by_reason, strict=True)},
    }


def _files(folder: str, name: str) -> list[str]:
    return sorted(str(file) for file in Path(folder, name).rglob("*.parquet"))


def _read_sorted(files: Sequence[str]) -> pa.Table:
    columns = AGGREGATED_ENGAGEMENT.column_names
    rows = ds.dataset(files, format="parquet").to_table(columns=columns)
    return rows.sort_by([(column, "ascending") for column in AGGREGATED_ENGAGEMENT.key])
