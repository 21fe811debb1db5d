"""What every reader of sources returns: text columns by our names, whatever their types were."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from dataclasses import field as field_of
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.spark.compat import try_url_decode
from vidagg_dagster.spark.payload import PAYLOAD, row_as_json
from vidagg_dagster.spark.rendering import as_text

TYPED_TIMESTAMP: Final = "typedTimestamp"
SOURCE_FILE: Final = "sourceFile"
MALFORMED: Final = "malformed"
LINE_NUMBER: Final = "lineNumber"

FILE: Final = "_vidagg_file"
"""The column of file names inside readers. No source has a column of this name."""


@dataclass(frozen=True)
class ColumnRequest:
    """Which columns to read, and how."""

    columns: Mapping[str, str]
    """Our name -> the source's. A dot leads into nested fields, unless a column has that name."""
    required: tuple[str, ...]
    """Our names of the columns without which the source cannot be read."""
    instant: str | None = None
    """A column that may be of type timestamp. It then arrives as `typedTimestamp`."""
    numbers: tuple[str, ...] = ()
    """Columns that may be of type double. They then arrive under their `typed_name`."""
    void: bool = False
    """Whether such columns are of type void where all files are typed and have no text for them.

    Who parses them need not plan it then. To plan how a time is read takes an engine longer than to
    read a thousand events.
    """
    droppable: str | None = None
    """Our name of a column that the result lacks where the source certainly has none."""
    numbered: bool = False
    """Whether text lines come with their `lineNumber` (else it is null).

    For small tables, also where nobody wants the number: Sail fails to filter other text lines.
    """
    one_of: Mapping[str, tuple[str, ...]] = field_of(default_factory=dict)
    """A value that is needed -> our names of the columns that may carry it."""
    any_case: bool = False
    """Whether a column may be written in another case than asked for."""
    seen: set[str] = field_of(default_factory=set, compare=False)
    """Filled by `require`: the names of the columns of all that is read by the request."""

    def resolved(self, found: Set[str]) -> "ColumnRequest":
        """The request by the names that a source has, where only their case differs.

        A name that is there as asked for is taken so; one that is there in several cases is not.
        """
        if not self.any_case:
            return self
        by_folded: dict[str, list[str]] = {}
        for name in found:
            by_folded.setdefault(name.lower(), []).append(name)
        used = found & set(self.columns.values())
        columns = dict(self.columns)
        for ours, theirs in self.columns.items():
            alike = [name for name in by_folded.get(theirs.lower(), []) if name not in used]
            if theirs not in found and len(alike) == 1:
                columns[ours] = alike[0]
        return replace(self, columns=columns)

    def require(self, found: Set[str], where: str) -> None:
        """Check that the source has all required columns.

        Raises:
            SourceError: Some are missing. It names them and those found.
        """
        self.seen.update(found)
        missing = {
            ours: self.columns[ours] for ours in self.required if self.columns[ours] not in found
        }
        for value, ours in self.one_of.items():
            if not any(self.columns[name] in found for name in ours):
                missing[value] = " or ".join(self.columns[name] for name in ours)
        if missing:
            named = ", ".join(o if o == t else f"{t} (for {o})" for o, t in missing.items())
            have = ", ".join(sorted(found)) or "none"
            raise SourceError(
                f"Missing columns: {named}. Found in {where}: {have}. Add them, map our names to "
                "the source's, or name the vocabulary that it is in: `vidagg map FILE` finds out."
            )

    def wanted(self, found: Set[str]) -> dict[str, str]:
        """The columns of the result: all, without the droppable one where it is not found."""
        return {
            ours: theirs
            for ours, theirs in self.columns.items()
            if ours != self.droppable or theirs in found
        }

    def no_text(self, ours: str, *, alone: bool) -> Column:
        """The text of a column that has none in any row of a frame, or of all if it is `alone`.

        Sail says that void and text together are void.
        """
        unplanned = alone and self.void and (ours == self.instant or ours in self.numbers)
        return F.lit(None) if unplanned else _null("string")


def typed_name(ours: str) -> str:
    """The column of the values of `ours` that are not text in the source."""
    return f"typed{ours[0].upper()}{ours[1:]}"


def table_frame(rows: DataFrame, where: str, request: ColumnRequest) -> DataFrame:
    """The requested columns of a whole table, whose rows have no file.

    Raises:
        SourceError: A required column is missing; `where` names the table in the message.
    """
    names = set(_column_names(rows.schema))
    request = request.resolved(names)
    request.require(names, where)
    rows = rows.withColumn(FILE, _null("string"))
    return typed_frame(rows, request.wanted(names), request, set(), alone=True, one_table=True)


def typed_frame(
    rows: DataFrame,
    columns: Mapping[str, str],
    request: ColumnRequest,
    in_path: Set[str],
    *,
    alone: bool,
    one_table: bool = False,
) -> DataFrame:
    """Typed columns as text. `rows` has its file names in `FILE`.

    `alone` tells that no frame of other types is united with this one. The payload is then the row
    itself (see `spark.payload`), else its JSON. `one_table` tells that all its times are of one
    type. They then arrive as they are, so that a comparison with them reaches the files.
    """
    schema = T.StructType([field for field in rows.schema if field.name != FILE])
    texts: list[Column] = []
    typed: dict[str, Column] = {}
    for ours, theirs in columns.items():
        found = _find(schema, theirs)
        if found is None:
            text = path_value(theirs) if theirs in in_path else request.no_text(ours, alone=alone)
        elif _arrives_typed(ours, found[1], request):
            typed[ours] = found[0]
            text = request.no_text(ours, alone=alone)
        else:
            text = as_text(*found)
        texts.append(text.alias(ours))
    instant = typed.get(request.instant or "")
    when = instant if one_table and instant is not None else _timestamp(instant)
    return rows.select(
        *texts,
        when.alias(TYPED_TIMESTAMP),
        *[typed.get(ours, _null("double")).alias(typed_name(ours)) for ours in request.numbers],
        _payload(schema, alone=alone).alias(PAYLOAD),
        F.col(FILE).alias(SOURCE_FILE),
        F.lit(False).alias(MALFORMED),
        _null("bigint").alias(LINE_NUMBER),
    )


