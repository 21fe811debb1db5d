"""What every reader of sources gives: text columns by our names, whatever their types were."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.spark.compat import is_nested, rtrim, try_cast, try_url_decode

TYPED_TIMESTAMP: Final = "typedTimestamp"
PAYLOAD: Final = "payload"
SOURCE_FILE: Final = "sourceFile"
MALFORMED: Final = "malformed"
LINE_NUMBER: Final = "lineNumber"

FILE: Final = "_vidagg_file"
"""What readers call the column of file names before the result; a source has none of this name."""

_INFINITY: Final = float("inf")


@dataclass(frozen=True)
class ColumnRequest:
    """Which columns to read, and how."""

    columns: Mapping[str, str]
    """Our name -> the source's. A dot leads into nested fields, unless a column is called so."""
    required: tuple[str, ...]
    """Our names of the columns without which there is no reading."""
    instant: str | None = None
    """The column that may be a timestamp by its type; it then arrives as `typedTimestamp`."""
    numbers: tuple[str, ...] = ()
    """Columns that may be doubles by their type; they then arrive under their `typed_name`."""
    droppable: str | None = None
    """Our name of a column to leave out of the result where the source certainly has none."""
    numbered: bool = False
    """Whether text lines come with their `lineNumber` (else it is null)."""

    def require(self, found: Set[str], where: str) -> None:
        """Check that all required columns are among the source's.

        Raises:
            SourceError: Some are missing; it names them and those found.
        """
        missing = {
            ours: self.columns[ours] for ours in self.required if self.columns[ours] not in found
        }
        if missing:
            named = ", ".join(o if o == t else f"{t} (for {o})" for o, t in missing.items())
            have = ", ".join(sorted(found)) or "none"
            raise SourceError(
                f"Missing columns: {named}. Found in {where}: {have}. Add them, or map our names "
                "to the source's."
            )

    def wanted(self, found: Set[str]) -> dict[str, str]:
        """The columns of the result: all, less the droppable one where it is not found."""
        return {
            ours: theirs
            for ours, theirs in self.columns.items()
            if ours != self.droppable or theirs in found
        }


def typed_name(ours: str) -> str:
    """The name of the column for values of `ours` that are no text in the source."""
    return f"typed{ours[0].upper()}{ours[1:]}"


def payload_text(source: T.StructType) -> Column:
    """The row as it was read: the text line, or the row as JSON.

    Typed sources carry their columns as they are, because to spell out every row for the few whose
    payload is kept takes longer than all the rest of reading.
    """
    kind = source[PAYLOAD].dataType
    if not isinstance(kind, T.StructType):
        return F.col(PAYLOAD)
    return F.to_json(
        F.struct(*[_as_json(_field(f.name), f.dataType).alias(f.name) for f in kind.fields])
    )


def payload_hash(source: T.StructType) -> Column:
    """A hash of all of a row's values, the same on every engine."""
    kind = source[PAYLOAD].dataType
    if not isinstance(kind, T.StructType):
        return F.xxhash64(PAYLOAD)
    values = [
        F.to_json(_field(f.name)) if is_nested(f.dataType) else _field(f.name) for f in kind.fields
    ]
    return F.xxhash64(*values)


def _field(name: str) -> Column:
    return F.col(PAYLOAD).getField(name)


def column_names(schema: T.StructType, prefix: str = "") -> Iterator[str]:
    """Names of columns and, with dots, of the fields of their structs."""
    for field in schema:
        yield prefix + field.name
        if isinstance(field.dataType, T.StructType):
            yield from column_names(field.dataType, f"{prefix}{field.name}.")


def path_value(theirs: str) -> Column:
    """The value of a column that is a folder `name=value` in the file's name."""
    name = F.concat(F.lit("/"), F.col(FILE))
    key = "".join(c if c.isalnum() or c == "_" else f"[{c}]" for c in theirs)
    value = F.regexp_extract(name, f"/{key}=([^/]*)/", 1)
    # A plus sign is left as it is in such names, but means a blank to decoders.
    decoded = try_url_decode(F.replace(value, F.lit("+"), F.lit("%2B")))
    return F.when(value != "__HIVE_DEFAULT_PARTITION__", F.coalesce(decoded, value))


