"""Steps in the process of the run: one engine, started by the first step that needs it."""

import os

import dagster as dg

from vidagg_dagster.core.contract import DayResult, StepRequest, StepResult
from vidagg_dagster.core.errors import (
    EngineError,
    SourceError,
    StepError,
    TableConflictError,
    TableError,
)
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.runners.progress import day_line, summary_line
from vidagg_dagster.spark.session import (
    MEMORY_SETTING,
    engine_session,
    resolve_engine,
)
from vidagg_dagster.tables.delta_folder import require_writable, storage_fault


class LocalSteps(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Runs steps here. `engine` is `auto`, `spark`, `sail` or `sc://host:port`."""

    engine: str = "auto"
    driver_memory: str | None = None

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Run the step; a fault of input or set-up becomes a `Failure` with its message alone."""
        if self.driver_memory:
            # The engine takes it from the environment; here it may come from `.env`.
            os.environ.setdefault(MEMORY_SETTING, self.driver_memory)

        def say(number: int, total: int, day: DayResult) -> None:
            context.log.info(day_line(number, total, day))

        try:
            if request.store.kind == "local":
                require_writable(request.store.location)
            choice = resolve_engine(self.engine)
            context.log.info(f"engine: {choice.engine} ({choice.reason})")
            result = run_step(engine_session(self.engine), request, say)
        except TableConflictError as error:
            raise dg.Failure(str(error)) from error
        except (EngineError, SourceError, StepError, TableError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except Exception as error:
            fault = storage_fault(request.store.location, error)
            if fault is None:
                raise
            raise dg.Failure(str(fault), allow_retries=False) from error
        context.log.info(summary_line(result))
        return result
