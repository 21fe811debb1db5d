"""What Databricks is told of a step's job beside its task: names, tokens, tags, permissions."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import dagster as dg
from databricks.sdk.service.jobs import (
    JobAccessControlRequest,
    JobPermissionLevel,
    QueueSettings,
)

from vidagg_dagster.core.contract import StepRequest
from vidagg_dagster.core.days import days_text

_PERFORMANCE: Final = {"standard": "STANDARD", "optimized": "PERFORMANCE_OPTIMIZED"}


def common_fields(viewers: Sequence[str], timeout_minutes: int) -> dict[str, Any]:
    """The fields of every submission."""
    may_view = [
        JobAccessControlRequest(group_name=group, permission_level=JobPermissionLevel.CAN_VIEW)
        for group in viewers
    ]
    return {
        "timeout_seconds": timeout_minutes * 60,
        "queue": QueueSettings(enabled=True),
        "access_control_list": may_view or None,
    }


def serverless_fields(performance: str | None, usage_policy: str | None) -> dict[str, Any]:
    """What a submission says of cost where it runs on serverless compute."""
    return {
        "performance_target": _PERFORMANCE.get(performance or ""),
        "usage_policy_id": usage_policy,
    }


def run_name(request: StepRequest, run_id: str) -> str:
    """The job's name in Databricks: step, days and Dagster's run."""
    parts = ["vidagg", request.step, days_text(request.days), f"(Dagster run {run_id})"]
    return " ".join(part for part in parts if part)


def live_run_name(run_id: str) -> str:
    """The name of the job that keeps live tables: Dagster's run."""
    return f"vidagg live (Dagster run {run_id})"


def cost_tags(context: dg.AssetExecutionContext, request: StepRequest) -> dict[str, str]:
    """The tags of a new cluster, by which a bill tells assets, partitions and runs apart."""
    return {
        "asset": str(request.step),
        "partition": days_text(request.days) or "all",
        "dagster_run": context.run.run_id,
    }


def idempotency_token(context: dg.AssetExecutionContext) -> str:
    """Equal for every submission of one attempt of a step, at most 64 characters.

    A submission whose answer got lost is sent again, and must not start a second job.
    """
    attempt = (
        f"{context.run.run_id}/{context.op_execution_context.op_handle}/{context.retry_number}"
    )
    return hashlib.sha256(attempt.encode()).hexdigest()
