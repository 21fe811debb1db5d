"""The compute of a step: serverless, a new cluster for each job, or an existing cluster."""

from collections.abc import Mapping
from typing import Any, Final

from databricks.sdk.service.compute import ClusterSpec, Environment, Library
from databricks.sdk.service.jobs import JobEnvironment, PythonWheelTask, SubmitTask
from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.core.unity_catalog import wheel_folder
from vidagg_dagster.databricks.wheel import (
    ENTRY_POINT,
    PACKAGE,
    PIPES,
    installed_wheel_name,
    wheel_name,
)

DEFAULT_CLUSTER: Final[Mapping[str, Any]] = {
    "spark_version": "17.3.x-scala2.13",
    "autoscale": {"min_workers": 2, "max_workers": 8},
    "data_security_mode": "SINGLE_USER",
    "custom_tags": {"application": "vidagg"},
}
"""The fields of a new cluster that are equal in every cloud. The type of machine is not."""

_ENVIRONMENT: Final = "vidagg"


class Compute(BaseModel):
    """The compute of all steps."""

    model_config = ConfigDict(frozen=True)

    kind: str
    environment_version: str
    job_cluster: dict[str, Any] = Field(default_factory=dict)
    cluster_id: str | None = None

    def task(self, key: str, volume: str, tags: Mapping[str, str] | None = None) -> SubmitTask:
        """The task that runs `vidagg-step` of the wheel on the volume; its key is `key`.

        A new cluster carries the tags, so that its cost can be told by asset and partition.
        """
        wheel = PythonWheelTask(package_name=PACKAGE, entry_point=ENTRY_POINT, parameters=[])
        if self.kind == "serverless":
            return SubmitTask(task_key=key, python_wheel_task=wheel, environment_key=_ENVIRONMENT)
        libraries = [Library(whl=path) for path in wheel_paths(volume)]
        if self.kind == "existing_cluster":
            return SubmitTask(
                task_key=key,
                python_wheel_task=wheel,
                libraries=libraries,
                existing_cluster_id=self.cluster_id,
            )
        return SubmitTask(
            task_key=key,
            python_wheel_task=wheel,
            libraries=libraries,
            new_cluster=ClusterSpec.from_dict(self.cluster(tags)),
        )

    def environments(self, volume: str) -> list[JobEnvironment] | None:
        """The packages of a serverless task; None where a cluster installs libraries instead."""
        if self.kind != "serverless":
            return None
        spec = Environment(
            environment_version=self.environment_version, dependencies=wheel_paths(volume)
        )
        return [JobEnvironment(environment_key=_ENVIRONMENT, spec=spec)]

    def cluster(self, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The new cluster as the Clusters API takes it: the default, changed by the setting."""
        spec = {**DEFAULT_CLUSTER, **self.job_cluster}
        own_tags = self.job_cluster.get("custom_tags", {})
        spec["custom_tags"] = {**DEFAULT_CLUSTER["custom_tags"], **own_tags, **(tags or {})}
        if not any(self.job_cluster.get(key) for key in ("node_type_id", "instance_pool_id")):
            # Else only what a policy fixes is taken from it, and not its type of machine.
            spec.setdefault("apply_policy_default_values", True)
        if "num_workers" in self.job_cluster and "autoscale" not in self.job_cluster:
            del spec["autoscale"]
        return spec


def wheel_path(volume: str) -> str:
    """The path of this version's wheel on the volume."""
    return f"{wheel_folder(volume)}/{wheel_name()}"


def wheel_paths(volume: str) -> list[str]:
    """All that a task installs: our wheel, and the one that speaks to this very Dagster.

    Compute without access to PyPI could not install the second.
    """
    return [f"{wheel_folder(volume)}/{installed_wheel_name(PIPES)}", wheel_path(volume)]


def unknown_cluster_fields(spec: Mapping[str, Any]) -> list[str]:
    """Fields that the Clusters API does not know. The SDK would drop them without an error."""
    return sorted(set(spec) - set(ClusterSpec.__dataclass_fields__))
