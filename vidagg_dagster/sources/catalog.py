"""Tables of a Spark catalog -> frames."""

import re
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.unity_catalog import FILE_FORMATS
from vidagg_dagster.sources.columns import ColumnRequest, table_frame
from vidagg_dagster.sources.error_text import first_line

_TABLE_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}", re.ASCII)


def names_table(spark: SparkSession, name: str) -> bool:
    """Whether the catalog has a table, or a view, of that name."""
    if not _is_table_name(name):
        return False
    try:
        return bool(spark.table(name).schema)
    except PySparkException:
        return False


def read_table(spark: SparkSession, name: str, request: ColumnRequest) -> DataFrame:
    """The requested columns of a table or view.

    Raises:
        SourceError: The name is malformed, the table cannot be read, or lacks a required column.
    """
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
            f"Table {name} cannot be read: {first_line(error)} Correct the name, or allow it."
        ) from error
    return table_frame(rows, f"table {name}", request)


def _is_table_name(name: str) -> bool:
    parts = name.lower().split(".")
    reads_file = len(parts) > 1 and parts[0] in FILE_FORMATS
    return _TABLE_NAME.fullmatch(name) is not None and not reads_file
