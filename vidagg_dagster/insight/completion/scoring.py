"""How good probabilities are: Brier score, log loss, calibration, and skill with its interval."""

from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from vidagg_dagster.metrics.arrays import Bools, Floats, Ints

BINS: Final = 10
_LEAST: Final = 1e-6
RESAMPLES: Final = 500


class Score(BaseModel):
    """Of some probabilities against what happened. All are 0 for one that is always right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    brier: float
    log_loss: float
    calibration_error: float


class Bin(BaseModel):
    """Landmarks with a probability between two tenths: their mean, and the share that completed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    landmarks: int
    probability: float
    completed: float


class Skill(NamedTuple):
    """1 - Brier / Brier of the other, with the 95 % interval of a bootstrap over users."""

    value: float
    lower: float
    upper: float


class Slope(NamedTuple):
    """Of a straight line through what happened, by what was told; with its 95 % interval.

    1 where probabilities are calibrated, below it where they are too extreme, above it where they
    are too timid. The interval is that of a bootstrap over users.
    """

    value: float
    lower: float
    upper: float


def score(name: str, probability: Floats, happened: Bools) -> Score:
    """The scores of some probabilities."""
    safe = np.clip(probability, _LEAST, 1 - _LEAST)
    found = bins(probability, happened)
    return Score(
        name=name,
        brier=float(((probability - happened) ** 2).mean()),
        log_loss=float(-np.log(np.where(happened, safe, 1 - safe)).mean()),
        calibration_error=sum(one.landmarks * abs(one.probability - one.completed) for one in found)
        / len(happened),
    )


def bins(probability: Floats, happened: Bools) -> list[Bin]:
    """The reliability diagram: tenths without a landmark are left out."""
    of = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(of, minlength=BINS)
    mean = np.bincount(of, probability, BINS) / np.maximum(count, 1)
    share = np.bincount(of, happened, BINS) / np.maximum(count, 1)
    return [
        Bin(landmarks=int(count[n]), probability=float(mean[n]), completed=float(share[n]))
        for n in range(BINS)
        if count[n]
    ]


def skill(probability: Floats, other: Floats, happened: Bools, user: Ints) -> Skill:
    """How much better the probabilities are than others. Landmarks of a user go together."""
    sums = _by_user(user, (probability - happened) ** 2, (other - happened) ** 2)
    ours, theirs = (_draws(len(sums)) @ sums).T
    whole, of_other = sums.sum(axis=0)
    drawn = 1 - ours / np.maximum(theirs, _LEAST)
    return Skill(float(1 - whole / of_other), *_middle_95(drawn))


def slope(probability: Floats, happened: Bools, user: Ints) -> Slope | None:
    """The calibration slope; None where all were told the same. Landmarks of a user go together."""
    if not len(probability) or np.ptp(probability) == 0:
        return None
    ones = np.ones(len(probability))
    sums = _by_user(
        user, ones, probability, happened, probability**2, np.where(happened, probability, 0)
    )
    drawn = _slope(_draws(len(sums)) @ sums)
    return Slope(float(_slope(sums.sum(axis=0))), *_middle_95(drawn))


def _slope(sums: Floats) -> Floats:
    """Least squares by the sums of 1, x, y, x squared and x times y."""
    count, x, y, squares, products = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((count * products - x * y) / (count * squares - x * x), np.float64)


def _by_user(user: Ints, *values: Floats | Bools) -> Floats:
    """Sums of each user (row), a column for each of the values."""
    _, of = np.unique(user, return_inverse=True)
    return np.column_stack([np.bincount(of, column) for column in values])


def _draws(users: int) -> Ints:
    """How often each user is drawn in each resample."""
    return np.random.default_rng(0).poisson(1.0, (RESAMPLES, users))


def _middle_95(drawn: Floats) -> tuple[float, float]:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)
