"""Steps in the process of the run: one engine, started by the first step that needs it."""

import os

import dagster as dg

from vidagg_dagster.engine.run import StepError, run_step
from vidagg_dagster.engine.session import (
    MEMORY_SETTING,
    EngineError,
    engine_session,
    resolve_engine,
)
from vidagg_dagster.engine.sources import SourceError
from vidagg_dagster.engine.tables import TableConflictError, TableError
from vidagg_dagster.steps.contract import StepName, StepRequest, StepResult

_UNIT = {
    StepName.RAW_EVENTS: "events",
    StepName.SESSIONS: "sessions",
    StepName.WATCH_INTERVALS: "intervals",
}


class LocalSteps(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Runs steps here. `engine` is `auto`, `spark`, `sail` or `sc://host:port`."""

    engine: str = "auto"
    driver_memory: str | None = None

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Run the step; a fault of input or set-up becomes a `Failure` with its message alone."""
        if self.driver_memory:
            # The engine takes it from the environment; here it may come from `.env`.
            os.environ.setdefault(MEMORY_SETTING, self.driver_memory)
        try:
            choice = resolve_engine(self.engine)
            context.log.info(f"engine: {choice.engine} ({choice.reason})")
            result = run_step(engine_session(self.engine), request)
        except TableConflictError as error:
            raise dg.Failure(str(error)) from error
        except (EngineError, SourceError, StepError, TableError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for line in progress(result):
            context.log.info(line)
        return result


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
