"""What a step did, as lines for people."""

from vidagg_dagster.steps.contract import StepName, StepResult

_UNIT = {
    StepName.RAW_EVENTS: "events",
    StepName.SESSIONS: "sessions",
    StepName.WATCH_INTERVALS: "intervals",
}


def progress(result: StepResult) -> list[str]:
    """A line for each day, such as `12/30 2026-01-12 41 210 events`, and one for the whole."""
    unit = _UNIT.get(result.step, "rows")
    width = len(str(len(result.days)))
    days = [
        f"{number:>{width}}/{len(result.days)} {day.day} {_spaced(day.rows)} {unit}"
        for number, day in enumerate(result.days, start=1)
    ]
    return [*days, f"{result.step}: {_spaced(result.rows)} {unit} in {result.seconds:.1f} s"]


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
