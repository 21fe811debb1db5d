"""Computed tables of four days that a test may break, and ways to break them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import LifetimeUpdate, RuleOutcome
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    REACH_DAYS,
    VIDEO_REACH,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    INGESTION_COUNTS,
    QUALITY_REPORT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.quality.evaluate import CheckContext, evaluate
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster.spark.slices import AT_ONCE, Slicing
from vidagg_dagster.tables.interface import Tables
from vidagg_dagster_tests.support.small_site import Site, day

DAYS = [day(number) for number in range(4)]
BROKEN = DAYS[3]
"""The day that the tests break; the three before give its volume a median."""


@dataclass
class Lab:
    """A copy of the computed tables that a test may break."""

    spark: SparkSession
    site: Site
    tables: Tables

    def change(
        self, table: TableSpec, columns: dict[str, Column], *, where: Column | None = None
    ) -> None:
        """Other values in some rows of the broken day, or of the lifetime table."""
        rows = self._rows(table)
        chosen = F.lit(True) if where is None else where
        changed = rows.select(
            *[
                F.when(chosen, columns[c.name]).otherwise(F.col(c.name)).cast(c.type).alias(c.name)
                if c.name in columns
                else F.col(c.name)
                for c in table.columns
            ]
        )
        self._write(table, changed)

    def repeat(self, table: TableSpec) -> None:
        """Every row of the broken day twice."""
        rows = self._rows(table)
        self._write(table, rows.unionByName(rows))

    def keep(self, table: TableSpec, where: Column) -> None:
        """Drop all other rows of the broken day."""
        self._write(table, self._rows(table).where(where))

    def evaluate(
        self,
        table: TableSpec,
        *,
        days: Sequence[date] = (BROKEN,),
        touched: tuple[date, ...] = (),
        frame: DataFrame | None = None,
        slicing: Slicing = AT_ONCE,
    ) -> dict[tuple[str, date | None], RuleOutcome]:
        update = LifetimeUpdate(changed=0, deleted=0, days=touched) if touched else None
        context = CheckContext(
            tables=self.tables,
            days=tuple(days) if table.partitioned else (),
            parameters=EngagementParameters(),
            update=update,
        )
        if frame is None and table is WATCH_INTERVALS:
            videos = read_videos(self.spark, str(self.site.videos))
            frame = self.tables.read(table, days).join(videos, "videoId", "left")
        outcomes = evaluate(context, table, RULES[table.name], frame, slicing).outcomes
        return {(outcome.rule, outcome.day): outcome for outcome in outcomes}

    def failed(self, table: TableSpec, **more: object) -> set[str]:
        """Names of the rules that do not hold."""
        outcomes = self.evaluate(table, **more)  # type: ignore[arg-type]
        return {rule for (rule, _), outcome in outcomes.items() if not outcome.passed}

    def _rows(self, table: TableSpec) -> DataFrame:
        return self.tables.read(table, [BROKEN] if table.partitioned else None)

    def _write(self, table: TableSpec, rows: DataFrame) -> None:
        if table.partitioned:
            self.tables.replace_days(table, rows, [BROKEN])
        else:
            self.tables.upsert(table, rows, None, self.tables.note(table))


PETER = "peter"


def when_peter() -> Column:
    return F.col("userId") == PETER


def counted(**values: int) -> Callable[[Lab], None]:
    """Other numbers among the ingestion counts."""

    def apply(lab: Lab) -> None:
        value = F.col("value")
        for name, number in values.items():
            value = F.when(F.col("measure") == name, F.lit(number)).otherwise(value)
        lab.change(INGESTION_COUNTS, {"value": value})

    return apply


def peters(table: TableSpec, **columns: Callable[[], Column]) -> Callable[[Lab], None]:
    """Other values in peter's rows."""
    return lambda lab: lab.change(
        table, {name: value() for name, value in columns.items()}, where=when_peter()
    )


def measured(name: str, value: float) -> Callable[[Lab], None]:
    return lambda lab: lab.change(
        QUALITY_REPORT, {"value": F.lit(value)}, where=F.col("measure") == name
    )


def store_a_cohort(lab: Lab, users: int) -> None:
    """All users as the cohort of whom no plan is told, `users` of them."""
    whole = lab.tables.read(VIEWER_COHORTS)
    rows = whole.select(
        F.lit("plan").alias("attribute"),
        F.lit(None).cast("string").alias("value"),
        *[F.lit(users).cast("bigint").alias(n) if n == "users" else n for n in whole.columns],
    )
    lab.tables.replace_all(ATTRIBUTE_COHORTS, rows)


def store_a_reach(lab: Lab, *reached: int) -> None:
    """One video that two users could have seen, and how many did by each day."""
    row = dict.fromkeys(VIDEO_REACH.column_names) | {"videoId": "video_001", "couldSee": 2}
    row |= {f"reachedByDay{d}": n for d, n in zip(REACH_DAYS, reached, strict=True)}
    rows = lab.spark.createDataFrame([tuple(row.values())], VIDEO_REACH.struct)
    lab.tables.replace_all(VIDEO_REACH, rows)
