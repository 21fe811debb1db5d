"""Steps in the process of the run: one engine, started by the first step that needs it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self

import dagster as dg

from vidagg_dagster.core.contract import SAIL, SPARK, DayResult, StepRequest, StepResult
from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.pipeline.run import DayDone, run_step
from vidagg_dagster.runners.history import history_open
from vidagg_dagster.runners.progress import day_line, machine_line, summary_line
from vidagg_dagster.runners.size import FEW_ROWS, at_most
from vidagg_dagster.spark.allocators import keep_what_sail_frees
from vidagg_dagster.spark.engines import resolve_engine
from vidagg_dagster.spark.jvm import OF_FEW_ROWS, set_to
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster.tables.disk import require_writable, storage_fault

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_IN_MEMORY: Final = 20_000_000
"""Up to so many events of a day a run takes as little memory as nobody has to care about."""


class LocalSteps(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Runs steps in this process. `engine` is `auto`, `sail` or `sc://host:port`.

    JVM Spark has a runner of its own, `runners.jvm.JvmSteps`.
    """

    engine: str = "auto"

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Self]:
        """Dagster enters this once for all steps of a run."""
        with ExitStack() as run:
            if context.instance is not None and context.run is not None:
                run.enter_context(history_open(context.instance, context.run.run_id))
            yield self

    def session(self) -> "SparkSession":
        """The session that computes; the first step of the process starts it."""
        return engine_session(self.engine)

    def settings_for_few_rows(self) -> Mapping[str, str]:
        """What a JVM of this process is set to while a step reads few rows."""
        return OF_FEW_ROWS

    def run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        """Run the step.

        Raises:
            dagster.Failure: Input or set-up is wrong; the message says what to do. It is retried
                only where that may help.
        """
        try:
            return self._run(context, request)
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from None
        except Exception as error:
            # What a cluster says of its own disks is not about a folder here.
            folder = request.store.location if request.store.kind == "local" else None
            fault = None if folder is None else storage_fault(folder, error)
            if fault is None:
                raise
            raise dg.Failure(str(fault), allow_retries=fault.retryable) from error

    def _run(self, context: dg.AssetExecutionContext, request: StepRequest) -> StepResult:
        def report(number: int, total: int, day: DayResult) -> None:
            context.log.info(day_line(number, total, day))

        if request.store.kind == "local":
            require_writable(request.store.location)
        choice = resolve_engine(self.engine)
        context.log.info(f"engine: {choice.shown}")
        result = self._compute(choice.engine, request, report)
        context.log.info(summary_line(result))
        context.log.info(machine_line(result))
        return result

    def _compute(self, engine: str, request: StepRequest, report: DayDone) -> StepResult:
        """Run the step on an engine that is set up for it."""
        if engine == SAIL:
            one_day = len(request.days) == 1
            keep_what_sail_frees(lambda: not (one_day and at_most(request, _IN_MEMORY)))
        spark = self.session()
        few = engine == SPARK and at_most(request, FEW_ROWS)
        settings = self.settings_for_few_rows() if few else {}
        with set_to(spark, settings):
            return run_step(spark, request, report)
