"""The demo as a whole: events, a real Dagster run per day, and what came out."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib import resources
from pathlib import Path

import dagster as dg
import yaml

from vidagg_dagster.core.errors import DayFailedError
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, INGESTION_COUNTS, RAW_EVENTS
from vidagg_dagster.core.text import spaced
from vidagg_dagster.demo.files import DAYS, FIRST_DAY, VIEWERS, generate
from vidagg_dagster.demo.show import (
    rows_per_reason,
    show_peter,
    show_tiers,
    show_top_videos,
)
from vidagg_dagster.spark.session import resolve_engine, stop_sessions

PREFIX = "VIDAGG_"
KEPT = ("VIDAGG_ENGINE", "VIDAGG_DRIVER_MEMORY")
"""Settings of the machine, not of somebody's data: the demo takes them over."""


def demo_home(folder: Path) -> Path:
    """Where Dagster keeps its history of the demo in `folder`."""
    return folder / "dagster_home"


def demo_environment(folder: Path) -> dict[str, str]:
    """The variables under which Dagster, and so its UI, work on the demo in `folder`."""
    root = folder.absolute()
    return {
        "DAGSTER_HOME": str(demo_home(root)),
        "VIDAGG_SOURCE": str(root / "events"),
        "VIDAGG_SOURCE_FORMAT": "jsonl",
        "VIDAGG_VIDEO_METADATA": str(root / "videos.jsonl"),
        "VIDAGG_DATA_ROOT": str(root / "tables"),
        "VIDAGG_START_DATE": FIRST_DAY.isoformat(),
        "VIDAGG_TIMEZONE": "UTC",
    }


def _enter(folder: Path) -> None:
    """Make this process, and those it starts, work on the demo and on nothing else."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and name not in KEPT]:
        del os.environ[name]
    os.environ.update(demo_environment(folder))


def run_demo(
    folder: Path, *, engine: str | None = None, days: int = DAYS, viewers: int = VIEWERS
) -> None:
    """Generate the events, materialize every day through Dagster, print the result.

    Running it again writes the same rows again; Dagster's history keeps both runs.

    Raises:
        EngineError: The engine cannot run on this machine.
        DayFailedError: The run of a day failed.
    """
    if engine is not None:
        os.environ["VIDAGG_ENGINE"] = engine
    choice = resolve_engine(os.environ.get("VIDAGG_ENGINE", "auto"))
    started = time.monotonic()
    files = generate(folder, days=days, viewers=viewers)
    print(f"{spaced(files.rows)} rows of {len(files.days)} days written to {files.events}")
    print(f"Engine: {choice.engine} ({choice.reason})")
    _enter(folder)
    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    shipped = (resources.files("vidagg_dagster") / "dagster.yaml").read_text(encoding="utf-8")
    configuration = home / "dagster.yaml"
    # What steps say would come between the lines of the demo; in the UI it belongs to the log.
    quiet = {name: part for name, part in yaml.safe_load(shipped).items() if name != "python_logs"}
    configuration.write_text(yaml.safe_dump(quiet), encoding="utf-8")
    try:
        checks = _materialize(files.days)
    finally:
        configuration.write_text(shipped, encoding="utf-8")
        stop_sessions()
    passed = checks.pop("passed", 0)
    warned = ", ".join(f"{rule} {count}x" for rule, count in sorted(checks.items()))
    print(f"Checks: {spaced(passed)} passed" + (f"; to look at: {warned}" if warned else ""))

    tables = Path(os.environ["VIDAGG_DATA_ROOT"])
    lifetime = tables / AGGREGATED_ENGAGEMENT.name
    print(f"\nPeter, who watched 130 of 300 seconds ({AGGREGATED_ENGAGEMENT.name}):\n")
    print("\n".join(show_peter(lifetime)))
    print("\nTop videos:\n")
    print("\n".join(show_top_videos(lifetime)))
    print(f"\nTiers: {show_tiers(lifetime)}")
    print(f"Rejected: {rows_per_reason(tables / INGESTION_COUNTS.name)}")
    print(f"\nDone in {time.monotonic() - started:.0f} s. The tables are in {tables}.")
    print(f"Open Dagster's UI on them: make dev (or: vidagg ui --folder {folder})")


def _materialize(days: tuple[date, ...]) -> Counter[str]:
    """One run a day, as a schedule would do it, in this process: all share one engine.

    Returns how many checks passed, and how often each other one asks for a look.
    """
    # Reads the settings, so not before the environment is the demo's.
    from vidagg_dagster.definitions import defs
    from vidagg_dagster.defs.jobs import daily_engagement

    job = defs().resolve_job_def(daily_engagement.name)
    checks: Counter[str] = Counter()
    with dg.DagsterInstance.get() as instance:
        for number, day in enumerate(days, start=1):
            started = time.monotonic()
            result = job.execute_in_process(
                partition_key=day.isoformat(),
                instance=instance,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            if not result.success:
                raise DayFailedError(f"{day}: {' '.join(_failures(result))}")
            for evaluation in result.get_asset_check_evaluations():
                checks["passed" if evaluation.passed else evaluation.check_name] += 1
            print(
                f"{number:>2}/{len(days)} {day} {spaced(_accepted(result)):>7} events "
                f"{time.monotonic() - started:5.1f} s",
                flush=True,
            )
    return checks


def _failures(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = event.step_failure_data.error
        yield f"{event.step_key}: {error.message.strip() if error else 'failed'}"


def _accepted(result: dg.ExecuteInProcessResult) -> int:
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey(RAW_EVENTS.name):
            rows = event.materialization.metadata["dagster/partition_row_count"].value
            return int(str(rows))
    return 0


def open_ui(folder: Path, *, port: int = 3000) -> int:
    """Start Dagster's UI on the demo in `folder`, and return its exit code. Ctrl-C ends it."""
    _enter(folder)
    module = "vidagg_dagster.definitions"
    command = [sys.executable, "-m", "dagster", "dev", "-m", module, "-p", str(port)]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0
