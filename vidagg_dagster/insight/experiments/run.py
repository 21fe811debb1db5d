"""All experiments of an assignment table, evaluated on stored tables; their pages and results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow.compute as pc

from vidagg_dagster.core.days import EARLIEST, days_text
from vidagg_dagster.insight.duck import (
    durations,
    end_of,
    intervals_of,
    open_views,
    read_days,
    read_rows,
    rows_of,
)
from vidagg_dagster.insight.experiments.assignment import (
    CLUSTER,
    COLUMNS,
    Assigned,
    Assignments,
    assignments,
)
from vidagg_dagster.insight.experiments.estimates import require_library
from vidagg_dagster.insight.experiments.page import page
from vidagg_dagster.insight.experiments.plan import FOLDER, Plan
from vidagg_dagster.insight.experiments.result import Result, evaluate
from vidagg_dagster.insight.experiments.units import INTERVAL_COLUMNS
from vidagg_dagster.tables.disk import make_private, write_whole_text

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Fault:
    """Why stored tables must not be believed: of these days, or (empty) of all."""

    text: str
    days: tuple[date, ...] = ()


@dataclass(frozen=True)
class Evaluated:
    """What came of an assignment table."""

    assignments: Assignments
    results: tuple[Result, ...]


def read_assignments(location: Path) -> Assignments:
    """The experiments of an assignment table: CSV, Parquet, JSON lines or a Delta table.

    Times without a zone are taken as UTC.

    Raises:
        StepError: It cannot be read.
    """
    rows = read_rows(location, COLUMNS)
    texts = [
        f'CAST("{name}" AS VARCHAR) AS "{name}"'
        for name in ("experiment", "unitId", "variant", CLUSTER)
        if name in rows.columns
    ]
    exposed = 'TRY_CAST("exposedAt" AS TIMESTAMPTZ) AS "exposedAt"'
    return assignments(rows_of(rows.select(", ".join([*texts, exposed])), location))


def run(
    data_root: Path,
    location: Path,
    plans: Mapping[str, Plan],
    default: Plan,
    timezone: str,
    faults: Sequence[Fault] = (),
) -> Evaluated:
    """Evaluate every experiment, and write its result and page below `data_root`.

    Args:
        data_root: The folder of the tables.
        location: The assignment table.
        plans: Experiment -> its plan, where it is not the default one.
        default: The plan of all others.
        timezone: The zone of the days.
        faults: What is known to be wrong with stored tables.

    Raises:
        StepError: The assignment table or a stored table cannot be read, or tea-tasting is not
            installed.
    """
    require_library()
    found = read_assignments(location)
    connection = open_views(data_root)
    try:
        results = [
            _evaluated(connection, one, plans.get(one.experiment, default), timezone, faults)
            for one in found.experiments
        ]
    finally:
        connection.close()
    folder = data_root / FOLDER
    return Evaluated(found, tuple(_kept(folder, result) for result in results))


def _evaluated(
    connection: "duckdb.DuckDBPyConnection",
    assigned: Assigned,
    plan: Plan,
    timezone: str,
    faults: Sequence[Fault],
) -> Result:
    there = read_days(connection)
    span = _span(assigned, plan, timezone)
    needed = [day for day in _each_day(*span) if there and day <= there[-1]]
    reasons = [fault.text for fault in faults if not fault.days or set(fault.days) & set(needed)]
    missing = sorted(set(needed) - set(there))
    if missing:
        reasons.append(f"{days_text(missing)} were never read: run them")
    before = span[0] - timedelta(days=plan.covariate_days)
    return evaluate(
        assigned,
        intervals_of(connection, assigned.units, INTERVAL_COLUMNS, (before, span[1])),
        durations(connection),
        plan,
        end_of(there[-1] if there else EARLIEST, timezone),
        tuple(reasons),
    )


def _span(assigned: Assigned, plan: Plan, timezone: str) -> tuple[date, date]:
    """The days of the zone from the first exposure to the end of the last window."""
    if not assigned.units.num_rows:
        return EARLIEST, EARLIEST
    zone = ZoneInfo(timezone)
    exposed = pc.min_max(assigned.units["exposedAt"]).as_py()
    last = exposed["max"] + timedelta(days=plan.window_days)
    return exposed["min"].astimezone(zone).date(), last.astimezone(zone).date()


def _each_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _kept(folder: Path, result: Result) -> Result:
    """The result with the number of looks at it so far, written as JSON and as a page."""
    make_private(folder)
    file = folder / f"{result.experiment}.json"
    looks = _looks(file)
    if not result.refused:
        looks += 1
    kept = result.model_copy(update={"looks": looks})
    write_whole_text(file, kept.model_dump_json(indent=1))
    write_whole_text(file.with_suffix(".html"), page(kept))
    return kept


def _looks(file: Path) -> int:
    if not file.is_file():
        return 0
    return int(json.loads(file.read_text(encoding="utf-8")).get("looks", 0))
