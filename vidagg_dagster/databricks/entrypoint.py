"""`vidagg-step`: one step as a task on Databricks, started by Dagster through Pipes.

It needs neither Dagster nor credentials: request and result are files of a Unity Catalog volume.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesContext,
    PipesUnityCatalogVolumesContextLoader,
    PipesUnityCatalogVolumesMessageWriter,
    open_dagster_pipes,
)
from pydantic import BaseModel

from vidagg_dagster.core.contract import REQUEST, StepRequest, StepResult
from vidagg_dagster.core.errors import NotStartedByDagsterError, StepError
from vidagg_dagster.databricks.trial import TRIAL, Trial, run_trial
from vidagg_dagster.live.contract import LIVE, LiveTask
from vidagg_dagster.runners.progress import day_line, machine_line, summary_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MESSAGE_S = 5.0
"""Seconds between two files of messages while the step runs."""

KAFKA_OPTIONS = "VIDAGG_LIVE_KAFKA_OPTIONS"
"""The variable of the task's machine with what it takes to log in to Kafka."""


def main() -> None:
    """Run the requested step and report its result.

    An exception fails the task, and Dagster shows its text. A violated rule is no exception: it is
    part of the result.

    Raises:
        NotStartedByDagsterError: The arguments that Dagster passes are missing.
    """
    arguments = PipesCliArgsParamsLoader()  # type: ignore[no-untyped-call]
    if not arguments.is_dagster_pipes_process():
        raise NotStartedByDagsterError(
            "vidagg-step is a task that Dagster starts on Databricks. To compute by hand, use "
            "`vidagg aggregate` or vidagg_dagster.pipeline.run.run_step."
        )
    with (
        open_dagster_pipes(
            params_loader=arguments,
            context_loader=PipesUnityCatalogVolumesContextLoader(),
            message_writer=PipesUnityCatalogVolumesMessageWriter(interval=MESSAGE_S),
        ) as pipes,
        _log_to_dagster(pipes),
    ):
        # Importing Spark takes seconds, and Dagster should see before that the task has started.
        from vidagg_dagster.spark.session import cluster_session

        report = _report(pipes, cluster_session())
        pipes.report_custom_message(report.model_dump(mode="json"))


def _report(pipes: PipesContext, spark: "SparkSession") -> BaseModel:
    """Do what was asked for, and give what comes of it."""
    if TRIAL in pipes.extras:
        return run_trial(spark, Trial.model_validate(pipes.get_extra(TRIAL)))
    if LIVE in pipes.extras:
        from vidagg_dagster.live.task import run_live

        task = LiveTask.model_validate(pipes.get_extra(LIVE))
        return run_live(spark, task, lambda taken: pipes.log.info(taken.line), kafka_options())
    return _step(pipes, spark)


def _step(pipes: PipesContext, spark: "SparkSession") -> StepResult:
    from vidagg_dagster.pipeline.run import run_step

    request = StepRequest.model_validate(pipes.get_extra(REQUEST))
    pipes.log.info(f"{request.step} on Spark {spark.version}")
    result = run_step(
        spark,
        request,
        lambda number, total, day: pipes.log.info(day_line(number, total, day)),
    )
    pipes.log.info(summary_line(result))
    pipes.log.info(machine_line(result))
    return result


def kafka_options() -> dict[str, str]:
    """Further options of Spark's Kafka source; a cluster's variables can come from its secrets.

    Raises:
        StepError: They are no JSON object.
    """
    try:
        options = json.loads(os.environ.get(KAFKA_OPTIONS, "{}"))
    except ValueError:
        options = None
    if not isinstance(options, dict):
        # What is there may be a secret, so it is not shown.
        raise StepError(f"{KAFKA_OPTIONS} of the cluster is not a JSON object")
    return options


@contextmanager
def _log_to_dagster(pipes: PipesContext) -> Iterator[None]:
    handler = _PipesHandler(pipes)
    logger = logging.getLogger("vidagg_dagster")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _PipesHandler(logging.Handler):
    def __init__(self, pipes: PipesContext) -> None:
        super().__init__(logging.INFO)
        self._pipes = pipes

    def emit(self, record: logging.LogRecord) -> None:
        self._pipes.log.log(record.levelno, record.getMessage())