def typed_frame(
    rows: DataFrame,
    columns: Mapping[str, str],
    request: ColumnRequest,
    in_path: Set[str],
    *,
    alone: bool,
) -> DataFrame:
    """Typed columns as text. `rows` has its file names in `FILE`.

    The payload is the row itself (see `payload_text`) if it is `alone`: no frames of other types
    have to go with it.
    """
    schema = T.StructType([field for field in rows.schema if field.name != FILE])
    values: list[Column] = []
    typed = F.lit(None).cast("timestamp")
    doubles: dict[str, Column] = {}
    for ours, theirs in columns.items():
        found = _find(schema, theirs)
        if found is None:
            value = path_value(theirs) if theirs in in_path else F.lit(None).cast("string")
        elif ours in request.numbers and isinstance(found[1], T.DoubleType):
            doubles[ours] = found[0]
            value = F.lit(None).cast("string")
        elif ours == request.instant and isinstance(found[1], T.TimestampType):
            # Sail keeps the zone and unit of each file's type, and loses its way in unions of them.
            typed = F.timestamp_micros(F.unix_micros(found[0]))
            value = F.lit(None).cast("string")
        else:
            value = _as_text(*found)
        values.append(value.alias(ours))
    if not len(schema):
        payload = F.lit("{}")
    elif alone:
        payload = F.struct(*[_column(f.name).alias(f.name) for f in schema])
    else:
        payload = F.to_json(
            F.struct(*[_as_json(_column(f.name), f.dataType).alias(f.name) for f in schema])
        )
    return rows.select(
        *values,
        typed.alias(TYPED_TIMESTAMP),
        *[doubles.get(ours, _no_double()).alias(typed_name(ours)) for ours in request.numbers],
        payload.alias(PAYLOAD),
        F.col(FILE).alias(SOURCE_FILE),
        F.lit(False).alias(MALFORMED),
        F.lit(None).cast("bigint").alias(LINE_NUMBER),
    )


def _no_double() -> Column:
    return F.lit(None).cast("double")


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
                else F.lit(None).cast("string")
            ).alias(ours)
            for ours, theirs in columns.items()
        ],
        F.lit(None).cast("timestamp").alias(TYPED_TIMESTAMP),
        *[_no_double().alias(typed_name(ours)) for ours in request.numbers],
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


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of all frames, as a shallow tree: a chain of a thousand is too deep a plan."""
    level = list(frames)
    while len(level) > 1:
        level = [
            level[at].unionAll(level[at + 1]) if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0]


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
        narrow = try_cast(column.cast("string"), "double")
        return _double_text(F.when(F.abs(wide) < _INFINITY, narrow).otherwise(wide))
    if isinstance(kind, T.DoubleType):
        return _double_text(column)
    if isinstance(kind, T.TimestampType):
        return F.concat(column.cast("string"), F.lit("Z"))
    if is_nested(kind):
        return F.to_json(column)
    return column.cast("string")


def _as_json(column: Column, kind: T.DataType) -> Column:
    """A value for the payload: what all engines write alike stays what it is."""
    alike = (T.BooleanType, T.IntegralType, T.StructType, T.ArrayType, T.MapType)
    return column if isinstance(kind, alike) else _as_text(column, kind)


def _double_text(value: Column) -> Column:
    """Digits without an exponent where a number is of ordinary size.

    Engines write 1.0E7, 1e7 or 10000000.0; an id that came as a double must not depend on that.
    """
    ordinary = F.when(F.abs(value) < F.lit(1e15), value)
    integer = try_cast(ordinary, "bigint")
    decimal = try_cast(ordinary, "decimal(24,6)").cast("string")
    return (
        F.when(F.isnan(value), F.lit("NaN"))
        .when(value == _INFINITY, F.lit("Infinity"))
        .when(value == -_INFINITY, F.lit("-Infinity"))
        .when(integer.cast("double") == value, integer.cast("string"))
        .when(try_cast(decimal, "double") == value, rtrim(decimal, "0"))
        .otherwise(value.cast("string"))
    )
