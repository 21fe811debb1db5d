"""Forecasts on made-up viewers whose true chances are known."""

import numpy as np
import pytest

from vidagg_dagster.insight.completion.forecast import LEARNED, TABLE, Evaluation, forecast
from vidagg_dagster.insight.completion.landmarks import History, history
from vidagg_dagster.insight.completion.survival import resting_cell, survival
from vidagg_dagster_tests.support.completions import (
    THRESHOLD,
    Numbers,
    at,
    site,
    until_us,
)

VIDEOS, VIEWERS, DAYS = 12, 20_000, 120
DURATIONS = np.full(VIDEOS, 1_000_000, np.int64)


def brier(probability: Numbers, happened: Numbers) -> float:
    return float(((probability - happened) ** 2).mean())


@pytest.mark.parametrize("seed", range(5))
def test_the_table_is_within_2_percent_of_the_best_possible_forecast(seed: int) -> None:
    """Learnt from the first half of the pairs, told of the second half."""
    made = site(seed, VIDEOS, VIEWERS, DAYS)
    known = history(made.intervals, made.durations, THRESHOLD, until_us(DAYS + 60))
    pairs, marks = known.pairs, known.landmarks
    early = pairs.first_us < until_us(DAYS / 2)
    table = survival(known, DURATIONS, THRESHOLD, early)
    later = ~early[marks.pair] & (marks.idle == 0)
    video, coverage = pairs.video[marks.pair[later]], marks.coverage[later]
    cell = resting_cell(coverage, marks.idle[later], table.steps)
    told = table.resting.share[video, cell]
    best = made.true_resting(video, (coverage // 5).astype(np.int64))
    happened = pairs.completed[marks.pair[later]].astype(float)
    assert brier(told, happened) <= 1.02 * brier(best, happened)
    assert abs(_slope(told, happened) - 1) < 0.15


def _slope(told: Numbers, happened: Numbers) -> float:
    """Of a straight line through what happened: 1 where probabilities are calibrated."""
    return float(np.polyfit(told, happened, 1)[0])


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
