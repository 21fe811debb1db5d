"""A source of any kind -> one frame of text columns, with one row per input row.

This module only chooses the reader. Columns arrive as text, whatever their types, and are judged
later (`metrics.ingestion`), so that a bad value costs a reason and never a row. All engines give
the same rows.
"""

from collections.abc import Collection
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.column_mapping import require_event_columns
from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SourceFormat,
    SourceSpec,
)
from vidagg_dagster.core.dimensions import NO_DIMENSIONS, Dimensions, carried
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.event_mapping import EventMapping
from vidagg_dagster.sources.catalog import TablePart, names_table, read_table
from vidagg_dagster.sources.columns import LINE_NUMBER, ColumnRequest, table_frame
from vidagg_dagster.sources.delta import read_delta, read_local_delta
from vidagg_dagster.sources.dimensions import column_of
from vidagg_dagster.sources.files import (
    file_format_of,
    find_files,
    is_delta,
    lies_here,
    local_path,
    not_here,
    root_of,
)
from vidagg_dagster.sources.mappings.convert import Conversion
from vidagg_dagster.sources.readers import read_files

__all__ = ["read_columns", "read_source"]


def read_source(
    spark: SparkSession,
    spec: SourceSpec,
    scratch: str | None = None,
    *,
    only: Collection[str] | None = None,
    part: TablePart | None = None,
    frame: DataFrame | None = None,
    dimensions: Dimensions = NO_DIMENSIONS,
    seen: set[str] | None = None,
) -> DataFrame:
    """One row per input row of the events source.

    Text columns: timestamp, userId, sessionId, videoId, eventName, currentTime, playbackRate and
    eventId (absent where the source has none). Where the source's type says more than text,
    typedTimestamp, typedCurrentTime, typedPlaybackRate and typedSeekFrom hold the value and the
    text is null; where no row of a typed source has a text, its column is of type void.
    Each dimension is one more text column, named as it is `carried`.
    Beside them: payload (see `spark.payload`), sourceFile (path relative to the source; null for
    tables) and malformed (boolean).

    Args:
        spark: The Spark session.
        spec: The source.
        scratch: A folder that all machines of the engine see, for copies of files that it cannot
            read as they are. None: the temporary folder of this machine.
        only: Names of the files to read, as `list_source` gives them. None: all.
        part: The rows to read of a Delta table of the catalog. None: all, at its latest version.
        frame: The rows themselves, instead of what lies at the location.
        dimensions: Further columns to read.
        seen: Is filled with the names of the source's columns, for `absent_dimensions`.

    Raises:
        SourceError: The source is missing or damaged, or lacks a required column.
    """
    try:
        require_event_columns(spec.columns)
    except ValueError as error:
        raise SourceError(f"The column mapping is wrong: {error}.") from None
    conversion = None if spec.mapping is None else _conversion(spec.mapping, spec, dimensions)
    request = _request(spec, dimensions) if conversion is None else conversion.request()
    if seen is not None:
        request = replace(request, seen=seen)
    if frame is not None:
        rows = table_frame(frame, "the frame", request)
    elif part is not None:
        rows = read_table(spark, spec.location.strip(), request, part)
    else:
        rows = read_columns(spark, spec.location, spec.format, request, scratch, only=only)
    if conversion is not None:
        return conversion.convert(rows, spec.timezone)
    rows = rows.drop(LINE_NUMBER)
    for name in OPTIONAL_COLUMNS:
        if name not in request.columns and name != "eventId":
            rows = rows.withColumn(name, F.lit(None))
    return rows


def _conversion(mapping: EventMapping, spec: SourceSpec, dimensions: Dimensions) -> Conversion:
    try:
        return Conversion.of(mapping, spec, dimensions)
    except ValueError as error:
        raise SourceError(f"The column mapping is wrong: {error}.") from None


def _request(spec: SourceSpec, dimensions: Dimensions) -> ColumnRequest:
    """Columns by our names, except optional ones whose name the source uses for another of ours."""
    used = set(spec.columns.values())
    free = [
        name
        for name in EVENT_COLUMNS
        if name in spec.columns or name in REQUIRED_COLUMNS or name not in used
    ]
    return ColumnRequest(
        columns={
            **{name: spec.columns.get(name, name) for name in free},
            **{carried(name): column_of(name, theirs) for name, theirs in dimensions.items()},
        },
        required=REQUIRED_COLUMNS,
        instant="timestamp",
        numbers=("currentTime", "playbackRate", "seekFrom"),
        void=True,
        droppable="eventId" if "eventId" in free else None,
        any_case=True,
    )


def read_columns(
    spark: SparkSession,
    location: str,
    source_format: SourceFormat,
    request: ColumnRequest,
    scratch: str | None = None,
    *,
    only: Collection[str] | None = None,
) -> DataFrame:
    """The requested columns of files, of a Delta table's folder or of a table.

    For `scratch` and `only` see `read_source`.

    Raises:
        SourceError: Nothing readable is at `location`, a file of `only` is gone, or a required
            column is missing.
    """
    location = location.strip()
    if not location:
        raise SourceError("The location of the source is empty. Name a folder, file or table.")
    if source_format == "table":
        return _table(spark, location, request, only)
    path = local_path(location)
    if path is None:
        if source_format == "delta":
            return read_delta(spark, location, request)
        raise not_here(location)
    if source_format == "auto" and not lies_here(path) and names_table(spark, location):
        return _table(spark, location, request, only)
    if source_format == "delta" and not is_delta(path):
        raise SourceError(
            f"{path} is no Delta table: it has no _delta_log. Correct the location or the format."
        )
    if source_format == "delta" or (source_format == "auto" and is_delta(path)):
        return read_local_delta(spark, path, request)
    found = find_files(path, file_format_of(source_format))
    files = [file for file in found if only is None or file.name in only]
    gone = sorted(set(only or ()) - {file.name for file in files})
    if gone:
        raise SourceError(
            f"Cannot read {root_of(path) / gone[0]}: No such file or directory. "
            "Restore the file or take it away."
        )
    return read_files(spark, root_of(path), files, request, scratch, whole=only is None)


def _table(
    spark: SparkSession, name: str, request: ColumnRequest, only: Collection[str] | None
) -> DataFrame:
    rows = read_table(spark, name, request)
    # It is listed as one file; where that has nothing that is wanted, it need not be scanned.
    return rows if only is None or only else rows.limit(0)
