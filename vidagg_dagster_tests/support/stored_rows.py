"""The rows of a site's tables, as texts that can be compared."""

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.small_site import Site


def rows(spark: SparkSession, site: Site, table: TableSpec) -> list[str]:
    tables = open_tables(spark, site.request(StepName.SESSIONS, []).store)
    changing = ("processedAt", "state")
    return sorted(
        repr({name: value for name, value in row.items() if name not in changing})
        for row in rows_of(tables.read(table))
    )
