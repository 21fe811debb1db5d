"""Checks that both kinds of tables make before they write, and the errors that they share."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.days import days_text
from vidagg_dagster.core.errors import TableConflictError, TableError
from vidagg_dagster.core.schemas import DIMENSION_DOC, EVENT_DATE, TableSpec
from vidagg_dagster.core.table_spec import ColumnSpec
from vidagg_dagster.tables.interface import Frames

_WIDER: Final[Mapping[type[T.DataType], tuple[type[T.DataType], ...]]] = {
    T.LongType: (T.ByteType, T.ShortType, T.IntegerType),
    T.DoubleType: (T.FloatType,),
}


def conform(table: TableSpec, frame: DataFrame) -> DataFrame:
    """`frame` with exactly the declared columns, in their order.

    Numbers are widened (int to bigint, float to double); anything else must have its declared type
    already, because a cast would turn what does not fit into null or match fields by position.

    Raises:
        TableError: A declared column is missing or has another type.
    """
    found = {field.name: field.dataType for field in frame.schema.fields}
    missing = [name for name in table.column_names if name not in found]
    if missing:
        raise TableError(
            f"{table.name}: no column {', '.join(missing)} in the rows to write. "
            f"Found: {', '.join(found)}."
        )
    wrong = [
        f"{column.name} is {found[column.name].simpleString()}, not {column.type.simpleString()}"
        for column in table.columns
        if not _widens(found[column.name], column.type)
    ]
    if wrong:
        raise TableError(f"{table.name}: wrong column types: {'; '.join(wrong)}.")
    if list(found.items()) == [(column.name, column.type) for column in table.columns]:
        # Most are so already. A projection would cost the JVM a call for each column.
        return frame
    return frame.select(
        *[
            F.col(c.name) if _same(found[c.name], c.type) else F.col(c.name).cast(c.type)
            for c in table.columns
        ]
    )


def each(frames: Frames) -> list[DataFrame]:
    """The frames as a list; a single frame is a list of one."""
    return list(frames) if isinstance(frames, Sequence) else [frames]


def distinct_days(table: TableSpec, days: Sequence[date]) -> list[date]:
    """The days of a write: sorted, each once.

    Raises:
        TableError: There are none, or the table is not kept by days.
    """
    if not table.partitioned:
        raise TableError(f"{table.name} is not kept by days: use upsert.")
    if not days:
        raise TableError(f"{table.name}: no days to replace.")
    return sorted(set(days))


def require_days(table: TableSpec, days: Sequence[date] | None) -> None:
    """Refuse a read by days of a table that is not kept by days.

    Raises:
        TableError: It is such a read.
    """
    if days is not None and not table.partitioned:
        raise TableError(f"{table.name} is not kept by days: read all of it.")


def require_key_columns(table: TableSpec, keys: DataFrame) -> DataFrame:
    """The key columns of `keys`, for a table that is kept by key.

    Raises:
        TableError: The table is kept by days, or a key column is missing.
    """
    if table.partitioned or not table.key:
        raise TableError(f"{table.name} is kept by days: use replace_days.")
    missing = [name for name in table.key if name not in keys.columns]
    if missing:
        raise TableError(f"{table.name}: no key column {', '.join(missing)} in the keys to delete.")
    return keys.select(*table.key)


def rows_of_other_days(frame: DataFrame, days: Sequence[date]) -> dict[str, int]:
    """Rows of other days than `days`: the day (or `no day`) -> how many."""
    inside = F.coalesce(F.col(EVENT_DATE).isin(list(days)), F.lit(False))
    day = F.coalesce(F.col(EVENT_DATE).cast(T.StringType()), F.lit("no day"))
    found = frame.where(~inside).groupBy(day.alias("day")).agg(F.count(F.lit(1)).alias("rows"))
    return {row["day"]: row["rows"] for row in found.collect()}


def stray_days_error(
    table: TableSpec, days: Sequence[date], found: Mapping[str, int]
) -> TableError:
    """The error for rows outside the days to replace; `found` maps other days to rows."""
    stray = ", ".join(f"{rows} of {day}" for day, rows in sorted(found.items()))
    return TableError(
        f"{table.name}: rows outside the days to replace ({days_text(days)}): {stray}. "
        f"Nothing was written. Every row's {EVENT_DATE} must be one of the days asked for."
    )


def dayless_error(table: TableSpec, rows: int) -> TableError:
    """The error for rows to append that have no day."""
    return TableError(
        f"{table.name}: {rows} rows to append have no {EVENT_DATE}. Nothing was written."
    )


def lost_batch_error(table: TableSpec, writer: str, batch: int) -> TableConflictError:
    """The error for a batch that another process appends as well."""
    return TableConflictError(
        f"{table.name}: batch {batch} was not appended, because another process writes the batches "
        f"of {writer} as well. Let one of them run, then start it again."
    )


def lost_days_error(table: TableSpec, days: Sequence[date], version: int) -> TableConflictError:
    """The error for a write of days that other writers replaced meanwhile, up to `version`."""
    return TableConflictError(
        f"{table.name}: other writers replaced {days_text(days)} while this write was under way, "
        f"last in version {version}. Nothing was written. Let one run at a time write a day, then "
        "run it again."
    )


def changed_since_error(table: TableSpec, base: int | None, version: int) -> TableConflictError:
    """The error for an upsert of rows computed from a table that is no longer the latest."""
    read = "" if base is None else f" (version {base})"
    return TableConflictError(
        f"{table.name}: another writer changed the table (version {version}) after it was read"
        f"{read}. Nothing was written. Read it again and repeat."
    )


def other_columns_error(place: str, differing: Sequence[str]) -> TableError:
    """The error for a table that exists with columns other than the declared ones."""
    return TableError(
        f"{place} has other columns than this version writes: {', '.join(differing)}. Move it away "
        "and materialize its days again."
    )


def new_dimensions(table: TableSpec, found: Iterable[str]) -> list[ColumnSpec]:
    """The dimensions that a stored table has no column for yet, in any case of its name."""
    stored = {name.lower() for name in found}
    return [
        column
        for column in table.columns
        if column.name in table.dimensions and column.name.lower() not in stored
    ]


def with_every_dimension(table: TableSpec, rows: DataFrame) -> DataFrame:
    """The declared columns of rows, with null for dimensions that these do not have."""
    added = {column.name for column in new_dimensions(table, rows.columns)}
    return rows.select(
        *[
            F.lit(None).cast(c.type).alias(c.name) if c.name in added else F.col(c.name)
            for c in table.columns
        ]
    )


def former_dimensions(table: TableSpec, stored: T.StructType) -> list[ColumnSpec]:
    """Columns of dimensions that a stored table has and nobody asks for any more."""
    asked = {name.lower() for name in table.column_names}
    told = ((field, str(field.metadata.get("comment", ""))) for field in stored.fields)
    return [
        ColumnSpec(field.name, field.dataType, comment)
        for field, comment in told
        if comment.startswith(DIMENSION_DOC) and field.name.lower() not in asked
    ]


def differing_columns(table: TableSpec, stored: T.StructType) -> list[str]:
    """Names of columns that a stored table lacks, has in addition, or has with another type.

    Dimensions that nobody asks for any more may stay.
    """
    former = {column.name for column in former_dimensions(table, stored)}
    declared = {column.name: column.type for column in table.columns}
    found = {f.name: f.dataType for f in stored.fields if f.name not in former}
    return [
        name
        for name in {**declared, **found}
        if name not in declared or name not in found or not _same(found[name], declared[name])
    ]


def key_error(table: TableSpec, example: Mapping[str, object]) -> TableError:
    """The error for a key that is null or repeated; `example` is one such key."""
    shown = ", ".join(f"{name}={value!r}" for name, value in example.items())
    return TableError(
        f"{table.name}: every key ({', '.join(table.key)}) must be unique and not null, but "
        f"{shown} is repeated or null. Nothing was written."
    )


def bad_keys(table: TableSpec, rows: DataFrame) -> DataFrame:
    """Keys of `rows` that are null or repeated."""
    null = F.lit(False)
    for name in table.key:
        null = null | F.col(name).isNull()
    return (
        rows.groupBy(*table.key)
        .agg(F.count(F.lit(1)).alias("times"))
        .where((F.col("times") > 1) | null)
        .select(*table.key)
    )


def _widens(found: T.DataType, declared: T.DataType) -> bool:
    return _same(found, declared) or type(found) in _WIDER.get(type(declared), ())


def _same(found: T.DataType, declared: T.DataType) -> bool:
    """Whether both are equal. Nullability is ignored: engines derive it differently."""
    if isinstance(found, T.ArrayType) and isinstance(declared, T.ArrayType):
        return _same(found.elementType, declared.elementType)
    if isinstance(found, T.StructType) and isinstance(declared, T.StructType):
        return found.names == declared.names and all(
            _same(mine.dataType, theirs.dataType)
            for mine, theirs in zip(found.fields, declared.fields, strict=True)
        )
    return found == declared
