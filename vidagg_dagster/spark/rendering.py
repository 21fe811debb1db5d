"""Values -> text, the same on every engine. The counterpart of `parsing`."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.spark.compat import is_nested, rtrim, try_cast

_INFINITY: Final = float("inf")
_MAX_ORDINARY: Final = 1e15
"""Doubles above this are written with an exponent."""


def as_text(column: Column, data_type: T.DataType) -> Column:
    """A value as text that loses nothing of it."""
    if isinstance(data_type, T.StringType):
        return column
    if isinstance(data_type, T.FloatType):
        # Through its own text, so that 12.3 does not become 12.300000190734863.
        wide = column.cast("double")
        narrow = try_cast(column.cast("string"), "double")
        return _double_text(F.when(F.abs(wide) < _INFINITY, narrow).otherwise(wide))
    if isinstance(data_type, T.DoubleType):
        return _double_text(column)
    if isinstance(data_type, T.TimestampType):
        return F.concat(column.cast("string"), F.lit("Z"))
    if is_nested(data_type):
        return F.to_json(column)
    return column.cast("string")


def as_json_value(column: Column, data_type: T.DataType) -> Column:
    """A value for `to_json`: unchanged where all engines write it alike, else as text."""
    alike = (T.BooleanType, T.IntegralType, T.StructType, T.ArrayType, T.MapType)
    return column if isinstance(data_type, alike) else as_text(column, data_type)


def _double_text(value: Column) -> Column:
    """A number of ordinary size without an exponent.

    Engines write 1.0E7, 1e7 or 10000000.0. An id that came as a double must not depend on that.
    """
    ordinary = F.when(F.abs(value) < F.lit(_MAX_ORDINARY), value)
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
