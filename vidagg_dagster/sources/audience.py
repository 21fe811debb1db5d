"""Who should watch what by when: the audience, and the chapters of videos, as people give them."""

from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.columns import MALFORMED, TYPED_TIMESTAMP, ColumnRequest
from vidagg_dagster.sources.read import read_columns
from vidagg_dagster.spark.columns import milliseconds
from vidagg_dagster.spark.parsing import (
    clock_duration,
    date_us,
    filled,
    finite_number,
    instant_us,
    iso_duration,
    seconds_text,
)

AUDIENCE: Final = ("userId", "videoId", "dueDate")
CHAPTERS: Final = ("videoId", "start", "startMs", "title")


def read_audience(spark: SparkSession, location: str, scratch: str | None = None) -> DataFrame:
    """One row per user and video of the audience: userId, videoId, dueDate (null without one).

    Of several rows of a pair the earliest due date counts. A row without user or video is none.

    Raises:
        SourceError: Nothing readable is there, it lacks a column, or a due date cannot be read.
    """
    request = ColumnRequest(
        columns={name: name for name in AUDIENCE},
        required=("userId", "videoId"),
        instant="dueDate",
        numbered=True,
    )
    found = read_columns(spark, location, "auto", request, scratch)
    told = filled(F.col("dueDate"))
    us = F.coalesce(F.unix_micros(TYPED_TIMESTAMP), date_us(told, "UTC"), instant_us(told, "UTC"))
    rows = found.select(
        F.col(MALFORMED),
        filled(F.col("userId")).alias("userId"),
        filled(F.col("videoId")).alias("videoId"),
        told.alias("told"),
        F.to_date(F.timestamp_micros(us)).alias("dueDate"),
    )
    named = F.col("userId").isNotNull() & F.col("videoId").isNotNull()
    rows = rows.where(named & ~F.col(MALFORMED))
    _require_read(rows, F.col("dueDate"), location, "dueDate", "a day such as 2026-01-31")
    return rows.groupBy("userId", "videoId").agg(F.min("dueDate").alias("dueDate"))


def read_chapters(spark: SparkSession, location: str, scratch: str | None = None) -> DataFrame:
    """One row per video and start of a chapter: videoId, startMs, chapterTitle (null without one).

    `start` is in seconds, also as 3:12 or PT3M12S; or `startMs` in milliseconds. A row without a
    video is none; of several at one start the last title in order of the alphabet counts.

    Raises:
        SourceError: Nothing readable is there, it lacks a column, or a start cannot be read.
    """
    request = ColumnRequest(
        columns={name: name for name in CHAPTERS},
        required=("videoId",),
        one_of={"start": ("start", "startMs")},
        numbered=True,
    )
    found = read_columns(spark, location, "auto", request, scratch)
    seconds, ms = filled(F.col("start")), filled(F.col("startMs"))
    parsed = F.coalesce(
        finite_number(seconds),
        iso_duration(seconds),
        clock_duration(seconds),
        seconds_text(seconds),
    )
    start = F.coalesce(finite_number(ms).cast("bigint"), milliseconds(parsed))
    rows = found.select(
        F.col(MALFORMED),
        filled(F.col("videoId")).alias("videoId"),
        F.coalesce(ms, seconds, F.lit("(none)")).alias("told"),
        F.when(start >= 0, start).alias("startMs"),
        filled(F.col("title")).alias("chapterTitle"),
    )
    rows = rows.where(F.col("videoId").isNotNull() & ~F.col(MALFORMED))
    _require_read(rows, F.col("startMs"), location, "start", "seconds such as 192 or 3:12")
    return rows.groupBy("videoId", "startMs").agg(F.max("chapterTitle").alias("chapterTitle"))


def _require_read(rows: DataFrame, value: Column, location: str, name: str, wanted: str) -> None:
    unread = F.col("told").isNotNull() & value.isNull()
    [row] = rows.agg(
        F.count_if(unread).alias("rows"), F.min(F.when(unread, F.col("told"))).alias("example")
    ).collect()
    if row["rows"]:
        raise SourceError(
            f"{location}: {name} {row['example']!r} of {row['rows']} rows cannot be read. Write "
            f"{wanted}, or leave the row out."
        )
