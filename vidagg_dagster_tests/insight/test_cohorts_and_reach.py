"""Cohorts by an attribute and reach, against SQL written from their definitions."""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.insight_schemas import REACH_DAYS
from vidagg_dagster.insight.cohorts import attribute_cohorts, viewer_cohorts
from vidagg_dagster.insight.reach import video_reach
from vidagg_dagster_tests.support.arrow import rows_of

FIRST: Final = date(2026, 1, 5)
DAYS: Final = 45
READ: Final = {FIRST + timedelta(days=n) for n in range(DAYS)}
GAP: Final = READ - {FIRST + timedelta(days=9)}
"""As if a day in the second week was never read."""
ATTRIBUTES: Final = ("plan", "city")

Rows = list[dict[str, Any]]


def visits() -> Rows:
    """Users, videos and days, some without anything watched."""
    draws = np.random.default_rng(4)
    kept = {
        (int(draws.integers(40)), int(draws.integers(5)), int(draws.integers(DAYS)))
        for _ in range(500)
    }
    return [
        {
            "userId": f"u{user}",
            "videoId": f"v{video}",
            "event_date": FIRST + timedelta(days=day),
            "totalWatchTime": float(draws.choice([0.0, 1.5, 20.25])),
            "completionCount": int(draws.integers(3)),
        }
        for user, video, day in sorted(kept)
    ]


def users() -> Rows:
    """Every fifth user has no row, every fourth no plan."""
    return [
        {
            "userId": f"u{n}",
            "attribute0": None if n % 4 == 0 else f"plan {n % 3}",
            "attribute1": "Berlin" if n % 2 else "Wien",
        }
        for n in range(50)
        if n % 5
    ]


def published() -> Rows:
    """The third is of before the first day, the fourth so late that it is not over."""
    days = [0, 6, -3, DAYS - 10, None]
    return [
        {
            "videoId": f"v{n}",
            "publishedDay": None if day is None else FIRST + timedelta(days=day),
        }
        for n, day in enumerate(days)
    ]


def audience() -> Rows:
    """Of two videos, with users who never come."""
    return [{"userId": f"u{n}", "videoId": f"v{n % 2}"} for n in range(0, 60, 3)]


VISITS: Final = visits()
TITLES: Final = [{"videoId": f"v{n}", "videoTitle": f"Video {n}"} for n in range(5)]
DAILY: Final = (
    "userId string, videoId string, event_date date, totalWatchTime double, completionCount bigint"
)


def frame(spark: SparkSession, rows: Rows, schema: str) -> DataFrame:
    names = [part.split()[0] for part in schema.split(",")]
    return spark.createDataFrame([tuple(row[name] for name in names) for row in rows], schema)


def by_sql(sql: str, **tables: Rows) -> Rows:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        for name, rows in tables.items():
            connection.register(name, pa.Table.from_pylist(rows))
        answer = connection.sql(sql)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.fetchall()]


def days_table(days: Collection[date]) -> Rows:
    return [{"event_date": day} for day in sorted(days)]


COHORTS = """
WITH first AS (
  SELECT userId, date_trunc('week', min(event_date)) AS cohortWeek
  FROM daily WHERE totalWatchTime > 0 GROUP BY userId
), weeks AS (
  SELECT DISTINCT date_trunc('week', event_date) AS week FROM read
), over AS (
  SELECT week, bool_and(d IN (SELECT event_date FROM read)) AS isOver
  FROM (SELECT week, unnest(generate_series(week, week + INTERVAL 6 DAY, INTERVAL 1 DAY))::DATE AS d
        FROM weeks)
  GROUP BY week
), attributes AS (
  SELECT first.userId, cohortWeek, unnest(['plan', 'city']) AS attribute,
         unnest([attribute0, attribute1]) AS value
  FROM first LEFT JOIN users USING (userId)
), cells AS (
  SELECT attribute, value, cohortWeek, count(DISTINCT userId) AS users
  FROM attributes GROUP BY ALL
), done AS (
  SELECT attribute, value, cohortWeek, date_trunc('week', event_date) AS week,
         count(DISTINCT userId) FILTER (totalWatchTime > 0) AS activeUsers,
         sum(totalWatchTime) AS watchSeconds, sum(completionCount) AS completions
  FROM attributes JOIN daily USING (userId)
  WHERE date_trunc('week', event_date) >= cohortWeek
  GROUP BY ALL
)
SELECT cells.attribute, cells.value, cells.cohortWeek::DATE AS cohortWeek,
       date_diff('week', cells.cohortWeek, over.week) AS weekOffset, users,
       CASE WHEN isOver THEN coalesce(activeUsers, 0) END AS activeUsers,
       CASE WHEN isOver THEN coalesce(watchSeconds, 0) END AS watchSeconds,
       CASE WHEN isOver THEN coalesce(completions, 0) END AS completions
FROM cells JOIN over ON over.week >= cells.cohortWeek
LEFT JOIN (SELECT * REPLACE (coalesce(value, '-') AS value) FROM done) AS d
  ON d.attribute = cells.attribute AND d.value = coalesce(cells.value, '-')
  AND d.cohortWeek = cells.cohortWeek AND d.week = over.week
"""


def in_order(rows: Rows) -> list[tuple[str, ...]]:
    return sorted(tuple(str(value) for value in row.values()) for row in rows)


