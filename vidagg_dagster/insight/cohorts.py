"""Cohorts of viewers by the week in which they first watched, and how many came back."""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import VIEWER_COHORTS
from vidagg_dagster.core.table_spec import EVENT_DATE
from vidagg_dagster.spark.columns import milliseconds

WEEK: Final = timedelta(days=7)


class Activity(NamedTuple):
    """What the users of a cohort did in a week."""

    users: int
    watch_ms: int
    completions: int


Cells = dict[tuple[date, date], Activity]
"""Week of the first view and week -> what was done; weeks are named by their Monday."""

Row = tuple[date, int, int, int | None, float | None, int | None]


def viewer_cohorts(daily: DataFrame, read: Collection[date]) -> DataFrame:
    """Rows of `user_video_engagement` of all days, and which days were read -> `viewer_cohorts`.

    The cells are few, so that they are completed here and not by the engine.
    """
    cells = {
        (row["cohortWeek"], row["week"]): Activity(row["users"], row["watchMs"], row["completions"])
        for row in _cells(daily).collect()
    }
    return daily.sparkSession.createDataFrame([*_rows(cells, read)], VIEWER_COHORTS.struct)


def _cells(daily: DataFrame) -> DataFrame:
    watched = milliseconds(F.col("totalWatchTime"))
    weeks = daily.groupBy("userId", F.trunc(EVENT_DATE, "week").alias("week")).agg(
        F.sum(watched).alias("watchMs"), F.sum("completionCount").alias("completions")
    )
    first = (
        weeks.where(F.col("watchMs") > 0).groupBy("userId").agg(F.min("week").alias("cohortWeek"))
    )
    since = weeks.join(first, on="userId").where(F.col("week") >= F.col("cohortWeek"))
    return since.groupBy("cohortWeek", "week").agg(
        F.count_if(F.col("watchMs") > 0).alias("users"),
        F.sum("watchMs").alias("watchMs"),
        F.sum("completions").alias("completions"),
    )


def _rows(cells: Cells, read: Collection[date]) -> Iterator[Row]:
    """A row for each cohort and week up to that of the last day read."""
    if not cells or not read:
        return
    last = max(max(read), max(week for _, week in cells))
    for cohort in sorted({cohort for cohort, _ in cells}):
        users, week = cells[cohort, cohort].users, cohort
        while week <= last:
            found = cells.get((cohort, week), Activity(0, 0, 0))
            values = (found.users, found.watch_ms / 1000, found.completions)
            known = values if is_over(week, read) else (None, None, None)
            yield (cohort, (week - cohort) // WEEK, users, *known)
            week += WEEK


def is_over(week: date, read: Collection[date]) -> bool:
    """Whether every day of the week was read, from the first day that was ever read on."""
    first = min(read)
    days = [week + timedelta(days=number) for number in range(7)]
    return all(day in read for day in days if day >= first)
