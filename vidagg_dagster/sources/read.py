"""A source of any kind -> one frame of text columns in which every input row is a row.

Whatever the source declares, columns arrive as text and are judged later (`events`), so that a
value which does not fit costs a reason and never a row. All engines give the same rows.
"""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.column_mapping import require_event_columns
from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    REQUIRED_COLUMNS,
    SourceFormat,
    SourceSpec,
)
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.unity_catalog import FILE_FORMATS
from vidagg_dagster.sources.columns import (
    FILE,
    LINE_NUMBER,
    ColumnRequest,
    column_names,
    typed_frame,
    union,
)
from vidagg_dagster.sources.files import (
    InputFile,
    Kind,
    find_files,
    is_delta,
    local_path,
)
from vidagg_dagster.sources.readers import read_files

if TYPE_CHECKING:
    from deltalake import DeltaTable

__all__ = ["estimated_rows", "list_source", "read_columns", "read_source"]

_TABLE_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", re.ASCII)
_PACKED_BYTES, _TEXT_BYTES = 15, 150
"""What an event takes in a file, about: as Parquet or compressed, and as a line of text."""
_BEYOND_PARQUET: Final = frozenset({"deletionVectors", "columnMapping"})


def list_source(spec: SourceSpec) -> dict[str, str] | None:
    """What a change of is a change of the source: name -> state, without reading any row.

    For files their names relative to the source, with size and time of change; for the folder of a
    Delta table one entry, with its version. None where only reading tells: tables of a catalog,
    other file systems.

    Raises:
        SourceError: The files cannot be listed.
    """
    path = None if spec.format == "table" else local_path(spec.location.strip())
    if path is None or (spec.format == "auto" and not path.exists()):
        return None
    if spec.format == "delta" or (spec.format == "auto" and is_delta(path)):
        commits = sorted(file.name for file in (path / "_delta_log").glob("*.json"))
        return {spec.location: commits[-1].removesuffix(".json")} if commits else None
    kind: Kind | None = None if spec.format == "auto" else spec.format  # type: ignore[assignment]
    return {file.name: _state(file.path) for file in find_files(path, kind)}


def estimated_rows(spec: SourceSpec) -> int | None:
    """About how many rows the files of a source have; None where no file tells.

    Raises:
        SourceError: The files cannot be listed.
    """
    path = None if spec.format == "table" else local_path(spec.location.strip())
    if path is None or not path.exists() or spec.format == "delta" or is_delta(path):
        return None
    kind: Kind | None = None if spec.format == "auto" else spec.format  # type: ignore[assignment]
    return sum(_estimated_rows(file) for file in find_files(path, kind))


def _estimated_rows(file: InputFile) -> int:
    size = file.path.stat().st_size if file.path.exists() else 0
    packed = file.kind == "parquet" or file.path.suffix in (".gz", ".bz2", ".zst")
    return size // (_PACKED_BYTES if packed else _TEXT_BYTES)


