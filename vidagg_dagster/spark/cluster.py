"""The session of a cluster that was there before us: Databricks, or any Spark with Delta."""

from typing import TYPE_CHECKING

from vidagg_dagster.spark.compat import HAS_TRY_CAST

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def cluster_session() -> "SparkSession":
    """The session that this process is given, set to what the engine relies on.

    Serverless compute lets hardly anything be set: these two it does.
    """
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    if not HAS_TRY_CAST:
        # Spark 3.5 has no try_cast for columns; its plain casts are as lenient only without ANSI.
        spark.conf.set("spark.sql.ansi.enabled", "false")
    return spark
