"""Where the time of `vidagg aggregate` goes: processor time of the same work, cut ever later."""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.timeline import prepared
from vidagg_dagster.pipeline.batch import aggregate_files
from vidagg_dagster.sources.listing import estimated_rows
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster.spark.arrow import ROWS_AT_ONCE, Spread
from vidagg_dagster.spark.session import engine_session


def stages(engine: str, events: Path, videos: Path, run_time: datetime) -> dict[str, float]:
    """Processor seconds of each stage, of an engine that computes in this process.

    A stage is what the work takes up to its end, less what it takes up to the end before.
    """
    spark = engine_session(engine)
    source = SourceSpec(location=str(events), format="parquet")
    spread = Spread(estimated_rows(source))
    chain = EngagementChain(EngagementParameters(), "UTC", run_time, spread=spread)
    durations = read_videos(spark, str(videos))
    read = read_source(spark, source)
    judged = chain.judged(read, source).drop("eventId")
    numbers = prepared(judged, durations, chain.parameters, chain.timezone)
    calls = -(-(spread.rows or 1) // ROWS_AT_ONCE)
    sums = chain.lifetime_sums(judged, durations)
    whole: dict[str, Callable[[], object]] = {
        "reading": lambda: _drain(read.drop("payload")),
        "judging": lambda: _drain(numbers),
        "moving": lambda: _drain(numbers.repartition(calls, "userId")),
        "folding": lambda: _drain(sums),
        "publishing, writing": lambda: _write(chain.published(sums, durations)),
        "sorting": lambda: aggregate_files(
            spark, source, video_metadata=str(videos), run_time=run_time
        ),
    }
    whole["sorting"]()  # compiled code is loaded, and plans are known
    until = {name: _processor_seconds(work) for name, work in whole.items()}
    before = [0.0, *until.values()]
    return {name: max(0.0, until[name] - before[at]) for at, name in enumerate(until)}


def _processor_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _drain(frame: DataFrame) -> None:
    """Compute all rows, and keep none."""
    frame.mapInArrow(_count, "n long").collect()


def _count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pydict({"n": [sum(batch.num_rows for batch in batches)]})


def _write(frame: DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        frame.write.parquet(f"{folder}/rows")
