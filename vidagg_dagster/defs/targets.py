"""What differs between the targets: who runs a step, in which process, how often it is tried.

The parts for Databricks are imported only where they are used: the import takes seconds, and they
are not installed everywhere.
"""

from typing import TYPE_CHECKING

import dagster as dg

from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster.settings.model import Settings

if TYPE_CHECKING:
    from vidagg_dagster.databricks.runner import DatabricksSteps

POOL = "vidagg_tables"
"""The pool of every asset. `dagster.yaml` lets one run at a time use it, so that runs never
interleave."""


def steps(settings: Settings) -> dg.ConfigurableResource:  # type: ignore[type-arg]
    """The runner of the steps. It looks for credentials only when it runs one.

    Raises:
        SettingsError: Databricks is the target, and its extra is not installed or a field of the
            new cluster is unknown.
    """
    if settings.target == "local":
        return LocalSteps(engine=settings.engine, driver_memory=settings.driver_memory)
    return databricks_steps(settings)


def databricks_steps(settings: Settings) -> "DatabricksSteps":
    """The runner of the steps on Databricks.

    Raises:
        SettingsError: The extra for Databricks is not installed, or a field of the new cluster is
            unknown.
    """
    _require_databricks()
    from vidagg_dagster.databricks.compute import unknown_cluster_fields
    from vidagg_dagster.databricks.runner import DatabricksSteps

    unknown = unknown_cluster_fields(settings.databricks.job_cluster)
    if unknown:
        raise SettingsError(
            f"VIDAGG_DATABRICKS_JOB_CLUSTER: the Clusters API knows no {', '.join(unknown)}"
        )
    return DatabricksSteps(
        volume=settings.databricks.volume or "",
        compute_kind=settings.databricks.compute,
        environment_version=settings.databricks.environment_version,
        job_cluster=settings.databricks.job_cluster,
        cluster_id=settings.databricks.cluster_id,
        viewers=list(settings.databricks.viewers),
        performance=settings.databricks.performance,
        usage_policy=settings.databricks.usage_policy,
        timeout_minutes=settings.databricks.timeout_minutes,
        poll_seconds=settings.databricks.poll_seconds,
    )


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """The processes in which steps run, or wait for Databricks."""
    if settings.target == "local":
        # The steps of a run share one engine: starting it costs more than computing a small day.
        return dg.in_process_executor
    # A step on Databricks only waits; in processes of their own, independent steps run at once.
    return dg.multiprocess_executor.configured({"max_concurrent": settings.databricks.max_steps})


def retry_policy(settings: Settings) -> dg.RetryPolicy | None:
    """How a failed step is tried again. Not locally: there a retry would only hide the fault."""
    if settings.target == "local" or not settings.databricks.retries:
        return None
    return dg.RetryPolicy(
        max_retries=settings.databricks.retries,
        delay=settings.databricks.retry_seconds,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


def _require_databricks() -> None:
    from importlib.util import find_spec

    if find_spec("dagster_databricks") is None:
        raise SettingsError(
            "VIDAGG_TARGET=databricks needs the Python package dagster-databricks: "
            "pip install 'vidagg_dagster[orchestration,databricks]'"
        )
