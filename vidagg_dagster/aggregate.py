"""The whole computation over files in one go: events in, one row per user and video out."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from vidagg_dagster.engine.engagement import user_video_engagement
from vidagg_dagster.engine.events import OUTCOME, accepted, classify, ingestion_counts
from vidagg_dagster.engine.lifetime import merge_days
from vidagg_dagster.engine.rules import EngagementRules
from vidagg_dagster.engine.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.engine.sources import read_source
from vidagg_dagster.engine.timeline import sessions
from vidagg_dagster.engine.videos import read_videos
from vidagg_dagster.readable import spaced
from vidagg_dagster.steps.contract import SourceSpec

_STAGED = T.StructType(
    [
        *RAW_EVENTS.struct.fields,
        T.StructField("reasons", T.ArrayType(T.StringType())),
        T.StructField(OUTCOME, T.StringType()),
    ]
)
"""What the counts and the rows need of a classified row: all but its payload."""

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
    classified = classify(
        read_source(spark, source),
        spec=source,
        start_date=None,
        timezone=timezone,
        run_time=run_time,
    )
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        # Kept on disk, because both the counts and the rows are made from it, and no engine has
        # to hold it in memory. The schema is said, because there may be no row to take it from.
        classified.select(*_STAGED.names).write.parquet(f"{folder}/classified")
        staged = spark.read.schema(_STAGED).parquet(f"{folder}/classified")
        daily = daily_engagement(
            accepted(staged), videos, rules=chosen, timezone=timezone, run_time=run_time
        )
        rows = merge_days(
            daily, rules=chosen, run_time=run_time, estimate=estimate_missing_durations
        )
        rows.write.parquet(f"{folder}/rows")
        counts: dict[str, int] = dict.fromkeys(("input", "accepted", "duplicates", "rejected"), 0)
        for row in ingestion_counts(staged).groupBy("measure").sum("value").collect():
            counts[row[0]] = row[1]
        files = sorted(str(file) for file in Path(folder, "rows").rglob("*.parquet"))
        # Where there are no rows, some engines write no file.
        table = _read_sorted(files) if files else rows.limit(0).toArrow()
        return Aggregation(rows=table, counts=counts)


def _read_sorted(files: Sequence[str]) -> pa.Table:
    columns = AGGREGATED_ENGAGEMENT.column_names
    rows = ds.dataset(files, format="parquet").to_table(columns=columns)
    return rows.sort_by([(column, "ascending") for column in AGGREGATED_ENGAGEMENT.key])
