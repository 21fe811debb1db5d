"""Frames from and to plain rows. Spark 3.5 cannot convert them through Arrow."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema


def frame_of(spark: SparkSession, table: pa.Table) -> DataFrame:
    if hasattr(DataFrame, "toArrow"):
        return spark.createDataFrame(table)
    rows = [tuple(row.values()) for row in table.to_pylist()]
    return spark.createDataFrame(rows, from_arrow_schema(table.schema))


def rows_of(frame: DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts, through Arrow because `collect` drops the zone of times."""
    if hasattr(frame, "toArrow"):
        rows: list[dict[str, Any]] = frame.toArrow().to_pylist()
        return rows
    return [_with_zone(row.asDict(recursive=True)) for row in frame.collect()]


def _with_zone(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_zone(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_zone(inner) for inner in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value
