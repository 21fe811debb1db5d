"""The statistics against numbers worked out by hand and against other libraries."""

from math import exp, isclose, pi, sqrt
from typing import Any

import numpy as np
import pytest

from vidagg_dagster.insight.experiments.estimates import (
    METRICS,
    MIN_SAMPLE_RATIO_P,
    Difference,
    aggregates,
    detectable,
    difference,
    sample_ratio_p,
)
from vidagg_dagster.insight.experiments.plan import Plan
from vidagg_dagster.insight.experiments.sequential import half_width, mixture_variance
from vidagg_dagster_tests.support.experiments import Numbers, simulated_rows

pytest.importorskip("tea_tasting", reason="the extra experiments is not installed")

PLAN = Plan()
BY_NAME = {metric.name: metric for metric in METRICS}


def found(metric: str, rows: Any) -> Difference | None:
    arms = aggregates(rows, METRICS)
    return difference(BY_NAME[metric], arms["control"], arms["treatment"], PLAN)


def could_be_seen(rows: Any) -> float:
    arms = aggregates(rows, METRICS)
    one = detectable(BY_NAME["watch_seconds"], arms["control"], arms["treatment"], PLAN)
    assert one is not None
    return one


def numbers(*values: float) -> Numbers:
    return np.array(values, float)


def test_the_delta_method_worked_out_by_hand() -> None:
    """Control: completed 1 2 0 1 of 2 2 1 3, so 1/2, variance (2/3 - 1/3 + 1/6) / 4 = 1/8.

    Treatment: all that was started, so 1 without variance. The error is sqrt(1/8 / 4), and with
    Welch's 3 degrees of freedom the quantile is 3.182446.
    """
    rows = simulated_rows(
        ["control"] * 4 + ["treatment"] * 4,
        completed=numbers(1, 2, 0, 1, 2, 2, 1, 3),
        videosOffered=numbers(2, 2, 1, 3, 2, 2, 1, 3),
    )
    one = found("completion_rate", rows)
    assert one is not None
    assert (one.control, one.treatment, one.effect) == (0.5, 1.0, 0.5)
    assert isclose(one.upper - one.effect, 3.182446 * sqrt(1 / 32), rel_tol=1e-6)
    assert isclose(one.effect - one.lower, one.upper - one.effect, rel_tol=1e-9)
    assert one.always_lower < one.lower
    assert one.always_upper > one.upper


def test_what_does_not_vary_or_was_not_offered_is_not_known() -> None:
    rows = simulated_rows(["control"] * 3 + ["treatment"] * 3)
    assert found("watch_seconds", rows) is None
    assert found("completion_rate", rows) is None


def test_an_arm_of_zeros_has_a_difference_and_no_relative_one() -> None:
    rows = simulated_rows(
        ["control"] * 3 + ["treatment"] * 3, watchSeconds=numbers(0, 0, 0, 1, 2, 3)
    )
    one = found("watch_seconds", rows)
    assert one is not None
    assert (one.effect, one.relative) == (2, None)


def test_the_past_narrows_the_interval_and_does_not_move_the_truth() -> None:
    draws = np.random.default_rng(1)
    before = draws.lognormal(4, 1, 4_000)
    watched = before + draws.normal(0, 10, 4_000)
    variants = np.where(np.arange(4_000) % 2, "treatment", "control")
    watched[variants == "treatment"] += 5
    plain = found("watch_seconds", simulated_rows(variants, watchSeconds=watched))
    adjusted = found(
        "watch_seconds", simulated_rows(variants, watchSeconds=watched, before_watchSeconds=before)
    )
    assert plain is not None
    assert adjusted is not None
    assert (adjusted.upper - adjusted.lower) < 0.2 * (plain.upper - plain.lower)
    assert adjusted.lower < 5 < adjusted.upper


