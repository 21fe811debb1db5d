"""The tables of a folder as views of a DuckDB connection, for queries without an engine.

DuckDB reads the files that the newest version of each table refers to. To read all Parquet files
below the folder instead would give replaced rows too, which stay for a week. From object storage
`deltalake` reads them for DuckDB, which would need an extension and credentials of its own.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TABLES
from vidagg_dagster.tables.disk import is_address

if TYPE_CHECKING:
    import duckdb
    from deltalake import DeltaTable

LOG: Final = "_delta_log"


def connect(data_root: Path, only: Collection[str] | None = None) -> "duckdb.DuckDBPyConnection":
    """A connection with a view of each table of the folder, or of some, by its name.

    Raises:
        TableError: There is no table, or DuckDB is not installed.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise TableError(
            "queries need the Python package duckdb: pip install 'vidagg_dagster[local]'"
        ) from None
    names = table_names(data_root)
    if not names:
        raise TableError(
            f"there are no tables in {data_root} (VIDAGG_DATA_ROOT); run days through Dagster "
            "first, or name the folder whose .env has the settings: --folder, --demo"
        )
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in names if only is None else only:
        _create_view(connection, data_root / name)
    return connection


def table_names(data_root: Path) -> list[str]:
    """Names of the Delta tables in a folder."""
    return sorted(log.parent.name for log in data_root.glob(f"*/{LOG}"))


def _create_view(connection: "duckdb.DuckDBPyConnection", folder: Path) -> None:
    from deltalake import DeltaTable

    from vidagg_dagster.tables.delta_log import live_files

    table = DeltaTable(str(folder))
    name = _quoted(folder.name)
    if is_address(folder):
        connection.register(folder.name, table.to_pyarrow_dataset())
        return
    # Not as addresses, in which a blank of the folder's name would be an escape.
    files = [str(file.path) for file in live_files(table, folder)]
    if not files:
        connection.register(folder.name, _empty(table))
        return
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    by_day = (
        f", hive_partitioning = true, hive_types = {{'{EVENT_DATE}': DATE}}"
        if table.metadata().partition_columns
        else ""
    )
    names = [field.name for field in table.schema().fields]
    # Files that are older than a dimension lack its column.
    added = folder.name in TABLES and set(names) - set(TABLES[folder.name].column_names)
    by_name = ", union_by_name = true" if added else ""
    columns = ", ".join(map(_quoted, names))
    connection.execute(
        f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet([{listed}]{by_day}{by_name})"
    )


def _empty(table: "DeltaTable") -> object:
    import pyarrow as pa

    return pa.schema(table.schema()).empty_table()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
