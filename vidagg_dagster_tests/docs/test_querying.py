"""docs/querying.md: every query, in DuckDB, Spark and Polars, over the same small tables."""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, day

PAGE = (REPO / "docs" / "querying.md").read_text(encoding="utf-8")
QUESTIONS = {
    title: (sql, python)
    for title, sql, python in re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?```sql\n(.*?)```(?:(?!^## ).)*?```python\n(.*?)```",
        PAGE,
        re.M | re.S,
    )
}
OF_DUCKDB = {"reasons[0]": "reasons[1]"}
"""What the page says is written otherwise in DuckDB."""


def plain(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows in one form: engines differ in decimals and in the last digit of a quotient."""
    return [
        tuple(
            value
            if value is None or isinstance(value, str | date | datetime)
            else round(float(value), 6)
            for value in row
        )
        for row in rows
    ]


def by_duckdb(tables: Path, sql: str) -> list[tuple[Any, ...]]:
    for spark, duckdb in OF_DUCKDB.items():
        sql = sql.replace(spark, duckdb)
    with closing(connect(tables)) as connection:
        return plain(connection.execute(sql).fetchall())


def by_polars(tables: Path, code: str) -> list[tuple[Any, ...]]:
    names: dict[str, Any] = {"tables": tables}
    exec(f"import polars as pl\n{code}", names)
    return plain(names["answer"].rows())


def test_every_question_has_both_ways() -> None:
    assert list(QUESTIONS) == re.findall(r"^## (.+)$", PAGE, re.M)[1:]


@pytest.mark.parametrize("question", QUESTIONS)
def test_duckdb_spark_and_polars_give_the_same_answer(
    site: Site, tables_in_spark: SparkSession, question: str
) -> None:
    sql, python = QUESTIONS[question]
    answer = by_duckdb(site.tables, sql)
    assert answer
    with using(SAIL):
        # Sail loses the order where a cross join is grouped by columns that are not selected.
        assert sorted(plain(tables_in_spark.sql(sql).collect())) == sorted(answer)
    assert by_polars(site.tables, python) == answer


def test_the_answers_are_those_of_the_two_viewers(site: Site) -> None:
    top = by_duckdb(site.tables, QUESTIONS["Top videos"][0])
    assert top[0][:3] == ("video_001", "Welcome", 2.0)
    returning = by_duckdb(site.tables, QUESTIONS["Returning viewers"][0])
    assert returning == [(day(0), 2.0, 0.0), (day(1), 2.0, 2.0), (day(2), 1.0, 1.0)]
    sessions = by_duckdb(site.tables, QUESTIONS["Watch time per session"][0])
    assert sessions[0][0] == 5.0


def test_by_device_the_answers_add_up_to_those_of_all(site: Site) -> None:
    by_device = by_duckdb(site.tables, QUESTIONS["Watch time by device"][0])
    assert [row[0] for row in by_device] == ["phone", "tv", "unknown"]
    with closing(connect(site.tables)) as connection:
        (hours,) = connection.execute("SELECT sum(watchMs) / 3600000 FROM sessions").fetchall()
        unique = connection.execute(
            "SELECT device[1], sum(totalUniqueSecondsWatched) "
            "FROM aggregated_user_video_engagement WHERE userId = 'peter' GROUP BY 1"
        ).fetchall()
    assert sum(row[2] for row in by_device) == pytest.approx(hours[0], abs=1e-5)
    seconds = dict(by_duckdb(site.tables, QUESTIONS["Unique seconds by device"][0]))
    assert [("tv", seconds["tv"])] == unique


def test_the_trap_of_the_page_is_real(site: Site) -> None:
    """Reading all Parquet files counts replaced rows too; the views do not."""
    with using(SAIL):
        run_step(engine_session(SAIL), site.request(StepName.RAW_EVENTS, [day(0)]))
    with closing(connect(site.tables)) as connection:
        counted = connection.execute("SELECT count(*) FROM raw_events").fetchall()
        everything = connection.execute(
            f"SELECT count(*) FROM read_parquet('{site.tables}/raw_events/**/*.parquet')"
        ).fetchall()
    assert counted == [(29,)]
    assert everything[0][0] > 29
