"""The whole demo: events, real Dagster runs, and the result."""

import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import yaml

from vidagg_dagster.core.text import spaced
from vidagg_dagster.demo.files import (
    AUDIENCE_FILE,
    CHAPTERS_FILE,
    DAYS,
    VIEWERS,
    DemoFiles,
    generate,
)
from vidagg_dagster.demo.launch import materialize, write_page
from vidagg_dagster.demo.show import show_result
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.settings.opened import require_closed
from vidagg_dagster.settings.project import (
    CONFIGURATION,
    DEFAULT_HOME,
    make_home,
    open_project,
    shipped_configuration,
    write_settings,
)
from vidagg_dagster.settings.variables import ENGINE, engine_setting, given_variables
from vidagg_dagster.spark.engines import MEMORY_SETTING, resolve_engine
from vidagg_dagster.spark.session import stop_sessions

DAILY_RUNS: Final = 2
"""So many of the last days run one by one, as a schedule starts them; those before as backfill."""


def first_day_of(days: int) -> date:
    """The first of so many days of which the last is yesterday (UTC)."""
    return datetime.now(UTC).date() - timedelta(days=days)


def run_demo(
    folder: Path,
    *,
    engine: str | None = None,
    days: int = DAYS,
    viewers: int = VIEWERS,
    first_day: date | None = None,
) -> None:
    """Generate the events, materialize their days through Dagster, print the result.

    A second run of the same days writes the same rows again, and Dagster's history keeps both runs.
    What a demo of other days or of an earlier version has left in the folder is removed first.

    Raises:
        EngineError: The engine cannot run on this machine.
        BadInputError: Dagster's UI is open on what would be removed.
        DayFailedError: A run failed.
    """
    choice = resolve_engine(engine or engine_setting())
    started = time.monotonic()
    first_day = first_day or first_day_of(days)
    variables = demo_settings(choice.engine, first_day) | _of_the_machine()
    remove_other_demo(folder, variables)
    files = generate(folder, first_day=first_day, days=days, viewers=viewers)
    print(
        f"{spaced(files.rows)} rows of {len(files.days)} days, made up for {viewers} viewers, "
        f"in {files.events}"
    )
    write_settings(folder, variables, "The demo's settings, written by `vidagg demo`.")
    make_home(folder / DEFAULT_HOME)
    checks = _run(folder, files, choice.shown)
    print("\n".join(show_result(folder / "tables", checks)))
    print(f"\nDone in {time.monotonic() - started:.0f} s. What next:")
    print("\n".join(_what_next(folder)))


def demo_settings(engine: str, first_day: date) -> dict[str, str]:
    """The variables of the demo; its paths count from its folder."""
    return {
        "VIDAGG_SOURCE": "events",
        "VIDAGG_SOURCE_FORMAT": "jsonl",
        "VIDAGG_VIDEO_METADATA": "videos.jsonl",
        "VIDAGG_CHAPTERS": CHAPTERS_FILE,
        "VIDAGG_AUDIENCE": AUDIENCE_FILE,
        "VIDAGG_DATA_ROOT": "tables",
        "VIDAGG_START_DATE": first_day.isoformat(),
        "VIDAGG_TIMEZONE": "UTC",
        "VIDAGG_ENGINE": engine,
    }


def _of_the_machine() -> dict[str, str]:
    """Settings that describe the machine and not the user's data, so the demo keeps them."""
    return {name: value for name, value in given_variables().items() if name == MEMORY_SETTING}


def remove_other_demo(folder: Path, variables: Mapping[str, str]) -> None:
    """What a demo of other days or of an earlier version has left, whose tables differ.

    Raises:
        BadInputError: Dagster's UI is open on it.
    """
    from dotenv import dotenv_values

    before = dotenv_values(folder / ".env")
    same = all(before.get(name) == variables[name] for name in variables if name != ENGINE)
    if before and not same:
        require_closed(folder / DEFAULT_HOME)
        for name in ("tables", DEFAULT_HOME):
            shutil.rmtree(folder / name, ignore_errors=True)


def _run(folder: Path, files: DemoFiles, engine: str) -> Counter[str]:
    project = open_project(folder, isolated=True)
    os.environ.update(project.environment)
    days = files.days
    at_once = max(len(days) - DAILY_RUNS, 1)
    parts = [days[:at_once], *((day,) for day in days[at_once:])]
    print(f"Dagster runs them on {engine}: {_plan(parts)}", flush=True)
    try:
        with chdir(folder), _quiet(project.home), dg.DagsterInstance.get() as instance:
            checks = materialize(parts, instance)
            write_page(instance)
    except Exception:
        stop_sessions()
        raise
    # Ctrl-C is no Exception: the engine is left then, because to stop it waits for its queries.
    stop_sessions()
    return checks


def _plan(parts: Sequence[Sequence[date]]) -> str:
    backfill, *daily = parts
    if len(backfill) == 1:
        return f"{len(parts)} daily runs"
    after = f", then {len(daily)} daily runs" if daily else ""
    return f"{len(backfill)} days as one backfill{after}"


@contextmanager
def _quiet(home: Path) -> Iterator[None]:
    """Dagster's home without the output of steps, which would mix with the lines of the demo.

    Afterwards the home has the shipped configuration, so the UI logs steps as usual.
    """
    shipped = shipped_configuration()
    configuration = home / CONFIGURATION
    quiet = {name: part for name, part in yaml.safe_load(shipped).items() if name != "python_logs"}
    quiet["compute_logs"] = {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
    configuration.write_text(yaml.safe_dump(quiet), encoding="utf-8")
    # It writes a traceback where Ctrl-C comes just as a connection is given back.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        configuration.write_text(shipped, encoding="utf-8")


def _what_next(folder: Path) -> Iterator[str]:
    usual = folder == Path("demo_data")
    yield f"  {folder / 'tables' / FILE}"
    yield "      is a page with curves of each video, who comes back, and data quality: open it"
    at = "--demo   (or: make dev)" if usual else f"--folder {folder}"
    yield f"  vidagg ui {at}"
    yield "      opens Dagster's UI on these runs, their checks and their numbers"
    yield "  vidagg init my_events.csv"
    yield "      looks at your own events, and says what is missing"
