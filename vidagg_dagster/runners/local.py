"""Steps in the process of the run: one engine, started by the first step that needs it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

import dagster as dg

from vidagg_dagster.core.contract import SAIL, DayResult, StepRequest, StepResult
from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.runners.history import history_open
from vidagg_dagster.runners.progress import day_line, machine_line, summary_line
from vidagg_dagster.sources.listing import estimated_rows
from vidagg_dagster.spark.allocators import keep_what_sail_frees
from vidagg_dagster.spark.engines import resolve_engine
from vidagg_dagster.spark.session import engine_session, is_running
from vidagg_dagster.tables.delta_log import largest_day
from vidagg_dagster.tables.disk import require_writable, storage_fault

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
        if choice.engine == SAIL and not is_running(SAIL) and _days_fit(request):
            keep_what_sail_frees()
        result = run_step(self.session(), request, report)
        context.log.info(summary_line(result))
        context.log.info(machine_line(result))
        return result


def _days_fit(request: StepRequest) -> bool:
    """Whether the largest day is known to be computed at once, and leaves memory for more.

    Where no day is stored yet, all files of the source are taken for a day.
    """
    if request.store.kind != "local":
        return False
    rows = largest_day(request.store.location, RAW_EVENTS)
    if rows is None and request.source is not None:
        rows = estimated_rows(request.source)
    return rows is not None and rows <= request.events_at_once
