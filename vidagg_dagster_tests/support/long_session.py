"""All steps over one session of a heartbeat each second for a day, in a process of its own.

`python -m vidagg_dagster_tests.support.long_session FOLDER` prints, as JSON, the processor seconds
of each step, the gigabytes that the process had taken at its end, and its failed checks.
"""

import json
import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster_tests.support.small_site import Site, day, write_site

HEARTBEATS = 86_400


def main() -> None:
    """Write the events, run the steps and print what they took."""
    site = write_site(Path(sys.argv[1]), 0)
    write_session(site)
    spark = engine_session(SAIL)
    spark.sql("SELECT 1").collect()
    took: dict[str, object] = {"start": {"gigabytes": gigabytes()}}
    for step in StepName:
        started = time.process_time()
        result = run_step(spark, site.request(step, [day(0)]))
        took[step.value] = {
            "rows": result.rows,
            "seconds": time.process_time() - started,
            "gigabytes": gigabytes(),
            "failed": [outcome.rule for outcome in result.outcomes if not outcome.passed],
        }
    print(json.dumps(took))


def write_session(site: Site) -> None:
    """A play, and a position each second after it."""
    site.events.mkdir()
    start = datetime.combine(day(0), datetime.min.time(), UTC)
    times = [(start + timedelta(seconds=at)).isoformat() for at in range(HEARTBEATS)]
    columns = {
        "timestamp": times,
        "userId": ["screen"] * HEARTBEATS,
        "sessionId": ["all day"] * HEARTBEATS,
        "videoId": ["live"] * HEARTBEATS,
        "eventName": ["video_play", *["video_progress"] * (HEARTBEATS - 1)],
        "currentTime": list(map(float, range(HEARTBEATS))),
    }
    pq.write_table(pa.table(columns), site.events / "screen.parquet")


def gigabytes() -> float:
    """The most memory that this process has taken so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
