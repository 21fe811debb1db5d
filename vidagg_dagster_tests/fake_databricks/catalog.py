"""What exists in the workspace besides files and runs: who one is, the catalog, clusters."""

from dataclasses import dataclass, field
from typing import Any

from vidagg_dagster_tests.fake_databricks.answers import Answer, not_found

USER = "engineer@example.com"


@dataclass
class Catalog:
    """Declared things by name, and what the user may do with schemas."""

    catalogs: list[str] = field(default_factory=list)
    schemas: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    privileges: list[str] = field(default_factory=lambda: ["ALL_PRIVILEGES"])
    owner: str = "someone@example.com"

    def me(self) -> Answer:
        return Answer({"id": "1", "userName": USER})

    def catalog(self, name: str) -> Answer:
        return self._one(self.catalogs, name, "Catalog")

    def schema(self, name: str) -> Answer:
        return self._one(self.schemas, name, "Schema")

    def volume(self, name: str) -> Answer:
        return self._one(self.volumes, name, "Volume")

    def effective(self, kind: str, name: str) -> Answer:
        if kind.lower() != "schema" or name not in self.schemas:
            raise not_found(f"{kind} {name}")
        return Answer(
            {
                "privilege_assignments": [
                    {
                        "principal": USER,
                        "privileges": [{"privilege": p} for p in self.privileges],
                    }
                ]
            }
        )

    def cluster(self, cluster_id: str) -> Answer:
        if cluster_id not in self.clusters:
            raise not_found(f"Cluster {cluster_id}")
        return Answer({"cluster_id": cluster_id, **self.clusters[cluster_id]})

    def _one(self, known: list[str], name: str, kind: str) -> Answer:
        if name not in known:
            raise not_found(f"{kind} '{name}'")
        return Answer({"name": name.split(".")[-1], "full_name": name, "owner": self.owner})
