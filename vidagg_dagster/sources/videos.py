"""The optional metadata of videos -> one row per video, with its duration and title."""

from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.sources.columns import (
    LINE_NUMBER,
    MALFORMED,
    SOURCE_FILE,
    TYPED_TIMESTAMP,
    ColumnRequest,
)
from vidagg_dagster.sources.read import read_columns
from vidagg_dagster.spark.columns import milliseconds
from vidagg_dagster.spark.parsing import date_us, filled, finite_number, instant_us

COLUMNS: Final = ("videoId", "duration", "title", "updatedAt")

SCHEMA: Final = T.StructType(
    [
        T.StructField("videoId", T.StringType()),
        T.StructField("durationMs", T.LongType()),
        T.StructField("videoTitle", T.StringType()),
    ]
)

MAX_DURATION_S: Final = 1e10
"""A longer duration (300 years) is a mistake, and its milliseconds would not be exact."""


def read_videos(spark: SparkSession, location: str | None, scratch: str | None = None) -> DataFrame:
    """One row per video: videoId, durationMs (null if unknown or not above 0), videoTitle.

    Args:
        spark: The Spark session.
        location: A file or folder (JSON lines, CSV or Parquet), the folder of a Delta table or a
            table name, with columns videoId, duration (seconds), title and optionally updatedAt.
            None: no metadata, no rows. Of several rows of a video the one with the latest updatedAt
            counts; among equals the last line of the last file, in tables the longest duration.
        scratch: See `read.read_source`.

    Raises:
        SourceError: Nothing readable is there, or it has no column videoId.
    """
    if location is None or not location.strip():
        return spark.createDataFrame([], SCHEMA)
    request = ColumnRequest(
        columns={name: name for name in COLUMNS},
        required=("videoId",),
        instant="updatedAt",
        numbered=True,
    )
    rows = read_columns(spark, location, "auto", request, scratch).select(
        filled(F.col("videoId")).alias("videoId"),
        _milliseconds(finite_number(filled(F.col("duration")))).alias("durationMs"),
        filled(F.col("title")).alias("videoTitle"),
        _updated(F.col("updatedAt")).alias("_updated"),
        F.col(SOURCE_FILE),
        F.col(LINE_NUMBER),
        F.col(MALFORMED),
    )
    latest = Window.partitionBy("videoId").orderBy(
        F.col("_updated").desc_nulls_last(),
        F.when(F.col(LINE_NUMBER).isNotNull(), F.col(SOURCE_FILE)).desc_nulls_last(),
        F.col(LINE_NUMBER).desc_nulls_last(),
        F.col("durationMs").desc_nulls_last(),
        F.col("videoTitle").desc_nulls_last(),
    )
    return (
        rows.where(F.col("videoId").isNotNull() & ~F.col(MALFORMED))
        .withColumn("_at", F.row_number().over(latest))
        .where(F.col("_at") == 1)
        .select(*SCHEMA.names)
    )


def _milliseconds(seconds: Column) -> Column:
    ok = (seconds > 0) & (seconds <= MAX_DURATION_S)
    return F.when(ok, milliseconds(seconds))


def _updated(text: Column) -> Column:
    """A number that orders updates; null if the text is no time and no number."""
    text = filled(text)
    return F.coalesce(
        F.unix_micros(TYPED_TIMESTAMP).cast("double"),
        instant_us(text, "UTC").cast("double"),
        date_us(text, "UTC").cast("double"),
        finite_number(text),
    )
