"""When videos were published, as their catalogue tells it."""

from collections.abc import Mapping
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.contract import PUBLISHED_AT
from vidagg_dagster.sources.columns import MALFORMED, TYPED_TIMESTAMP, ColumnRequest
from vidagg_dagster.sources.read import read_columns
from vidagg_dagster.spark.columns import calendar_day
from vidagg_dagster.spark.parsing import date_us, filled, instant_us

SCHEMA: Final = T.StructType(
    [T.StructField("videoId", T.StringType()), T.StructField("publishedDay", T.DateType())]
)


def published_days(
    spark: SparkSession,
    location: str,
    columns: Mapping[str, str],
    timezone: str,
    scratch: str | None = None,
) -> DataFrame:
    """One row per video of the catalogue: videoId, publishedDay (null where it cannot be read).

    A time without a zone, and a day, are of `timezone`. Of several rows of a video the earliest
    publication counts. `columns` gives the catalogue's name of `publishedAt`; see `read_videos`.

    Raises:
        SourceError: Nothing readable is there, or it lacks a column.
    """
    names = ("videoId", PUBLISHED_AT)
    request = ColumnRequest(
        columns={name: columns.get(name, name) for name in names},
        required=names,
        instant=PUBLISHED_AT,
        numbered=True,
        any_case=True,
    )
    found = read_columns(spark, location, "auto", request, scratch)
    told = filled(F.col(PUBLISHED_AT))
    us = F.coalesce(
        F.unix_micros(TYPED_TIMESTAMP), date_us(told, timezone), instant_us(told, timezone)
    )
    rows = found.select(
        F.col(MALFORMED),
        filled(F.col("videoId")).alias("videoId"),
        calendar_day(us, timezone).alias("day"),
    )
    rows = rows.where(F.col("videoId").isNotNull() & ~F.col(MALFORMED))
    days = rows.groupBy("videoId").agg(F.min("day").alias("publishedDay"))
    # The plan of reach holds them several times, and times are long to parse.
    return spark.createDataFrame([tuple(row) for row in days.collect()], SCHEMA)