def test_clusters_have_the_interval_of_cluster_robust_regression() -> None:
    """Sums of clusters as a ratio, against least squares over users with errors by cluster."""
    regression = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    draws = np.random.default_rng(2)
    clusters = 200
    size = draws.integers(5, 30, clusters)
    cluster = np.repeat(np.arange(clusters), size)
    treated = cluster % 2
    watched = draws.lognormal(3, 1, len(cluster)) + draws.normal(0, 15, clusters)[cluster]
    ours = found("watch_seconds", _summed(cluster, treated, watched))
    fitted = regression.OLS(watched, regression.add_constant(treated)).fit(
        cov_type="cluster", cov_kwds={"groups": cluster}
    )
    low, high = fitted.conf_int()[1]
    assert ours is not None
    assert isclose(ours.effect, fitted.params[1], rel_tol=1e-9)
    assert isclose(ours.upper - ours.lower, high - low, rel_tol=0.01)


def _summed(cluster: Any, treated: Any, watched: Numbers) -> Any:
    """One row per cluster: its users in `units`, what they watched in `watchSeconds`."""
    variants = np.where(treated[np.unique(cluster, return_index=True)[1]], "treatment", "control")
    rows = simulated_rows(variants, watchSeconds=np.bincount(cluster, watched).astype(float))
    place = rows.schema.get_field_index("units")
    return rows.set_column(place, "units", [np.bincount(cluster)])


def test_the_always_valid_interval_is_where_the_mixture_s_martingale_crosses() -> None:
    """At its end the mean over a normal prior of the likelihood ratio is 1 / alpha."""
    from scipy.integrate import quad

    units, planned, alpha = 700, 2_000, 0.05
    variance = mixture_variance(planned, alpha)
    # For a unit's variance of 1 the error of the mean is 1 / sqrt(units).
    total = half_width(1 / sqrt(units), units, planned, alpha) * units

    def weighted(slope: float) -> float:
        prior = exp(-(slope**2) / (2 * variance)) / sqrt(2 * pi * variance)
        return prior * exp(slope * total - slope**2 * units / 2)

    deviation = sqrt(variance)
    assert isclose(quad(weighted, -20 * deviation, 20 * deviation)[0], 1 / alpha, rel_tol=1e-6)


def test_the_always_valid_interval_is_near_its_narrowest_at_the_planned_size() -> None:
    def width(planned: int) -> float:
        return half_width(1, 1_000, planned, 0.05)

    assert width(1_000) < 1.02 * min(width(planned) for planned in range(200, 5_000, 100))


def test_what_could_be_seen_is_that_of_statsmodels() -> None:
    """Arms of 900 and 300 users; the past does not count where there is none."""
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is not installed")
    draws = np.random.default_rng(4)
    variants = np.where(np.arange(1_200) % 4, "control", "treatment")
    watched = draws.lognormal(3, 1, 1_200)
    could = could_be_seen(simulated_rows(variants, watchSeconds=watched))
    theirs = power.TTestIndPower().solve_power(nobs1=900, ratio=1 / 3, alpha=0.05, power=0.8)
    assert isclose(could, theirs * watched.std(ddof=1), rel_tol=0.01)


def test_the_past_makes_smaller_differences_visible() -> None:
    draws = np.random.default_rng(1)
    before = draws.lognormal(4, 1, 1_000)
    variants = np.where(np.arange(1_000) % 2, "treatment", "control")
    watched = before + draws.normal(0, 10, 1_000)
    plain = could_be_seen(simulated_rows(variants, watchSeconds=watched))
    rows = simulated_rows(variants, watchSeconds=watched, before_watchSeconds=before)
    assert 0 < could_be_seen(rows) < 0.2 * plain


@pytest.mark.parametrize(
    ("counts", "holds"),
    [
        ({"control": 50_000, "treatment": 52_000}, False),
        ({"control": 50_000, "treatment": 50_500}, True),
        ({"control": 900, "treatment": 100}, False),
        ({"control": 5, "treatment": 7}, True),
        ({"control": 0, "treatment": 0}, True),
        ({"control": 500, "treatment": 500, "unplanned": 1}, False),
    ],
)
def test_numbers_of_units_that_are_no_chance_are_found(counts: dict[str, int], holds: bool) -> None:
    shares = {"control": 0.5, "treatment": 0.5}
    assert (sample_ratio_p(counts, shares) >= MIN_SAMPLE_RATIO_P) is holds


def test_unequal_shares_are_compared_with_their_plan() -> None:
    shares = {"control": 9.0, "treatment": 1.0}
    assert sample_ratio_p({"control": 900, "treatment": 100}, shares) == 1
