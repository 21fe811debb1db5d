"""The table against lifelines, against numbers worked out by hand, and on few viewers."""

import numpy as np
import pytest

from vidagg_dagster.insight.completion.landmarks import history
from vidagg_dagster.insight.completion.scoring import bins, score, skill, slope
from vidagg_dagster.insight.completion.survival import (
    Cells,
    bounds,
    grid,
    kaplan_meier,
    lengths,
    resting_cell,
    shrunk,
    step_of,
    survival,
)
from vidagg_dagster_tests.support.completions import THRESHOLD, Whole, site, until_us

LATER = until_us(100)


def test_kaplan_meier_is_that_of_lifelines() -> None:
    lifelines = pytest.importorskip("lifelines", reason="lifelines is not installed")
    made = site(1, 3, 400, 20)
    known = history(made.intervals, made.durations, THRESHOLD, LATER)
    table = survival(known, np.full(3, 1_000_000), THRESHOLD)
    ours = kaplan_meier(table.at_risk)
    for video in range(3):
        of_video = known.pairs.video == video
        last = step_of(known.pairs.final[of_video], table.steps) + 1
        last = np.where(known.pairs.completed[of_video], len(table.steps) - 1, last)
        theirs = lifelines.KaplanMeierFitter().fit(last, ~known.pairs.completed[of_video])
        # Theirs is the chance to get beyond each step from the beginning; ours from it to the end.
        beyond = theirs.survival_function_at_times(range(len(table.steps) - 1)).to_numpy()
        to_the_end = theirs.survival_function_.iloc[-1, 0]
        np.testing.assert_allclose(ours[video], to_the_end / beyond, rtol=0, atol=1e-9)


def test_shares_worked_out_by_hand() -> None:
    """4 of 4 and 0 of 4 differ as much as they can, so a share keeps its own weight but for one
    observation of the whole, (4 + 0.5) / (8 + 1)."""
    found = shrunk(Cells(np.array([[4], [4], [0]]), np.array([[4], [0], [0]])), np.zeros(3, int))
    assert found.share.ravel().tolist() == pytest.approx([4.5 / 5, 0.5 / 5, 0.5])
    low, high = bounds(found)
    assert (low <= found.share).all()
    assert (found.share <= high).all()


def test_videos_that_do_not_differ_are_all_as_the_whole() -> None:
    count = np.full((50, 1), 100)
    good = np.random.default_rng(0).binomial(100, 0.3, (50, 1))
    found = shrunk(Cells(count, good), np.zeros(50, int))
    assert np.ptp(found.share) < 0.3 * np.ptp(good / count)


def test_a_cell_of_few_videos_borrows_how_alike_they_are_from_all_cells() -> None:
    """Videos that are all alike, in twenty cells: by itself a cell is now and then sure of more."""
    count = np.full((6, 20), 40)
    good = np.random.default_rng(1).binomial(40, 0.3, (6, 20))
    together = shrunk(Cells(count, good), np.zeros(6, int))
    alone = [
        shrunk(Cells(count[:, [n]], good[:, [n]]), np.zeros(6, int)).share[:, 0] for n in range(20)
    ]
    assert np.ptp(together.share, axis=0).mean() < 0.7 * np.ptp(alone, axis=1).mean()


def test_a_group_below_30_takes_the_catalogue_s_share() -> None:
    count, good = np.array([[1000], [29], [0]]), np.array([[500], [29], [0]])
    kind = np.array([0, 1, 1])
    found = shrunk(Cells(count, good), kind)
    assert found.share[2, 0] == pytest.approx((529 + 0.5) / (1029 + 1))
    more = np.array([[0], [1], [0]])
    enough = shrunk(Cells(count + more, good + more), kind)
    assert enough.share[2, 0] > 0.7


def test_steps_end_at_the_threshold() -> None:
    assert grid(12).tolist() == [0, 5, 10, 12]
    assert step_of(np.array([0, 4.9, 5, 11.9]), grid(12)).tolist() == [0, 0, 1, 2]
    assert lengths(np.array([60_000, 60_001, 2_000_000])).tolist() == [0, 1, 3]
    assert resting_cell(np.array([5.0]), np.array([7]), grid(12)).tolist() == [8]


def test_chances_grow_with_coverage_when_watching() -> None:
    made = site(2, 4, 600, 20)
    known = history(made.intervals, made.durations, THRESHOLD, LATER)
    table = survival(known, np.full(4, 1_000_000), THRESHOLD)
    assert (np.diff(table.reached.share, axis=1) > 0).all()


def test_scores_of_sure_and_of_even_forecasts() -> None:
    happened = np.array([True, True, False, False])
    sure = score("sure", happened.astype(float), happened)
    assert (sure.brier, sure.calibration_error) == (0, 0)
    even = score("even", np.full(4, 0.5), happened)
    assert (even.brier, even.calibration_error) == (0.25, 0)
    assert even.log_loss == pytest.approx(np.log(2))
    (one,) = bins(np.full(4, 0.5), happened)
    assert (one.landmarks, one.completed) == (4, 0.5)


def test_skill_is_above_0_only_where_it_is_shown() -> None:
    draws = np.random.default_rng(4)
    chance = draws.random(2_000)
    happened = draws.random(2_000) < chance
    user: Whole = np.arange(2_000) // 2
    base = np.full(2_000, happened.mean())
    assert skill(chance, base, happened, user).lower > 0.2
    assert skill(base, base, happened, user).lower <= 0
    assert skill(draws.random(2_000), base, happened, user).upper < 0


def test_the_slope_of_what_is_told_too_extreme_is_below_1() -> None:
    draws = np.random.default_rng(2)
    true = draws.uniform(0.2, 0.8, 4_000)
    happened = draws.random(4_000) < true
    user = np.arange(4_000) // 2
    right = slope(true, happened, user)
    extreme = slope(0.5 + 2 * (true - 0.5), happened, user)
    assert right is not None
    assert extreme is not None
    assert right.lower < 1 < right.upper
    assert right.value == pytest.approx(np.polyfit(true, happened, 1)[0])
    assert extreme.value == pytest.approx(right.value / 2)
    assert extreme.upper < 1
    assert slope(np.full(3, 0.4), np.array([True, False, True]), np.arange(3)) is None
