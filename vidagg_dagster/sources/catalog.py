"""Tables of a Spark catalog -> frames."""

import re
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.unity_catalog import is_table_name
from vidagg_dagster.sources.columns import ColumnRequest, table_frame
from vidagg_dagster.sources.error_text import first_line
from vidagg_dagster.spark.compat import error_condition

_CONDITION: Final = re.compile(r"\[([A-Z_.]+)\]")
_MISSING: Final = re.compile(r"\w+_NOT_FOUND|NO_SUCH_\w+|REQUIRES_SINGLE_PART_NAMESPACE")
"""Conditions of a name that is no table. The last one: the engine has no such catalog."""


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


def read_table(spark: SparkSession, name: str, request: ColumnRequest) -> DataFrame:
    """The requested columns of a table or view.

    Raises:
        SourceError: The name is malformed, the table cannot be read, or lacks a required column.
    """
    if not is_table_name(name):
        raise SourceError(
            f"{name!r} is no table name. Write table, schema.table or catalog.schema.table, of "
            "letters, digits and underscores."
        )
    try:
        rows = spark.table(name)
        _ = rows.schema
    except PySparkException as error:
        raise _unreadable(name, error) from error
    return table_frame(rows, f"table {name}", request)


def table_state(spark: SparkSession, name: str) -> str | None:
    """Tells the state of a Delta table of the catalog by its latest commit.

    None of what is no Delta table, such as a view, and where the engine does not say. The table's
    own id is in it: a table that is made anew each night is always at its first version.
    """
    if not is_table_name(name):
        return None
    try:
        (table,) = spark.sql(f"DESCRIBE DETAIL {name}").select("id").collect()
        history = spark.sql(f"DESCRIBE HISTORY {name} LIMIT 1").select("version", "timestamp")
        (commit,) = history.collect()
    except PySparkException:
        return None
    return f"{table['id']}, version {commit['version']}, {commit['timestamp']}"


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
