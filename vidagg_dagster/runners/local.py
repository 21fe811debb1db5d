"""Steps in the process of the run: one engine, started by the first step that needs it."""

import dagster as dg

from vidagg_dagster.core.contract import DayResult, StepRequest, StepResult
from vidagg_dagster.pipeline.run import StepError, run_step
from vidagg_dagster.runners.progress import day_line, summary_line
from vidagg_dagster.sources.read import SourceError
from vidagg_dagster.spark.session import EngineError, engine_session, resolve_engine
from vidagg_dagster.tables.delta_folder import require_writable, storage_fault
from vidagg_dagster.tables.interface import TableConflictError, TableError


class LocalSteps(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Runs steps here. `engine` is `auto`, `spark`, `sail` or `sc://host:port`."""

    engine: str = "auto"
    driver_memory: str | None = None

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Run the step; a fault of input or set-up becomes a `Failure` with its message alone."""

        def say(number: int, total: int, day: DayResult) -> None:
            context.log.info(day_line(request.step, number, total, day))

        try:
            if request.store.kind == "local":
                require_writable(request.store.location)
            choice = resolve_engine(self.engine)
            context.log.info(f"engine: {choice.engine} ({choice.reason})")
            spark = engine_session(self.engine, driver_memory=self.driver_memory)
            result = run_step(spark, request, say)
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
