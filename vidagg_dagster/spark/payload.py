"""The payload of a source frame: each row as it was read.

Text sources carry the line, typed sources a struct of all columns. To write every row as JSON, for
the few whose payload is kept, takes longer than everything else that reading does.
"""

from collections.abc import Callable
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.spark.compat import is_nested
from vidagg_dagster.spark.rendering import as_json_value

PAYLOAD: Final = "payload"


def payload_text(source: T.StructType) -> Column:
    """The text line, or the row as JSON."""
    data_type = source[PAYLOAD].dataType
    if not isinstance(data_type, T.StructType):
        return F.col(PAYLOAD)
    return row_as_json(data_type, _field)


def payload_hash(source: T.StructType) -> Column:
    """A hash of all values of a row, the same on every engine."""
    data_type = source[PAYLOAD].dataType
    if not isinstance(data_type, T.StructType):
        return F.xxhash64(PAYLOAD)
    values = [
        F.to_json(_field(f.name)) if is_nested(f.dataType) else _field(f.name)
        for f in data_type.fields
    ]
    return F.xxhash64(*values)


def row_as_json(row: T.StructType, value: Callable[[str], Column]) -> Column:
    """The fields of `row` as the text of one JSON object; `value` gives a field's by its name."""
    return F.to_json(
        F.struct(*[as_json_value(value(f.name), f.dataType).alias(f.name) for f in row.fields])
    )


def _field(name: str) -> Column:
    return F.col(PAYLOAD).getField(name)
