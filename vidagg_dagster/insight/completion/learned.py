"""The model that may replace the table: gradient-boosted trees, calibrated on later weeks.

It sees the table's probability and what else was known at a landmark. scikit-learn comes with the
extra `ml`.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

import numpy as np

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.insight.completion.landmarks import History
from vidagg_dagster.metrics.arrays import Bools, Floats, Ints

MIN_LANDMARKS: Final = 200
"""Fewer, in training or calibration, teach nothing."""

Model = Callable[[Floats], Floats]
"""Features -> probabilities."""


def require_library() -> None:
    """Make sure that scikit-learn is there, before anything is read.

    Raises:
        StepError: It is not installed.
    """
    if find_spec("sklearn") is None:
        raise StepError(
            "VIDAGG_COMPLETION_FORECAST=learned needs the Python package scikit-learn: "
            "pip install 'vidagg_dagster[ml]'"
        )


def features(known: History, table: Floats, duration_ms: Ints) -> Floats:
    """One row per landmark, all of it known at its moment.

    Args:
        known: All pairs.
        table: The table's probability of each landmark.
        duration_ms: Of each video.
    """
    marks = known.landmarks
    return np.column_stack(
        [
            np.log(table / (1 - table)),
            marks.coverage,
            marks.idle,
            marks.visits,
            marks.watched - marks.coverage,
            marks.age_days,
            np.log(duration_ms[known.pairs.video[marks.pair]]),
            marks.user_started,
            # Drawn towards one in two for users of whom little is known.
            (marks.user_completed + 1) / (marks.user_started + 2),
        ]
    )


def fit(x: Floats, happened: Bools, training: Bools, calibration: Bools) -> Model | None:
    """Learn from some landmarks, calibrate on later ones; None where there are too few."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.frozen import FrozenEstimator

    for part in (training, calibration):
        if part.sum() < MIN_LANDMARKS or len(np.unique(happened[part])) < 2:
            return None
    trees = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=40, random_state=0
    ).fit(x[training], happened[training])
    calibrated = CalibratedClassifierCV(FrozenEstimator(trees), method="sigmoid").fit(
        x[calibration], happened[calibration]
    )

    def probability(rows: Floats) -> Floats:
        return np.asarray(calibrated.predict_proba(rows)[:, 1], np.float64)

    return probability
