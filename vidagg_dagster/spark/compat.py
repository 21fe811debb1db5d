"""Functions of Spark 4 that Spark 3.5 lacks, with the same meaning on both.

Databricks Runtime 15 and 16 bring Spark 3.5. We test for the functions and not for the version,
because those runtimes include some functions of Spark 4.
"""

import inspect
from collections.abc import Iterable
from functools import cache, reduce
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

HAS_TRY_CAST: Final = hasattr(Column, "try_cast")
"""Whether columns have `try_cast`. Tested on the class, since a column has every attribute."""

_ESCAPES: Final = "^([^%]|%[0-9A-Fa-f]{2})*$"


def trim(text: Column, characters: str) -> Column:
    """`text` without any of `characters` at both ends."""
    if _takes_characters():
        return F.trim(text, F.lit(characters))
    return F.call_function("btrim", text, F.lit(characters))


def ltrim(text: Column, characters: str) -> Column:
    """`text` without any of `characters` at its beginning."""
    if _takes_characters():
        return F.ltrim(text, F.lit(characters))
    return F.call_function("ltrim", F.lit(characters), text)


def rtrim(text: Column, characters: str) -> Column:
    """`text` without any of `characters` at its end."""
    if _takes_characters():
        return F.rtrim(text, F.lit(characters))
    return F.call_function("rtrim", F.lit(characters), text)


def try_cast(value: Column, kind: str) -> Column:
    """`value` as `kind`, null where it does not fit.

    Every cast of Spark 3.5 does so while `spark.sql.ansi.enabled` is off, which is its default.
    """
    return value.try_cast(kind) if HAS_TRY_CAST else value.cast(kind)


def valid_utf8(text: Column) -> Column:
    """`text` with U+FFFD for every sequence of bytes that is not UTF-8."""
    if hasattr(F, "make_valid_utf8"):
        return F.make_valid_utf8(text)
    return F.decode(text.cast("binary"), "UTF-8")


def try_url_decode(text: Column) -> Column:
    """`text` with its percent escapes resolved, null where one is broken."""
    if hasattr(F, "try_url_decode"):
        return F.try_url_decode(text)
    return F.when(text.rlike(_ESCAPES), F.url_decode(text))


def is_nested(kind: T.DataType) -> bool:
    """Whether a type holds more than one scalar: struct, array, map or variant."""
    variant = getattr(T, "VariantType", None)
    return isinstance(kind, T.StructType | T.ArrayType | T.MapType) or (
        variant is not None and isinstance(kind, variant)
    )


def error_condition(error: Exception) -> str | None:
    """The name that Spark gives to an error, such as `TABLE_OR_VIEW_NOT_FOUND`."""
    if not isinstance(error, PySparkException):
        return None
    return error.getCondition() if hasattr(error, "getCondition") else error.getErrorClass()


def union(frames: Iterable[DataFrame]) -> DataFrame:
    """The rows of all frames, whose columns are matched by name. At least one frame is needed.

    `reduce(DataFrame.unionByName, ...)` fails on Spark Connect clients of Spark 3.5, where that
    class is the one of a JVM session.
    """
    return reduce(lambda rows, more: rows.unionByName(more), frames)


@cache
def _takes_characters() -> bool:
    return len(inspect.signature(F.trim).parameters) > 1
