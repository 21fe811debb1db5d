"""A source of any kind -> one frame of text columns in which every input row is a row.

Whatever the source declares, columns arrive as text and are judged later (`events`), so that a
value which does not fit costs a reason and never a row. Both engines give the same rows.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.engine import source_text as text
from vidagg_dagster.engine.parsing import trimmed
from vidagg_dagster.engine.source_files import (
    CsvHeader,
    InputFile,
    Kind,
    ParquetFile,
    SourceError,
    Staging,
    check_text,
    csv_header,
    find_files,
    first_lines,
    is_delta,
    local_path,
    numbered_lines,
    parquet_file,
)
from vidagg_dagster.steps.contract import SourceSpec

__all__ = ["OPTIONAL", "REQUIRED", "ColumnRequest", "SourceError", "read_columns", "read_source"]

REQUIRED: Final = ("timestamp", "userId", "sessionId", "videoId", "eventName", "currentTime")
OPTIONAL: Final = ("playbackRate", "eventId")

TYPED_TIMESTAMP: Final = "typedTimestamp"
PAYLOAD: Final = "payload"
SOURCE_FILE: Final = "sourceFile"
MALFORMED: Final = "malformed"
LINE_NUMBER: Final = "lineNumber"

Format = Literal["auto", "jsonl", "csv", "parquet", "delta", "table"]

_TABLE_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", re.ASCII)
_FILE_READERS: Final = frozenset(
    {"text", "json", "csv", "parquet", "orc", "avro", "xml", "delta", "binaryfile", "iceberg"}
)
"""`spark.table("text.x")` would read the file x."""
_SAMPLE_LINES: Final = 1000
_SAMPLE_FILES: Final = 20
_CHECKED_BYTES: Final = 4 << 30
"""Text beyond this is not read by the driver first. Damage is then found by the engine."""
_GLOB_CHARACTERS: Final = frozenset("*?[]{}\\")
_INFINITY: Final = float("inf")

_staging = Staging()


@dataclass(frozen=True)
class ColumnRequest:
    """Which columns to read, and how."""

    columns: Mapping[str, str]
    """Our name -> the source's. A dot leads into nested fields, unless a column is called so."""
    required: tuple[str, ...]
    """Our names of the columns without which there is no reading."""
    instant: str | None = None
    """The column that may be a timestamp by its type; it then arrives as `typedTimestamp`."""
    droppable: tuple[str, ...] = ()
    """Our names of columns to leave out of the result where the source has none of the kind."""
    numbered: bool = False
    """Whether text lines come with their `lineNumber` (else it is null)."""
    what: str = field(default="the source")
    """What to call the source in messages."""


def read_source(spark: SparkSession, spec: SourceSpec) -> DataFrame:
    """One row per input row of the events source.

    Columns, all text: timestamp, userId, sessionId, videoId, eventName, currentTime, playbackRate,
    eventId (left out where the source has none); further typedTimestamp (timestamp; the time where
    the source's column is one by type, `timestamp` is null then), payload (the text line, or the row
    as JSON), sourceFile (path relative to the source; null for tables) and malformed (boolean).

    Raises:
        SourceError: The source is missing or damaged, or lacks a required column.
    """
    known = (*REQUIRED, *OPTIONAL)
    unknown = sorted(set(spec.columns) - set(known))
    if unknown:
        raise SourceError(
            f"The column mapping names {', '.join(unknown)}, which no event has. On the left of a "
            f"mapping stand our names: {', '.join(known)}."
        )
    request = ColumnRequest(
        columns={name: spec.columns.get(name, name) for name in known},
        required=REQUIRED,
        instant="timestamp",
        droppable=("eventId",),
    )
    return read_columns(spark, spec.location, spec.format, request).drop(LINE_NUMBER)


