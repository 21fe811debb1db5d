"""The forecast on stored tables: the table of probabilities, how good they are, and viewers now."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.insight.completion import learned
from vidagg_dagster.insight.completion.cohorts import completion_cohorts
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
from vidagg_dagster.insight.duck import all_intervals, durations, end_of, open_views, read_days
from vidagg_dagster.metrics.arrays import integers
from vidagg_dagster.tables.disk import make_private


@dataclass(frozen=True)
class Found:
    """What came of the stored tables."""

    known: History
    videos: pa.Array
    forecast: Forecast
    cohorts: pa.Table
    """The rows of `completion_cohorts`."""

    @property
    def evaluation(self) -> Evaluation:
        """How good the probabilities were on later weeks."""
        return self.forecast.evaluation

    @property
    def rows(self) -> pa.Table:
        """The rows of `completion_survival`."""
        until = self.evaluation.complete_until
        return survival_rows(self.forecast.table, self.videos, until)


def run(data_root: Path, timezone: str, threshold_percent: int, *, try_learning: bool) -> Found:
    """The probabilities on the stored tables, the last day that was read being the present.

    Args:
        data_root: The folder of the tables.
        timezone: The zone of the days.
        threshold_percent: Coverage that completes a video.
        try_learning: Whether a model may replace the table.

    Raises:
        StepError: A table is not there yet, or scikit-learn is not installed.
    """
    if try_learning:
        learned.require_library()
    connection = open_views(data_root)
    try:
        days = read_days(connection)
        lengths = durations(connection)
        intervals = all_intervals(connection, COLUMNS)
    finally:
        connection.close()
    if not days or not lengths.num_rows:
        raise StepError(
            "there is no day, or no video whose duration is known (VIDAGG_VIDEO_METADATA): "
            "without a duration nobody knows what completes a video"
        )
    until = end_of(days[-1], timezone)
    known = history(intervals, lengths, threshold_percent, _us(until))
    found = forecast(
        known, integers(lengths["durationMs"]), threshold_percent, until, try_learning=try_learning
    )
    cohorts = completion_cohorts(known, until, timezone)
    return Found(known, lengths["videoId"].combine_chunks(), found, cohorts)


def keep(data_root: Path, found: Found) -> None:
    """Replace both tables, the evaluation (JSON) and the page."""
    write_whole(data_root, TABLE_NAME, found.rows)
    write_whole(data_root, COHORTS_NAME, found.cohorts)
    folder = data_root / FOLDER
    make_private(folder)
    (folder / EVALUATION).write_text(found.evaluation.model_dump_json(indent=1), encoding="utf-8")
    (folder / PAGE).write_text(page(found.evaluation, found.cohorts), encoding="utf-8")


def viewers_now(found: Found) -> pa.Table:
    """One row per user and video that is begun, not complete, and may still be: the probability.

    `model` says where it comes from: the table or the model.
    """
    marks, pairs = found.known.landmarks, found.known.pairs
    now = np.flatnonzero(marks.resting_still)
    pair = marks.pair[now]
    return pa.table(
        {
            "userId": found.known.users.take(pa.array(pairs.user[pair])),
            "videoId": found.videos.take(pa.array(pairs.video[pair])),
            "coverage": pa.array(marks.coverage[now].round(2)),
            "idleDays": pa.array(marks.idle[now]),
            "probability": pa.array(found.forecast.probability[now].round(4)),
            "model": pa.array([found.evaluation.in_force] * len(now), pa.string()),
            "asOf": pa.array(
                [found.evaluation.complete_until] * len(now), pa.timestamp("us", tz="UTC")
            ),
        }
    )


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
