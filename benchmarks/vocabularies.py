"""What a vocabulary costs: the same events as JSON lines of ours and of Segment, on Sail.

    python -m benchmarks.vocabularies [MILLIONS]

Each is aggregated in a process of its own. Processor time is compared, since others may use the
machine.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import duckdb

from benchmarks.generate import Site, generate

RUN_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)

_EVENTS: Final = """
SELECT timestamp, userId, sessionId, videoId, eventName, floor(currentTime) AS currentTime
FROM read_parquet('{events}/*.parquet') WHERE eventName IN (SELECT ours FROM names)
    AND trim(videoId) <> ''  -- Segment's events take it over from others of their session
"""
_NAMES: Final = """
CREATE TABLE names AS SELECT * FROM (VALUES
    ('video_play', 'Video Playback Started'), ('video_resume', 'Video Playback Resumed'),
    ('video_pause', 'Video Playback Paused'), ('video_ended', 'Video Playback Completed'),
    ('video_progress', 'Video Content Playing'), ('video_seek', 'Video Playback Seek Completed')
) AS t(ours, theirs)
"""
_OF_SEGMENT: Final = """
SELECT 'track' AS type, theirs AS event, userId, timestamp,
    {{'session_id': sessionId, 'content_asset_id': videoId, 'position': currentTime,
      'total_length': 600, 'sound': 80, 'full_screen': false}} AS properties
FROM ({events}) JOIN names ON eventName = ours
"""


def main() -> None:
    """Write both files, and say how long each takes."""
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        files = _written(Path(folder), millions * 1_000_000)
        seconds = {}
        for name, file in files.items():
            with get_context("spawn").Pool(1) as process:
                rows, seconds[name], took = process.apply(_aggregated, (name, file))
            size = f"{file.stat().st_size / 1e6:.0f} MB, {rows} rows"
            print(f"{name}: {size}, {seconds[name]:.1f} s of processor, {took:.1f} s", flush=True)
    print(f"segment: {seconds['segment'] / seconds['ours']:.2f} times ours")


def _written(folder: Path, events: int) -> dict[str, Path]:
    generate(Site(events), folder / "site")
    connection = duckdb.connect()
    connection.execute(_NAMES)
    ours = _EVENTS.format(events=folder / "site" / "events")
    files = {}
    for name, query in (("ours", ours), ("segment", _OF_SEGMENT.format(events=ours))):
        files[name] = folder / f"{name}.jsonl"
        connection.execute(f"COPY ({query}) TO '{files[name]}' (FORMAT json)")
    return files


def _aggregated(name: str, file: Path) -> tuple[int, float, float]:
    """Rows, seconds of processor, seconds. Sail computes in the process that calls it."""
    from vidagg_dagster.core.contract import SourceSpec
    from vidagg_dagster.pipeline.batch import aggregate_files
    from vidagg_dagster.sources.mappings.vocabularies import find_mapping
    from vidagg_dagster.spark.session import engine_session

    spark = engine_session("sail")
    spark.range(1).count()
    mapping = None if name == "ours" else find_mapping(name)
    started, worked = time.monotonic(), time.process_time()
    source = SourceSpec(location=str(file), mapping=mapping)
    result = aggregate_files(spark, source, run_time=RUN_TIME)
    return result.rows.num_rows, time.process_time() - worked, time.monotonic() - started


if __name__ == "__main__":
    main()
