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
    known = {*EVENT_NAMES, *ALIASES, *spec.event_names}
    # Unknown ones are found here and not by the engine: Sail loses a column where it filters the
    # lines of a CSV file by one of their values.
    counted = (
        read_source(spark, spec, scratch, only=only)
        .groupBy(F.trim(F.lower(F.col("eventName"))).alias("name"))
        .agg(F.count(F.lit(1)).alias("rows"))
        .orderBy(F.col("rows").desc(), "name")
        .limit(MAX_NAMES + len(known) + 1)
    )
    unknown = {row["name"]: row["rows"] for row in counted.collect() if row["name"] not in known}
    unknown.pop(None, None)
    return dict(list(unknown.items())[:MAX_NAMES])
