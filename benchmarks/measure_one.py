"""One measurement in its own process: `python -m benchmarks.measure_one NAME SITE OUTPUT`.

Prints one JSON object: seconds of the work, seconds until the engine was ready, and rows.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

RUN_TIME = datetime(2026, 1, 1, tzinfo=UTC)
DAY = date(2024, 1, 1)
NEW_DAY = DAY + timedelta(days=365)

Work = Callable[[Path, Path], dict[str, Any]]


def main() -> None:
    """Run the contestant that the arguments name."""
    name, site, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    print(json.dumps(CONTESTANTS[name](site, output)))


def _measured(engine: str | None, work: Callable[[], int]) -> dict[str, Any]:
    started = time.monotonic()
    if engine is not None:
        from vidagg_dagster.spark.session import engine_session

        engine_session(engine).range(1).count()
    ready = time.monotonic()
    rows = work()
    return {
        "seconds": time.monotonic() - ready,
        "start_seconds": ready - started,
        "rows": rows,
    }


def _ours(engine: str) -> Work:
    def work(site: Path, output: Path) -> dict[str, Any]:
        from benchmarks.contestants.ours import aggregate

        return _measured(
            engine,
            lambda: aggregate(engine, site / "events", site / "videos.parquet", RUN_TIME, output),
        )

    return work


def _duckdb(site: Path, output: Path) -> dict[str, Any]:
    from benchmarks.contestants.duckdb_sql import aggregate

    return _measured(
        None, lambda: aggregate(site / "events", site / "videos.parquet", RUN_TIME, output)
    )


def _naive(site: Path, output: Path) -> dict[str, Any]:
    from benchmarks.contestants.naive_spark import aggregate

    return _measured(
        "spark", lambda: aggregate(site / "events", site / "videos.parquet", RUN_TIME, output)
    )


def _daily(engine: str, *, again: bool = False) -> Work:
    """The whole run of the site's first day, or with `again` of the second, on a warm engine."""

    def work(site: Path, output: Path) -> dict[str, Any]:
        from benchmarks.contestants.ours import DailyRun

        daily = DailyRun(engine, site, output, start=DAY)
        if again:
            daily.run(DAY)
            return {"seconds": daily.run(DAY + timedelta(days=1)), "start_seconds": 0.0, "rows": 0}
        # The run itself starts Sail, in a fraction of a second, with what it sets for a run.
        found = _measured(None if engine == "sail" else engine, lambda: 0)
        return {**found, "seconds": daily.run(DAY)}

    return work


def _new_day(engine: str, history: int) -> Work:
    """A new day after `history` days, which are computed before and not measured."""

    def work(site: Path, output: Path) -> dict[str, Any]:
        from benchmarks.contestants.ours import DailyRun

        first = NEW_DAY - timedelta(days=history)
        # One day earlier, because the first day gets the rows without a time, of all files.
        daily = DailyRun(engine, site, output, start=first - timedelta(days=1))
        daily.run(first, NEW_DAY - timedelta(days=1))
        seconds = daily.run(NEW_DAY)
        again = daily.run(first)
        return {"seconds": seconds, "start_seconds": 0.0, "rows": 0, "then its first again": again}

    return work


def _stages(engine: str) -> Work:
    def work(site: Path, _: Path) -> dict[str, Any]:
        from benchmarks.contestants.stages import stages

        ready = _measured(engine, lambda: 0)
        found = stages(engine, site / "events", site / "videos.parquet", RUN_TIME)
        return {**ready, "seconds": sum(found.values()), **found}

    return work


def _pairs(site: Path, output: Path) -> dict[str, Any]:
    from benchmarks.contestants.pairs import updates

    first, *others = updates(site, output, DAY, RUN_TIME).items()
    return {"seconds": first[1], "start_seconds": 0.0, "rows": 0, **dict(others)}


CONTESTANTS: dict[str, Work] = {
    "vidagg on Sail": _ours("sail"),
    "vidagg on JVM Spark": _ours("spark"),
    "stages on Sail": _stages("sail"),
    "DuckDB": _duckdb,
    "naive Spark": _naive,
    "daily run on Sail": _daily("sail"),
    "daily run on JVM Spark": _daily("spark"),
    "daily run on Sail, warm": _daily("sail", again=True),
    "daily run on JVM Spark, warm": _daily("spark", again=True),
    "update at 1 M pairs": _pairs,
    "new day after 1": _new_day("sail", 1),
    "new day after 365": _new_day("sail", 365),
}
"""Contestants by their name in the report."""

if __name__ == "__main__":
    main()
