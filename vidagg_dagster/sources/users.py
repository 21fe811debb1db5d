"""The table of users, as people give it: what cohorts can be made by."""

from collections.abc import Sequence
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.columns import MALFORMED, ColumnRequest
from vidagg_dagster.sources.read import read_columns
from vidagg_dagster.spark.parsing import filled

MAX_VALUES: Final = 1_000
"""An attribute with more values tells single users apart, and makes no cohorts."""


def attribute_column(number: int) -> str:
    """Our name of an attribute: its own may be that of any column."""
    return f"attribute{number}"


def read_users(
    spark: SparkSession, location: str, attributes: Sequence[str], scratch: str | None = None
) -> DataFrame:
    """One row per user: userId, and each of `attributes` as text in its `attribute_column`.

    Null where the user has nothing there, or different values in several rows: which one counts is
    not known. A row without a user is none.

    Raises:
        SourceError: Nothing readable is there, it lacks a column, or an attribute has more than
            `MAX_VALUES` values.
    """
    names = {"userId": "userId"} | {attribute_column(n): name for n, name in enumerate(attributes)}
    request = ColumnRequest(
        columns=names,
        required=tuple(names),
        numbered=True,
        any_case=True,
    )
    found = read_columns(spark, location, "auto", request, scratch)
    rows = found.select(F.col(MALFORMED), *[filled(F.col(name)).alias(name) for name in names])
    rows = rows.where(F.col("userId").isNotNull() & ~F.col(MALFORMED))
    told = [name for name in names if name != "userId"]
    users = rows.groupBy("userId").agg(
        *[F.when(F.min(name) == F.max(name), F.min(name)).alias(name) for name in told]
    )
    _require_groups(users, attributes, location)
    return users


def _require_groups(users: DataFrame, attributes: Sequence[str], location: str) -> None:
    names = [attribute_column(number) for number in range(len(attributes))]
    [row] = users.agg(*[F.count_distinct(F.col(name)).alias(name) for name in names]).collect()
    for name, attribute in zip(names, attributes, strict=True):
        if row[name] > MAX_VALUES:
            raise SourceError(
                f"{location}: {attribute} has {row[name]} values, more than {MAX_VALUES}: it tells "
                "single users apart. Name a column that groups them (VIDAGG_COHORT_BY)."
            )