def _state(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(
            f"Cannot read {path}: {error.strerror}. Restore the file or take it away."
        ) from error
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"


def read_source(
    spark: SparkSession,
    spec: SourceSpec,
    scratch: str | None = None,
    *,
    only: Collection[str] | None = None,
) -> DataFrame:
    """One row per input row of the events source.

    Columns, all text: timestamp, userId, sessionId, videoId, eventName, currentTime, playbackRate,
    eventId (left out where the source has none). Further typedTimestamp (the time where the
    source's column is a timestamp by type; `timestamp` is null then), typedCurrentTime and
    typedPlaybackRate (likewise of doubles), payload (see `source_columns.payload_text`), sourceFile
    (path relative to the source; null for tables) and malformed (boolean). `scratch` is for copies
    of files that no engine can read as they are: a folder that all machines see; None where there
    is only this one. `only` names the files to read, as `list_source` names them; None: all.

    Raises:
        SourceError: The source is missing or damaged, or lacks a required column.
    """
    try:
        require_event_columns(spec.columns)
    except ValueError as error:
        raise SourceError(f"The column mapping is wrong: {error}.") from None
    request = ColumnRequest(
        columns={name: spec.columns.get(name, name) for name in EVENT_COLUMNS},
        required=REQUIRED_COLUMNS,
        instant="timestamp",
        numbers=("currentTime", "playbackRate"),
        droppable="eventId",
    )
    rows = read_columns(spark, spec.location, spec.format, request, scratch, only=only)
    return rows.drop(LINE_NUMBER)


def read_columns(
    spark: SparkSession,
    location: str,
    form: SourceFormat,
    request: ColumnRequest,
    scratch: str | None = None,
    *,
    only: Collection[str] | None = None,
) -> DataFrame:
    """Read the requested columns of files, of a Delta table's folder or of a table.

    For `scratch` and `only` see `read_source`.

    Raises:
        SourceError: Nothing readable is at `location`, or a required column is missing.
    """
    location = location.strip()
    if not location:
        raise SourceError("The location of the source is empty. Name a folder, file or table.")
    if form == "table":
        return _read_table(spark, location, request)
    path = local_path(location)
    if path is None:
        if form == "delta":
            return _read_typed(_load_delta(spark, location), location, request)
        raise SourceError(
            f"{location} is an address of another file system, from which only Delta tables are "
            "read (format delta). Mount it, or register it as a table."
        )
    if form == "auto" and not path.exists() and _names_table(spark, location):
        return _read_table(spark, location, request)
    if form == "delta" and not is_delta(path):
        raise SourceError(
            f"{path} is no Delta table: it has no _delta_log. Correct the location or the format."
        )
    if form == "delta" or (form == "auto" and is_delta(path)):
        return _read_typed(_load_local_delta(spark, path), str(path), request)
    kind: Kind | None = None if form == "auto" else form
    files = [file for file in find_files(path, kind) if only is None or file.name in only]
    return read_files(spark, path if path.is_dir() else path.parent, files, request, scratch)


def _names_table(spark: SparkSession, name: str) -> bool:
    if not _is_table_name(name):
        return False
    try:
        return bool(spark.table(name).schema)
    except PySparkException:
        return False


def _is_table_name(name: str) -> bool:
    parts = name.lower().split(".")
    reads_file = len(parts) > 1 and parts[0] in FILE_FORMATS
    return _TABLE_NAME.fullmatch(name) is not None and not reads_file


def _read_table(spark: SparkSession, name: str, request: ColumnRequest) -> DataFrame:
    if not _is_table_name(name):
        raise SourceError(
            f"{name!r} is no table name. Write table, schema.table or catalog.schema.table, of "
            "letters, digits and underscores."
        )
    try:
        rows = spark.table(name)
        _ = rows.schema
    except PySparkException as error:
        raise SourceError(
            f"Table {name} cannot be read: {_first_line(error)} Correct the name, or allow it."
        ) from error
    return _read_typed(rows, f"table {name}", request)


def _read_typed(rows: DataFrame, where: str, request: ColumnRequest) -> DataFrame:
    names = set(column_names(rows.schema))
    request.require(names, where)
    rows = rows.withColumn(FILE, F.lit(None).cast("string"))
    return typed_frame(rows, request.wanted(names), request, set(), alone=True)


def _load_local_delta(spark: SparkSession, path: Path) -> DataFrame:
    try:
        return _load_delta(spark, str(path))
    except SourceError as error:
        if "DATA_SOURCE_NOT_FOUND" not in str(error.__cause__):
            raise
    return _delta_files(spark, path)


def _load_delta(spark: SparkSession, location: str) -> DataFrame:
    try:
        rows = spark.read.format("delta").load(location)
        _ = rows.schema
    # Without Delta's jar, classic Spark lets through a bare Java error.
    except Exception as error:
        raise _unreadable_delta(location, error) from error
    return rows


def _delta_files(spark: SparkSession, path: Path) -> DataFrame:
    """JVM Spark without Delta's jar: the files of the latest version, read as Parquet."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path)
        features = set(table.protocol().reader_features or ())
        schema = T.StructType.fromJson(json.loads(table.schema().to_json()))
        groups = _by_partition(table, path)
    except DeltaError as error:
        raise _unreadable_delta(str(path), error) from error
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


_Values = tuple[tuple[str, Any], ...]


def _by_partition(table: "DeltaTable", path: Path) -> dict[_Values | None, list[str]]:
    """Files by their partition's values; all under None where their folders tell the values.

    Spark misreads letters beyond ASCII in the names of folders.
    """
    names = table.metadata().partition_columns
    actions = table.get_add_actions(flatten=True)
    columns = [actions[f"partition.{name}"].to_pylist() for name in names]
    groups: dict[_Values | None, list[str]] = {}
    for at, name in enumerate(actions["path"].to_pylist()):
        values = tuple(zip(names, (column[at] for column in columns), strict=True))
        groups.setdefault(values, []).append(str(path / unquote(name)))
    if all(str(value).isascii() for values in groups for _, value in values or ()):
        return {None: [file for files in groups.values() for file in files]} if groups else {}
    return groups


def _unreadable_delta(location: str, error: BaseException) -> SourceError:
    return SourceError(
        f"Delta table {location} cannot be read: {_first_line(error)} Repair or restore it."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".")[:300] if lines else type(error).__name__) + "."
