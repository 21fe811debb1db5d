"""What killed steps leave behind in a workspace: tables and files that last for one step only.

Compaction and vacuum of the tables are Databricks' own there (predictive optimization).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.unity_catalog import pipes_folder, scratch_folder

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_COMPUTED: Final = re.compile(r"\w+_computed_[0-9a-f]{32}")
"""See `CatalogTables.computed`."""


@dataclass(frozen=True)
class Leftovers:
    """What is older than an hour of the clock, in the schema of the tables and in the volume."""

    client: "WorkspaceClient"
    schema: str
    volume: str
    before_ms: int
    """Milliseconds since 1970; what is younger may belong to a step that runs."""

    def tables(self) -> Iterator[str]:
        """Full names of tables that a step made for itself."""
        catalog, _, schema = self.schema.partition(".")
        for table in self.client.tables.list(catalog_name=catalog, schema_name=schema):
            old = table.created_at is not None and table.created_at < self.before_ms
            if old and table.name and _COMPUTED.fullmatch(table.name):
                yield f"{self.schema}.{table.name}"

    def files(self) -> Iterator[str]:
        """Paths of files that passed between Dagster and steps, or were copies for one of them."""
        for folder in (pipes_folder(self.volume), scratch_folder(self.volume)):
            yield from self._files(folder)

    def remove_table(self, name: str) -> None:
        """Drop a table of `tables`."""
        self.client.tables.delete(name)

    def remove_file(self, path: str) -> None:
        """Delete a file of `files`, and its folder if it was the last one there."""
        from databricks.sdk.errors.base import DatabricksError

        self.client.files.delete(path)
        folder = path.rpartition("/")[0]
        if folder in (pipes_folder(self.volume), scratch_folder(self.volume)):
            return
        try:
            self.client.files.delete_directory(folder)
        except DatabricksError:
            return  # others are in it

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
