"""The weekly decision: the table, tested on later weeks, and whether the model may replace it."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from vidagg_dagster.insight.completion import learned
from vidagg_dagster.insight.completion.landmarks import DAY_US, WINDOW_DAYS, History
from vidagg_dagster.insight.completion.scoring import (
    Bin,
    Score,
    Skill,
    bins,
    score,
    skill,
    slope,
)
from vidagg_dagster.insight.completion.survival import (
    Survival,
    resting_cell,
    survival,
)
from vidagg_dagster.metrics.arrays import Bools, Floats, Ints

BASE, TABLE, LEARNED = "base_rate", "table", "learned"

TEST_DAYS: Final = 14
TRAINING_DAYS: Final = 28
MIN_TEST_LANDMARKS: Final = 200


class Evaluation(BaseModel):
    """What the probabilities were worth on the pairs of the last two weeks whose window is over.

    Everything was learnt from pairs whose window was over before those began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    complete_until: datetime
    threshold_percent: int
    pairs: int
    """Pairs whose window is over, of the users that were learnt from."""
    share_of_users: float = 1.0
    """Of a large site some users are enough to learn from."""
    in_force: str
    """`table` or `learned`."""
    why: str
    test_landmarks: int = 0
    scores: tuple[Score, ...] = ()
    bins: tuple[Bin, ...] = ()
    slope: tuple[float, float, float] | None = None
    """The calibration slope and its 95 % interval; None where everybody is told the same."""
    skill_over_base: tuple[float, float, float] | None = None
    skill_of_learned: tuple[float, float, float] | None = None
    """Of the model over the table; None where there is none."""


Chance = Callable[[History], Floats]
"""Some users -> the probability of each of their landmarks."""


class Forecast(NamedTuple):
    """The table of all known pairs, the probabilities of anybody, and how good they were."""

    table: Survival
    chance: Chance
    """By the table or by the model, whichever is in force."""
    evaluation: Evaluation


class _Weeks(NamedTuple):
    """Landmarks by the time at which their pair began."""

    earliest: Bools
    """The model learns from later ones, for which the table of these is no answer key."""
    training: Bools
    calibration: Bools
    test: Bools


def forecast(
    known: History,
    duration_ms: Ints,
    threshold_percent: int,
    complete_until: datetime,
    *,
    try_learning: bool,
) -> Forecast:
    """The probabilities, and which of table and model they come from."""
    until_us = int(complete_until.timestamp() * 1_000_000)
    table = survival(known, duration_ms, threshold_percent)
    evaluation = Evaluation(
        complete_until=complete_until,
        threshold_percent=threshold_percent,
        pairs=int(known.pairs.known.sum()),
        in_force=TABLE,
        why="there are too few later landmarks to test it on",
    )
    tested = _tested(known, duration_ms, threshold_percent, until_us, evaluation, try_learning)
    if tested.in_force == LEARNED:
        ours = _learned(known, duration_ms, threshold_percent, _weeks(known, until_us, 0))
        # What was enough to learn from on earlier weeks is enough on all of them.
        assert ours is not None
        return Forecast(table, ours, tested)
    return Forecast(table, partial(by_table, table), tested)


def by_table(table: Survival, known: History) -> Floats:
    """The table's probability of each landmark."""
    marks = known.landmarks
    cell = resting_cell(marks.coverage, marks.idle, table.steps)
    return table.resting.share[known.pairs.video[marks.pair], cell]


def _tested(
    known: History,
    duration_ms: Ints,
    threshold: int,
    until_us: int,
    evaluation: Evaluation,
    try_learning: bool,
) -> Evaluation:
    weeks = _weeks(known, until_us, TEST_DAYS + WINDOW_DAYS)
    happened = known.pairs.completed[known.landmarks.pair]
    test = weeks.test
    learnt = weeks.earliest | weeks.training | weeks.calibration
    if min(test.sum(), learnt.sum()) < MIN_TEST_LANDMARKS:
        return evaluation
    truth = happened[test]
    earlier = survival(known, duration_ms, threshold, _pairs_of(known, learnt))
    of_table = by_table(earlier, known)
    base = np.full(len(truth), happened[learnt].mean())
    users = known.pairs.user[known.landmarks.pair[test]]
    scores = [score(BASE, base, truth), score(TABLE, of_table[test], truth)]
    found = evaluation.model_copy(
        update={
            "test_landmarks": int(test.sum()),
            "scores": tuple(scores),
            **_calibration(of_table[test], truth, users),
            "skill_over_base": tuple(skill(of_table[test], base, truth, users)),
            "why": "no model was tried",
        }
    )
    if not try_learning:
        return found
    ours = _learned(known, duration_ms, threshold, weeks)
    if ours is None:
        return found.model_copy(update={"why": "there are too few landmarks to learn from"})
    return _compared(found, ours(known)[test], of_table[test], truth, users)


def _compared(
    found: Evaluation, ours: Floats, of_table: Floats, truth: Bools, users: Ints
) -> Evaluation:
    """With the model's scores, and the decision: it must be better beyond doubt."""
    gain: Skill = skill(ours, of_table, truth, users)
    better = gain.lower > 0
    verdict = "better than" if better else "not shown to be better than"
    return found.model_copy(
        update={
            "in_force": LEARNED if better else TABLE,
            "why": f"on later weeks the model is {verdict} the table: skill {gain.value:+.3f} "
            f"[{gain.lower:+.3f}, {gain.upper:+.3f}]",
            "scores": (*found.scores, score(LEARNED, ours, truth)),
            "skill_of_learned": tuple(gain),
            **(_calibration(ours, truth, users) if better else {}),
        }
    )


def _calibration(told: Floats, truth: Bools, users: Ints) -> dict[str, Any]:
    """The fields that say how well calibrated the forecast in force is."""
    found = slope(told, truth, users)
    return {"bins": tuple(bins(told, truth)), "slope": None if found is None else tuple(found)}


def _learned(known: History, duration_ms: Ints, threshold: int, weeks: _Weeks) -> Chance | None:
    """The model's probabilities; None where there is too little to learn from."""
    earliest = survival(known, duration_ms, threshold, _pairs_of(known, weeks.earliest))
    x = learned.features(known, by_table(earliest, known), duration_ms)
    happened = known.pairs.completed[known.landmarks.pair]
    model = learned.fit(x, happened, weeks.training, weeks.calibration)
    if model is None:
        return None

    def chance(of: History) -> Floats:
        return model(learned.features(of, by_table(earliest, of), duration_ms))

    return chance


def _weeks(known: History, until_us: int, held_back_days: int) -> _Weeks:
    """The landmarks to learn from, to calibrate on (the last two weeks of these) and to test on.

    With `held_back_days` what is learnt from was known before the pairs of the test began.
    """
    began = known.pairs.first_us[known.landmarks.pair]
    complete = known.pairs.known[known.landmarks.pair]
    newest = until_us - WINDOW_DAYS * DAY_US
    test = complete & (began > newest - TEST_DAYS * DAY_US) & (held_back_days > 0)
    last = newest - held_back_days * DAY_US
    learnable = complete & (began <= last)
    late = learnable & (began > last - TEST_DAYS * DAY_US)
    middle = learnable & ~late & (began > last - (TEST_DAYS + TRAINING_DAYS) * DAY_US)
    return _Weeks(learnable & ~late & ~middle, middle, late, test)


def _pairs_of(known: History, landmarks: Bools) -> Bools:
    """The pairs of the weeks that some landmarks are of, those without a landmark included."""
    began = known.pairs.first_us
    last = int(began[known.landmarks.pair[landmarks]].max(initial=0))
    return np.asarray(began <= last, bool)
