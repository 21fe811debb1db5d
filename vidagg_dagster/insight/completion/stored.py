"""The tables of completion, which hold no id of a person.

They are computed again as a whole, so they have no history worth keeping and no step of their own.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from vidagg_dagster.insight.completion.landmarks import IDLE_DAYS, WINDOW_DAYS
from vidagg_dagster.insight.completion.survival import Cells, Shrunk, Survival, bounds
from vidagg_dagster.tables.disk import make_private

REACHED, RESTING = "reached", "resting"

SCHEMA: Final = pa.schema(
    [
        pa.field("videoId", pa.string(), nullable=False),
        pa.field("moment", pa.string(), nullable=False),
        pa.field("coverageFrom", pa.float64(), nullable=False),
        pa.field("coverageTo", pa.float64(), nullable=False),
        pa.field("idleDaysFrom", pa.int64()),
        pa.field("idleDaysTo", pa.int64()),
        pa.field("observed", pa.int64(), nullable=False),
        pa.field("wentWell", pa.int64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("lower", pa.float64(), nullable=False),
        pa.field("upper", pa.float64(), nullable=False),
        pa.field("trainedThrough", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def survival_rows(table: Survival, videos: pa.Array, trained_through: datetime) -> pa.Table:
    """The rows of the table: every video, moment, step of coverage and time of rest."""
    steps, idles = len(table.steps) - 1, len(IDLE_DAYS)
    idle_from = np.array(IDLE_DAYS, np.int64)
    idle_to = np.append(idle_from[1:], WINDOW_DAYS)
    nothing = pa.nulls(len(videos) * steps, pa.int64())
    by_idle = len(videos) * steps
    reached = {
        "coverageFrom": np.tile(table.steps[:-1], len(videos)),
        "coverageTo": np.tile(table.steps[1:], len(videos)),
        "idleDaysFrom": nothing,
        "idleDaysTo": nothing,
    }
    resting = {
        "coverageFrom": np.tile(np.repeat(table.steps[:-1], idles), len(videos)),
        "coverageTo": np.tile(np.repeat(table.steps[1:], idles), len(videos)),
        "idleDaysFrom": np.tile(idle_from, by_idle),
        "idleDaysTo": np.tile(idle_to, by_idle),
    }
    parts = (
        (REACHED, reached, table.at_risk, table.reached),
        (RESTING, resting, table.resting_cells, table.resting),
    )
    return pa.concat_tables(
        [
            _moment(moment, videos, {**where, **_figures(cells, shares)}, trained_through)
            for moment, where, cells, shares in parts
        ]
    )


def _figures(cells: Cells, shares: Shrunk) -> dict[str, Any]:
    lower, upper = bounds(shares)
    return {
        "observed": cells.tried.ravel(),
        "wentWell": cells.good.ravel(),
        "probability": shares.share.ravel(),
        "lower": lower.ravel(),
        "upper": upper.ravel(),
    }


def _moment(
    moment: str, videos: pa.Array, columns: dict[str, Any], trained_through: datetime
) -> pa.Table:
    count = len(columns["observed"])
    each = count // max(len(videos), 1)
    return pa.table(
        {
            "videoId": videos.take(pa.array(np.repeat(np.arange(len(videos)), each))),
            "moment": pa.array([moment] * count, pa.string()),
            **columns,
            "trainedThrough": pa.array([trained_through] * count, SCHEMA.field(-1).type),
        },
        schema=SCHEMA,
    )


def write_whole(root: Path, name: str, rows: pa.Table) -> None:
    """Replace a table in one commit, and remove files that no reader has needed for a week."""
    from deltalake import DeltaTable, write_deltalake

    folder = root / name
    make_private(folder)
    write_deltalake(str(folder), rows, mode="overwrite", name=name)
    DeltaTable(str(folder)).vacuum(dry_run=False)
