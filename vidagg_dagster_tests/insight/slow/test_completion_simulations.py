"""Forecasts on made-up viewers whose true chances are known."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from vidagg_dagster.insight.completion.forecast import (
    LEARNED,
    TABLE,
    Evaluation,
    by_table,
    forecast,
)
from vidagg_dagster.insight.completion.landmarks import History, history
from vidagg_dagster.insight.completion.scoring import Slope, slope
from vidagg_dagster.insight.completion.survival import survival
from vidagg_dagster_tests.support.completions import (
    THRESHOLD,
    Numbers,
    Whole,
    at,
    site,
    until_us,
)

VIDEOS, VIEWERS, DAYS = 12, 20_000, 120
Truth = npt.NDArray[np.bool_]
DURATIONS = np.full(VIDEOS, 1_000_000, np.int64)


def brier(probability: Numbers, happened: Truth) -> float:
    return float(((probability - happened) ** 2).mean())


class Told(NamedTuple):
    """Later rests: what the table told, the best possible forecast, and what happened."""

    table: Numbers
    best: Numbers
    happened: Truth
    user: Whole


def told_of_later_rests(seed: int, viewers: int) -> Told:
    """Learnt from the first half of the pairs, told of the second half."""
    made = site(seed, VIDEOS, viewers, DAYS)
    known = history(made.intervals, made.durations, THRESHOLD, until_us(DAYS + 60))
    pairs, marks = known.pairs, known.landmarks
    early = pairs.first_us < until_us(DAYS / 2)
    table = survival(known, DURATIONS, THRESHOLD, early)
    later = ~early[marks.pair] & (marks.idle == 0)
    pair, coverage = marks.pair[later], marks.coverage[later]
    video = pairs.video[pair]
    return Told(
        by_table(table, known)[later],
        made.true_resting(video, (coverage // 5).astype(np.int64)),
        pairs.completed[pair],
        pairs.user[pair],
    )


@pytest.fixture(scope="module")
def twenty_sites() -> list[Told]:
    return [told_of_later_rests(seed, VIEWERS) for seed in range(20)]


def test_the_table_is_within_2_percent_of_the_best_possible_forecast(
    twenty_sites: list[Told],
) -> None:
    for told in twenty_sites[:5]:
        assert brier(told.table, told.happened) <= 1.02 * brier(told.best, told.happened)


def slope_of(told: Numbers, truth: Truth, user: Whole) -> Slope:
    found = slope(told, truth, user)
    assert found is not None
    return found


def test_the_table_is_calibrated_over_twenty_sites(twenty_sites: list[Told]) -> None:
    """The slope is 1 +- 0.05; of a single site it is as uncertain as that of the truth itself."""
    ours = [slope_of(told.table, told.happened, told.user) for told in twenty_sites]
    best = [slope_of(told.best, told.happened, told.user) for told in twenty_sites]
    assert abs(np.mean([one.value for one in ours]) - 1) <= 0.05
    for slopes in (ours, best):
        assert sum(one.lower <= 1 <= one.upper for one in slopes) >= 17
    widths = [np.mean([one.upper - one.lower for one in slopes]) / 2 for slopes in (ours, best)]
    assert min(widths) > 0.05, "20 000 viewers tell a slope no better"
    # Against the true chances there is no luck in what happened: told is not too extreme.
    against_truth = [np.polyfit(told.table, told.best, 1)[0] for told in twenty_sites]
    assert abs(np.mean(against_truth) - 1) <= 0.03


def test_with_more_viewers_the_slope_of_every_site_comes_nearer() -> None:
    found = [told_of_later_rests(seed, 5 * VIEWERS) for seed in range(4)]
    ours = [slope_of(told.table, told.happened, told.user) for told in found]
    assert abs(np.mean([one.value for one in ours]) - 1) <= 0.03
    assert all(abs(one.value - 1) <= 0.07 for one in ours)


def decided(known: History) -> Evaluation:
    pytest.importorskip("sklearn", reason="the extra ml is not installed")
    until = at(DAYS + 28)
    return forecast(known, DURATIONS, THRESHOLD, until, try_learning=True).evaluation


def test_the_model_replaces_the_table_where_users_differ() -> None:
    made = site(1, VIDEOS, VIEWERS, DAYS, keen=True)
    found = decided(history(made.intervals, made.durations, THRESHOLD, until_us(DAYS + 28)))
    assert found.in_force == LEARNED, found.why
    base, table, model = found.scores
    assert model.brier < table.brier < base.brier
    assert model.calibration_error < 0.03


def test_random_labels_are_refused() -> None:
    made = site(2, VIDEOS, VIEWERS, DAYS)
    known = history(made.intervals, made.durations, THRESHOLD, until_us(DAYS + 28))
    draws = np.random.default_rng(7)
    random = draws.random(len(known.pairs.completed)) < 0.4
    found = decided(known._replace(pairs=known.pairs._replace(completed=random)))
    assert found.in_force == TABLE, found.why
    assert found.skill_over_base is not None
    assert found.skill_over_base[0] <= 0.01
