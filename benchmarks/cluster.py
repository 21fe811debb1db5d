"""The steps on Spark with two worker processes, and the cost of each by Spark's event log.

`python -m benchmarks.cluster` shows that nothing depends on a single process: the rows equal
DuckDB's. It measures the task time, processor time and shuffled bytes of each step, from which the
page estimates larger clusters.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyspark

from benchmarks.contestants import duckdb_sql
from benchmarks.generate import Site, generate
from benchmarks.machine import machine
from benchmarks.measure import require_same_rows
from benchmarks.measure_one import DAY, RUN_TIME
from benchmarks.report import PAGE, draw, load, page, save
from vidagg_dagster.core.contract import SourceSpec, StepName, StepRequest, TableStore
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session, stop_sessions
from vidagg_dagster.tables.delta_folder import LocalTables

WORKERS = 2
EVENTS = 2_000_000


@dataclass(frozen=True)
class StepCost:
    """The sums over the tasks of one step."""

    step: str
    tasks: int
    executors: int
    task_seconds: float
    cpu_seconds: float
    shuffle_bytes: int
    largest_task_seconds: float


def main() -> None:
    """Run a day, compare its rows, and save the costs for the page."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        generate(Site(EVENTS), folder / "site")
        _run(folder)
        costs = [asdict(cost) for cost in _costs(folder / "log")]
        _compare(folder)
    assert max(cost["executors"] for cost in costs) == WORKERS
    results = load()
    results["cluster"] = {"events": EVENTS, "workers": WORKERS, "steps": costs}
    results["machines"]["cluster"] = dict(machine())
    save(results)
    PAGE.write_text(page(results), encoding="utf-8")
    draw(results)
    print(json.dumps(results["cluster"], indent=1))


def _run(folder: Path) -> None:
    """Run every step as a job group with its name."""
    # Spark starts its worker processes from this folder.
    os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    (folder / "log").mkdir()
    spark = engine_session(
        "spark",
        conf={
            "spark.master": f"local-cluster[{WORKERS},1,4096]",
            "spark.executor.memory": "4g",
            "spark.executorEnv.PYTHONPATH": str(Path(__file__).parents[1]),
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": (folder / "log").as_uri(),
            "spark.eventLog.compress": "false",
            "spark.eventLog.rolling.enabled": "false",
        },
    )
    try:
        for step in StepName:
            spark.sparkContext.setJobGroup(step, step)
            run_step(spark, _request(folder, step))
    finally:
        stop_sessions()


def _request(folder: Path, step: StepName) -> StepRequest:
    days: tuple[date, ...] = (DAY, DAY + timedelta(days=1))
    return StepRequest(
        step=step,
        days=() if step is StepName.AGGREGATED_ENGAGEMENT else days,
        start_date=DAY,
        timezone="UTC",
        run_time=RUN_TIME,
        store=TableStore(kind="local", location=str(folder / "tables")),
        source=SourceSpec(location=str(folder / "site" / "events"), format="parquet"),
        video_metadata=str(folder / "site" / "videos.parquet"),
    )


def _compare(folder: Path) -> None:
    expected = folder / "duckdb.parquet"
    site = folder / "site"
    duckdb_sql.aggregate(site / "events", site / "videos.parquet", RUN_TIME, expected)
    ours = folder / "ours.parquet"
    spark = engine_session("sail")
    rows = LocalTables(spark, folder / "tables").read(AGGREGATED_ENGAGEMENT)
    pq.write_table(rows.toArrow(), ours)
    stop_sessions()
    require_same_rows([ours, expected])


def _costs(log: Path) -> Iterator[StepCost]:
    step_of_stage: dict[int, str] = {}
    tasks: dict[str, list[dict[str, Any]]] = {step.value: [] for step in StepName}
    for file in log.rglob("*"):
        if not file.is_file() or file.suffix == ".crc":
            continue
        # Not splitlines: it also splits at other separators of Unicode, which plans contain.
        for line in filter(None, file.read_text(encoding="utf-8").split("\n")):
            event = json.loads(line)
            if event["Event"] == "SparkListenerJobStart":
                group = event["Properties"].get("spark.jobGroup.id", "")
                step_of_stage |= dict.fromkeys(event["Stage IDs"], group)
            elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                step = step_of_stage.get(event["Stage ID"], "")
                if step in tasks:
                    tasks[step].append(event)
    for step, ended in tasks.items():
        metrics = [event["Task Metrics"] for event in ended]
        yield StepCost(
            step=step,
            tasks=len(ended),
            executors=len({event["Task Info"]["Executor ID"] for event in ended}),
            task_seconds=round(sum(m["Executor Run Time"] for m in metrics) / 1000, 1),
            cpu_seconds=round(sum(m["Executor CPU Time"] for m in metrics) / 1e9, 1),
            shuffle_bytes=sum(m["Shuffle Write Metrics"]["Shuffle Bytes Written"] for m in metrics),
            largest_task_seconds=round(
                max((m["Executor Run Time"] for m in metrics), default=0) / 1000, 1
            ),
        )


if __name__ == "__main__":
    main()
