"""Every validation rule fires on a table that breaks it, and holds on a table that does not.

The tables are computed by the real steps, broken through the real `Tables`, and evaluated again.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.engine.lifetime import LifetimeUpdate
from vidagg_dagster.engine.quality import Facts, evaluate
from vidagg_dagster.engine.quality_rules import RULES
from vidagg_dagster.engine.rules import EngagementRules
from vidagg_dagster.engine.run import open_tables, run_step
from vidagg_dagster.engine.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    RAW_EVENTS,
    SESSIONS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    Table,
)
from vidagg_dagster.engine.session import SAIL, engine_session, use
from vidagg_dagster.engine.tables import Tables
from vidagg_dagster.engine.videos import read_videos
from vidagg_dagster.steps.contract import RuleOutcome, StepName
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.small_site import Site, day, write_site

DAYS = [day(number) for number in range(4)]
BROKEN = DAYS[3]
"""The day that the tests break; the three before give its volume a median."""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """All steps over four days, on Sail."""
    require(SAIL)
    spark = engine_session(SAIL)
    use(SAIL)
    site = write_site(tmp_path_factory.mktemp("site"), len(DAYS))
    for step in StepName:
        run_step(spark, site.request(step, DAYS))
    return site


@dataclass
class Lab:
    """A copy of the computed tables that a test may break."""

    spark: SparkSession
    site: Site
    tables: Tables

    def change(
        self, table: Table, columns: dict[str, Column], *, where: Column | None = None
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

    def repeat(self, table: Table) -> None:
        """Every row of the broken day twice."""
        rows = self._rows(table)
        self._write(table, rows.unionByName(rows))

    def keep(self, table: Table, where: Column) -> None:
        """Drop all other rows of the broken day."""
        self._write(table, self._rows(table).where(where))

    def evaluate(
        self,
        table: Table,
        *,
        days: Sequence[date] = (BROKEN,),
        touched: tuple[date, ...] = (),
        frame: DataFrame | None = None,
    ) -> dict[tuple[str, date | None], RuleOutcome]:
        update = LifetimeUpdate(changed=0, deleted=0, days=touched) if touched else None
        facts = Facts(
            tables=self.tables,
            days=tuple(days) if table.partitioned else (),
            rules=EngagementRules(),
            videos=read_videos(self.spark, str(self.site.videos)),
            update=update,
        )
        if frame is None and table is WATCH_INTERVALS:
            frame = self.tables.read(table, days).join(facts.videos, "videoId", "left")
        outcomes = evaluate(facts, table, RULES[table.name], frame).outcomes
        return {(outcome.rule, outcome.day): outcome for outcome in outcomes}

    def failed(self, table: Table, **more: object) -> set[str]:
        """Names of the rules that do not hold."""
        outcomes = self.evaluate(table, **more)  # type: ignore[arg-type]
        return {rule for (rule, _), outcome in outcomes.items() if not outcome.passed}

    def _rows(self, table: Table) -> DataFrame:
        return self.tables.read(table, [BROKEN] if table.partitioned else None)

    def _write(self, table: Table, rows: DataFrame) -> None:
        if table.partitioned:
            self.tables.replace_days(table, rows, [BROKEN])
        else:
            self.tables.upsert(table, rows, None, self.tables.note(table))


@pytest.fixture
def lab(computed: Site, tmp_path: Path, sail: SparkSession) -> Iterator[Lab]:
    shutil.copytree(computed.folder, tmp_path / "site")
    site = Site(tmp_path / "site")
    request = site.request(StepName.RAW_EVENTS, DAYS)
    return Lab(sail, site, open_tables(sail, request.store))


ALL_RULES = [(TABLES[table], rule.name) for table, rules in RULES.items() for rule in rules]


@pytest.mark.parametrize(("table", "rule"), ALL_RULES, ids=lambda v: getattr(v, "name", v))
def test_no_rule_fires_on_what_the_steps_compute(
    computed_outcomes: dict[str, dict[tuple[str, date | None], RuleOutcome]],
    table: Table,
    rule: str,
) -> None:
    days: list[date | None] = [*DAYS] if table.partitioned else [None]
    outcomes = [computed_outcomes[table.name][rule, day] for day in days]
    assert all(outcome.passed and outcome.violations == 0 for outcome in outcomes)


@pytest.fixture(scope="module")
def computed_outcomes(computed: Site) -> dict[str, dict[tuple[str, date | None], RuleOutcome]]:
    spark = engine_session(SAIL)
    use(SAIL)
    tables = open_tables(spark, computed.request(StepName.RAW_EVENTS, DAYS).store)
    lab = Lab(spark, computed, tables)
    return {name: lab.evaluate(TABLES[name], days=DAYS, touched=tuple(DAYS)) for name in RULES}


PETER = "peter"


def when_peter() -> Column:
    return F.col("userId") == PETER


def nan() -> Column:
    return F.lit(float("nan"))


def spans(*pairs: tuple[int, int]) -> Column:
    return F.array(
        *[
            F.struct(
                F.lit(start).cast("bigint").alias("startMs"),
                F.lit(end).cast("bigint").alias("endMs"),
            )
            for start, end in pairs
        ]
    )


def counted(**values: int) -> Callable[[Lab], None]:
    """Other numbers among the ingestion counts."""

    def apply(lab: Lab) -> None:
        value = F.col("value")
        for name, number in values.items():
            value = F.when(F.col("measure") == name, F.lit(number)).otherwise(value)
        lab.change(INGESTION_COUNTS, {"value": value})

    return apply


def peters(table: Table, **columns: Callable[[], Column]) -> Callable[[Lab], None]:
    """Other values in peter's rows."""
    return lambda lab: lab.change(
        table, {name: value() for name, value in columns.items()}, where=when_peter()
    )


