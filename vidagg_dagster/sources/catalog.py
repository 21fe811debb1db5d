"""Tables of a Spark catalog -> frames."""

import re
from dataclasses import dataclass
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.unity_catalog import is_table_name
from vidagg_dagster.sources.columns import ColumnRequest, table_frame
from vidagg_dagster.sources.error_text import first_line
from vidagg_dagster.spark.compat import error_condition

_STATE: Final = re.compile(r"([^,]+), version (\d+), (.+)")
_CONDITION: Final = re.compile(r"\[([A-Z_.]+)\]")
_MISSING: Final = re.compile(r"\w+_NOT_FOUND|NO_SUCH_\w+|REQUIRES_SINGLE_PART_NAMESPACE")
"""Conditions of a name that is no table. The last one: the engine has no such catalog."""


@dataclass(frozen=True)
class TableVersion:
    """A version of one Delta table; as text it is the state of the table.

    The table's own id is in it, as a table that is made anew each night always has version 0.
    """

    table_id: str
    number: int
    time: str

    def __str__(self) -> str:
        return f"{self.table_id}, version {self.number}, {self.time}"

    @classmethod
    def parse(cls, state: str | None) -> "TableVersion | None":
        """The version that a state tells; None of a state of something else."""
        found = _STATE.fullmatch(state or "")
        return None if found is None else cls(found[1], int(found[2]), found[3])


@dataclass(frozen=True)
class TablePart:
    """The rows of a Delta table at a version, all or those in `files`, by their names."""

    version: int
    files: frozenset[str] | None = None


def names_table(spark: SparkSession, name: str) -> bool:
    """Whether the catalog has a table, or a view, of that name.

    Raises:
        SourceError: The catalog does not say, for instance for want of privileges.
    """
    if not is_table_name(name):
        return False
    try:
        return bool(spark.table(name).schema)
    except PySparkException as error:
        if _says_missing(error):
            return False
        raise _unreadable(name, error) from error


def read_table(
    spark: SparkSession, name: str, request: ColumnRequest, part: TablePart | None = None
) -> DataFrame:
    """The requested columns of a table or view, or of a part of a Delta table.

    Raises:
        SourceError: The name is malformed, the table cannot be read, or lacks a required column.
    """
    if not is_table_name(name):
        raise SourceError(
            f"{name!r} is no table name. Write table, schema.table or catalog.schema.table, of "
            "letters, digits and underscores."
        )
    try:
        rows = spark.table(name) if part is None else part_of(spark, name, part)
        _ = rows.schema
    except PySparkException as error:
        raise _unreadable(name, error) from error
    return table_frame(rows, f"table {name}", request)


def part_of(spark: SparkSession, name: str, part: TablePart) -> DataFrame:
    """The rows of a part of a Delta table."""
    rows = spark.read.option("versionAsOf", part.version).table(name)
    if part.files is None:
        return rows
    return rows.where(F.col("_metadata.file_name").isin(sorted(part.files)))


def table_state(spark: SparkSession, name: str) -> str | None:
    """Tells the state of a Delta table of the catalog by its latest commit: see `TableVersion`.

    None of what is no Delta table, such as a view, and where the engine does not say.
    """
    if not is_table_name(name):
        return None
    try:
        (table,) = spark.sql(f"DESCRIBE DETAIL {name}").select("id").collect()
        history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version", "timestamp")
        (commit,) = history.collect()
    except PySparkException:
        return None
    return str(TableVersion(table["id"], commit["version"], str(commit["timestamp"])))


def _says_missing(error: PySparkException) -> bool:
    condition = error_condition(error)
    if condition is None:  # Sail writes it into the text only
        found = _CONDITION.search(str(error))
        condition = found[1] if found else ""
    return _MISSING.fullmatch(condition) is not None


def _unreadable(name: str, error: PySparkException) -> SourceError:
    return SourceError(
        f"Table {name} cannot be read: {first_line(error)} Correct the name, or grant USE CATALOG "
        "and USE SCHEMA on what it lies in and SELECT on it."
    )
