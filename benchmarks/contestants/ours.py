"""vidagg: `vidagg aggregate` on files, and the daily run through Dagster."""

import os
import time
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.pipeline.batch import aggregate_files
from vidagg_dagster.settings.project import make_home
from vidagg_dagster.spark.session import engine_session


def aggregate(engine: str, events: Path, videos: Path, run_time: datetime, output: Path) -> int:
    """Write the rows as Parquet, as `vidagg aggregate` does; returns their number."""
    result = aggregate_files(
        engine_session(engine),
        SourceSpec(location=str(events), format="parquet"),
        video_metadata=str(videos),
        run_time=run_time,
    )
    with pq.ParquetWriter(output, result.schema, dictionary_pagesize_limit=1 << 16) as file:
        for rows in result.tables():
            file.write_table(rows)
    return result.num_rows


class DailyRun:
    """The job `daily_engagement` in this process, as the schedule runs it."""

    def __init__(self, engine: str, site: Path, root: Path, *, start: date) -> None:
        home = root / "home"
        make_home(home)
        os.environ.update(
            DAGSTER_HOME=str(home),
            VIDAGG_SOURCE=str(site / "events"),
            VIDAGG_SOURCE_FORMAT="parquet",
            VIDAGG_VIDEO_METADATA=str(site / "videos.parquet"),
            VIDAGG_DATA_ROOT=str(root / "tables"),
            VIDAGG_START_DATE=start.isoformat(),
            VIDAGG_MAX_DAYS_PER_RUN="0",
            VIDAGG_ENGINE=engine,
        )

    def run(self, first: date, last: date | None = None) -> float:
        """Materialize the days in one run; returns the seconds that it took.

        Raises:
            RuntimeError: The run failed, or a blocking check.
        """
        import dagster as dg

        from vidagg_dagster.definitions import defs
        from vidagg_dagster.defs.jobs import daily_engagement

        job = defs().resolve_job_def(daily_engagement.name)
        name = first.isoformat()
        chosen = (
            {"partition_key": name}
            if last is None
            else {
                "tags": {
                    "dagster/asset_partition_range_start": name,
                    "dagster/asset_partition_range_end": last.isoformat(),
                }
            }
        )
        with dg.DagsterInstance.get() as instance:
            started = time.monotonic()
            result = job.execute_in_process(
                instance=instance,
                run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
                **chosen,
            )
            seconds = time.monotonic() - started
        if not result.success:
            raise RuntimeError(f"the run of {name} failed")
        return seconds
