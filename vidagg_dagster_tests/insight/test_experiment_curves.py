"""Curves of two arms: worked out by hand, against tea-tasting part by part, and how often wrong."""

from math import isclose, sqrt

import numpy as np
import pytest

from vidagg_dagster.insight.experiments.curves import parts
from vidagg_dagster.insight.experiments.plan import Plan
from vidagg_dagster.insight.experiments.result import evaluate
from vidagg_dagster.insight.experiments.units import PARTS, cells_by_cluster, unit_rows
from vidagg_dagster_tests.support.experiments import (
    DURATIONS,
    CurveSite,
    assigned,
    days,
    exposure,
    interval,
    intervals,
)

PLAN = Plan(window_days=7, covariate_days=7)
UNTIL_US = int(days(100).timestamp() * 1_000_000)


def test_the_shares_seen_of_the_parts_of_a_unit_s_videos() -> None:
    """Video a has 100 s and b 50 s, so parts of 5 s and of 2.5 s; what lies behind is none."""
    units = assigned(exposure("u", "control"), exposure("idle", "control")).units
    watched = intervals(
        interval("u", 1, end=8),
        interval("u", 2, start=4, end=10),
        interval("u", 1, video="b", start=45, end=70),
        interval("u", 1, video="of no known length", end=1_000),
        interval("u", -1, start=50, end=60),
    )
    found = unit_rows(units, watched, DURATIONS, PLAN, UNTIL_US)
    place = found.rows["unitId"].to_pylist().index("u")
    assert found.seen[place].tolist() == [1.0, 1.0, *[0.0] * (PARTS - 4), 1.0, 1.0]
    assert found.seen[1 - place].tolist() == [0.0] * PARTS
    assert found.rows["videosOffered"].to_pylist()[place] == 2


def test_a_part_worked_out_by_hand() -> None:
    """Control: seen 1 2 0 1 of 2 2 1 3 started, so 1/2, and an error of sqrt(1/8 / 4)."""
    seen = np.array([1, 2, 0, 1, 2, 2, 1, 3], float)[:, None]
    started = np.array([2, 2, 1, 3, 2, 2, 1, 3], float)
    control = np.arange(8) < 4
    (one,) = parts(seen, started, control, ~control, 0.05)
    assert (one.control, one.treatment, one.effect) == (0.5, 1.0, 0.5)
    assert isclose(one.upper - one.effect, 3.182446 * sqrt(1 / 32), rel_tol=1e-6)
    # Of a single part the band is the interval, up to the draws.
    assert isclose(one.band_upper, one.upper, rel_tol=0.1)
    assert one.band_upper >= one.upper


def test_each_part_has_the_interval_of_tea_tasting_and_the_band_is_wider() -> None:
    tt = pytest.importorskip("tea_tasting", reason="the extra experiments is not installed")
    site = CurveSite(5, 400)
    found = parts(site.seen, site.started, ~site.treated, site.treated, 0.05)
    for number, one in enumerate(found):
        arms = [site.aggregates(number, arm) for arm in (~site.treated, site.treated)]
        theirs = tt.RatioOfMeans("seen", "started").analyze_aggregates(*arms)
        assert isclose(one.effect, theirs.effect_size, rel_tol=1e-9)
        assert isclose(
            one.lower, theirs.effect_size_ci_lower, abs_tol=0.01 * (one.upper - one.lower)
        )
        assert one.band_lower < one.lower < one.upper < one.band_upper
    # Bonferroni's would be wider: parts next to each other are seen together.
    width = (found[9].band_upper - found[9].effect) / (found[9].upper - found[9].effect)
    assert 1.1 < width < 3.02 / 1.96


def test_the_mean_over_the_parts_is_the_mean_coverage() -> None:
    site = CurveSite(6, 50)
    found = parts(site.seen, site.started, ~site.treated, site.treated, 0.05)
    coverage = site.seen[~site.treated].mean(axis=1).sum() / site.started[~site.treated].sum()
    assert isclose(np.mean([one.control for one in found]), coverage, rel_tol=1e-9)


def test_an_arm_that_started_nothing_or_has_one_user_has_no_curve() -> None:
    site = CurveSite(7, 50)
    nothing = np.where(site.treated, 0.0, site.started)
    assert parts(site.seen, nothing, ~site.treated, site.treated, 0.05) == []
    one = np.arange(50) == 0
    assert parts(site.seen, site.started, ~one, one, 0.05) == []


def test_what_all_have_seen_has_no_error_and_no_division_by_zero() -> None:
    started = np.ones(6)
    control = np.arange(6) < 3
    found = parts(np.ones((6, 2)), started, control, ~control, 0.05)
    assert [(one.effect, one.band_lower, one.band_upper) for one in found] == [(0, 0, 0)] * 2


def test_the_band_holds_the_truth_at_all_parts_in_95_of_100_experiments() -> None:
    """40 experiments; the intervals of the parts hold at all of them far less often."""
    together, alone = np.mean([CurveSite(seed, 200).band_holds for seed in range(40)], axis=0)
    assert together >= 0.875
    assert alone < 0.85


def test_an_experiment_has_the_curves_of_its_arms() -> None:
    pytest.importorskip("tea_tasting", reason="the extra experiments is not installed")
    arms = ("control", "treatment")
    draws = np.random.default_rng(3).integers(10, 40, 200)
    watched = intervals(
        *[interval(f"u{n}", 0.5, end=int(one) + 20 * (n % 2)) for n, one in enumerate(draws)]
    )
    rows = [exposure(f"u{n}", arms[n % 2]) for n in range(200)]
    result = evaluate(assigned(*rows), watched, DURATIONS, PLAN, days(100))
    assert [part.sign for part in result.curves] == [0, 0, *[1] * 10, *[0] * 8]
    assert result.curves[0].control == result.curves[0].treatment == 1
    coverage = next(one for one in result.effects if one.metric == "coverage")
    assert isclose(np.mean([part.effect for part in result.curves]), coverage.effect, rel_tol=1e-9)


def test_the_rows_of_clusters_are_added_up() -> None:
    rows = [exposure(f"u{n}", "control", cluster=f"c{n % 2}") for n in range(4)]
    watched = intervals(*[interval(f"u{n}", 1, end=5 * (n + 1)) for n in range(4)])
    found = unit_rows(assigned(*rows).units, watched, DURATIONS, PLAN, UNTIL_US)
    added = cells_by_cluster(found.rows, found.seen)
    assert sorted(added[:, :4].tolist()) == [[2, 1, 1, 0], [2, 2, 1, 1]]