def read_columns(
    spark: SparkSession, location: str, form: Format, request: ColumnRequest
) -> DataFrame:
    """Read the requested columns of files, of a Delta table's folder or of a table.

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
            return _read_structured(spark.read.format("delta").load(location), location, request)
        raise SourceError(
            f"{location} is an address of another file system, from which only Delta tables are "
            "read (format delta). Mount it, or register it as a table."
        )
    if form == "auto" and not path.exists() and _names_table(spark, location):
        return _read_table(spark, location, request)
    if form == "delta" or (form == "auto" and is_delta(path)):
        if not is_delta(path):
            raise SourceError(
                f"{path} is no Delta table: it has no _delta_log. Correct the location or format."
            )
        return _read_delta(spark, path, request)
    kind: Kind | None = None if form == "auto" else form
    files = find_files(path, kind)
    if not files:
        return _empty(spark, request)
    root = path if path.is_dir() else path.parent
    reader = _Reader(spark, root, request, _engine_tells_files(spark, files[0]))
    return {"jsonl": reader.json_lines, "csv": reader.csv, "parquet": reader.parquet}[
        files[0].kind
    ](files)


# --- Files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    spark: SparkSession
    root: Path
    request: ColumnRequest
    tells_files: bool
    """Whether the engine knows which file a row comes from. One that does is JVM Spark, which also
    reads patterns with escapes and bytes that are not UTF-8."""

    def json_lines(self, files: Sequence[InputFile]) -> DataFrame:
        in_path = self._columns_in_path(files)
        self._check_sample(files, in_path)
        checked, dropped = self._check_texts(files)
        columns = {k: v for k, v in self.request.columns.items() if k not in dropped}
        found = _sample_keys(files)
        paths = {
            ours: (theirs,) if theirs in found else tuple(theirs.split("."))
            for ours, theirs in columns.items()
            if theirs not in in_path
        }
        rows = text.with_json_fields(self._lines(checked), "line", list(paths.values()))
        values = {ours: text.json_field(path) for ours, path in paths.items()}
        return self._text_frame(rows, values, text.json_malformed(), columns, in_path)

    def csv(self, files: Sequence[InputFile]) -> DataFrame:
        in_path = self._columns_in_path(files)
        wanted = list(self.request.columns.values())
        groups: dict[CsvHeader, list[InputFile]] = {}
        for file in files:
            header = csv_header(file, wanted)
            if header is not None:
                self._check_header(file, header, in_path)
                groups.setdefault(header, []).append(file)
        if not groups:
            return _empty(self.spark, self.request)
        names = {name for header in groups for name in header.names} | in_path
        columns = {
            ours: theirs
            for ours, theirs in self.request.columns.items()
            if theirs in names or ours not in self.request.droppable
        }
        return _union([self._csv_group(h, group, columns, in_path) for h, group in groups.items()])

    def parquet(self, files: Sequence[InputFile]) -> DataFrame:
        in_path = self._columns_in_path(files)
        opened = [_staging.plain_parquet(parquet_file(file)) for file in files]
        groups: dict[str, list[ParquetFile]] = {}
        for parquet in opened:
            _require(
                self.request,
                set(parquet.schema.names) | in_path,
                str(self.root / parquet.file.name),
            )
            schema = parquet.schema.remove_metadata()
            groups.setdefault(schema.to_string(show_field_metadata=False), []).append(parquet)
        names = {name for parquet in opened for name in parquet.schema.names} | in_path
        columns = {
            ours: theirs
            for ours, theirs in self.request.columns.items()
            if _top_level(theirs, names) in names or ours not in self.request.droppable
        }
        frames = []
        for group in groups.values():
            for rows in self._read([p.file for p in group], self._read_parquet):
                frames.append(_structured_frame(rows, self.request, columns, in_path))
        return _union(frames)

    def _csv_group(
        self,
        header: CsvHeader,
        files: Sequence[InputFile],
        columns: Mapping[str, str],
        in_path: set[str],
    ) -> DataFrame:
        checked, _ = self._check_texts(files)
        rows = (
            self._lines(checked)
            .where(F.col("line") != header.line)
            .withColumn("fields", text.csv_fields(F.col("line"), header.delimiter))
        )
        fields = F.col("fields")
        malformed = text.csv_malformed(F.col("line"), fields, len(header.names))
        values = {
            ours: text.csv_field(fields, header.names.index(theirs))
            for ours, theirs in columns.items()
            if theirs in header.names and theirs not in in_path
        }
        return self._text_frame(rows, values, malformed, columns, in_path)

    def _text_frame(
        self,
        rows: DataFrame,
        values: Mapping[str, Column],
        malformed: Column,
        columns: Mapping[str, str],
        in_path: set[str],
    ) -> DataFrame:
        rows = rows.select(
            F.col("line").alias(PAYLOAD),
            SOURCE_FILE,
            LINE_NUMBER,
            malformed.alias(MALFORMED),
            *[value.alias(ours) for ours, value in values.items()],
        )
        return rows.select(
            *[
                (
                    _path_value(theirs)
                    if theirs in in_path
                    else F.when(~F.col(MALFORMED), F.col(ours))
                    if ours in values
                    else F.lit(None).cast("string")
                ).alias(ours)
                for ours, theirs in columns.items()
            ],
            F.lit(None).cast("timestamp").alias(TYPED_TIMESTAMP),
            PAYLOAD,
            SOURCE_FILE,
            MALFORMED,
            LINE_NUMBER,
        )

    def _lines(self, files: Sequence[InputFile]) -> DataFrame:
        """line, sourceFile, lineNumber; without blank lines, byte order marks and CRs."""
        if self.request.numbered:
            return self._numbered_lines(files)
        frames = [
            rows.select(
                F.ltrim(
                    F.rtrim(
                        F.make_valid_utf8(F.col("value")) if self.tells_files else F.col("value"),
                        F.lit("\r"),
                    ),
                    F.lit("\ufeff"),
                ).alias("line"),
                SOURCE_FILE,
                F.lit(None).cast("bigint").alias(LINE_NUMBER),
            )
            for rows in self._read(files, self._read_text)
        ]
        return _union(frames).where(trimmed(F.col("line")) != "")

    def _numbered_lines(self, files: Sequence[InputFile]) -> DataFrame:
        # Engines do not number lines, and what is numbered is small: titles and durations.
        rows = [(line, file.name, at) for file in files for at, line in numbered_lines(file)]
        schema = f"line string, {SOURCE_FILE} string, {LINE_NUMBER} bigint"
        return self.spark.createDataFrame(rows, schema)

    def _read(
        self, files: Sequence[InputFile], read: Callable[[list[str]], DataFrame]
    ) -> list[DataFrame]:
        """Frames of the files' rows with their `sourceFile`."""
        frames = []
        together = [file for file in files if self.tells_files and not _stand_in(file)]
        if together:
            rows = read([_escaped(str(file.path)) for file in together])
            plain = all(_is_plain(str(file.path)) for file in together)
            frames.append(rows.withColumn(SOURCE_FILE, _relative_name(self.root, plain)))
        for file in files:
            if file not in together:
                awkward = _stand_in(file) or _GLOB_CHARACTERS & set(str(file.path))
                at = _staging.linked(file) if awkward and not file.staged else file
                frames.append(read([str(at.path)]).withColumn(SOURCE_FILE, F.lit(file.name)))
        return frames

    def _read_text(self, paths: list[str]) -> DataFrame:
        # The separator is said, because without it Sail may see blank lines in CRLF files and a
        # carriage return within a line would end it.
        return self.spark.read.option("lineSep", "\n").text(paths).select("value", *self._metadata)

    def _read_parquet(self, paths: list[str]) -> DataFrame:
        rows = self.spark.read.parquet(*paths)
        return rows.select("*", *self._metadata)

    @property
    def _metadata(self) -> list[Column]:
        return [F.col("_metadata.file_path").alias(_FILE_PATH)] if self.tells_files else []

    def _columns_in_path(self, files: Sequence[InputFile]) -> set[str]:
        """The source's columns that all files carry in their paths, as `name=value` folders."""
        return {
            theirs
            for theirs in self.request.columns.values()
            if all(f"/{theirs}=" in f"/{file.name}".rpartition("/")[0] for file in files)
        }

    def _check_texts(self, files: Sequence[InputFile]) -> tuple[list[InputFile], set[str]]:
        """Files that the engine can read, and our names of the droppable columns to drop."""
        droppable = self.request.droppable
        marker = f'"{self.request.columns[droppable[0]]}"'.encode() if droppable else b"{"
        size = sum(file.path.stat().st_size * (8 if file.compressed else 1) for file in files)
        if self.tells_files and size > _CHECKED_BYTES:
            return list(files), set()
        with ThreadPoolExecutor() as pool:
            checks = list(pool.map(lambda file: check_text(file, marker), files))
        readable = [
            file if check.valid_utf8 or self.tells_files else _staging.valid_utf8(file)
            for file, check in zip(files, checks, strict=True)
        ]
        return readable, set() if any(check.has_marker for check in checks) else set(droppable)

    def _check_header(self, file: InputFile, header: CsvHeader, in_path: set[str]) -> None:
        _require(self.request, set(header.names) | in_path, str(self.root / file.name))
        for theirs in self.request.columns.values():
            if header.names.count(theirs) > 1:
                raise SourceError(
                    f"The header of {self.root / file.name} has the column {theirs} "
                    f"{header.names.count(theirs)} times. Rename all but one."
                )

    def _check_sample(self, files: Sequence[InputFile], in_path: set[str]) -> None:
        if any(_sample(file) for file in files[:_SAMPLE_FILES]):
            found = _sample_keys(files)
            _require(self.request, found | in_path, f"the first lines of {self._sampled(files)}")

    def _sampled(self, files: Sequence[InputFile]) -> str:
        sampled = [file.name for file in files[:_SAMPLE_FILES] if _sample(file)]
        more = f" and {len(sampled) - 1} more" if len(sampled) > 1 else ""
        return f"{self.root / sampled[0]}{more}"


