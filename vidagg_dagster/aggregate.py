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

from vidagg_dagster.engine.arrow.apply import Kernels
from vidagg_dagster.engine.arrow.from_events import COUNTS
from vidagg_dagster.engine.engagement import user_video_engagement
from vidagg_dagster.engine.events import REASONS, judge
from vidagg_dagster.engine.lifetime import lifetime_from_events, publish_lifetime
from vidagg_dagster.engine.rules import EngagementRules
from vidagg_dagster.engine.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.engine.sources import estimated_rows, read_source
from vidagg_dagster.engine.timeline import sessions
from vidagg_dagster.engine.videos import read_videos
from vidagg_dagster.readable import spaced
from vidagg_dagster.steps.contract import SourceSpec

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
    rules: EngagementRules,
    timezone: str,
    run_time: datetime,
    unique: bool = True,
) -> DataFrame:
    """Accepted events of all days -> one row per user, video and day."""
    return user_video_engagement(
        sessions(events, videos, days=None, rules=rules, timezone=timezone),
        videos,
        rules=rules,
        run_time=run_time,
        unique=unique,
    )


def aggregate_files(
    spark: SparkSession,
    source: SourceSpec,
    *,
    video_metadata: str | None = None,
    rules: EngagementRules | None = None,
    timezone: str = "UTC",
    run_time: datetime,
    estimate_missing_durations: bool = False,
) -> Aggregation:
    """Every event of `source`, of all its days, to one row per user and video.

    Args:
        spark: any engine that shares this machine's files.
        source: where the events are, and how they are to be read.
        video_metadata: a file or table of `videoId`, `duration`, `title`.
        rules: the thresholds; the published ones if None.
        timezone: the zone whose calendar days are the days.
        run_time: becomes `processedAt`; an event may not be later by more than a day.
        estimate_missing_durations: take the largest position seen where the metadata has none.

    Raises:
        SourceError: the events or the metadata cannot be read, or lack a column.
    """
    chosen = rules or EngagementRules()
    videos = read_videos(spark, video_metadata)
    events = read_source(spark, source)
    judged = judge(events, spec=source, start_date=None, timezone=timezone, run_time=run_time).drop(
        "payload", "sourceFile", "_hash"
    )
    if "eventId" not in events.columns:
        judged = judged.drop("eventId")
    facts = lifetime_from_events(
        judged, videos, rules=chosen, timezone=timezone, kernels=Kernels(estimated_rows(source))
    )
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        # Kept on disk, because the counts, the rows and estimated durations are made from it. The
        # schema is said, because there may be no row to take it from.
        facts.write.parquet(f"{folder}/facts")
        rows = publish_lifetime(
            spark.read.schema(facts.schema).parquet(f"{folder}/facts"),
            videos,
            rules=chosen,
            run_time=run_time,
            estimate=estimate_missing_durations,
        )
        rows.write.parquet(f"{folder}/rows")
        files = _files(folder, "rows")
        # Where there are no rows, some engines write no file.
        table = _read_sorted(files) if files else rows.limit(0).toArrow()
        return Aggregation(rows=table, counts=_counts(_files(folder, "facts")))


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
