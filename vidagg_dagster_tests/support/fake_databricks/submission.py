"""A request to run tasks, checked against the SDK's own types."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from databricks.sdk.service.jobs import (
    JobAccessControlRequest,
    JobEnvironment,
    JobsAPI,
    QueueSettings,
    SubmitTask,
)

from vidagg_dagster_tests.support.fake_databricks.answers import bad_request

_NEWER = {"performance_target", "usage_policy_id"}
"""Fields of the API that the SDK's version does not know yet."""
_FIELDS = (frozenset(inspect.signature(JobsAPI.submit).parameters) - {"self"}) | _NEWER
_TARGETS = ("STANDARD", "PERFORMANCE_OPTIMIZED")
_TOKEN_LENGTH = 64


@dataclass(frozen=True)
class Submission:
    """The one wheel task of a run, and what it runs on."""

    run_name: str
    token: str | None
    timeout_seconds: int
    task_key: str
    package: str
    entry_point: str
    parameters: list[str]
    wheels: list[str]
    environment: str | None
    """Version of the serverless environment; None on a cluster."""
    compute: Mapping[str, Any]
    asked: Mapping[str, Any]
    """The whole request."""


def read_submission(body: Mapping[str, Any], clusters: Mapping[str, Any]) -> Submission:
    """The run that `body` asks for.

    Raises:
        ApiError: A field is unknown, missing or impossible.
    """
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        raise bad_request(f"unknown fields: {unknown}")
    tasks = body.get("tasks")
    if not isinstance(tasks, list) or len(tasks) != 1:
        raise bad_request("this workspace runs exactly one task")
    task = tasks[0]
    _same_as_parsed("task", task, SubmitTask.from_dict)
    for grant in body.get("access_control_list") or []:
        _same_as_parsed("access_control_list", grant, JobAccessControlRequest.from_dict)
    if body.get("performance_target", _TARGETS[0]) not in _TARGETS:
        raise bad_request(f"performance_target: {body['performance_target']}")
    if "queue" in body:
        _same_as_parsed("queue", body["queue"], QueueSettings.from_dict)
    environments = body.get("environments") or []
    for environment in environments:
        _same_as_parsed("environment", environment, JobEnvironment.from_dict)
    token = body.get("idempotency_token")
    if token is not None and len(token) > _TOKEN_LENGTH:
        raise bad_request("idempotency_token must have at most 64 characters")
    wheel = _required(task, "python_wheel_task")
    wheels, environment = _compute(task, environments, clusters)
    return Submission(
        run_name=body.get("run_name", "Untitled"),
        token=token,
        timeout_seconds=body.get("timeout_seconds", 0),
        task_key=_required(task, "task_key"),
        package=_required(wheel, "package_name"),
        entry_point=_required(wheel, "entry_point"),
        parameters=wheel.get("parameters", []),
        wheels=wheels,
        environment=environment,
        asked=body,
        compute={k: task[k] for k in ("new_cluster", "existing_cluster_id") if k in task},
    )


def _compute(
    task: Mapping[str, Any], environments: list[Mapping[str, Any]], clusters: Mapping[str, Any]
) -> tuple[list[str], str | None]:
    kinds = [
        kind for kind in ("environment_key", "new_cluster", "existing_cluster_id") if kind in task
    ]
    if len(kinds) != 1:
        raise bad_request(f"a task names exactly one kind of compute, not {kinds}")
    if kinds == ["environment_key"]:
        if "libraries" in task:
            raise bad_request("libraries are not supported on serverless compute")
        specs = {e["environment_key"]: e.get("spec") or {} for e in environments}
        spec = specs.get(task["environment_key"])
        if spec is None:
            raise bad_request(f"there is no environment {task['environment_key']}")
        version = _required(spec, "environment_version")
        return list(spec.get("dependencies", [])), str(version)
    if kinds == ["existing_cluster_id"] and task["existing_cluster_id"] not in clusters:
        raise bad_request(f"Cluster {task['existing_cluster_id']} does not exist")
    if kinds == ["new_cluster"]:
        cluster = task["new_cluster"]
        _required(cluster, "spark_version")
        if not {"node_type_id", "instance_pool_id"} & set(cluster) and not (
            "policy_id" in cluster and cluster.get("apply_policy_default_values")
        ):
            raise bad_request("new_cluster: node_type_id is missing")
        if ("autoscale" in cluster) == ("num_workers" in cluster):
            raise bad_request("new_cluster: either autoscale or num_workers")
    return [library["whl"] for library in task.get("libraries", [])], None


def _required(part: Mapping[str, Any], name: str) -> Any:
    if not part.get(name):
        raise bad_request(f"the field {name} is required")
    return part[name]


def _same_as_parsed(what: str, part: Any, parse: Callable[[Any], Any]) -> None:
    """The SDK's types drop what they do not know."""
    parsed = parse(part).as_dict()
    full = {name: value for name, value in part.items() if value not in ([], {}, None)}
    if parsed != full:
        raise bad_request(f"{what}: {part} is to the SDK's types {parsed}")
