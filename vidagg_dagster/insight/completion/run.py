"""The forecast on stored tables: the table of probabilities, how good they are, and viewers now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.insight.completion import learned
from vidagg_dagster.insight.completion.cohorts import completion_cohorts, together
from vidagg_dagster.insight.completion.forecast import Evaluation, Forecast, forecast
from vidagg_dagster.insight.completion.landmarks import COLUMNS, History, history
from vidagg_dagster.insight.completion.names import (
    COHORTS_NAME,
    EVALUATION,
    FOLDER,
    PAGE,
    TABLE_NAME,
)
from vidagg_dagster.insight.completion.page import page
from vidagg_dagster.insight.completion.stored import survival_rows, write_whole
from vidagg_dagster.insight.duck import durations, end_of, open_views, read_days, users_in_slices
from vidagg_dagster.metrics.arrays import integers
from vidagg_dagster.tables.disk import make_private

INTERVALS_AT_ONCE: Final = 2_000_000
"""Watched intervals in memory at once, which takes 1.6 GB. More are taken in slices of users."""


@dataclass(frozen=True)
class Found:
    """What came of the stored tables.

    Attributes:
        videos: Their ids.
        forecast: The probabilities, learnt from the first slice of the users.
        cohorts: The rows of `completion_cohorts`.
        now: See `viewers_now`.
    """

    videos: pa.Array
    forecast: Forecast
    cohorts: pa.Table
    now: pa.Table

    @property
    def evaluation(self) -> Evaluation:
        """How good the probabilities were on later weeks."""
        return self.forecast.evaluation

    @property
    def rows(self) -> pa.Table:
        """The rows of `completion_survival`."""
        until = self.evaluation.complete_until
        return survival_rows(self.forecast.table, self.videos, until)


def run(
    data_root: Path,
    timezone: str,
    threshold_percent: int,
    *,
    try_learning: bool,
    intervals_at_once: int = INTERVALS_AT_ONCE,
) -> Found:
    """The probabilities on the stored tables, the last day that was read being the present.

    Args:
        data_root: The folder of the tables.
        timezone: The zone of the days.
        threshold_percent: Coverage that completes a video.
        try_learning: Whether a model may replace the table.
        intervals_at_once: Bounds memory.

    Raises:
        StepError: A table is not there yet, or scikit-learn is not installed.
    """
    if try_learning:
        learned.require_library()
    connection = open_views(data_root)
    try:
        days, lengths = read_days(connection), durations(connection)
        if not days or not lengths.num_rows:
            raise StepError(
                "there is no day, or no video whose duration is known (VIDAGG_VIDEO_METADATA): "
                "without a duration nobody knows what completes a video"
            )
        until = end_of(days[-1], timezone)
        slices = users_in_slices(connection, COLUMNS, intervals_at_once)
        some = (history(rows, lengths, threshold_percent, _us(until)) for rows in slices)
        return _found(some, lengths, threshold_percent, until, timezone, try_learning)
    finally:
        connection.close()


def _found(
    slices: Iterator[History],
    lengths: pa.Table,
    threshold_percent: int,
    until: datetime,
    timezone: str,
    try_learning: bool,
) -> Found:
    """Learnt from the first slice of the users, told of all of them."""
    videos = lengths["videoId"].combine_chunks()
    duration_ms = integers(lengths["durationMs"])
    learnt, count = None, 0
    cohorts, now = [], []
    for known in slices:
        learnt = learnt or forecast(
            known, duration_ms, threshold_percent, until, try_learning=try_learning
        )
        count += 1
        cohorts.append(completion_cohorts(known, until, timezone))
        now.append(viewers_now(known, videos, learnt))
    assert learnt is not None
    evaluation = learnt.evaluation.model_copy(update={"share_of_users": 1 / count})
    return Found(
        videos, learnt._replace(evaluation=evaluation), together(cohorts), pa.concat_tables(now)
    )


def keep(data_root: Path, found: Found) -> None:
    """Replace both tables, the evaluation (JSON) and the page."""
    write_whole(data_root, TABLE_NAME, found.rows)
    write_whole(data_root, COHORTS_NAME, found.cohorts)
    folder = data_root / FOLDER
    make_private(folder)
    (folder / EVALUATION).write_text(found.evaluation.model_dump_json(indent=1), encoding="utf-8")
    (folder / PAGE).write_text(page(found.evaluation, found.cohorts), encoding="utf-8")


def viewers_now(known: History, videos: pa.Array, learnt: Forecast) -> pa.Table:
    """One row per user and video that is begun, not complete, and may still be: the probability.

    `model` says where it comes from: the table or the model.
    """
    marks, pairs, evaluation = known.landmarks, known.pairs, learnt.evaluation
    now = np.flatnonzero(marks.resting_still)
    pair = marks.pair[now]
    return pa.table(
        {
            "userId": known.users.take(pa.array(pairs.user[pair])),
            "videoId": videos.take(pa.array(pairs.video[pair])),
            "coverage": pa.array(marks.coverage[now].round(2)),
            "idleDays": pa.array(marks.idle[now]),
            "probability": pa.array(learnt.chance(known)[now].round(4)),
            "model": pa.array([evaluation.in_force] * len(now), pa.string()),
            "asOf": pa.array([evaluation.complete_until] * len(now), pa.timestamp("us", tz="UTC")),
        }
    )


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
