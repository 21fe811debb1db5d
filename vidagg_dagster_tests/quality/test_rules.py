"""Every validation rule fires on a table that breaks it, and holds on a table that does not.

The tables are computed by the real steps, broken through the real `Tables`, and evaluated again.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import SAIL, RuleOutcome, StepName
from vidagg_dagster.core.insight_schemas import (
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    VIDEO_CURVE,
    VIDEO_ENGAGEMENT,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.quality.evaluate import RuleFinding, ShareRule
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster.spark.session import engine_session, use, using
from vidagg_dagster.spark.slices import Slicing
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support import small_site
from vidagg_dagster_tests.support.quality_lab import (
    BROKEN,
    DAYS,
    Lab,
    counted,
    measured,
    peters,
    store_a_cohort,
    store_a_reach,
    when_peter,
)
from vidagg_dagster_tests.support.small_site import Site, day

ALL_RULES = [(TABLES[table], rule.name) for table, rules in RULES.items() for rule in rules]


@pytest.mark.parametrize(("table", "rule"), ALL_RULES, ids=lambda v: getattr(v, "name", v))
def test_no_rule_fires_on_what_the_steps_compute(
    computed_outcomes: dict[str, dict[tuple[str, date | None], RuleOutcome]],
    table: TableSpec,
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

CURVES = (VIDEO_CURVE, LIFETIME_VIDEO_CURVE)


def first_bin(table: TableSpec, **columns: Callable[[], Column]) -> Callable[[Lab], None]:
    """Other values in the first bin of a video that both watch."""
    return lambda lab: lab.change(
        table,
        {name: value() for name, value in columns.items()},
        where=(F.col("videoId") == "video_001") & (F.col("binStartMs") == 0),
    )


def of_videos(table: TableSpec, **columns: Callable[[], Column]) -> Callable[[Lab], None]:
    return lambda lab: lab.change(table, {name: value() for name, value in columns.items()})


BREAKS: list[tuple[TableSpec, str, Callable[[Lab], None]]] = [
    (RAW_EVENTS, "input_reconciles", counted(input=14)),
    (RAW_EVENTS, "input_reconciles", lambda lab: lab.keep(RAW_EVENTS, ~when_peter())),
    (RAW_EVENTS, "keys_present", peters(RAW_EVENTS, videoId=lambda: F.lit(""))),
    (RAW_EVENTS, "keys_present", peters(RAW_EVENTS, timestamp=lambda: F.lit(None))),
    (RAW_EVENTS, "one_row_per_key", lambda lab: lab.repeat(RAW_EVENTS)),
    (RAW_EVENTS, "numbers_valid", peters(RAW_EVENTS, positionMs=lambda: F.lit(-1))),
    (RAW_EVENTS, "numbers_valid", peters(RAW_EVENTS, playbackRate=nan)),
    (RAW_EVENTS, "something_accepted", counted(input=12, accepted=0, rejected=12)),
    (RAW_EVENTS, "not_mostly_rejected", counted(input=1000, accepted=499, rejected=501)),
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
            ("unique_within_total", {"totalUniqueSecondsWatched": lambda: F.lit(520.001)}),
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
    *[
        (curve, rule, first_bin(curve, **columns))
        for curve in CURVES
        for rule, columns in (
            ("numbers_valid", {"skippedOver": lambda: F.lit(-1)}),
            ("bin_consistent", {"binEndMs": lambda: F.col("binStartMs")}),
            ("bin_consistent", {"rewatchMs": lambda: F.col("rewatchMs") + 1}),
            ("bin_consistent", {"viewers": lambda: F.lit(0)}),
            ("bins_add_up", {"watchMs": lambda: F.col("watchMs") + 1}),
            ("bins_add_up", {"uniqueMs": lambda: F.col("uniqueMs") - 1}),
            ("bins_add_up", {"lastSeenHere": lambda: F.lit(1)}),
            ("bins_add_up", {"stops": lambda: F.lit(1)}),
        )
    ],
    (VIDEO_CURVE, "keys_present", first_bin(VIDEO_CURVE, videoId=lambda: F.lit(""))),
    (VIDEO_CURVE, "one_row_per_key", lambda lab: lab.repeat(VIDEO_CURVE)),
    *[
        (curve, "figures_add_up", of_videos(figures, **{column: lambda: F.lit(77)}))
        for curve, figures in zip(
            CURVES, (VIDEO_ENGAGEMENT, LIFETIME_VIDEO_ENGAGEMENT), strict=True
        )
        for column in ("viewers", "watchHours")
    ],
    (
        LIFETIME_VIDEO_CURVE,
        "cohorts_add_up",
        lambda lab: lab.change(VIEWER_COHORTS, {"users": F.lit(3)}),
    ),
    (
        LIFETIME_VIDEO_CURVE,
        "cohorts_add_up",
        lambda lab: lab.change(VIEWER_COHORTS, {"activeUsers": F.lit(1)}),
    ),
    (LIFETIME_VIDEO_CURVE, "attribute_cohorts_add_up", lambda lab: store_a_cohort(lab, users=3)),
    (LIFETIME_VIDEO_CURVE, "reach_is_possible", lambda lab: store_a_reach(lab, 2, 1, 5)),
    (LIFETIME_VIDEO_CURVE, "reach_is_possible", lambda lab: store_a_reach(lab, 1, 2, 1)),
]


def test_what_nobody_told_breaks_no_rule_and_neither_does_what_fits(lab: Lab) -> None:
    rules = {"attribute_cohorts_add_up", "reach_is_possible"}
    assert not rules & lab.failed(LIFETIME_VIDEO_CURVE)
    store_a_cohort(lab, users=2)
    store_a_reach(lab, 1, 1, 1)
    assert not rules & lab.failed(LIFETIME_VIDEO_CURVE)


@pytest.mark.parametrize(
    ("table", "rule", "damage"),
    BREAKS,
    ids=[f"{t.name}-{r}-{i}" for i, (t, r, _) in enumerate(BREAKS)],
)
def test_a_rule_fires_on_a_table_that_breaks_it(
    lab: Lab, table: TableSpec, rule: str, damage: Callable[[Lab], None]
) -> None:
    damage(lab)
    assert rule in lab.failed(table, touched=(BROKEN,))


def test_a_share_of_rows_may_break_a_rule_up_to_its_limit() -> None:
    rule = ShareRule(
        name="told",
        description="",
        violates=lambda: F.col("told").isNull(),
        limit=0.1,
        shown="not told",
    )
    shown = {"rows": 100, "limit": 0.1}
    assert rule.finding(10, 100) == RuleFinding(0, {**shown, "not told": 10, "share": 0.1})
    assert rule.finding(11, 100) == RuleFinding(11, {**shown, "not told": 11, "share": 0.11})


@pytest.mark.parametrize("table", [AGGREGATED_ENGAGEMENT, LIFETIME_VIDEO_CURVE])
@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        ("keys_present", lambda rows: rows.withColumn("videoId", F.lit(""))),
        ("one_row_per_key", lambda rows: rows.unionByName(rows)),
    ],
)
def test_a_lifetime_rule_fires_on_rows_that_upsert_refuses_to_write(
    lab: Lab, table: TableSpec, rule: str, spoil: Callable[[DataFrame], DataFrame]
) -> None:
    rows = spoil(lab.tables.read(table))
    assert rule in lab.failed(table, frame=rows)


def test_every_rule_has_a_test_in_which_it_fires() -> None:
    # About the source and no table; they fire in test_inventory.py and test_nothing_lost.py.
    of_source = {("raw_events", "late_within_limit"), ("raw_events", "none_ahead")}
    fired = {(table.name, rule) for table, rule, _ in BREAKS} | of_source
    refused = {
        (table.name, rule)
        for table in (AGGREGATED_ENGAGEMENT, LIFETIME_VIDEO_CURVE)
        for rule in ("keys_present", "one_row_per_key")
    }
    assert fired | refused == {(table.name, rule) for table, rule in ALL_RULES}


def test_only_the_broken_day_of_a_range_fails(lab: Lab) -> None:
    peters(USER_VIDEO_ENGAGEMENT, clippedSeconds=lambda: F.lit(1.0))(lab)
    outcomes = lab.evaluate(USER_VIDEO_ENGAGEMENT, days=DAYS)
    failed = [key for key, outcome in outcomes.items() if not outcome.passed]
    assert failed == [("evidence_adds_up", BROKEN)]
    assert outcomes["evidence_adds_up", BROKEN].violations == 1


@pytest.mark.parametrize("table", [RAW_EVENTS, USER_VIDEO_ENGAGEMENT], ids=lambda table: table.name)
def test_keys_that_are_counted_in_slices_give_the_same_outcomes(lab: Lab, table: TableSpec) -> None:
    lab.repeat(table)
    peters(table, videoId=lambda: F.lit(""))(lab)
    whole, sliced = (
        lab.evaluate(table, days=DAYS, slicing=Slicing(None, slices)) for slices in (1, 3)
    )
    assert sliced == whole
    assert whole["one_row_per_key", BROKEN].violations > 0
    assert whole["keys_present", BROKEN].violations > 0
    assert whole["one_row_per_key", DAYS[0]].passed


def test_jvm_spark_finds_the_same_violations(lab: Lab, jvm: SparkSession) -> None:
    with using(SAIL):
        for _, _, damage in BREAKS[::7]:
            damage(lab)
        peters(USER_VIDEO_ENGAGEMENT, totalWatchTime=nan)(lab)
        expected = {name: lab.failed(TABLES[name], touched=tuple(DAYS)) for name in RULES}
    there = Lab(jvm, lab.site, open_tables(jvm, lab.site.request(StepName.SESSIONS, DAYS).store))
    found = {name: there.failed(TABLES[name], touched=tuple(DAYS)) for name in RULES}
    assert found == expected
    assert "numbers_valid" in found[USER_VIDEO_ENGAGEMENT.name]


def test_the_volume_of_a_day_is_not_judged_by_fewer_than_three_days(lab: Lab) -> None:
    outcome = lab.evaluate(RAW_EVENTS, days=[day(2)])["volume_near_median", day(2)]
    assert outcome.passed
    assert outcome.detail["skipped"] == "only 2 of the 7 days before have events"


def test_a_volume_of_exactly_half_or_twice_the_median_passes(lab: Lab) -> None:
    lab.tables.replace_days(
        RAW_EVENTS,
        lab.tables.read(RAW_EVENTS, [BROKEN]).orderBy("timestamp").limit(7),
        [BROKEN],
    )
    # 7 of 13: above half. 6 would be below.
    assert lab.evaluate(RAW_EVENTS)["volume_near_median", BROKEN].passed
    lab.tables.replace_days(
        RAW_EVENTS,
        lab.tables.read(RAW_EVENTS, [BROKEN]).orderBy("timestamp").limit(6),
        [BROKEN],
    )
    assert not lab.evaluate(RAW_EVENTS)["volume_near_median", BROKEN].passed


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ({"input": 1000, "rejected": 10}, "rejected_share"),
        ({"input": 1000, "duplicates": 50}, "duplicate_share"),
        ({"input": 0, "rejected": 0}, "rejected_share"),
    ],
)
def test_a_share_at_its_limit_passes(lab: Lab, numbers: dict[str, int], rule: str) -> None:
    counted(**numbers)(lab)
    assert lab.evaluate(RAW_EVENTS)[rule, BROKEN].passed


def test_a_share_of_rejected_rows_names_the_most_frequent_reasons(lab: Lab) -> None:
    reasons = {"missing_user": 2, "unknown_event": 9, "malformed_row": 1, "invalid_position": 3}
    counted(input=1000, rejected=15, **{f"rejected:{name}": n for name, n in reasons.items()})(lab)
    detail = lab.evaluate(RAW_EVENTS)["rejected_share", BROKEN].detail
    assert [(name, rows) for name, rows in detail.items() if ":" in name] == [
        ("rejected:unknown_event", 9),
        ("rejected:invalid_position", 3),
        ("rejected:missing_user", 2),
    ]


def test_a_declared_playback_rate_widens_the_clock_of_its_session(lab: Lab) -> None:
    """anna's trailer: 60 s in 30 s would be 2 x; here the clock shows 15 s, so 4 x."""
    trailer = F.col("videoId") == "video_002"
    lab.change(WATCH_INTERVALS, {"clockMs": F.lit(6_000)}, where=trailer)
    assert "watch_within_clock" in lab.failed(WATCH_INTERVALS)
    lab.change(RAW_EVENTS, {"playbackRate": F.lit(4.0)}, where=trailer)
    assert "watch_within_clock" not in lab.failed(WATCH_INTERVALS)


