"""The whole demo: events, a real Dagster run per day, and the result."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Final

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
from vidagg_dagster.spark.engines import resolve_engine
from vidagg_dagster.spark.session import stop_sessions

PREFIX: Final = "VIDAGG_"
KEPT: Final = ("VIDAGG_ENGINE", "VIDAGG_DRIVER_MEMORY")
"""Settings that describe the machine and not the user's data, so the demo keeps them."""


def demo_home(folder: Path) -> Path:
    """Where Dagster keeps its history of the demo in `folder`."""
    return folder / "dagster_home"


def demo_environment(folder: Path) -> dict[str, str]:
    """The variables with which Dagster and its UI work on the demo in `folder`."""
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


def run_demo(
    folder: Path, *, engine: str | None = None, days: int = DAYS, viewers: int = VIEWERS
) -> None:
    """Generate the events, materialize every day through Dagster, print the result.

    A second run writes the same rows again, and Dagster's history keeps both runs.

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
    print(f"Engine: {choice.shown}")
    _enter(folder)
    try:
        with _quiet_home(Path(os.environ["DAGSTER_HOME"])):
            checks = _materialize(files.days)
    finally:
        stop_sessions()
    tables = Path(os.environ["VIDAGG_DATA_ROOT"])
    _print_result(checks, tables)
    print(f"\nDone in {time.monotonic() - started:.0f} s. The tables are in {tables}.")
    print(f"Open Dagster's UI on them: make dev (or: vidagg ui --folder {folder})")


def open_ui(folder: Path, *, port: int = 3000) -> int:
    """Start Dagster's UI on the demo in `folder`, until Ctrl-C. Returns the exit code."""
    _enter(folder)
    module = "vidagg_dagster.definitions"
    command = [sys.executable, "-m", "dagster", "dev", "-m", module, "-p", str(port)]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 0


def _enter(folder: Path) -> None:
    """Make this process, and those that it starts, work on the demo and on no other data."""
    for name in [name for name in os.environ if name.startswith(PREFIX) and name not in KEPT]:
        del os.environ[name]
    os.environ.update(demo_environment(folder))


@contextmanager
def _quiet_home(home: Path) -> Iterator[None]:
    """Dagster's home without the log of steps, which would mix with the lines of the demo.

    Afterwards the home has the shipped configuration, so the UI logs steps as usual.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shipped = (resources.files("vidagg_dagster") / "dagster.yaml").read_text(encoding="utf-8")
    configuration = home / "dagster.yaml"
    quiet = {name: part for name, part in yaml.safe_load(shipped).items() if name != "python_logs"}
    configuration.write_text(yaml.safe_dump(quiet), encoding="utf-8")
    try:
        yield
    finally:
        configuration.write_text(shipped, encoding="utf-8")


def _materialize(days: tuple[date, ...]) -> Counter[str]:
    """One run per day, as a schedule starts it, in this process, so that all share one engine.

    Returns how many checks passed, under "passed", and how often each other check did not.

    Raises:
        DayFailedError: The run of a day failed.
    """
    # These imports read the settings, so the environment must be the demo's already.
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


def _print_result(checks: Counter[str], tables: Path) -> None:
    passed = checks.pop("passed", 0)
    warned = ", ".join(f"{rule} {count}x" for rule, count in sorted(checks.items()))
    print(f"Checks: {spaced(passed)} passed" + (f"; to look at: {warned}" if warned else ""))
    lifetime = tables / AGGREGATED_ENGAGEMENT.name
    print(f"\nPeter, who watched 130 of 300 seconds ({AGGREGATED_ENGAGEMENT.name}):\n")
    print("\n".join(show_peter(lifetime)))
    print("\nTop videos:\n")
    print("\n".join(show_top_videos(lifetime)))
    print(f"\nTiers: {show_tiers(lifetime)}")
    print(f"Rejected: {rows_per_reason(tables / INGESTION_COUNTS.name)}")
