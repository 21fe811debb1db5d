"""The tables of a store, of the kind that it names."""

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import TableStore
from vidagg_dagster.tables.interface import LandingTables


def open_tables(
    spark: SparkSession, store: TableStore, scratch: str | None = None
) -> LandingTables:
    """The tables of a store, read and written through `spark`.

    For `scratch` see `StepRequest`: of a catalog, rows that last for one step are kept there.
    """
    if store.kind == "catalog":
        from vidagg_dagster.tables.catalog import CatalogTables

        return CatalogTables(spark, store.location, scratch)
    # deltalake is an extra, and is not installed where steps run on Databricks.
    from vidagg_dagster.tables.delta_folder import LocalTables

    return LocalTables(spark, store.location)
