"""Thousands of experiments whose truth is known: how often the intervals are wrong."""

from math import sqrt
from typing import Any

import numpy as np
import pytest

from vidagg_dagster.insight.experiments.estimates import METRICS, aggregates, detectable, difference
from vidagg_dagster.insight.experiments.plan import Plan
from vidagg_dagster.insight.experiments.sequential import half_width
from vidagg_dagster_tests.support.experiments import CurveSite, Numbers, simulated_rows

pytest.importorskip("tea_tasting", reason="the extra experiments is not installed")

EXPERIMENTS = 2_000
USERS = 1_000
PLAN = Plan()
BY_NAME = {metric.name: metric for metric in METRICS}
NAMES = ("watch_seconds", "completion_rate")
VARIANTS = np.where(np.arange(USERS) % 2, "treatment", "control")
TREATED = VARIANTS == "treatment"


class Site:
    """Users who differ a lot: some watch much, and then every one of their videos longer."""

    def __init__(self, seed: int) -> None:
        draws = np.random.default_rng(seed)
        keen = draws.gamma(1.0, 1.0, USERS)
        self.started = draws.poisson(10 * keen)
        self.user = np.repeat(np.arange(USERS), self.started)
        # Most is skewed, and the views of a user resemble each other.
        self.seconds = draws.lognormal(3, 1, len(self.user)) * (0.2 + keen[self.user])
        self.finished = draws.random(len(self.user)) < (0.9 * keen / (1 + keen))[self.user]
        self.watched = np.bincount(self.user, self.seconds, USERS)
        self.completed = np.bincount(self.user, self.finished, USERS)
        self.before = draws.poisson(10 * keen) * draws.lognormal(3, 0.5, USERS)

    def columns(self, effect: float = 0) -> dict[str, Numbers]:
        return {
            "watchSeconds": self.watched + effect * TREATED,
            "before_watchSeconds": self.before,
            "completed": self.completed,
            "videosOffered": self.started.astype(float),
        }

    def arms(self, effect: float = 0) -> tuple[Any, Any]:
        """Control and treatment, as `aggregates` gives them, which takes longer."""
        columns = self.columns(effect)
        return _aggregates(columns, ~TREATED), _aggregates(columns, TREATED)


def _aggregates(columns: dict[str, Numbers], chosen: Any) -> Any:
    from tea_tasting.aggr import Aggregates

    zeros = {"units": np.ones(USERS), "before_completed": np.zeros(USERS)}
    named = {**columns, **zeros, "before_videosOffered": np.zeros(USERS)}
    names = list(named)
    values = np.array([named[name][chosen] for name in names])
    spread = np.cov(values)
    return Aggregates(
        count_=int(chosen.sum()),
        mean_=dict(zip(names, values.mean(axis=1).tolist(), strict=True)),
        var_=dict(zip(names, np.diag(spread).tolist(), strict=True)),
        cov_={
            (one, other): float(spread[row, column])
            for row, one in enumerate(names)
            for column, other in enumerate(names)
        },
    )


def test_the_simulation_s_sums_are_those_of_the_product() -> None:
    site = Site(0)
    metrics = [BY_NAME[name] for name in NAMES]
    read = aggregates(simulated_rows(VARIANTS, **site.columns()), metrics)
    for metric in metrics:
        theirs = difference(metric, read["control"], read["treatment"], PLAN)
        assert theirs is not None
        ours = difference(metric, *site.arms(), PLAN)
        assert vars(ours) == pytest.approx(vars(theirs), rel=1e-9)


def test_two_thousand_experiments_without_an_effect_and_with_one() -> None:
    """5 % false alarms, and the truth in 95 % of the intervals; per view it would be far off."""
    alarms = dict.fromkeys(NAMES, 0)
    covered = naive = 0
    for seed in range(EXPERIMENTS):
        site = Site(seed)
        for name in NAMES:
            one = difference(BY_NAME[name], *site.arms(), PLAN)
            assert one is not None
            alarms[name] += not one.lower <= 0 <= one.upper
        one = difference(BY_NAME["watch_seconds"], *site.arms(effect=20), PLAN)
        assert one is not None
        covered += one.lower <= 20 <= one.upper
        naive += _naive_alarm(site)
    shares = {name: count / EXPERIMENTS for name, count in alarms.items()}
    assert all(abs(share - 0.05) <= 0.01 for share in shares.values()), shares
    assert abs(covered / EXPERIMENTS - 0.95) <= 0.01
    assert naive / EXPERIMENTS > 0.15, "views of one user are not independent"


def _naive_alarm(site: Site) -> bool:
    """Whether a t-test over views sees a difference of completion."""
    of_treated = TREATED[site.user]
    arms = [site.finished[chosen].astype(float) for chosen in (of_treated, ~of_treated)]
    error = sqrt(sum(arm.var(ddof=1) / len(arm) for arm in arms))
    return bool(abs(arms[0].mean() - arms[1].mean()) > 1.96 * error)


def test_who_looks_every_day_is_wrong_in_one_of_twenty_and_not_in_one_of_four() -> None:
    looks = np.arange(100, 5_001, 100)
    ever = {"always": 0, "fixed": 0}
    for seed in range(EXPERIMENTS):
        draws = np.random.default_rng(seed)
        effect, error = _at_looks(draws.lognormal(0, 1, (2, looks[-1] // 2)), looks)
        always = [half_width(e, int(n), 5_000, 0.05) for e, n in zip(error, looks, strict=True)]
        ever["always"] += bool((np.abs(effect) > np.array(always)).any())
        ever["fixed"] += bool((np.abs(effect) > 1.96 * error).any())
    assert ever["always"] / EXPERIMENTS <= 0.06
    assert ever["fixed"] / EXPERIMENTS > 0.25


def _at_looks(arms: Numbers, looks: Any) -> tuple[Numbers, Numbers]:
    """Difference of the means and its standard error after so many units of both arms."""
    counts = looks // 2
    sums = arms.cumsum(axis=1)[:, counts - 1]
    squares = (arms**2).cumsum(axis=1)[:, counts - 1]
    means = sums / counts
    variances = (squares - counts * means**2) / (counts - 1)
    return means[1] - means[0], np.sqrt((variances / counts).sum(axis=0))


def test_the_band_of_curves_holds_in_95_of_100_experiments() -> None:
    together, alone = np.mean([CurveSite(seed, 400).band_holds for seed in range(1_000)], axis=0)
    assert abs(together - 0.95) <= 0.02
    assert alone < 0.85


def test_a_difference_that_could_be_seen_is_seen_by_four_of_five_experiments() -> None:
    """Experiments without an effect say what they could have seen; others have that effect."""
    seen = 0
    metric = BY_NAME["watch_seconds"]
    told = [detectable(metric, *Site(seed).arms(), PLAN) or 0 for seed in range(100)]
    could = float(np.mean(told))
    for seed in range(1_000, 1_000 + EXPERIMENTS):
        one = difference(metric, *Site(seed).arms(effect=could), PLAN)
        assert one is not None
        seen += one.lower > 0
    assert abs(seen / EXPERIMENTS - 0.8) <= 0.03
