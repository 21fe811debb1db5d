"""What differs between the targets: who runs a step, in which process, how often it is tried.

The parts for Databricks and for JVM Spark are imported only where they are used: the import takes
seconds, and they are not installed everywhere.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from vidagg_dagster.core.contract import SPARK
from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster.settings.model import Settings

if TYPE_CHECKING:
    from vidagg_dagster.databricks.runner import DatabricksSteps

POOL = "vidagg_tables"
"""The pool of every asset. `dagster.yaml` lets one run at a time use it, so that runs never
interleave."""


def step_resources(settings: Settings) -> dict[str, Any]:
    """The runner of the steps, and what it needs. It looks for credentials only when it runs one.

    Raises:
        SettingsError: The extra for Databricks or for JVM Spark is not installed, or a field of
            the new cluster is unknown.
    """
    if settings.target == "databricks":
        return {"steps": databricks_steps(settings)}
    if settings.engine != SPARK:
        return {"steps": LocalSteps(engine=settings.engine)}
    _require("dagster_pyspark", needed_by="VIDAGG_ENGINE=spark", extras="local,orchestration,spark")
    from vidagg_dagster.runners.jvm import jvm_resources

    return jvm_resources(settings.driver_memory)


def databricks_steps(settings: Settings) -> "DatabricksSteps":
    """The runner of the steps on Databricks.

    Raises:
        SettingsError: The extra for Databricks is not installed, or a field of the new cluster is
            unknown.
    """
    _require(
        "dagster_databricks",
        needed_by="VIDAGG_TARGET=databricks",
        extras="orchestration,databricks",
    )
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


def _require(package: str, *, needed_by: str, extras: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise SettingsError(
            f"{needed_by} needs the Python package {package.replace('_', '-')}: "
            f"pip install 'vidagg_dagster[{extras}]'"
        )
