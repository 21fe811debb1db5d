"""Delta tables -> frames: by the engine's own reader, or by their Parquet files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.columns import ColumnRequest, table_frame, union
from vidagg_dagster.sources.error_text import first_line

if TYPE_CHECKING:
    from deltalake import DeltaTable

_BEYOND_PARQUET: Final = frozenset({"deletionVectors", "columnMapping"})
"""Features of Delta whose tables are more than the rows of their Parquet files."""

_PartitionValues = tuple[tuple[str, Any], ...]


def read_delta(spark: SparkSession, location: str, request: ColumnRequest) -> DataFrame:
    """The requested columns of a Delta table at any address that the engine reads.

    Raises:
        SourceError: The table cannot be read, or a required column is missing.
    """
    return table_frame(_load(spark, location), location, request)


def read_local_delta(spark: SparkSession, path: Path, request: ColumnRequest) -> DataFrame:
    """The requested columns of a Delta table in a folder of this machine.

    Raises:
        SourceError: The table cannot be read, or a required column is missing.
    """
    try:
        rows = _load(spark, str(path))
    except SourceError as error:
        if "DATA_SOURCE_NOT_FOUND" not in str(error.__cause__):
            raise
        rows = _from_files(spark, path)
    return table_frame(rows, str(path), request)


def latest_commit(path: Path) -> str | None:
    """Tells the state of a local table by its latest commit; None where its log holds none.

    The number alone would not do: a table that is made anew each night is always at its first one.
    """
    commits = sorted((path / "_delta_log").glob("*.json"))
    if not commits:
        return None
    status = commits[-1].stat()
    return f"{commits[-1].stem}, {status.st_size} bytes, {status.st_mtime_ns} ns"


def _load(spark: SparkSession, location: str) -> DataFrame:
    try:
        rows = spark.read.format("delta").load(location)
        _ = rows.schema
    # Without Delta's jar, classic Spark raises a bare Java error.
    except Exception as error:
        raise _unreadable(location, error) from error
    return rows


def _from_files(spark: SparkSession, path: Path) -> DataFrame:
    """The files of the latest version, read as Parquet: for JVM Spark without Delta's jar."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path)
        features = set(table.protocol().reader_features or ())
        schema = T.StructType.fromJson(json.loads(table.schema().to_json()))
        groups = _by_partition(table, path)
    except DeltaError as error:
        raise _unreadable(str(path), error) from error
    beyond = features & _BEYOND_PARQUET
    if beyond:
        raise SourceError(
            f"Delta table {path} uses {', '.join(sorted(beyond))}, which this Spark cannot read "
            "without Delta's jar. Use engine sail, or add the jar."
        )
    # The files lack the columns that partition the table.
    reader = spark.read.schema(schema)
    frames = [
        reader.option("basePath", str(path)).parquet(*files)
        if values is None
        else reader.parquet(*files).withColumns(
            {name: F.lit(value).cast(schema[name].dataType) for name, value in values}
        )
        for values, files in groups.items()
    ]
    return union(frames) if frames else spark.createDataFrame([], schema)


def _by_partition(table: "DeltaTable", path: Path) -> dict[_PartitionValues | None, list[str]]:
    """Files by the values of their partition, or all under None where Spark can take the values
    from the names of folders. It misreads letters beyond ASCII in them.
    """
    names = table.metadata().partition_columns
    actions = table.get_add_actions(flatten=True)
    columns = [actions[f"partition.{name}"].to_pylist() for name in names]
    groups: dict[_PartitionValues | None, list[str]] = {}
    for at, name in enumerate(actions["path"].to_pylist()):
        values = tuple(zip(names, (column[at] for column in columns), strict=True))
        groups.setdefault(values, []).append(str(path / unquote(name)))
    if all(str(value).isascii() for values in groups for _, value in values or ()):
        return {None: [file for files in groups.values() for file in files]} if groups else {}
    return groups


def _unreadable(location: str, error: BaseException) -> SourceError:
    return SourceError(
        f"Delta table {location} cannot be read: {first_line(error)} Repair or restore it."
    )
