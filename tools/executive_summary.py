"""The generated part of `docs/executive-summary.md`: what runs cost, from the benchmarks' results.

`python -m tools.executive_summary` writes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.report import load
from tools.generated_parts import Parts, renewed

PAGE: Final = Path("docs", "executive-summary.md")
DAYS_A_MONTH: Final = 30


@dataclass(frozen=True)
class _Measured:
    """A case of the benchmarks, and what it means to who pays for it."""

    title: str
    group: str
    case: str
    contestant: str


_RUNS: Final = (
    _Measured("1 000 events a day", "small", "day of 1 000 events", "daily run on Sail"),
    _Measured(
        "20 000 events a day, with a year of history",
        "history",
        "a new day of 20 000 events",
        "new day after 365",
    ),
    _Measured("10 M events a day", "daily", "whole daily run, 10 M events", "daily run on Sail"),
    _Measured("100 M events a day", "large", "whole daily run, 100 M events", "daily run on Sail"),
)


def _costs() -> Iterator[str]:
    results = load()
    cores = int(results["machines"]["daily"]["cores"])
    yield f"| a site of | a daily run, {cores} cores | memory | core hours a month |"
    yield "|---|---:|---:|---:|"
    for run in _RUNS:
        found = _runs_of(results["measurements"], run)
        seconds = median(one["seconds"] for one in found)
        gigabytes = max(one["peak_mb"] for one in found) / 1024
        core_hours = seconds * cores * DAYS_A_MONTH / 3600
        yield f"| {run.title} | {_time(seconds)} | {gigabytes:.1f} GB | {_hours(core_hours)} |"


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 0.1 else "below 0.1"


def _runs_of(measurements: dict[str, Any], run: _Measured) -> list[dict[str, Any]]:
    found = [
        one
        for one in measurements.get(run.group, ())
        if (one["case"], one["contestant"]) == (run.case, run.contestant)
    ]
    if not found:
        raise ValueError(f"{run.case} by {run.contestant} was not measured: make bench")
    return found


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


PARTS: Final[Parts] = {"costs": _costs}


def executive_summary(page: str) -> str:
    """The page with its generated part renewed."""
    return renewed(page, PARTS)


def write_page(root: Path) -> None:
    """Write the generated part of the page below `root` anew."""
    page = root / PAGE
    page.write_text(executive_summary(page.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_page(Path.cwd())