def measured(name: str, value: float) -> Callable[[Lab], None]:
    return lambda lab: lab.change(
        QUALITY_REPORT, {"value": F.lit(value)}, where=F.col("measure") == name
    )


def bad_visits(lab: Lab) -> None:
    lab.change(
        SESSIONS,
        {
            "visits": F.transform(
                "visits", lambda visit: visit.withField("tailMs", F.lit(-1).cast("bigint"))
            )
        },
    )


ENGAGEMENT = (USER_VIDEO_ENGAGEMENT, AGGREGATED_ENGAGEMENT)

BREAKS: list[tuple[Table, str, Callable[[Lab], None]]] = [
    (RAW_EVENTS, "input_reconciles", counted(input=14)),
    (RAW_EVENTS, "input_reconciles", lambda lab: lab.keep(RAW_EVENTS, ~when_peter())),
    (RAW_EVENTS, "keys_present", peters(RAW_EVENTS, videoId=lambda: F.lit(""))),
    (RAW_EVENTS, "keys_present", peters(RAW_EVENTS, timestamp=lambda: F.lit(None))),
    (RAW_EVENTS, "one_row_per_key", lambda lab: lab.repeat(RAW_EVENTS)),
    (RAW_EVENTS, "numbers_valid", peters(RAW_EVENTS, positionMs=lambda: F.lit(-1))),
    (RAW_EVENTS, "numbers_valid", peters(RAW_EVENTS, playbackRate=nan)),
    (RAW_EVENTS, "rejected_share", counted(input=1000, accepted=989, rejected=11)),
    (RAW_EVENTS, "duplicate_share", counted(input=1000, accepted=949, duplicates=51)),
    (RAW_EVENTS, "volume_near_median", lambda lab: lab.keep(RAW_EVENTS, when_peter())),
    (RAW_EVENTS, "day_not_empty", lambda lab: lab.keep(RAW_EVENTS, F.lit(False))),
    (SESSIONS, "keys_present", peters(SESSIONS, sessionId=lambda: F.lit(None))),
    (SESSIONS, "one_row_per_key", lambda lab: lab.repeat(SESSIONS)),
    (SESSIONS, "numbers_valid", peters(SESSIONS, durationMs=lambda: F.lit(-1))),
    (SESSIONS, "numbers_valid", peters(SESSIONS, eventCount=lambda: F.lit(None))),
    (SESSIONS, "numbers_valid", bad_visits),
    (WATCH_INTERVALS, "keys_present", peters(WATCH_INTERVALS, userId=lambda: F.lit(""))),
    (WATCH_INTERVALS, "one_row_per_key", lambda lab: lab.repeat(WATCH_INTERVALS)),
    (WATCH_INTERVALS, "numbers_valid", peters(WATCH_INTERVALS, clockMs=lambda: F.lit(-5))),
    (WATCH_INTERVALS, "numbers_valid", peters(WATCH_INTERVALS, watchMs=lambda: F.lit(None))),
    (
        WATCH_INTERVALS,
        "interval_has_length",
        peters(WATCH_INTERVALS, endMs=lambda: F.col("startMs")),
    ),
    (WATCH_INTERVALS, "interval_has_length", peters(WATCH_INTERVALS, watchMs=lambda: F.lit(7))),
    (
        WATCH_INTERVALS,
        "interval_has_length",
        peters(WATCH_INTERVALS, openedAt=lambda: F.lit(datetime(2030, 1, 1))),
    ),
    (WATCH_INTERVALS, "evidence_known", peters(WATCH_INTERVALS, evidence=lambda: F.lit("guessed"))),
    (WATCH_INTERVALS, "evidence_known", peters(WATCH_INTERVALS, evidence=lambda: F.lit(None))),
    (WATCH_INTERVALS, "within_video", peters(WATCH_INTERVALS, endMs=lambda: F.lit(300_001))),
    (WATCH_INTERVALS, "watch_within_clock", peters(WATCH_INTERVALS, clockMs=lambda: F.lit(20_000))),
    *[
        (table, rule, peters(table, **columns))
        for table in ENGAGEMENT
        for rule, columns in (
            ("numbers_valid", {"totalClockTime": nan}),
            ("numbers_valid", {"engagementScore": nan}),
            ("numbers_valid", {"totalWatchTime": lambda: F.lit(float("inf"))}),
            ("numbers_valid", {"totalWatchTime": lambda: F.lit(-1.0)}),
            ("numbers_valid", {"estimatedTailSeconds": lambda: F.lit(None)}),
            ("numbers_valid", {"sessionCount": lambda: F.lit(-1)}),
            ("unique_within_total", {"totalUniqueSecondsWatched": lambda: F.lit(130.001)}),
            ("unique_within_duration", {"videoDuration": lambda: F.lit(119.999)}),
            ("unique_equals_intervals", {"watchedIntervals": lambda: spans((0, 119_999))}),
            ("unique_equals_intervals", {"watchedIntervals": lambda: F.lit(None)}),
            (
                "intervals_disjoint",
                {"watchedIntervals": lambda: spans((0, 60_000), (60_000, 120_000))},
            ),
            (
                "intervals_disjoint",
                {"watchedIntervals": lambda: spans((0, 80_000), (70_000, 110_000))},
            ),
            (
                "intervals_disjoint",
                {"watchedIntervals": lambda: spans((70_000, 130_000), (0, 60_000))},
            ),
            (
                "intervals_disjoint",
                {"watchedIntervals": lambda: spans((0, 120_000), (200_000, 200_000))},
            ),
            ("evidence_adds_up", {"bridgedSeconds": lambda: F.lit(0.001)}),
            ("evidence_adds_up", {"rewatchedSeconds": lambda: F.lit(9.999)}),
            ("position_within_duration", {"maxPositionReached": lambda: F.lit(300.001)}),
            ("first_before_last", {"firstWatchDate": lambda: F.lit(datetime(2030, 1, 1))}),
            ("score_in_range", {"engagementScore": lambda: F.lit(100.01)}),
            ("score_in_range", {"engagementTier": lambda: F.lit(None)}),
        )
    ],
    (
        USER_VIDEO_ENGAGEMENT,
        "keys_present",
        peters(USER_VIDEO_ENGAGEMENT, videoId=lambda: F.lit(None)),
    ),
    (USER_VIDEO_ENGAGEMENT, "one_row_per_key", lambda lab: lab.repeat(USER_VIDEO_ENGAGEMENT)),
    (
        USER_VIDEO_ENGAGEMENT,
        "known_durations",
        peters(USER_VIDEO_ENGAGEMENT, videoDuration=lambda: F.lit(None)),
    ),
    (
        AGGREGATED_ENGAGEMENT,
        "days_add_up",
        peters(AGGREGATED_ENGAGEMENT, pauseCount=lambda: F.lit(0)),
    ),
    (
        AGGREGATED_ENGAGEMENT,
        "totals_add_up",
        peters(AGGREGATED_ENGAGEMENT, totalClockTime=lambda: F.lit(0.5)),
    ),
    (
        AGGREGATED_ENGAGEMENT,
        "unique_within_days",
        peters(AGGREGATED_ENGAGEMENT, totalUniqueSecondsWatched=lambda: F.lit(480.001)),
    ),
    (
        QUALITY_REPORT,
        "keys_present",
        lambda lab: lab.change(
            QUALITY_REPORT, {"measure": F.lit("")}, where=F.col("measure") == "input"
        ),
    ),
    (QUALITY_REPORT, "one_row_per_key", lambda lab: lab.repeat(QUALITY_REPORT)),
    (QUALITY_REPORT, "numbers_valid", measured("watch_seconds", float("nan"))),
    (QUALITY_REPORT, "numbers_valid", measured("rows", -1.0)),
    (
        QUALITY_REPORT,
        "measures_present",
        lambda lab: lab.keep(QUALITY_REPORT, F.col("measure") != "rows"),
    ),
    (QUALITY_REPORT, "input_reconciles", counted(rejected=1)),
]


@pytest.mark.parametrize(
    ("table", "rule", "damage"),
    BREAKS,
    ids=[f"{t.name}-{r}-{i}" for i, (t, r, _) in enumerate(BREAKS)],
)
def test_a_rule_fires_on_a_table_that_breaks_it(
    lab: Lab, table: Table, rule: str, damage: Callable[[Lab], None]
) -> None:
    damage(lab)
    assert rule in lab.failed(table, touched=(BROKEN,))
