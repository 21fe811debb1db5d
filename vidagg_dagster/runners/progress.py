"""The progress of a step as lines for people."""

from vidagg_dagster.core.contract import DayResult, StepName, StepResult
from vidagg_dagster.core.text import spaced

_UNIT = {
    StepName.RAW_EVENTS: "events",
    StepName.SESSIONS: "sessions",
    StepName.WATCH_INTERVALS: "intervals",
}


def day_line(step: StepName, number: int, total: int, day: DayResult) -> str:
    """One finished day, such as `12/30 2026-01-12 41 210 events 2.1 s`."""
    width = len(str(total))
    counted = f"{spaced(day.rows)} {_unit(step)}"
    return f"{number:>{width}}/{total} {day.day} {counted} {day.seconds:.1f} s"


def summary_line(result: StepResult) -> str:
    """The whole step, such as `sessions: 9 120 sessions in 14.2 s`."""
    return f"{result.step}: {spaced(result.rows)} {_unit(result.step)} in {result.seconds:.1f} s"


def _unit(step: StepName) -> str:
    return _UNIT.get(step, "rows")
