"""The tables of a store, of the kind that it names."""

from collections.abc import Sequence

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import TableStore
from vidagg_dagster.tables.interface import LandingTables


def open_tables(
    spark: SparkSession,
    store: TableStore,
    scratch: str | None = None,
    dimensions: Sequence[str] = (),
) -> LandingTables:
    """The tables of a store, read and written through `spark`.

    For `scratch` see `StepRequest`: of a catalog, rows that last for one step are kept there. The
    tables that carry `dimensions` are read and written with them.
    """
    if store.kind == "catalog":
        from vidagg_dagster.tables.catalog import CatalogTables

        return CatalogTables(spark, store.location, scratch, dimensions)
    # deltalake is an extra, and is not installed where steps run on Databricks.
    from vidagg_dagster.tables.delta_folder import LocalTables

    return LocalTables(spark, store.location, dimensions)
