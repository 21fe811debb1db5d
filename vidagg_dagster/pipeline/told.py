"""The tables of what people have told: audience, chapters, attributes of users, publications."""

from collections.abc import Collection, Iterator
from datetime import date

from pyspark.sql import DataFrame

from vidagg_dagster.core.contract import PUBLISHED_AT
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    VIDEO_REACH,
)
from vidagg_dagster.core.schemas import USER_VIDEO_ENGAGEMENT, WATCH_INTERVALS, TableSpec
from vidagg_dagster.insight.audience import audience_status
from vidagg_dagster.insight.chapters import chapter_engagement
from vidagg_dagster.insight.cohorts import attribute_cohorts
from vidagg_dagster.insight.reach import video_reach
from vidagg_dagster.pipeline.step import StepContext
from vidagg_dagster.sources.audience import read_audience, read_chapters
from vidagg_dagster.sources.published import published_days
from vidagg_dagster.sources.users import read_users

TOLD = (ATTRIBUTE_COHORTS, VIDEO_REACH, AUDIENCE_STATUS, CHAPTER_ENGAGEMENT)


def replace_told(context: StepContext, lifetime: DataFrame, read: Collection[date]) -> None:
    """Compute each of them anew; what nobody tells any more is emptied, or was never there.

    Args:
        context: Of the step.
        lifetime: Its rows of the lifetime table.
        read: The days that were read.
    """
    told = dict(_told(context, lifetime, read))
    for table in TOLD:
        if table in told or context.tables.version(table) >= 0:
            rows = told.get(table, context.spark.createDataFrame([], table.struct))
            context.tables.replace_all(table, rows)


def _told(
    context: StepContext, lifetime: DataFrame, read: Collection[date]
) -> Iterator[tuple[TableSpec, DataFrame]]:
    request, spark, tables = context.request, context.spark, context.tables
    audience: DataFrame | None = None
    if request.audience is not None:
        audience = read_audience(spark, request.audience, request.scratch)
        yield (
            AUDIENCE_STATUS,
            audience_status(
                audience, lifetime, context.videos, max(read, default=None), request.parameters
            ),
        )
    if request.chapters is not None:
        chapters = read_chapters(spark, request.chapters, request.scratch)
        intervals = tables.read(WATCH_INTERVALS)
        yield (
            CHAPTER_ENGAGEMENT,
            chapter_engagement(chapters, lifetime, intervals, context.videos),
        )
    if request.users is not None and request.cohort_by:
        users = read_users(spark, request.users, request.cohort_by, request.scratch)
        daily = tables.read(USER_VIDEO_ENGAGEMENT)
        yield ATTRIBUTE_COHORTS, attribute_cohorts(daily, users, request.cohort_by, read)
    if request.video_metadata is not None and PUBLISHED_AT in request.video_columns:
        published = published_days(
            spark, request.video_metadata, request.video_columns, request.timezone, request.scratch
        )
        daily = tables.read(USER_VIDEO_ENGAGEMENT)
        yield VIDEO_REACH, video_reach(published, daily, audience, context.videos, read)