@pytest.mark.parametrize("read", [READ, GAP], ids=["every day", "a day was never read"])
@pytest.mark.usefixtures("patient")
def test_cohorts_by_attributes_are_those_of_their_definition(
    spark: SparkSession, read: set[date]
) -> None:
    daily = frame(spark, VISITS, DAILY)
    told = frame(spark, users(), "userId string, attribute0 string, attribute1 string")
    found = rows_of(attribute_cohorts(daily, told, ATTRIBUTES, read))
    expected = by_sql(COHORTS, daily=VISITS, users=users(), read=days_table(read))
    assert in_order(found) == in_order(expected)
    _add_up_to_all(found, rows_of(viewer_cohorts(daily, read)))
    assert {row["value"] for row in found if row["attribute"] == "city"} == {"Berlin", "Wien", None}


def _add_up_to_all(found: Rows, whole: Rows) -> None:
    for attribute in ATTRIBUTES:
        for row in whole:
            same = [
                one
                for one in found
                if one["attribute"] == attribute
                and all(one[name] == row[name] for name in ("cohortWeek", "weekOffset"))
            ]
            for name in ("users", "activeUsers", "completions"):
                values = [one[name] for one in same if one[name] is not None]
                assert (sum(values) if values else None) == row[name]


REACH = """
WITH windows AS (
  SELECT videoId, publishedDay, n, publishedDay + n::INT AS lastDay
  FROM published, (SELECT unnest([1, 7, 28]) AS n)
), known AS (
  SELECT videoId, n, (SELECT count(*) FROM read WHERE event_date BETWEEN publishedDay AND lastDay)
                     = n + 1 AS isKnown
  FROM windows
), asked AS (SELECT videoId, count(*) AS asked FROM audience GROUP BY videoId)
SELECT videoId, n, asked IS NOT NULL AS byAudience,
       coalesce(asked, CASE WHEN (SELECT isKnown FROM known AS k WHERE k.videoId = w.videoId
                                  AND k.n = 28)
         THEN (SELECT count(DISTINCT userId) FROM daily
               WHERE event_date BETWEEN publishedDay AND publishedDay + 28) END) AS couldSee,
       CASE WHEN isKnown THEN (
         SELECT count(DISTINCT d.userId) FROM daily AS d
         WHERE d.videoId = w.videoId AND totalWatchTime > 0
           AND event_date BETWEEN publishedDay AND lastDay
           AND (asked IS NULL OR EXISTS (FROM audience AS a WHERE a.videoId = d.videoId
                                         AND a.userId = d.userId))) END AS reached
FROM windows AS w JOIN known USING (videoId, n) LEFT JOIN asked USING (videoId)
"""


def reach(spark: SparkSession, asked: Rows | None, read: Collection[date]) -> Rows:
    return rows_of(
        video_reach(
            frame(spark, published(), "videoId string, publishedDay date"),
            frame(spark, VISITS, DAILY),
            None if asked is None else frame(spark, asked, "userId string, videoId string"),
            frame(spark, TITLES, "videoId string, videoTitle string"),
            read,
        )
    )


@pytest.mark.parametrize(
    ("asked", "read"),
    [(None, READ), (audience(), GAP)],
    ids=["of visitors", "of an audience, a day was never read"],
)
@pytest.mark.usefixtures("patient")
def test_reach_is_that_of_its_definition(
    spark: SparkSession, asked: Rows | None, read: set[date]
) -> None:
    found = reach(spark, asked, read)
    nobody = [{"userId": "nobody", "videoId": "no video"}]
    tables = {"audience": asked or nobody, "read": days_table(read)}
    expected = by_sql(REACH, daily=VISITS, published=published(), **tables)
    assert {
        (row["videoId"], days): (
            row["couldSeeBy"] == "audience",
            row["couldSee"],
            row[f"reachedByDay{days}"],
        )
        for row in found
        for days in REACH_DAYS
    } == {
        (row["videoId"], row["n"]): (row["byAudience"], row["couldSee"], row["reached"])
        for row in expected
    }
    for row in found:
        _is_a_share_that_grows(row)


def _is_a_share_that_grows(row: dict[str, Any]) -> None:
    reached = [row[f"reachedByDay{days}"] for days in REACH_DAYS]
    shares = [row[f"reachPercentageByDay{days}"] for days in REACH_DAYS]
    known = [count for count in (*reached, row["couldSee"]) if count is not None]
    assert known == sorted(known)
    for count, share in zip(reached, shares, strict=True):
        if count is None or row["couldSee"] is None:
            assert share is None
        else:
            assert share == pytest.approx(100 * count / row["couldSee"], abs=0.005)
            assert 0 <= share <= 100


@pytest.mark.usefixtures("patient")
def test_reach_is_null_where_it_is_unknown_or_not_over(spark: SparkSession) -> None:
    found = {row["videoId"]: row for row in reach(spark, None, READ)}
    known = {
        video: [row[f"reachedByDay{days}"] is not None for days in REACH_DAYS]
        for video, row in found.items()
    }
    assert known == {
        "v0": [True, True, True],
        "v1": [True, True, True],
        "v2": [False, False, False],
        "v3": [True, True, False],
        "v4": [False, False, False],
    }
    assert (found["v3"]["couldSee"], found["v3"]["reachPercentageByDay1"]) == (None, None)
    assert found["v0"]["videoTitle"] == "Video 0"