def _stand_in(file: InputFile) -> bool:
    """Whether JVM Spark would not read it, or not tell its name."""
    return file.staged or file.path.name.startswith((".", "_"))


def _engine_tells_files(spark: SparkSession, file: InputFile) -> bool:
    try:
        path = [_escaped(str(file.path))]
        return bool(spark.read.text(path).select("_metadata.file_path").schema)
    except PySparkException:
        return False


def _escaped(path: str) -> str:
    return "".join(f"\\{c}" if c in _GLOB_CHARACTERS else c for c in path)


_FILE_PATH: Final = "_vidagg_file_path"


def _is_plain(path: str) -> bool:
    return re.fullmatch(r"[\w./=-]*", path, re.ASCII) is not None


def _relative_name(root: Path, plain: bool) -> Column:
    """The path below `root` of the address in `_FILE_PATH`, such as `file:///data/a%20b.csv`."""
    address = F.col(_FILE_PATH)
    if not plain:  # a plus sign is left as it is in these addresses, but means a blank to decoders
        address = F.url_decode(F.replace(address, F.lit("+"), F.lit("%2B")))
    prefix = str(root).rstrip("/") + "/"
    return F.substring(address, F.instr(address, F.lit(prefix)) + len(prefix), F.length(address))


def _path_value(theirs: str) -> Column:
    value = F.regexp_extract(
        F.concat(F.lit("/"), F.col(SOURCE_FILE)), f"/{re.escape(theirs)}=([^/]*)/", 1
    )
    decoded = F.try_url_decode(F.replace(value, F.lit("+"), F.lit("%2B")))
    return F.when(value != "__HIVE_DEFAULT_PARTITION__", F.coalesce(decoded, value))


