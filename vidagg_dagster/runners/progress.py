"""The progress of a step as lines for people."""

from vidagg_dagster.core.contract import DayResult, StepResult
from vidagg_dagster.core.text import spaced


def day_line(number: int, total: int, day: DayResult) -> str:
    """Such as `12/30 2026-01-12 41 210 events 2.1 s`."""
    width = len(str(total))
    counted = f"{spaced(day.rows)} {day.unit}"
    return f"{number:>{width}}/{total} {day.day} {counted} {day.seconds:.1f} s"


def machine_line(result: StepResult) -> str:
    """What the step cost, and what else only its maintainers want to know."""
    told = ", ".join(f"{name} {value}" for name, value in result.metrics.items())
    return f"{result.step}: {told}"


def summary_line(result: StepResult) -> str:
    """Such as `sessions: 9 120 sessions in 14.2 s`."""
    return f"{result.step}: {spaced(result.rows)} {result.unit} in {result.seconds:.1f} s"
