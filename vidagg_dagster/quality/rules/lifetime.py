"""Rules of the lifetime table: those of both engagement tables, and that the days add up to it."""

from collections.abc import Mapping
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, USER_VIDEO_ENGAGEMENT, TableSpec
from vidagg_dagster.quality.evaluate import (
    CheckContext,
    DayRule,
    Rule,
    RuleFinding,
    RuleFindings,
    countable_ms,
)
from vidagg_dagster.quality.rules.engagement import engagement_rules
from vidagg_dagster.quality.rules.shared import BROKEN_TABLE, any_of
from vidagg_dagster.spark.compat import union

_KEY: Final = list(AGGREGATED_ENGAGEMENT.key)
_ADDITIVE: Final = USER_VIDEO_ENGAGEMENT.additive_columns
_UNIQUE: Final = "totalUniqueSecondsWatched"
_ROWS: Final = "rows"
_PAIRS: Final = "pairs"
_TABLE: Final = "table"


def _exact(name: str) -> Column:
    """An additive column as an integer, so that a sum does not depend on the order of its rows."""
    in_seconds = isinstance(USER_VIDEO_ENGAGEMENT.struct[name].dataType, T.DoubleType)
    return countable_ms(name) if in_seconds else F.col(name)


def _touched(context: CheckContext) -> tuple[DataFrame, DataFrame]:
    """Daily and lifetime rows of the pairs that the last update had to look at."""
    daily = context.tables.read(USER_VIDEO_ENGAGEMENT)
    lifetime = context.tables.read(AGGREGATED_ENGAGEMENT)
    days = None if context.update is None else context.update.days
    if days is None:
        return daily, lifetime
    if not days:
        return daily.where(F.lit(False)), lifetime.where(F.lit(False))
    now = context.tables.read(USER_VIDEO_ENGAGEMENT, days).select(*_KEY)
    contains = F.arrays_overlap("activeDays", F.array(*[F.lit(day) for day in days]))
    pairs = now.unionByName(lifetime.where(contains).select(*_KEY)).distinct()
    return (
        daily.join(pairs, on=_KEY, how="left_semi"),
        lifetime.join(pairs, on=_KEY, how="left_semi"),
    )


def _pairs_off(context: CheckContext) -> Mapping[str, int]:
    """How many touched pairs differ between their days and their lifetime row.

    Per additive column and for the number of rows; `pairs` counts those that differ in any of
    them. For unique seconds it counts the pairs whose lifetime exceeds the sum of their days.
    """
    daily, lifetime = _touched(context)
    days = daily.groupBy(*_KEY).agg(
        *[F.sum(_exact(name)).alias(f"days_{name}") for name in _ADDITIVE],
        F.sum(countable_ms(_UNIQUE)).alias(f"days_{_UNIQUE}"),
        F.count(F.lit(1)).alias(f"days_{_ROWS}"),
    )
    life = lifetime.select(
        *_KEY,
        *[_exact(name).alias(f"life_{name}") for name in _ADDITIVE],
        countable_ms(_UNIQUE).alias(f"life_{_UNIQUE}"),
        F.size("activeDays").cast("bigint").alias(f"life_{_ROWS}"),
    )

    def differ(name: str) -> Column:
        return ~F.col(f"days_{name}").eqNullSafe(F.col(f"life_{name}"))

    columns = (*_ADDITIVE, _ROWS)
    [row] = (
        days.join(life, on=_KEY, how="full_outer")
        .agg(
            *[F.count_if(differ(name)).alias(name) for name in columns],
            F.count_if(any_of(differ(name) for name in columns)).alias(_PAIRS),
            F.count_if(F.col(f"life_{_UNIQUE}") > F.col(f"days_{_UNIQUE}")).alias(_UNIQUE),
        )
        .collect()
    )
    return {name: row[name] for name in (*columns, _PAIRS, _UNIQUE)}


def _days_add_up(context: CheckContext) -> RuleFindings:
    off = context.once(_pairs_off)
    wrong = {name: n for name, n in off.items() if n and name not in (_PAIRS, _UNIQUE)}
    detail = {f"pairs with another {name}": n for name, n in wrong.items()}
    return {None: RuleFinding(off[_PAIRS], detail)}


def _unique_within_days(context: CheckContext) -> RuleFindings:
    return {None: RuleFinding(context.once(_pairs_off)[_UNIQUE])}


def _totals_add_up(context: CheckContext) -> RuleFindings:
    """Sums over whole tables: they need no shuffle, and include pairs that no update touched."""

    def totals(table: TableSpec) -> DataFrame:
        sums = [F.coalesce(F.sum(_exact(name)), F.lit(0)).alias(name) for name in _ADDITIVE]
        return context.tables.read(table).agg(F.lit(table.name).alias(_TABLE), *sums)

    both = union([totals(USER_VIDEO_ENGAGEMENT), totals(AGGREGATED_ENGAGEMENT)])
    rows = {row[_TABLE]: row for row in both.collect()}
    days, life = rows[USER_VIDEO_ENGAGEMENT.name], rows[AGGREGATED_ENGAGEMENT.name]
    wrong = {
        name: f"days {days[name]}, lifetime {life[name]}"
        for name in _ADDITIVE
        if days[name] != life[name]
    }
    return {None: RuleFinding(len(wrong), wrong)}


RULES: Final[tuple[Rule, ...]] = (
    *engagement_rules(AGGREGATED_ENGAGEMENT),
    DayRule(
        name="days_add_up",
        description="For every user and video that changed, the daily rows add up to the lifetime "
        f"row in every additive column, to the millisecond. {BROKEN_TABLE}",
        evaluate=_days_add_up,
    ),
    DayRule(
        name="totals_add_up",
        description="Over the whole table, the daily rows add up to the lifetime rows in every "
        "additive column. If it fails, the table missed a change of some day: `vidagg verify` "
        "says how it is written anew.",
        evaluate=_totals_add_up,
    ),
    DayRule(
        name="unique_within_days",
        description="Nobody's lifetime unique seconds exceed the sum of the daily ones. "
        f"{BROKEN_TABLE}",
        evaluate=_unique_within_days,
    ),
)