def test_what_was_reported_has_no_clock_to_be_held_against(lab: Lab) -> None:
    lab.change(WATCH_INTERVALS, {"clockMs": F.lit(1), "evidence": F.lit("reported")})
    assert "watch_within_clock" not in lab.failed(WATCH_INTERVALS)
    lab.change(WATCH_INTERVALS, {"evidence": F.lit("observed")})
    assert "watch_within_clock" in lab.failed(WATCH_INTERVALS)


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [REJECTED_EVENTS, RAW_EVENTS], ids=lambda table: table.name)
def test_a_crash_between_the_writes_of_raw_events_shows_until_the_day_runs_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, at: TableSpec
) -> None:
    """What is built on reads raw_events, which is written last: it never runs ahead."""
    lab.site.write_day(BROKEN, [*small_site.peter(BROKEN), {"nobody": "home"}])
    request = lab.site.request(StepName.RAW_EVENTS, [BROKEN])
    replace = LocalTables.replace_days

    def dies(self: LocalTables, table: TableSpec, frame: DataFrame, days: Sequence[date]) -> None:
        if table is at:
            raise _KilledError
        replace(self, table, frame, days)

    with monkeypatch.context() as patch:
        patch.setattr(LocalTables, "replace_days", dies)
        with pytest.raises(_KilledError):
            run_step(lab.spark, request)
    assert lab.tables.day_counts(RAW_EVENTS, [BROKEN]) == {BROKEN: 13}
    assert "input_reconciles" in lab.failed(QUALITY_REPORT)

    result = run_step(lab.spark, request)
    assert result.days[0].metrics["rejected"] == 1
    assert lab.tables.day_counts(RAW_EVENTS, [BROKEN]) == {BROKEN: 6}
    assert "input_reconciles" not in lab.failed(QUALITY_REPORT)