# --- What is there --------------------------------------------------------------------------------


def _sample(file: InputFile) -> list[str]:
    return first_lines(file, _SAMPLE_LINES)


def _sample_keys(files: Sequence[InputFile]) -> set[str]:
    """Names of fields, nested ones with dots, in the first lines of the first files."""
    keys: set[str] = set()
    for file in files[:_SAMPLE_FILES]:
        for line in _sample(file):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            keys.update(_keys(value))
    return keys


def _keys(value: object, prefix: str = "") -> Iterable[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield prefix + key
            yield from _keys(inner, f"{prefix}{key}.")


def _require(request: ColumnRequest, found: set[str], where: str) -> None:
    missing = {
        ours: request.columns[ours]
        for ours in request.required
        if _top_level(request.columns[ours], found) not in found
    }
    if missing:
        named = ", ".join(o if o == t else f"{t} (for {o})" for o, t in missing.items())
        have = ", ".join(sorted(found)) or "none"
        raise SourceError(
            f"Missing columns: {named}. Found in {where}: {have}. Add them, or map our names to "
            "the source's."
        )


def _top_level(theirs: str, found: set[str]) -> str:
    return theirs if theirs in found else theirs.split(".", 1)[0]


# --- Tables and typed columns ---------------------------------------------------------------------


def _names_table(spark: SparkSession, name: str) -> bool:
    if not _TABLE_NAME.fullmatch(name) or name.split(".")[0].lower() in _FILE_READERS:
        return False
    try:
        return bool(spark.table(name).schema)
    except PySparkException:
        return False


def _read_table(spark: SparkSession, name: str, request: ColumnRequest) -> DataFrame:
    if not _TABLE_NAME.fullmatch(name) or name.split(".")[0].lower() in _FILE_READERS:
        raise SourceError(
            f"{name!r} is no table name. Write table, schema.table or catalog.schema.table, of "
            "letters, digits and underscores."
        )
    try:
        rows = spark.table(name)
        _ = rows.schema
    except AnalysisException as error:
        raise SourceError(
            f"Table {name} cannot be read: {_first_line(error)} Correct the name, or allow it."
        ) from error
    return _read_structured(rows, f"table {name}", request)


def _read_delta(spark: SparkSession, path: Path, request: ColumnRequest) -> DataFrame:
    try:
        rows = spark.read.format("delta").load(str(path))
        _ = rows.schema
    except Exception as error:
        if "DATA_SOURCE_NOT_FOUND" not in str(error):
            raise SourceError(
                f"Delta table {path} cannot be read: {_first_line(error)} Repair or restore it."
            ) from error
        rows = _delta_without_jar(spark, path)
    return _read_structured(rows, str(path), request)


def _delta_without_jar(spark: SparkSession, path: Path) -> DataFrame:
    """JVM Spark without Delta's jar: the files of the latest version, read as Parquet."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path)
        features = set(table.protocol().reader_features or ())
        schema = T.StructType.fromJson(json.loads(table.schema().to_json()))
        files = table.file_uris()
    except DeltaError as error:
        raise SourceError(
            f"Delta table {path} cannot be read: {_first_line(error)} Repair or restore it."
        ) from error
    beyond = features & {"deletionVectors", "columnMapping", "v2Checkpoint"}
    if beyond:
        raise SourceError(
            f"Delta table {path} uses {', '.join(sorted(beyond))}, which this Spark cannot read "
            "without the delta-spark jar. Use engine sail, or add the jar."
        )
    if not files:
        return spark.createDataFrame([], schema)
    return (
        spark.read.schema(schema)
        .option("basePath", _escaped(str(path)))
        .parquet(*[_escaped(_delta_file(uri)) for uri in files])
    )


def _delta_file(uri: str) -> str:
    path = local_path(uri)
    return str(path) if path is not None else uri


def _read_structured(rows: DataFrame, where: str, request: ColumnRequest) -> DataFrame:
    names = set(rows.columns)
    _require(request, names, where)
    columns = {
        ours: theirs
        for ours, theirs in request.columns.items()
        if _top_level(theirs, names) in names or ours not in request.droppable
    }
    return _structured_frame(
        rows.withColumn(SOURCE_FILE, F.lit(None).cast("string")), request, columns, set()
    )


def _structured_frame(
    rows: DataFrame, request: ColumnRequest, columns: Mapping[str, str], in_path: set[str]
) -> DataFrame:
    schema = T.StructType([f for f in rows.schema if f.name not in (SOURCE_FILE, _FILE_PATH)])
    names = set(schema.names)
    values: list[Column] = []
    typed = F.lit(None).cast("timestamp")
    for ours, theirs in columns.items():
        found = _find(schema, theirs)
        if found is None:
            value = _path_value(theirs) if theirs in in_path else F.lit(None).cast("string")
        elif ours == request.instant and isinstance(found[1], T.TimestampType):
            typed, value = found[0], F.lit(None).cast("string")
        else:
            value = _as_text(*found)
        values.append(value.alias(ours))
    payload = F.to_json(
        F.struct(*[_as_json(_column(f.name), f.dataType).alias(f.name) for f in schema])
    )
    return rows.select(
        *values,
        typed.alias(TYPED_TIMESTAMP),
        (payload if names else F.lit("{}")).alias(PAYLOAD),
        SOURCE_FILE,
        F.lit(False).alias(MALFORMED),
        F.lit(None).cast("bigint").alias(LINE_NUMBER),
    )


def _find(schema: T.StructType, theirs: str) -> tuple[Column, T.DataType] | None:
    if theirs in schema.names:
        return _column(theirs), schema[theirs].dataType
    first, *rest = theirs.split(".")
    if not rest or first not in schema.names:
        return None
    column, kind = _column(first), schema[first].dataType
    for name in rest:
        if not isinstance(kind, T.StructType) or name not in kind.names:
            return None
        column, kind = column.getField(name), kind[name].dataType
    return column, kind


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _as_text(column: Column, kind: T.DataType) -> Column:
    """A value as text, the same on every engine, from which nothing is lost."""
    if isinstance(kind, T.StringType):
        return column
    if isinstance(kind, T.FloatType):
        # Through its own text, so that 12.3 does not become 12.300000190734863.
        wide = column.cast("double")
        return _double_text(
            F.when(F.abs(wide) < _INFINITY, column.cast("string").try_cast("double")).otherwise(
                wide
            )
        )
    if isinstance(kind, T.DoubleType):
        return _double_text(column)
    if isinstance(kind, T.TimestampType):
        return F.concat(column.cast("string"), F.lit("Z"))
    if isinstance(kind, T.StructType | T.ArrayType | T.MapType | T.VariantType):
        return F.to_json(column)
    return column.cast("string")


def _as_json(column: Column, kind: T.DataType) -> Column:
    """A value for the payload: what all engines write alike stays what it is."""
    alike = (T.BooleanType, T.IntegralType, T.StructType, T.ArrayType, T.MapType)
    return column if isinstance(kind, alike) else _as_text(column, kind)


def _double_text(value: Column) -> Column:
    """Shortest digits without an exponent where a number is of ordinary size.

    Engines write 1.0E7, 1e7 or 10000000.0; an id that came as a double must not depend on that.
    """
    ordinary = F.abs(value) < F.lit(1e15)
    integer = F.when(ordinary, value).try_cast("bigint")
    decimal = F.when(ordinary, value).try_cast("decimal(24,6)").cast("string")
    return (
        F.when(F.isnan(value), F.lit("NaN"))
        .when(value == _INFINITY, F.lit("Infinity"))
        .when(value == -_INFINITY, F.lit("-Infinity"))
        .when(integer.cast("double") == value, integer.cast("string"))
        .when(decimal.try_cast("double") == value, F.rtrim(decimal, F.lit("0")))
        .otherwise(value.cast("string"))
    )


# --- Frames ---------------------------------------------------------------------------------------


def _empty(spark: SparkSession, request: ColumnRequest) -> DataFrame:
    names = [name for name in request.columns if name not in request.droppable]
    fields = [T.StructField(name, T.StringType()) for name in names]
    fields += [
        T.StructField(TYPED_TIMESTAMP, T.TimestampType()),
        T.StructField(PAYLOAD, T.StringType()),
        T.StructField(SOURCE_FILE, T.StringType()),
        T.StructField(MALFORMED, T.BooleanType()),
        T.StructField(LINE_NUMBER, T.LongType()),
    ]
    return spark.createDataFrame([], T.StructType(fields))


def _union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of all frames, as a shallow tree: a chain of a thousand unions is too deep a plan."""
    level = list(frames)
    while len(level) > 1:
        level = [
            level[at].unionAll(level[at + 1]) if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0]


def _first_line(error: BaseException) -> str:
    line = str(error).strip().splitlines()
    return line[0].rstrip(".")[:300] + "." if line else type(error).__name__ + "."
