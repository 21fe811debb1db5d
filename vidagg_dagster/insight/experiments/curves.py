"""Which parts of the started videos two arms have seen, and a band around the difference.

A point of a curve is a ratio of two sums over users: shares of the part that were seen, by videos
started. So its errors are those of the delta method, and so are their correlations along the
video. The band holds for all parts together: it is as many standard errors wide as the largest of
the correlated errors needs (the plug-in sup-t band of Montiel Olea and Plagborg-Moller 2019,
Journal of Applied Econometrics 34, algorithm 1).
"""

from typing import Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from vidagg_dagster.metrics.arrays import Bools, Floats

DRAWS: Final = 10_000
"""Of the largest error, from which the width of the band comes. The seed is fixed."""


class Part(BaseModel):
    """A part of the video: the share seen of it in two arms, their difference and its intervals.

    `lower` and `upper` are right for this part alone, the band for all parts together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_percent: float
    to_percent: float
    control: float
    treatment: float
    effect: float
    lower: float
    upper: float
    band_lower: float
    band_upper: float

    @property
    def sign(self) -> int:
        """1 or -1 where the band leaves out 0, else 0."""
        return int(self.band_lower > 0) - int(self.band_upper < 0)


class _Curve(NamedTuple):
    shares: Floats
    covariance: Floats
    rows: int


def parts(
    seen: Floats, started: Floats, is_control: Bools, is_treatment: Bools, alpha: float
) -> list[Part]:
    """The curves of two arms; no parts where an arm started nothing or has a single row.

    Args:
        seen: By row (unit or cluster) and part: shares seen, added up over its started videos.
        started: Started videos of each row.
        is_control: True for the rows of the control.
        is_treatment: True for those of the other arm.
        alpha: Error rate of the intervals and of the band.
    """
    arms = [(seen[arm], started[arm]) for arm in (is_control, is_treatment)]
    if any(len(rows) < 2 or not videos.sum() for rows, videos in arms):
        return []
    control, treatment = (_curve(*arm) for arm in arms)
    covariance = control.covariance + treatment.covariance
    # Few clusters tell their variance badly: the smaller arm says how badly.
    freedom = min(control.rows, treatment.rows) - 1
    error = np.sqrt(np.diag(covariance))
    effect = treatment.shares - control.shares
    half = error * _quantile(freedom, alpha)
    band = error * np.maximum(_largest(covariance, freedom, alpha), _quantile(freedom, alpha))
    edges = np.linspace(0, 100, len(effect) + 1)
    columns = {
        "from_percent": edges[:-1],
        "to_percent": edges[1:],
        "control": control.shares,
        "treatment": treatment.shares,
        "effect": effect,
        "lower": effect - half,
        "upper": effect + half,
        "band_lower": effect - band,
        "band_upper": effect + band,
    }
    return [
        Part(**{name: float(values[part]) for name, values in columns.items()})
        for part in range(len(effect))
    ]


def _curve(seen: Floats, started: Floats) -> _Curve:
    shares = seen.sum(axis=0) / started.sum()
    # What a row adds to the error of each share.
    influence = (seen - started[:, None] * shares) / started.mean()
    rows = len(started)
    return _Curve(shares, influence.T @ influence / (rows - 1) / rows, rows)


def _quantile(freedom: int, alpha: float) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - alpha / 2, freedom))


def _largest(covariance: Floats, freedom: int, alpha: float) -> float:
    """What the largest of the errors, each divided by its own, exceeds with probability `alpha`."""
    varies = np.diag(covariance) > 0
    if not varies.any():
        return 0.0
    error = np.sqrt(np.diag(covariance)[varies])
    correlation = covariance[np.ix_(varies, varies)] / np.outer(error, error)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    random = np.random.default_rng(0)
    errors = random.standard_normal((DRAWS, len(error))) @ root.T
    scale = np.sqrt(random.chisquare(freedom, DRAWS) / freedom)
    return float(np.quantile(np.abs(errors).max(axis=1) / scale, 1 - alpha))
