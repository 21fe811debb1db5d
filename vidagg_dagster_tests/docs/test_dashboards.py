"""docs/dashboards.md: its views, the queries of the widgets and of the measures are run."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import combinations
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from tools.databricks_dashboard import COLUMNS, FILE, SCHEMA, dashboard_text
from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.spark.session import using
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site

PAGE = (REPO / "docs" / "dashboards.md").read_text(encoding="utf-8")
SQL = (REPO / "deploy" / "dashboards" / "views.sql").read_text(encoding="utf-8")
VIEWS = dict(re.findall(r"^CREATE OR REPLACE VIEW (\w+) AS\n(.*?);", SQL, re.M | re.S))
DASHBOARD: dict[str, Any] = json.loads((REPO / FILE).read_text(encoding="utf-8"))
QUERIES = {one["name"]: "".join(one["queryLines"]) for one in DASHBOARD["datasets"]}
PLACED = [(page["name"], item) for page in DASHBOARD["pages"] for item in page["layout"]]
WIDGETS = {item["widget"]["name"]: item["widget"] for _, item in PLACED}
MEASURES = re.findall(r"```dax\n(.*?)```\n\n```sql\n(.*?)```", PAGE, re.S)


@pytest.fixture(scope="module")
def views(site: Site) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(connect(site.tables)) as connection:
        connection.execute(SQL)
        yield connection


def rows(views: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return views.execute(sql).fetchall()


def columns(views: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    return [row[0] for row in rows(views, f"DESCRIBE {name}")]


def test_the_page_lists_the_views() -> None:
    assert list(VIEWS) == re.findall(r"^\| `(bi_\w+)` \|", PAGE, re.M)


def test_the_views_say_what_the_tables_say(views: duckdb.DuckDBPyConnection) -> None:
    [(watched, seen)] = rows(
        views,
        "SELECT watchedSeconds, seenSeconds FROM bi_viewing"
        " WHERE userId = 'peter' AND videoId = 'video_001'",
    )
    assert (watched, seen) == (260.0, 120.0), "two days, the same part"
    [(hours,)] = rows(views, "SELECT sum(watchHours) FROM bi_videos")
    [(expected,)] = rows(
        views, "SELECT sum(totalWatchTime) / 3600 FROM aggregated_user_video_engagement"
    )
    assert hours == pytest.approx(expected)
    assert rows(views, "SELECT max(percentOfPeak), max(percentOfViewers) FROM bi_curve") == [
        (100.0, 100.0)
    ]
    assert rows(
        views, "SELECT viewers, inputRows, rejectedRows FROM bi_days ORDER BY day DESC LIMIT 1"
    ) == [(1, 4, 1)]


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_flat_columns_and_the_same_rows_in_spark(
    views: duckdb.DuckDBPyConnection, tables_in_spark: SparkSession, name: str
) -> None:
    kinds = {row[1] for row in rows(views, f"DESCRIBE {name}")}
    assert not any(kind.endswith("]") or kind.startswith("STRUCT") for kind in kinds), kinds
    with using(SAIL):
        of_spark = tables_in_spark.sql(VIEWS[name])
        assert of_spark.columns == columns(views, name)
        found = [tuple(row) for row in of_spark.collect()]
    assert found
    assert comparable(found) == comparable(rows(views, f"SELECT * FROM {name}"))


def comparable(found: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """Engines differ in the type of a sum, and in the last digit of a quotient."""
    return sorted(tuple(_comparable(value) for value in row) for row in found)


def _comparable(value: Any) -> str:
    return str(round(float(value), 6) if isinstance(value, int | float | Decimal) else value)


def test_the_dashboard_is_what_its_tool_makes() -> None:
    assert (REPO / FILE).read_text(encoding="utf-8") == dashboard_text(), "run: make docs"


def test_a_widget_has_its_own_name_and_its_own_place() -> None:
    assert len(WIDGETS) == len(PLACED)
    for page in {page for page, _ in PLACED}:
        places = [item["position"] for name, item in PLACED if name == page]
        assert all(at["x"] + at["width"] <= COLUMNS for at in places)
        for one, other in combinations(places, 2):
            assert not overlap(one, other, "x", "width") or not overlap(one, other, "y", "height")


def overlap(one: dict[str, int], other: dict[str, int], at: str, size: str) -> bool:
    return one[at] < other[at] + other[size] and other[at] < one[at] + one[size]


@pytest.mark.parametrize("widget", WIDGETS.values(), ids=WIDGETS)
def test_a_widget_s_query_runs_and_gives_what_it_draws(
    views: duckdb.DuckDBPyConnection, widget: dict[str, Any]
) -> None:
    [query] = widget["queries"]
    fields = query["query"]["fields"]
    asked = ", ".join(f"""{f["expression"].replace("`", '"')} AS "{f["name"]}\"""" for f in fields)
    source = QUERIES[query["query"]["datasetName"]].replace(f"{SCHEMA}.", "")
    assert rows(views, f"SELECT {asked} FROM ({source})")
    encodings = widget["spec"]["encodings"]
    drawn = encodings.get("columns") or encodings.get("fields") or list(encodings.values())
    assert {one["fieldName"] for one in drawn} == {field["name"] for field in fields}


@pytest.mark.parametrize(("dax", "sql"), MEASURES)
def test_a_measure_names_columns_of_the_views_and_its_sql_runs(
    views: duckdb.DuckDBPyConnection, dax: str, sql: str
) -> None:
    named = re.findall(r"(bi_\w+)\[(\w+)\]", dax)
    assert named
    for view, column in named:
        assert column in columns(views, view)
        assert view in sql
        assert column in sql
    [(value,)] = rows(views, sql)
    assert value > 0


def test_the_connection_and_the_queries_in_m_name_the_same_place() -> None:
    [connection] = json.loads((REPO / "deploy" / "powerbi" / "databricks.pbids").read_text())[
        "connections"
    ]
    address, options = connection["details"]["address"], connection["options"]
    assert f'"{address["host"]}"' in PAGE
    assert f'"{address["path"]}"' in PAGE
    assert f"{options['Catalog']}.{options['Database']}" == SCHEMA
    for name in re.findall(r'Name = "(bi_\w+)"', PAGE):
        assert name in VIEWS
    for name in re.findall(r"(\w+)\.parquet", PAGE):
        assert name in TABLES
