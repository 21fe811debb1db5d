"""Which names of events a source uses that nobody knows: what to map when rows are rejected."""

from collections.abc import Collection
from typing import Final

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.vocabulary import ALIASES, EVENT_NAMES
from vidagg_dagster.sources.read import read_source

MAX_NAMES: Final = 10


def unknown_event_names(
    spark: SparkSession,
    spec: SourceSpec,
    scratch: str | None = None,
    *,
    only: Collection[str] | None = None,
) -> dict[str, int]:
    """The commonest names that are neither ours nor mapped -> their rows, the commonest first.

    For `scratch` and `only` see `read_source`.
    """
    name = F.trim(F.lower(F.col("eventName")))
    known = [*EVENT_NAMES, *ALIASES, *spec.event_names]
    found = (
        read_source(spark, spec, scratch, only=only)
        .select(name.alias("name"))
        .where(F.col("name").isNotNull() & ~F.col("name").isin(*known))
        .groupBy("name")
        .agg(F.count(F.lit(1)).alias("rows"))
        .orderBy(F.col("rows").desc(), "name")
        .limit(MAX_NAMES)
    )
    return {row["name"]: row["rows"] for row in found.collect()}


