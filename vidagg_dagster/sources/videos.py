"""The optional metadata of videos -> one row per video, with its duration and title."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.contract import PUBLISHED_AT, VIDEO_COLUMNS, SourceSpec
from vidagg_dagster.sources.columns import (
    LINE_NUMBER,
    MALFORMED,
    SOURCE_FILE,
    TYPED_TIMESTAMP,
    ColumnRequest,
    table_frame,
)
from vidagg_dagster.sources.listing import list_source
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

SCHEMA: Final = T.StructType(
    [
        T.StructField("videoId", T.StringType()),
        T.StructField("durationMs", T.LongType()),
        T.StructField("videoTitle", T.StringType()),
    ]
)

_TOLD: Final = "_told"
"""The text of a duration, as the catalogue has it."""

MAX_DURATION_S: Final = 1e10
"""A longer duration (300 years) is a mistake, and its milliseconds would not be exact."""

MAX_HELD: Final = 50_000
"""So many videos are kept in memory from one step to the next."""

_State = tuple[tuple[str, str], ...]
_Held = dict[tuple[str, _State, _State], list[tuple[str, int | None, str | None]]]

_held: _Held = {}
"""The videos that were read last, by their location and the state of its files."""


def videos_of_steps(
    spark: SparkSession,
    location: str | None,
    scratch: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> DataFrame:
    """What `read_videos` gives. Files that have not changed since are not read again.

    To parse twenty videos takes as long as to compute a small day, and three steps of a run ask.

    Raises:
        SourceError: See `read_videos`.
    """
    state = None if not location else list_source(SourceSpec(location=location))
    if not location or state is None:
        return read_videos(spark, location, scratch, columns)
    key = (location, tuple(sorted(state.items())), tuple(sorted((columns or {}).items())))
    if key not in _held:
        frame = read_videos(spark, location, scratch, columns)
        rows = frame.limit(MAX_HELD + 1).collect()
        if len(rows) > MAX_HELD:
            return frame
        _held.clear()
        _held[key] = [tuple(row) for row in rows]
    return _told_to_be_few(spark.createDataFrame(_held[key], SCHEMA))


def _told_to_be_few(sent: DataFrame) -> DataFrame:
    """The same rows, so that Sail joins them without moving the events.

    It takes rows that it was sent for several times their size, from some thousand videos on for a
    large table, and moves both sides of a join by video. Of a filter it expects a fifth of the
    bytes, and between two filters the limit keeps them from becoming one.
    """
    named = F.col("videoId").isNotNull()
    return sent.where(named).limit(MAX_HELD).where(named)


def read_videos(
    spark: SparkSession,
    location: str | DataFrame | None,
    scratch: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> DataFrame:
    """One row per video: videoId, durationMs (null if unknown or not above 0), videoTitle.

    Args:
        spark: The Spark session.
        location: A file or folder (JSON lines, CSV or Parquet), the folder of a Delta table, a
            table name, or a frame, with columns videoId, duration (seconds; also PT5M, 5:00 and
            300 s), title and optionally updatedAt. None: no metadata, no rows. Of several rows of
            a video the one with the latest updatedAt counts; among equals the last line of the
            last file, in tables the longest duration.
        scratch: See `read.read_source`.
        columns: Our name of a column (see `VIDEO_COLUMNS`) -> the catalogue's, where they differ.

    Raises:
        SourceError: Nothing readable is there, or it has no column videoId.
    """
    if location is None or (isinstance(location, str) and not location.strip()):
        return spark.createDataFrame([], SCHEMA)
    rows = _rows(spark, location, scratch, columns or {})
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


@dataclass(frozen=True)
class CatalogueCount:
    """What became of the rows of a video catalogue."""

    rows: int
    unusable: int
    """Rows that are malformed, or name no video."""
    unreadable: int
    """Usable rows whose duration is neither a number above 0 nor another notation of one."""
    example: str | None
    """One of these durations."""


def count_catalogue(
    spark: SparkSession, location: str, columns: Mapping[str, str] | None = None
) -> CatalogueCount:
    """Count the rows of a catalogue that `read_videos` reads.

    Raises:
        SourceError: Nothing readable is there, or it has no column videoId.
    """
    usable = F.col("videoId").isNotNull() & ~F.col(MALFORMED)
    unreadable = usable & F.col(_TOLD).isNotNull() & F.col("durationMs").isNull()
    (row,) = (
        _rows(spark, location, None, columns or {})
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(~usable).alias("unusable"),
            F.count_if(unreadable).alias("unreadable"),
            F.min(F.when(unreadable, F.col(_TOLD))).alias("example"),
        )
        .collect()
    )
    return CatalogueCount(row["rows"], row["unusable"], row["unreadable"], row["example"])


def _rows(
    spark: SparkSession,
    location: str | DataFrame,
    scratch: str | None,
    columns: Mapping[str, str],
) -> DataFrame:
    in_ms = "durationMs" in columns
    unasked = {"duration" if in_ms else "durationMs", PUBLISHED_AT} - columns.keys()
    names = [name for name in VIDEO_COLUMNS if name not in unasked]
    request = ColumnRequest(
        columns={name: columns.get(name, name) for name in names},
        # A column that is named and not there is a mistake in its name.
        required=("videoId", *(name for name in columns if name != "videoId")),
        instant="updatedAt",
        droppable="updatedAt",
        numbered=True,
        any_case=True,
    )
    if isinstance(location, str):
        found = read_columns(spark, location, "auto", request, scratch)
    else:
        found = table_frame(location, "the frame", request)
    # Engines take longer to plan how a time is read than to read a thousand videos.
    dated = "updatedAt" in found.columns
    told = filled(F.col("durationMs" if in_ms else "duration"))
    number = finite_number(told)
    clock = clock_duration(told)
    if in_ms:
        number, clock = number / F.lit(1000.0), F.when(F.contains(told, F.lit(":")), clock)
    other = F.coalesce(number, iso_duration(told), clock, seconds_text(told))
    return found.select(
        filled(F.col("videoId")).alias("videoId"),
        _milliseconds(other).alias("durationMs"),
        told.alias(_TOLD),
        filled(F.col("title")).alias("videoTitle"),
        (_updated(F.col("updatedAt")) if dated else F.lit(None).cast("double")).alias("_updated"),
        F.col(SOURCE_FILE),
        F.col(LINE_NUMBER),
        F.col(MALFORMED),
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
