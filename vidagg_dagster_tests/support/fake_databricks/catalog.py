"""What the workspace has besides files and runs: its user, the catalog, clusters."""

from dataclasses import dataclass, field
from typing import Any

from vidagg_dagster_tests.support.fake_databricks.answers import Answer, not_found

USER = "engineer@example.com"


@dataclass
class Catalog:
    """Catalog objects by name, and the user's grants on schemas."""

    catalogs: list[str] = field(default_factory=list)
    schemas: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    tables: dict[str, int] = field(default_factory=dict)
    """Full name -> time of creation, milliseconds since 1970."""
    sources: list[str] = field(default_factory=list)
    """Tables that others made."""
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    privileges: list[str] = field(default_factory=lambda: ["ALL_PRIVILEGES"])
    """On the schema."""
    others: list[str] = field(default_factory=lambda: ["USE_CATALOG", "SELECT"])
    """On catalogs and on the tables that others made."""
    owner: str = "someone@example.com"

    def me(self) -> Answer:
        return Answer({"id": "1", "userName": USER})

    def catalog(self, name: str) -> Answer:
        return self._one(self.catalogs, name, "Catalog")

    def schema(self, name: str) -> Answer:
        return self._one(self.schemas, name, "Schema")

    def volume(self, name: str) -> Answer:
        return self._one(self.volumes, name, "Volume")

    def list_tables(self, catalog: str, schema: str) -> Answer:
        place = f"{catalog}.{schema}"
        self.schema(place)
        return Answer(
            {
                "tables": [
                    {"name": name.split(".")[-1], "full_name": name, "created_at": created}
                    for name, created in self.tables.items()
                    if name.rpartition(".")[0] == place
                ]
            }
        )

    def table(self, name: str) -> Answer:
        return self._one(self.sources, name, "Table")

    def drop_table(self, name: str) -> Answer:
        if self.tables.pop(name, None) is None:
            raise not_found(f"Table '{name}'")
        return Answer()

    def effective(self, kind: str, name: str) -> Answer:
        known = {"schema": self.schemas, "catalog": self.catalogs, "table": self.sources}
        if name not in known.get(kind.lower(), []):
            raise not_found(f"{kind} {name}")
        held = self.privileges if kind.lower() == "schema" else self.others
        return Answer(
            {
                "privilege_assignments": [
                    {
                        "principal": USER,
                        "privileges": [{"privilege": p} for p in held],
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
