"""What killed steps leave behind in a workspace: tables and files meant for one step only.

Databricks itself compacts and vacuums the tables there (predictive optimization).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidagg_dagster.core.unity_catalog import is_scratch_table, pipes_folder, scratch_folder

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient


@dataclass(frozen=True)
class Leftovers:
    """What was created before `before_ms`, in the schema of the tables and in the volume."""

    client: "WorkspaceClient"
    schema: str
    volume: str
    before_ms: int
    """Milliseconds since 1970. Anything younger may belong to a step that is running."""

    def tables(self) -> Iterator[str]:
        """Full names of tables that steps created for themselves."""
        catalog, _, schema = self.schema.partition(".")
        for table in self.client.tables.list(catalog_name=catalog, schema_name=schema):
            old = table.created_at is not None and table.created_at < self.before_ms
            if old and table.name and is_scratch_table(table.name):
                yield f"{self.schema}.{table.name}"

    def files(self) -> Iterator[str]:
        """Paths of messages between Dagster and steps, and of copies of source files."""
        for folder in (pipes_folder(self.volume), scratch_folder(self.volume)):
            yield from self._files(folder)

    def remove_table(self, name: str) -> None:
        """Drop a table of `tables`."""
        self.client.tables.delete(name)

    def remove_file(self, path: str) -> None:
        """Delete a file of `files`, and its folder if it held nothing else."""
        from databricks.sdk.errors.base import DatabricksError

        self.client.files.delete(path)
        folder = path.rpartition("/")[0]
        if folder in (pipes_folder(self.volume), scratch_folder(self.volume)):
            return
        try:
            self.client.files.delete_directory(folder)
        except DatabricksError:
            return  # other files are in it

    def _files(self, folder: str) -> Iterator[str]:
        from databricks.sdk.errors import NotFound

        try:
            entries = list(self.client.files.list_directory_contents(folder))
        except NotFound:
            return
        for entry in entries:
            path = entry.path or ""
            if entry.is_directory:
                yield from self._files(path)
            elif entry.last_modified is not None and entry.last_modified < self.before_ms:
                yield path
