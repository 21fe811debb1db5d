"""Watched intervals: one row each, and their union per user and video."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import EVENT_DATE, SPAN, WATCH_INTERVALS
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.spark.arrow import Kernels

if TYPE_CHECKING:
    from vidagg_dagster.metrics.kernels.union import MergeKernel


def watch_intervals(sessions: DataFrame) -> DataFrame:
    """One row per credited interval of the given `sessions` rows, in the columns of the table."""
    visits = sessions.select(
        EVENT_DATE, "userId", "sessionId", "sessionStart", F.explode("visits").alias("visit")
    )
    intervals = visits.select(
        EVENT_DATE,
        "userId",
        "sessionId",
        F.col("visit.videoId").alias("videoId"),
        "sessionStart",
        F.explode("visit.intervals").alias("interval"),
    )
    return intervals.select(
        EVENT_DATE,
        "userId",
        "sessionId",
        "videoId",
        "sessionStart",
        F.col("interval.startMs").alias("startMs"),
        F.col("interval.endMs").alias("endMs"),
        (F.col("interval.endMs") - F.col("interval.startMs")).alias("watchMs"),
        F.col("interval.clockMs").alias("clockMs"),
        F.col("interval.evidence").alias("evidence"),
        F.col("interval.openedAt").alias("openedAt"),
        F.col("interval.closedAt").alias("closedAt"),
    ).select(*[F.col(c.name).cast(c.type) for c in WATCH_INTERVALS.columns])


def merge_with_union(
    rows: DataFrame,
    keys: Sequence[str],
    spans: str,
    *,
    sums: Mapping[str, Column],
    least: Mapping[str, Column],
    greatest: Mapping[str, Column],
    lists: Mapping[str, Column],
    evidence: bool = False,
    unite: bool = True,
    kernels: Kernels | None = None,
) -> DataFrame:
    """Merges rows that share `keys` and unites their `spans` (array of structs startMs, endMs).

    Returns the keys, one column per aggregate over rows (`lists` are arrays, which are chained; of
    structs in `greatest` no two of a key share the first field), `watchedIntervals` (the union:
    sorted, disjoint, not touching) and `uniqueMs`, its length. With `evidence` the spans also have
    clockMs and evidence, and are added up: watchMs, clockMs, and watchMs by evidence. `keys`
    contain userId. With `kernels` all this is computed by `arrow/union.py`, to the same rows.

    With `unite=False` neither is computed and both are null.

    Spans are united by sorting them and starting a new island wherever one begins after all
    earlier ones have ended: linear after the sort, whatever their number.
    """
    if kernels is not None:
        from vidagg_dagster.metrics.kernels.union import MergeKernel

        named = {**sums, **least, **greatest, **lists}
        kernel = MergeKernel(
            keys=tuple(keys),
            spans=spans,
            sums=tuple(sums),
            least=tuple(least),
            greatest=tuple(greatest),
            lists=tuple(lists),
            evidence=evidence,
            unite=unite,
        )
        chosen = rows.select(*keys, spans, *[column.alias(name) for name, column in named.items()])
        return kernels.apply(chosen, kernel, _merged_schema(chosen, kernel))
    span_sums = _sums_by_evidence() if evidence else {}
    laid = rows.select("*", F.posexplode_outer(spans).alias("position", "span"))
    # A row with n spans is laid n times; what belongs to the row counts once.
    once = F.coalesce(F.col("position"), F.lit(0)) == 0
    aggregates = [
        *[F.sum(F.when(once, value)).alias(name) for name, value in sums.items()],
        *[F.sum(value).alias(name) for name, value in span_sums.items()],
        *[F.min(F.when(once, value)).alias(name) for name, value in least.items()],
        *[F.max(F.when(once, value)).alias(name) for name, value in greatest.items()],
        *[F.collect_list(F.when(once, value)).alias(name) for name, value in lists.items()],
    ]
    if not unite:
        merged = (
            laid.groupBy(*keys)
            .agg(
                *aggregates,
                F.lit(None).cast(T.ArrayType(SPAN)).alias("watchedIntervals"),
                F.lit(None).cast("bigint").alias("uniqueMs"),
            )
            .na.fill(0, [*sums, *span_sums])
        )
        return merged.withColumns({n: F.flatten(n) for n in lists}) if lists else merged
    by_start = Window.partitionBy(*keys).orderBy(F.col("span.startMs").asc_nulls_first())
    reached = F.max("span.endMs").over(by_start.rowsBetween(Window.unboundedPreceding, -1))
    starts_island = F.coalesce(
        F.col("span.startMs").isNotNull() & (reached.isNull() | (F.col("span.startMs") > reached)),
        F.lit(False),
    )
    in_islands = laid.withColumn("startsIsland", starts_island).withColumn(
        "island",
        F.sum(F.col("startsIsland").cast("bigint")).over(
            by_start.rowsBetween(Window.unboundedPreceding, Window.currentRow)
        ),
    )
    islands = in_islands.groupBy(*keys, "island").agg(
        F.min("span.startMs").alias("islandStartMs"),
        F.max("span.endMs").alias("islandEndMs"),
        *aggregates,
    )
    island = F.when(
        F.col("islandStartMs").isNotNull(),
        F.struct(F.col("islandStartMs").alias("startMs"), F.col("islandEndMs").alias("endMs")),
    )
    return islands.groupBy(*keys).agg(
        F.sort_array(F.collect_list(island)).alias("watchedIntervals"),
        F.coalesce(F.sum(F.col("islandEndMs") - F.col("islandStartMs")), F.lit(0)).alias(
            "uniqueMs"
        ),
        *[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in (*sums, *span_sums)],
        *[F.min(name).alias(name) for name in least],
        *[F.max(name).alias(name) for name in greatest],
        *[F.flatten(F.flatten(F.collect_list(name))).alias(name) for name in lists],
    )


def _sums_by_evidence() -> dict[str, Column]:
    length = F.col("span.endMs") - F.col("span.startMs")
    return {
        "watchMs": length,
        "clockMs": F.col("span.clockMs"),
        **{f"{name}Ms": F.when(F.col("span.evidence") == name, length) for name in EVIDENCE},
    }


def _merged_schema(rows: DataFrame, kernel: "MergeKernel") -> T.StructType:
    types = {field.name: field.dataType for field in rows.schema}
    sums = [*kernel.sums, *(_sums_by_evidence() if kernel.evidence else ())]
    return T.StructType(
        [
            *[T.StructField(name, types[name]) for name in kernel.keys],
            *[T.StructField(name, T.LongType()) for name in sums],
            *[
                T.StructField(name, types[name])
                for name in (*kernel.least, *kernel.greatest, *kernel.lists)
            ],
            T.StructField("watchedIntervals", T.ArrayType(SPAN)),
            T.StructField("uniqueMs", T.LongType()),
        ]
    )
