"""The settings that only count with `VIDAGG_TARGET=databricks`."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from vidagg_dagster.core.unity_catalog import require_schema, require_volume

NODE_KEYS: Final = ("node_type_id", "instance_pool_id", "policy_id")
"""One of these says what machines a new cluster is made of."""


class DatabricksSettings(BaseModel):
    """Where tables and steps are on Databricks. Credentials are no settings: see docs."""

    databricks_schema: str | None = Field(
        default=None,
        description="Catalog and schema of the tables. The schema must exist.",
        json_schema_extra={"allowed": "`catalog.schema`"},
    )
    databricks_volume: str | None = Field(
        default=None,
        description="Unity Catalog volume, or a folder in one, for the wheel and for what passes "
        "between Dagster and the steps.",
        json_schema_extra={"allowed": "`/Volumes/catalog/schema/volume[/folder]`"},
    )
    databricks_compute: Literal["serverless", "job_cluster", "existing_cluster"] = Field(
        default="serverless",
        description="What a step runs on: serverless jobs compute, a new cluster for each step, or "
        "a cluster that is there.",
    )
    databricks_environment_version: str = Field(
        default="4",
        pattern=r"^([2-9]|[1-9]\d+)$",
        description="Version of the serverless environment; 4 brings Python 3.12.",
        json_schema_extra={"allowed": "a whole number from 2 on"},
    )
    databricks_job_cluster: Annotated[dict[str, Any], NoDecode] = Field(
        default_factory=dict,
        description="Fields of a new cluster, as the Clusters API names them, over the default: "
        "Databricks Runtime 17.3 LTS, 2 to 8 workers, access mode dedicated. Needed with "
        "job_cluster is one of " + ", ".join(NODE_KEYS) + ".",
        json_schema_extra={"allowed": 'a JSON object such as `{"node_type_id":"i3.xlarge"}`'},
    )
    databricks_cluster_id: str | None = Field(
        default=None,
        pattern=r"^[\w-]+$",
        description="The cluster of existing_cluster.",
        json_schema_extra={"allowed": "the id of a cluster such as 1123-140512-abcd1234"},
    )
    databricks_max_steps: int = Field(
        default=4, ge=1, description="Most steps of one run at the same time; each is a job."
    )
    databricks_timeout_minutes: int = Field(
        default=360,
        ge=0,
        description="A step's job is ended after this time. 0 = never.",
    )
    databricks_retries: int = Field(
        default=2, ge=0, description="How often a failed step is submitted again."
    )
    databricks_retry_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Wait before the first retry; it doubles from one to the next.",
    )
    databricks_poll_seconds: float = Field(
        default=5.0,
        gt=0,
        description="Wait between two questions about a step's job and its messages.",
    )

    @field_validator("databricks_schema")
    @classmethod
    def _possible_schema(cls, value: str | None) -> str | None:
        return None if value is None else require_schema(value)

    @field_validator("databricks_volume")
    @classmethod
    def _possible_volume(cls, value: str | None) -> str | None:
        return None if value is None else require_volume(value)

    @field_validator("databricks_job_cluster", mode="before")
    @classmethod
    def _parse_cluster(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"not a JSON object: {error}") from None


_ABSOLUTE: Final = re.compile(r"/|[a-z][a-z0-9+.-]+://|[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}$")


def incomplete(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields without which no step can run on Databricks, each with what it should be.

    Args:
        values: The values of all settings by field; None where there is none.
    """
    if not values["source"]:
        yield "source", "a table, or a path that the cluster sees"
    if not values["databricks_schema"]:
        yield "databricks_schema", "catalog.schema of the tables"
    if not values["databricks_volume"]:
        yield "databricks_volume", "/Volumes/catalog/schema/volume, for the wheel and messages"
    compute = values["databricks_compute"]
    if compute == "existing_cluster" and not values["databricks_cluster_id"]:
        yield "databricks_cluster_id", "the id of the existing cluster"
    if compute == "job_cluster" and not any(
        key in values["databricks_job_cluster"] for key in NODE_KEYS
    ):
        yield "databricks_job_cluster", f"a JSON object with {' or '.join(NODE_KEYS)}"


def unreachable(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields whose path a cluster cannot know, each with the reason."""
    for field in ("source", "video_metadata"):
        if values[field] and not _ABSOLUTE.match(values[field]):
            yield field, "a relative path means nothing on a cluster; name a table or a whole path"
