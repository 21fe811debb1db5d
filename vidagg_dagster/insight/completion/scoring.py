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
    _, of = np.unique(user, return_inverse=True)
    ours = np.bincount(of, (probability - happened) ** 2)
    theirs = np.bincount(of, (other - happened) ** 2)
    draws = np.random.default_rng(0).poisson(1.0, (RESAMPLES, len(ours)))
    drawn = 1 - (draws @ ours) / np.maximum(draws @ theirs, _LEAST)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Skill(float(1 - ours.sum() / theirs.sum()), float(low), float(high))