def text_frame(
    rows: DataFrame,
    values: Mapping[str, Column],
    malformed: Column,
    columns: Mapping[str, str],
    request: ColumnRequest,
    in_path: Set[str],
) -> DataFrame:
    """Fields of text lines. `rows` has line, lineNumber and its file names in `FILE`."""
    judged = rows.select(
        F.col("line").alias(PAYLOAD),
        FILE,
        LINE_NUMBER,
        malformed.alias(MALFORMED),
        *[value.alias(ours) for ours, value in values.items()],
    )
    return judged.select(
        *[
            (
                F.when(~F.col(MALFORMED), F.col(ours))
                if ours in values
                else path_value(theirs)
                if theirs in in_path
                else _null("string")
            ).alias(ours)
            for ours, theirs in columns.items()
        ],
        _null("timestamp").alias(TYPED_TIMESTAMP),
        *[_null("double").alias(typed_name(ours)) for ours in request.numbers],
        PAYLOAD,
        F.col(FILE).alias(SOURCE_FILE),
        MALFORMED,
        LINE_NUMBER,
    )


def empty_frame(spark: SparkSession, request: ColumnRequest) -> DataFrame:
    """The result of a source without rows."""
    fields = [T.StructField(ours, T.StringType()) for ours in request.wanted(set())]
    fields += [
        T.StructField(TYPED_TIMESTAMP, T.TimestampType()),
        *[T.StructField(typed_name(ours), T.DoubleType()) for ours in request.numbers],
        T.StructField(PAYLOAD, T.StringType()),
        T.StructField(SOURCE_FILE, T.StringType()),
        T.StructField(MALFORMED, T.BooleanType()),
        T.StructField(LINE_NUMBER, T.LongType()),
    ]
    return spark.createDataFrame([], T.StructType(fields))


def path_value(theirs: str) -> Column:
    """The value of a column that is a folder `name=value` in the file's name."""
    name = F.concat(F.lit("/"), F.col(FILE))
    key = "".join(c if c.isalnum() or c == "_" else f"[{c}]" for c in theirs)
    value = F.regexp_extract(name, f"/{key}=([^/]*)/", 1)
    # Such names keep a plus sign as it is, but decoders read it as a blank.
    decoded = try_url_decode(F.replace(value, F.lit("+"), F.lit("%2B")))
    return F.when(value != "__HIVE_DEFAULT_PARTITION__", F.coalesce(decoded, value))


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of all frames, as a shallow tree: a chain of a thousand is too deep a plan."""
    level = list(frames)
    while len(level) > 1:
        level = [
            level[at].unionAll(level[at + 1]) if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0]


def _arrives_typed(ours: str, data_type: T.DataType, request: ColumnRequest) -> bool:
    if isinstance(data_type, T.DoubleType):
        return ours in request.numbers
    return ours == request.instant and isinstance(data_type, T.TimestampType)


def _timestamp(instant: Column | None) -> Column:
    if instant is None:
        return _null("timestamp")
    # Sail keeps the zone and unit of each file's type, and fails on unions of different ones.
    return F.timestamp_micros(F.unix_micros(instant))


def _payload(schema: T.StructType, *, alone: bool) -> Column:
    if not len(schema):
        return F.lit("{}")
    if alone:
        return F.struct(*[_column(f.name).alias(f.name) for f in schema])
    return row_as_json(schema, _column)


def _null(data_type: str) -> Column:
    return F.lit(None).cast(data_type)


def _column_names(schema: T.StructType, prefix: str = "") -> Iterator[str]:
    """Names of columns and, with dots, of the fields of their structs."""
    for field in schema:
        yield prefix + field.name
        if isinstance(field.dataType, T.StructType):
            yield from _column_names(field.dataType, f"{prefix}{field.name}.")


def _find(schema: T.StructType, theirs: str) -> tuple[Column, T.DataType] | None:
    if theirs in schema.names:
        return _column(theirs), schema[theirs].dataType
    for field in schema:
        if theirs.startswith(f"{field.name}.") and isinstance(field.dataType, T.StructType):
            inner = _find_inside(_column(field.name), field.dataType, theirs, len(field.name) + 1)
            if inner is not None:
                return inner
    return None


def _find_inside(
    column: Column, inside: T.StructType, theirs: str, start: int
) -> tuple[Column, T.DataType] | None:
    """The field of a struct that `theirs` names from `start` on; names may have dots."""
    for field in inside:
        end = start + len(field.name)
        if not f"{theirs}.".startswith(f"{field.name}.", start):
            continue
        value = column.getField(field.name)
        if end == len(theirs):
            return value, field.dataType
        if isinstance(field.dataType, T.StructType):
            found = _find_inside(value, field.dataType, theirs, end + 1)
            if found is not None:
                return found
    return None


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")
