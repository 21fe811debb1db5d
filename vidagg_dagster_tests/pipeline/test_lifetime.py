"""The lifetime table by increments against the full merge, over real Delta tables."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from vidagg_dagster.core import edition
from vidagg_dagster.core.contract import LifetimeUpdate
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.lifetime import merge_days
from vidagg_dagster.pipeline.lifetime import update_lifetime
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.engine_frames import RUN_TIME, Computed, keyed
from vidagg_dagster_tests.support.reference import (
    ADDITIVE,
    DEFAULT_PARAMETERS,
    Event,
    day_of,
    deduplicate,
    lifetime_rows,
    settle,
)
from vidagg_dagster_tests.support.strategies import DURATIONS, random_events

KEY = AGGREGATED_ENGAGEMENT.key
RULES = EngagementParameters()


class Pipeline:
    """The last two tables of the graph, fed with chosen events."""

    def __init__(self, spark: SparkSession, root: Path, events: Sequence[Event]) -> None:
        self.spark, self.tables = spark, LocalTables(spark, root)
        self.by_day: dict[date, list[Event]] = defaultdict(list)
        for event in deduplicate(events, "UTC")[0]:
            self.by_day[day_of(event.us, "UTC")].append(event)

    @property
    def days(self) -> list[date]:
        first, last = min(self.by_day), max(self.by_day) + timedelta(days=1)
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]

    def run_days(self, days: Sequence[date], durations: Mapping[str, int] = DURATIONS) -> None:
        needed = {d for day in days for d in (day, day - timedelta(days=1))}
        events = [e for d in sorted(needed) for e in self.by_day.get(d, [])]
        computed = Computed(self.spark, events, durations, days=days)
        self.tables.replace_days(USER_VIDEO_ENGAGEMENT, computed.daily, days)

    def update(
        self, parameters: EngagementParameters = RULES, *, estimate: bool = False
    ) -> LifetimeUpdate:
        chain = EngagementChain(parameters, "UTC", RUN_TIME, estimate_missing_durations=estimate)
        return update_lifetime(self.tables, chain)

    def lifetime(self) -> dict[Any, Any]:
        return keyed(rows_of(self.tables.read(AGGREGATED_ENGAGEMENT)), KEY)

    def recomputed(self, parameters: EngagementParameters = RULES) -> dict[Any, Any]:
        daily = self.tables.read(USER_VIDEO_ENGAGEMENT)
        return keyed(rows_of(merge_days(daily, parameters=parameters, run_time=RUN_TIME)), KEY)


@pytest.mark.usefixtures("patient")
def test_days_in_any_order_twice_or_emptied_equal_a_full_merge(
    spark: SparkSession, tmp_path: Path
) -> None:
    generator = random.Random(21)
    pipeline = Pipeline(spark, tmp_path, random_events(21, n_users=120))
    days = pipeline.days
    order = [[d] for d in days[1:]] + [days[:3], days[2:4]]
    generator.shuffle(order)
    for part in order:
        pipeline.run_days(part)
        pipeline.update()
        assert pipeline.lifetime() == pipeline.recomputed()

    emptied = days[1]
    pipeline.by_day[emptied] = []
    pipeline.run_days([emptied, days[2]])
    update = pipeline.update()
    assert update.days == (emptied, days[2])
    assert update.deleted > 0
    assert pipeline.lifetime() == pipeline.recomputed()
    # What is left on the emptied day are tails of the evening before, which it settles.
    left = {pair for pair, row in pipeline.lifetime().items() if emptied in row["activeDays"]}
    rows = rows_of(pipeline.tables.read(USER_VIDEO_ENGAGEMENT, [emptied]))
    assert left == {(row["userId"], row["videoId"]) for row in rows}
    assert all(row["openEndedCount"] > 0 == row["totalWatchTime"] for row in rows)


@given(data=st.data())
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_order_of_runs_leaves_the_same_lifetime_rows(
    sail: SparkSession, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    events = random_events(data.draw(st.integers(0, 1000)), n_users=15, days=3)
    pipeline = Pipeline(sail, tmp_path_factory.mktemp("tables"), events)
    for day in data.draw(st.permutations(pipeline.days)):
        pipeline.run_days([day])
        if data.draw(st.booleans()):
            pipeline.update()
    again = data.draw(st.lists(st.sampled_from(pipeline.days), unique=True, max_size=3))
    if again:
        pipeline.run_days(again)
    pipeline.update()
    forward = Pipeline(sail, tmp_path_factory.mktemp("tables"), events)
    forward.run_days(forward.days)
    forward.update()
    assert pipeline.lifetime() == forward.lifetime()


def test_nothing_is_written_when_no_day_was_replaced(sail: SparkSession, tmp_path: Path) -> None:
    pipeline = Pipeline(sail, tmp_path, random_events(22, n_users=10, days=2))
    pipeline.run_days(pipeline.days)
    first = pipeline.update()
    assert (first.days, first.changed > 0) == (None, True)
    version = pipeline.tables.version(AGGREGATED_ENGAGEMENT)
    assert pipeline.update() == LifetimeUpdate(changed=0, deleted=0, days=())
    assert pipeline.tables.version(AGGREGATED_ENGAGEMENT) == version


def test_only_pairs_of_replaced_days_are_written(sail: SparkSession, tmp_path: Path) -> None:
    pipeline = Pipeline(sail, tmp_path, random_events(23, n_users=60, days=3))
    pipeline.run_days(pipeline.days)
    pipeline.update()
    day = pipeline.days[1]
    touched = sum(day in row["activeDays"] for row in pipeline.lifetime().values())
    pipeline.run_days([day])
    update = pipeline.update()
    assert (update.days, update.changed, update.deleted) == ((day,), touched, 0)
    assert 0 < touched < len(pipeline.lifetime())


def test_changed_rules_score_every_row_anew(sail: SparkSession, tmp_path: Path) -> None:
    pipeline = Pipeline(sail, tmp_path, random_events(24, n_users=30, days=2))
    pipeline.run_days(pipeline.days)
    pipeline.update()
    strict = EngagementParameters(coverage_weight=Decimal(70))
    before = pipeline.lifetime()
    assert pipeline.update(strict).days is None
    after = pipeline.lifetime()
    assert after == pipeline.recomputed(strict)
    assert after != before


def test_after_another_edition_every_row_is_merged_anew(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(sail, tmp_path, random_events(24, n_users=10, days=2))
    pipeline.run_days(pipeline.days)
    pipeline.update()
    assert pipeline.update().days == ()
    monkeypatch.setattr(edition, "EDITION", edition.EDITION + 1)
    assert pipeline.update().days is None
    assert pipeline.lifetime() == pipeline.recomputed()
    assert pipeline.update().days == ()


def test_title_and_duration_are_those_of_the_latest_day_whatever_ran_last(
    sail: SparkSession, tmp_path: Path
) -> None:
    pipeline = Pipeline(sail, tmp_path, random_events(25, n_users=30, days=2))
    first, *rest = pipeline.days
    longer = {video: 2 * ms for video, ms in DURATIONS.items()}
    pipeline.run_days(rest)
    pipeline.update()
    pipeline.run_days([first], longer)
    pipeline.update()
    for (_, video), row in pipeline.lifetime().items():
        latest = longer if row["activeDays"] == [first] else DURATIONS
        if latest.get(video, 0) > 0:
            assert row["videoDuration"] == latest[video] / 1000


def test_estimates_follow_the_largest_position_of_every_day(
    sail: SparkSession, tmp_path: Path
) -> None:
    pipeline = Pipeline(sail, tmp_path, random_events(26, n_users=40, days=3))
    for day in pipeline.days:
        pipeline.run_days([day], {})
        pipeline.update(estimate=True)
    lengths: dict[str, set[float]] = defaultdict(set)
    furthest: dict[str, float] = defaultdict(float)
    for (_, video), row in pipeline.lifetime().items():
        assert row["videoDurationSource"] in ("estimated", None)
        lengths[video].add(row["videoDuration"])
        ends = [span["endMs"] / 1000 for span in row["watchedIntervals"]]
        furthest[video] = max([furthest[video], row["maxPositionReached"], *ends])
    assert lengths == {video: {end} for video, end in furthest.items()}


@pytest.mark.usefixtures("patient")
def test_daily_sums_are_the_lifetime_sums_for_every_additive_column(
    spark: SparkSession, tmp_path: Path
) -> None:
    events = random_events(27, n_users=80, days=3)
    pipeline = Pipeline(spark, tmp_path, events)
    pipeline.run_days(pipeline.days)
    pipeline.update()
    daily, lifetime = rows_of(pipeline.tables.read(USER_VIDEO_ENGAGEMENT)), pipeline.lifetime()
    columns = USER_VIDEO_ENGAGEMENT.additive_columns
    assert len(columns) == len(ADDITIVE)
    for pair, row in lifetime.items():
        days = [d for d in daily if (d["userId"], d["videoId"]) == pair]
        for column in columns:
            if isinstance(row[column], float):
                total = sum(round(d[column] * 1000) for d in days)
                assert round(row[column] * 1000) == total
            else:
                assert row[column] == sum(d[column] for d in days)
        assert row["totalUniqueSecondsWatched"] <= sum(d["totalUniqueSecondsWatched"] for d in days)
    kept, _ = deduplicate(events, "UTC")
    settled = settle(kept, DURATIONS, DEFAULT_PARAMETERS, "UTC")
    assert set(lifetime) == set(lifetime_rows(settled.daily))
