"""Keeping the tables of a catalog small: Delta's own OPTIMIZE and VACUUM, and what steps have left.

For Spark Connect servers of your own. On Databricks predictive optimization does it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.core.unity_catalog import is_scratch_table
from vidagg_dagster.tables.maintenance import SAFE_RETENTION_HOURS

_CHECK: Final = "spark.databricks.delta.retentionDurationCheck.enabled"


def maintain_catalog(
    spark: SparkSession, schema: str, *, retention_hours: int, dry_run: bool
) -> Iterator[str]:
    """Compact and vacuum each declared table in `schema`, and drop what killed steps have left.

    For the retention see `maintenance.require_safe_retention`.

    Yields:
        What was done to a table, as a line for people; in a dry run, what would be done.
    """
    would = "would be " if dry_run else ""
    found = sorted(row["tableName"] for row in spark.sql(f"SHOW TABLES IN {schema}").collect())
    if retention_hours < SAFE_RETENTION_HOURS:
        spark.conf.set(_CHECK, "false")
    for name in found:
        table = f"{schema}.{name}"
        if name in TABLES:
            yield f"{table}: {_maintain(spark, table, retention_hours, dry_run=dry_run)}"
        elif is_scratch_table(name) and _is_older(spark, table, retention_hours):
            if not dry_run:
                spark.sql(f"DROP TABLE IF EXISTS {table}")
            yield f"{table}: {would}dropped, left by a step that was killed"


def _maintain(spark: SparkSession, table: str, retention_hours: int, *, dry_run: bool) -> str:
    vacuum = f"VACUUM {table} RETAIN {retention_hours} HOURS"
    # A dry run lists files, and leaves out those past the first thousand.
    if dry_run:
        files = spark.sql(f"{vacuum} DRY RUN").count()
        return f"{files} files would be removed, its small files would be compacted"
    (compacted,) = spark.sql(f"OPTIMIZE {table}").select("metrics.numFilesRemoved").collect()
    spark.sql(vacuum).collect()
    return f"{compacted[0]} small files compacted, old files removed"


def _is_older(spark: SparkSession, table: str, hours: int) -> bool:
    (detail,) = spark.sql(f"DESCRIBE DETAIL {table}").select("createdAt").collect()
    created: datetime = detail[0]
    if created.tzinfo is None:
        created = created.astimezone()
    return datetime.now(UTC) - created > timedelta(hours=hours)
