"""What is told of an experiment, what is refused and why, and the page of it."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vidagg_dagster.insight.experiments.page import page
from vidagg_dagster.insight.experiments.plan import Plan
from vidagg_dagster.insight.experiments.result import Result, evaluate
from vidagg_dagster_tests.support.experiments import (
    DURATIONS,
    assigned,
    days,
    exposure,
    interval,
    intervals,
)

pytest.importorskip("tea_tasting", reason="the extra experiments is not installed")

PLAN = Plan(window_days=7, covariate_days=7)
ARMS = ("control", "treatment")


def exposures(count: int, clusters: int = 0) -> list[dict[str, Any]]:
    return [
        exposure(f"u{n}", ARMS[n % 2], cluster=f"c{n % clusters}" if clusters else None)
        for n in range(count)
    ]


def watching(count: int, more: int = 0) -> pa.Table:
    """Each user watches 10 to 40 s on the first day; the treated ones `more` seconds longer."""
    draws = np.random.default_rng(3).integers(10, 40, count)
    return intervals(
        *[
            interval(f"u{n}", 0.5, end=int(seconds) + more * (n % 2))
            for n, seconds in enumerate(draws)
        ]
    )


def result_of(rows: list[dict[str, Any]], watched: pa.Table, **more: Any) -> Result:
    return evaluate(assigned(*rows), watched, DURATIONS, PLAN, days(100), **more)


def test_an_effect_is_found_where_there_is_one() -> None:
    result = result_of(exposures(200), watching(200, more=20))
    assert result.refused == ()
    by_name = {effect.metric: effect for effect in result.effects}
    watched = by_name["watch_seconds"]
    assert watched.always_lower < watched.lower < 20 < watched.upper < watched.always_upper
    assert watched.lower > 0
    assert watched.p <= watched.adjusted_p < 0.01
    assert result.days[0].effect == pytest.approx(watched.effect)
    assert "active_users (treatment)" in result.not_known, "everybody watched"


def test_exposed_users_who_watch_nothing_pull_the_mean_down() -> None:
    rows = [*exposures(200), *[exposure(f"idle{n}", "control") for n in range(20)]]
    result = result_of(rows, watching(200))
    watched = next(effect for effect in result.effects if effect.metric == "watch_seconds")
    busy = result_of(exposures(200), watching(200)).effects[0]
    assert watched.control == pytest.approx(busy.control * 100 / 120)


def test_wrong_numbers_of_units_block_the_effects() -> None:
    rows = [*exposures(200), *[exposure(f"more{n}", "treatment") for n in range(100)]]
    result = result_of(rows, watching(200))
    assert not result.sample_ratio_holds
    assert result.effects == ()
    assert "not the planned shares" in result.refused[0]
    assert "No effects are shown" in page(result)


def test_days_on_which_an_arm_is_missing_are_named_though_all_together_is_as_planned() -> None:
    rows = [
        *[exposure(f"a{n}", "control", 0) for n in range(40)],
        *[exposure(f"b{n}", "treatment", 1) for n in range(40)],
        *[exposure(f"c{n}", ARMS[n % 2], 2) for n in range(40)],
    ]
    result = result_of(rows, intervals())
    assert result.sample_ratio_holds
    assert result.uneven_days == (days(0).date(), days(1).date())
    assert "Not as planned on 2026-01-05, 2026-01-06" in page(result)
    assert result_of(exposures(40), intervals()).uneven_days == ()


def test_tables_that_must_not_be_believed_block_the_effects() -> None:
    result = result_of(exposures(200), watching(200), faults=("a day is stale",))
    assert (result.effects, result.refused) == ((), ("a day is stale",))
    assert result.table_faults == ("a day is stale",)


def test_nine_clusters_are_too_few_and_ten_are_not() -> None:
    few = result_of(exposures(180, clusters=18), watching(180))
    assert "fewer than 10 clusters in control, treatment" in few.refused[0]
    enough = result_of(exposures(200, clusters=20), watching(200))
    assert enough.refused == ()
    assert {arm.clusters for arm in enough.arms} == {10}


def test_without_a_control_or_a_complete_window_nothing_is_compared() -> None:
    alone = result_of([exposure("u", "treatment")], intervals())
    assert any("no unit of the control" in reason for reason in alone.refused)
    early = evaluate(assigned(*exposures(20)), watching(20), DURATIONS, PLAN, days(1))
    assert early.waiting == 20
    assert early.refused


def test_a_result_survives_its_file() -> None:
    result = result_of(exposures(40), watching(40))
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_the_page_holds_every_effect_and_no_id_and_loads_nothing() -> None:
    result = result_of(exposures(200), watching(200, more=20))
    text = page(result)
    for effect in result.effects:
        assert f"{effect.effect:+.4g}" in text
    assert not re.search(r"\bu\d+\b", text)
    assert not re.search(r"(src|href)=|@import|url\(|<script", text)
    assert text.count("<svg") == 3


def test_names_cannot_break_the_page() -> None:
    rows = [{**row, "variant": row["variant"].replace("treatment", "<b>")} for row in exposures(40)]
    assert "<b>" not in page(result_of(rows, watching(40)))


def test_an_experiment_whose_units_are_all_in_two_arms_has_none() -> None:
    result = result_of([exposure("u", "control"), exposure("u", "treatment")], watching(4))
    assert result.in_two_arms == 1
    assert any("fewer than two arms" in reason for reason in result.refused)
