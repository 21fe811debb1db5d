"""The tables behind one interface: read days, replace days, upsert.

Two kinds pass the same contract tests: `LocalTables` (Delta tables in a folder, written by any
engine and committed without a JVM) and `CatalogTables` (Spark's own Delta in a catalog).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import TableConflictError, TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec

DAYS_ENTRY: Final = "vidagg.days"
"""Entry of a commit's metadata: the days that the commit replaced, as a JSON list."""

NOTE_ENTRY: Final = "vidagg.note"
"""Entry of a commit's metadata: the note of an upsert, as a JSON object of strings."""


Frames = DataFrame | Sequence[DataFrame]
"""What is written at once: a frame, or several that are not to be in memory together."""


@dataclass(frozen=True)
class Replaced:
    """What happened to a table since a version: `days` were replaced; None means: take them all."""

    version: int
    days: frozenset[date] | None


class Tables(Protocol):
    """Where the declared tables live.

    A frame from `read` is the table as it was at that moment, however late it is evaluated. Every
    write is one commit: readers see all of it or nothing.
    """

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """The rows of `days` (None: of every day) in the declared columns, types and order.

        Empty where nothing was written yet.
        """
        ...

    def replace_days(self, table: TableSpec, frames: Frames, days: Sequence[date]) -> None:
        """Make the rows of exactly these days the rows of `frames`, in one commit.

        Several frames are computed one after the other. Without rows the days become empty.

        Raises:
            TableError: A row belongs to another day, or the columns are not the declared ones.
                Nothing was written.
            TableConflictError: Another writer kept replacing the same days.
        """
        ...

    def upsert(
        self,
        table: TableSpec,
        rows: DataFrame,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """Update, insert and delete rows by `table.key`, in one commit, and keep `note`.

        Args:
            table: A table without days.
            rows: New states of rows, each key at most once.
            deleted: Keys of rows that go; a key that is also in `rows` stays.
            note: Given back by `note` from now on, also if no row changes.
            based_on: The `version` that `rows` and `note` follow from.

        Returns:
            How many rows were written, and how many deleted.

        Raises:
            TableConflictError: Rows have changed since `based_on`, or change meanwhile.
            TableError: A key is there twice or is null.
        """
        ...

    def computed(self, table: TableSpec, frames: Frames) -> AbstractContextManager[DataFrame]:
        """The rows of `frames`, computed once and kept beside `table` until the block ends.

        For what several writes are made from: they see the same rows, even if the source changes
        meanwhile, and the work is done once. Nothing that reads `table` sees them.
        """
        ...

    def version(self, table: TableSpec) -> int:
        """The number of the latest commit; -1 where there is no table yet."""
        ...

    def days_replaced_since(self, table: TableSpec, version: int | None) -> Replaced:
        """Which days were replaced after `version`, and the version this is true for.

        The days are None (take every day) without a version, and where the history does not say:
        commits of other programs, history cleaned up, a table made anew.
        """
        ...

    def note(self, table: TableSpec) -> dict[str, str]:
        """The note of the latest upsert; empty if there is none."""
        ...

    def day_counts(self, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
        """Rows of each of `days`, 0 included."""
        ...


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
    return frame.select(
        *[
            F.col(c.name) if _same(found[c.name], c.type) else F.col(c.name).cast(c.type)
            for c in table.columns
        ]
    )


def each(frames: Frames) -> list[DataFrame]:
    """The frames, also of a single one."""
    return list(frames) if isinstance(frames, Sequence) else [frames]


def distinct_days(table: TableSpec, days: Sequence[date]) -> list[date]:
    """The days of a write: sorted, each once.

    Raises:
        TableError: There are none, or the table has no days.
    """
    if not table.partitioned:
        raise TableError(f"{table.name} is not kept by days: use upsert.")
    if not days:
        raise TableError(f"{table.name}: no days to replace.")
    return sorted(set(days))


def require_days(table: TableSpec, days: Sequence[date] | None) -> None:
    """Refuse days of a table that has none.

    Raises:
        TableError: Days are asked for, but the table is not kept by days.
    """
    if days is not None and not table.partitioned:
        raise TableError(f"{table.name} is not kept by days: read all of it.")


def require_key_columns(table: TableSpec, keys: DataFrame) -> DataFrame:
    """The key columns of `keys`, which must not belong to a table with days.

    Raises:
        TableError: The table has days, or a key column is missing.
    """
    if table.partitioned or not table.key:
        raise TableError(f"{table.name} is kept by days: use replace_days.")
    missing = [name for name in table.key if name not in keys.columns]
    if missing:
        raise TableError(f"{table.name}: no key column {', '.join(missing)} in the keys to delete.")
    return keys.select(*table.key)


def rows_of_other_days(frame: DataFrame, days: Sequence[date]) -> dict[str, int]:
    """Rows outside the days to replace, by their day as text; null is `no day`."""
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
        f"{table.name}: rows outside the days to replace ({span(days)}): {stray}. "
        f"Nothing was written. Every row's {EVENT_DATE} must be one of the days asked for."
    )


def lost_days_error(
    table: TableSpec, days: Sequence[date], times: int, version: int
) -> TableConflictError:
    """The error for a write that lost too often; `version` is the latest of the others."""
    return TableConflictError(
        f"{table.name}: other writers replaced {span(days)} {times} times while this write was "
        f"under way, last in version {version}. Nothing was written. Let one run at a time write a "
        "day, then run it again."
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


def differing_columns(table: TableSpec, found: Mapping[str, T.DataType]) -> list[str]:
    """Names of columns that a stored table lacks, has beside the declared, or has otherwise."""
    declared = {column.name: column.type for column in table.columns}
    return [
        name
        for name in {**declared, **found}
        if name not in declared or name not in found or not _same(found[name], declared[name])
    ]


def key_error(table: TableSpec, example: Mapping[str, object]) -> TableError:
    """The error for a key that is null or there twice; `example` is one such key."""
    shown = ", ".join(f"{name}={value!r}" for name, value in example.items())
    return TableError(
        f"{table.name}: the key ({', '.join(table.key)}) must be there once and not be null, "
        f"but {shown} is not so. Nothing was written."
    )


def bad_keys(table: TableSpec, rows: DataFrame) -> DataFrame:
    """Keys of `rows` that are null or there more than once."""
    null = F.lit(False)
    for name in table.key:
        null = null | F.col(name).isNull()
    return (
        rows.groupBy(*table.key)
        .agg(F.count(F.lit(1)).alias("times"))
        .where((F.col("times") > 1) | null)
        .select(*table.key)
    )


def span(days: Sequence[date]) -> str:
    """Days for people: each one if they are few, else first, last and how many."""
    ordered = sorted(days)
    if len(ordered) <= 3:
        return ", ".join(map(str, ordered))
    return f"{ordered[0]} to {ordered[-1]}, {len(ordered)} days"


def days_to_json(days: Sequence[date]) -> str:
    """The text of `DAYS_ENTRY`."""
    return json.dumps([day.isoformat() for day in sorted(days)])


def days_from_json(text: str) -> frozenset[date]:
    """The days of a `DAYS_ENTRY`."""
    return frozenset(date.fromisoformat(day) for day in json.loads(text))


_WIDER: Final[Mapping[type[T.DataType], tuple[type[T.DataType], ...]]] = {
    T.LongType: (T.ByteType, T.ShortType, T.IntegerType),
    T.DoubleType: (T.FloatType,),
}


def _widens(found: T.DataType, declared: T.DataType) -> bool:
    return _same(found, declared) or type(found) in _WIDER.get(type(declared), ())


def _same(found: T.DataType, declared: T.DataType) -> bool:
    """Equal but for nullability, which engines derive differently for the same expression."""
    if isinstance(found, T.ArrayType) and isinstance(declared, T.ArrayType):
        return _same(found.elementType, declared.elementType)
    if isinstance(found, T.StructType) and isinstance(declared, T.StructType):
        return found.names == declared.names and all(
            _same(mine.dataType, theirs.dataType)
            for mine, theirs in zip(found.fields, declared.fields, strict=True)
        )
    return found == declared
