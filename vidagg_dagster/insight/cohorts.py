"""Cohorts of viewers by the week in which they first watched, and how many came back.

Also by an attribute of users, such as their plan or department.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import Row as SparkRow
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import ATTRIBUTE_COHORTS, VIEWER_COHORTS
from vidagg_dagster.core.table_spec import EVENT_DATE
from vidagg_dagster.sources.users import attribute_column
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
        (row["cohortWeek"], row["week"]): _activity(row)
        for row in _added_up(_since_the_first(daily)).collect()
    }
    return daily.sparkSession.createDataFrame([*_rows(cells, read)], VIEWER_COHORTS.struct)


def attribute_cohorts(
    daily: DataFrame, users: DataFrame, attributes: Sequence[str], read: Collection[date]
) -> DataFrame:
    """As `viewer_cohorts`, for each of the `attributes` of `users` -> `attribute_cohorts`.

    `users` is what `sources.users.read_users` gives. Users without a row, or without a value in
    it, are the cohort whose value is null.
    """
    since = _since_the_first(daily).join(users, on="userId", how="left")
    found: list[tuple[str, str | None, *Row]] = []
    for number, attribute in enumerate(attributes):
        by_value: dict[str | None, Cells] = defaultdict(dict)
        value = F.col(attribute_column(number)).alias("value")
        for row in _added_up(since, value).collect():
            by_value[row["value"]][row["cohortWeek"], row["week"]] = _activity(row)
        # The null first, as engines sort it.
        for name in sorted(by_value, key=lambda name: (name is not None, name or "")):
            found += [(attribute, name, *row) for row in _rows(by_value[name], read)]
    return daily.sparkSession.createDataFrame(found, ATTRIBUTE_COHORTS.struct)


def _since_the_first(daily: DataFrame) -> DataFrame:
    """Users and weeks with what they did, from the week in which they first watched."""
    watched = milliseconds(F.col("totalWatchTime"))
    weeks = daily.groupBy("userId", F.trunc(EVENT_DATE, "week").alias("week")).agg(
        F.sum(watched).alias("watchMs"), F.sum("completionCount").alias("completions")
    )
    first = (
        weeks.where(F.col("watchMs") > 0).groupBy("userId").agg(F.min("week").alias("cohortWeek"))
    )
    return weeks.join(first, on="userId").where(F.col("week") >= F.col("cohortWeek"))


def _added_up(since: DataFrame, *by: Column) -> DataFrame:
    return since.groupBy(*by, "cohortWeek", "week").agg(
        F.count_if(F.col("watchMs") > 0).alias("users"),
        F.sum("watchMs").alias("watchMs"),
        F.sum("completions").alias("completions"),
    )


def _activity(row: SparkRow) -> Activity:
    return Activity(row["users"], row["watchMs"], row["completions"])


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
