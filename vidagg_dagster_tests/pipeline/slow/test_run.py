"""The steps as a whole come out the same on both kinds of tables."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName, StepResult, TableStore
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    VIDEO_REACH,
)
from vidagg_dagster.core.schemas import LIVE_TABLES, TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.support.small_site import Site, day, peter, write_site
from vidagg_dagster_tests.support.whole_tables import stored

DAYS = [day(0), day(1)]
ASKED_FOR = (AUDIENCE_STATUS, CHAPTER_ENGAGEMENT, ATTRIBUTE_COHORTS, VIDEO_REACH)
"""Tables that need settings."""


def run_all(spark: SparkSession, site: Site, store: TableStore) -> Mapping[StepName, StepResult]:
    """Every step over both days, then once more over a day that has changed."""
    for days in (DAYS, DAYS[1:]):
        results = {
            step: run_step(spark, site.request(step, days).model_copy(update={"store": store}))
            for step in StepName
        }
        site.write_day(DAYS[1], [*peter(DAYS[1]), "no event at all"])
    return results


def test_catalog_tables_come_out_as_local_ones_row_for_row(
    catalog_spark: SparkSession, tmp_path: Path
) -> None:
    schema = f"vidagg_{uuid.uuid4().hex}"
    catalog_spark.sql(f"CREATE SCHEMA {schema}")
    catalog = TableStore(kind="catalog", location=schema)
    results = run_all(catalog_spark, write_site(tmp_path / "catalog", 2), catalog)
    rows = stored(catalog_spark, catalog)
    assert {
        row["tableName"] for row in catalog_spark.sql(f"SHOW TABLES IN {schema}").collect()
    } == {*TABLES} - {*LIVE_TABLES} - {table.name for table in ASKED_FOR}
    catalog_spark.sql(f"DROP SCHEMA {schema} CASCADE")

    with using(SAIL):
        local = TableStore(kind="local", location=str(tmp_path / "tables"))
        sail = engine_session(SAIL)
        expected = run_all(sail, write_site(tmp_path / "local", 2), local)
        assert rows == stored(sail, local)
    for step, result in results.items():
        assert result.outcomes == expected[step].outcomes, step
        assert [(day.day, day.rows, day.metrics) for day in result.days] == [
            (day.day, day.rows, day.metrics) for day in expected[step].days
        ], step
        assert all(outcome.passed for outcome in result.outcomes if outcome.rule != RARE), step


RARE = "rejected_share"
"""One bad row of seven is more than one in a hundred."""
