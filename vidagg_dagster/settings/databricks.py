"""The settings that apply only with `VIDAGG_TARGET=databricks`."""

from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import Field, field_validator

from vidagg_dagster.core.unity_catalog import require_schema, require_volume
from vidagg_dagster.settings.fields import SettingsGroup, allowed, json_object, words

NODE_KEYS: Final = ("node_type_id", "instance_pool_id", "policy_id")
"""One of these, at the top of its specification, says what machines a new cluster is made of."""


class DatabricksSettings(SettingsGroup):
    """Where tables and steps are on Databricks. Credentials are not settings: see docs."""

    # pydantic's own `schema` would be hidden by a field of that name.
    schema_name: str | None = Field(
        default=None,
        alias="schema",
        description="Catalog and schema of the tables. The schema must exist.",
        json_schema_extra=allowed("`catalog.schema`"),
    )
    volume: str | None = Field(
        default=None,
        description="Unity Catalog volume, or a folder in one, for the wheel and for what passes "
        "between Dagster and the steps.",
        json_schema_extra=allowed("`/Volumes/catalog/schema/volume[/folder]`"),
    )
    compute: Literal["serverless", "job_cluster", "existing_cluster"] = Field(
        default="serverless",
        description="What a step runs on: serverless jobs compute, a new cluster for each step, or "
        "a cluster that is there.",
    )
    environment_version: str = Field(
        default="4",
        pattern=r"^([2-9]|[1-9]\d+)$",
        description="Version of the serverless environment; 4 brings Python 3.12.",
        json_schema_extra=allowed("a whole number from 2 on"),
    )
    job_cluster: dict[str, Any] = Field(
        default_factory=dict,
        description="Fields of a new cluster, as the Clusters API names them, over the default: "
        "Databricks Runtime 17.3 LTS, 2 to 8 workers, access mode dedicated. Needed with "
        "job_cluster is one of " + ", ".join(NODE_KEYS) + ".",
        json_schema_extra=allowed('a JSON object such as `{"node_type_id":"i3.xlarge"}`'),
    )
    cluster_id: str | None = Field(
        default=None,
        pattern=r"^[\w-]+$",
        description="The cluster of existing_cluster.",
        json_schema_extra=allowed("the id of a cluster such as 1123-140512-abcd1234"),
    )
    viewers: tuple[str, ...] = Field(
        default=(),
        description="Groups of the workspace that may open the jobs' pages. Without it only who "
        "submits the jobs and administrators may.",
        json_schema_extra=allowed("names of groups, with commas between them"),
    )
    performance: Literal["standard", "optimized"] | None = Field(
        default=None,
        description="How serverless compute runs: `standard` starts in minutes and costs less, "
        "`optimized` starts in seconds. Without it the workspace's default holds.",
    )
    usage_policy: str | None = Field(
        default=None,
        pattern=r"^[\w-]+$",
        description="The serverless usage policy that tags what jobs cost.",
        json_schema_extra=allowed("the id of a policy"),
    )
    max_steps: int = Field(
        default=4, ge=1, description="Most steps of one run at the same time; each is a job."
    )
    timeout_minutes: int = Field(
        default=360,
        ge=0,
        description="A step's job is ended after this time. 0 = never.",
    )
    retries: int = Field(default=2, ge=0, description="How often a failed step is submitted again.")
    retry_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Wait before the first retry; it doubles from one to the next.",
    )
    poll_seconds: float = Field(
        default=5.0,
        gt=0,
        description="Wait between two questions about a step's job and its messages.",
    )

    @field_validator("schema_name")
    @classmethod
    def _possible_schema(cls, value: str | None) -> str | None:
        return None if value is None else require_schema(value)

    @field_validator("volume")
    @classmethod
    def _possible_volume(cls, value: str | None) -> str | None:
        return None if value is None else require_volume(value)

    @field_validator("viewers", mode="before")
    @classmethod
    def _split_groups(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("job_cluster", mode="before")
    @classmethod
    def _parse_cluster(cls, value: object) -> object:
        return json_object(value) if isinstance(value, str) else value

    def lacking(self) -> Iterator[tuple[str, str]]:
        """Fields without which no step can run on Databricks, each with what it should be."""
        if not self.schema_name:
            yield "schema", "catalog.schema of the tables"
        if not self.volume:
            yield "volume", "/Volumes/catalog/schema/volume, for the wheel and messages"
        if self.compute == "existing_cluster" and not self.cluster_id:
            yield "cluster_id", "the id of the existing cluster"
        if self.compute == "job_cluster" and not any(map(self.job_cluster.get, NODE_KEYS)):
            yield "job_cluster", f"a JSON object with {' or '.join(NODE_KEYS)}"
