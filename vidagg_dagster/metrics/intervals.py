"""Watched intervals: one row each, and their union per user and video."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import EVENT_DATE, SPAN, WATCH_INTERVALS
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.metrics.coverage import Merge
from vidagg_dagster.spark.arrow import ANY_SIZE, Spread


def watch_intervals(sessions: DataFrame) -> DataFrame:
    """One row per credited interval of the given `sessions` rows, in the columns of the table."""
    visits = sessions.select(
        EVENT_DATE, "userId", "sessionId", "sessionStart", F.explode("visits").alias("visit")
    )
    # In a select of its own: beside an explode of one of its fields, Sail copies the whole visit
    # into every row, so that memory grows with the square of its intervals.
    fields = visits.select(
        EVENT_DATE,
        "userId",
        "sessionId",
        F.col("visit.videoId").alias("videoId"),
        "sessionStart",
        F.col("visit.intervals").alias("intervals"),
    )
    intervals = fields.select(
        EVENT_DATE,
        "userId",
        "sessionId",
        "videoId",
        "sessionStart",
        F.explode("intervals").alias("interval"),
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
    spread: Spread = ANY_SIZE,
    evidence: bool = False,
    unite: bool = True,
) -> DataFrame:
    """Merges rows that share `keys` and unites their `spans` (array of structs startMs, endMs).

    Returns the keys, one column per aggregate over rows (`lists` are arrays, which are chained; of
    structs in `greatest` no two of a key share the first field), `watchedIntervals` (the union:
    sorted, disjoint, not touching), `uniqueMs`, its length, and `gapMs`, the longest stretch before
    one of its spans that is in none. With `evidence` the spans also have clockMs, evidence and
    closedAt, and are added up: watchMs, clockMs, and watchMs by evidence; `lastPlayedAt` and
    `resumeMs` tell the last of them. `keys` contain userId. With `unite=False` the union is not
    computed: its columns are null.
    """
    named = {**sums, **least, **greatest, **lists}
    merge = Merge(
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
    return spread.apply(chosen, merge, _merged_schema(chosen, merge))


def _merged_schema(rows: DataFrame, merge: Merge) -> T.StructType:
    types = {field.name: field.dataType for field in rows.schema}
    by_evidence = ("watchMs", "clockMs", *(f"{name}Ms" for name in EVIDENCE), "resumeMs")
    sums = [*merge.sums, *(by_evidence if merge.evidence else ())]
    return T.StructType(
        [
            *[T.StructField(name, types[name]) for name in merge.keys],
            *[T.StructField(name, T.LongType()) for name in sums],
            *[
                T.StructField(name, types[name])
                for name in (*merge.least, *merge.greatest, *merge.lists)
            ],
            *([T.StructField("lastPlayedAt", T.TimestampType())] if merge.evidence else []),
            T.StructField("watchedIntervals", T.ArrayType(SPAN)),
            T.StructField("uniqueMs", T.LongType()),
            T.StructField("gapMs", T.LongType()),
        ]
    )
