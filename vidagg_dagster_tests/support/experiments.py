"""Made-up experiments: exposures, intervals of viewers, and tables of units for simulations."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vidagg_dagster.insight.experiments.assignment import Assigned, assignments
from vidagg_dagster.insight.experiments.curves import parts
from vidagg_dagster.insight.experiments.units import BEFORE, FIGURES, PARTS, UNIT_COUNT

START: Final = datetime(2026, 1, 5, tzinfo=UTC)
NAME: Final = "player-2"

INSTANT: Final = pa.timestamp("us", tz="UTC")
ASSIGNMENT: Final = pa.schema(
    [
        *[(name, pa.string()) for name in ("experiment", "unitId", "variant")],
        ("exposedAt", INSTANT),
        ("clusterId", pa.string()),
    ]
)
INTERVALS: Final = pa.schema(
    [
        *[(name, pa.string()) for name in ("userId", "sessionId", "videoId")],
        ("sessionStart", INSTANT),
        ("startMs", pa.int64()),
        ("endMs", pa.int64()),
        ("evidence", pa.string()),
        ("closedAt", INSTANT),
    ]
)
DURATIONS: Final = pa.table({"videoId": ["a", "b"], "durationMs": [100_000, 50_000]})
"""Two videos; any other has no known duration."""

Numbers = npt.NDArray[np.float64]


def days(number: float) -> datetime:
    """So many days after the first exposure."""
    return START + timedelta(days=number)


def exposure(
    unit: str, variant: str, at: float = 0, cluster: str | None = None, experiment: str = NAME
) -> dict[str, Any]:
    """A row of an assignment table."""
    return {
        "experiment": experiment,
        "unitId": unit,
        "variant": variant,
        "exposedAt": days(at),
        "clusterId": cluster,
    }


def assigned(*rows: dict[str, Any]) -> Assigned:
    """The only experiment of some rows."""
    (found,) = assignments(pa.Table.from_pylist(list(rows), schema=ASSIGNMENT)).experiments
    return found


def interval(
    user: str,
    closed: float,
    *,
    video: str = "a",
    start: int = 0,
    end: int = 10,
    session: str = "s",
    evidence: str = "observed",
) -> dict[str, Any]:
    """A row of `watch_intervals`: seconds of a video, closed so many days after `START`."""
    return {
        "userId": user,
        "sessionId": session,
        "videoId": video,
        "sessionStart": days(-30),
        "startMs": start * 1000,
        "endMs": end * 1000,
        "evidence": evidence,
        "closedAt": days(closed),
    }


def intervals(*rows: dict[str, Any]) -> pa.Table:
    """Rows of `interval` as a table."""
    return pa.Table.from_pylist(list(rows), schema=INTERVALS)


def simulated_rows(variants: Sequence[str] | npt.NDArray[np.str_], **columns: Numbers) -> pa.Table:
    """Rows of units as `unit_rows` gives them; columns that are not named are 0."""
    count = len(variants)
    zeros = np.zeros(count)
    figures = {name: columns.get(name, zeros) for name in FIGURES}
    before = {f"{BEFORE}{name}": columns.get(f"{BEFORE}{name}", zeros) for name in FIGURES}
    return pa.table(
        {
            "unitId": [str(number) for number in range(count)],
            "variant": list(variants),
            "clusterId": [None] * count,
            UNIT_COUNT: np.ones(count, np.int64),
            **figures,
            **before,
        }
    )


class CurveSite:
    """Users who start videos and leave each somewhere: keen ones more of them, and later.

    The arms do not differ. `seen`, `started` and `treated` are those of `curves.parts`.
    """

    def __init__(self, seed: int, users: int) -> None:
        draws = np.random.default_rng(seed)
        keen = draws.gamma(1.0, 1.0, users)
        count = 1 + draws.poisson(3 * keen)
        user = np.repeat(np.arange(users), count)
        left = draws.beta(1 + 2 * keen[user], 2) * PARTS
        shares = np.clip(left[:, None] - np.arange(PARTS), 0, 1)
        self.seen = np.zeros((users, PARTS))
        np.add.at(self.seen, user, shares)
        self.started = count.astype(float)
        self.treated = np.arange(users) % 2 == 1

    @property
    def band_holds(self) -> tuple[bool, bool]:
        """Whether the band holds 0 at all parts, and whether the intervals of all parts do."""
        found = parts(self.seen, self.started, ~self.treated, self.treated, 0.05)
        return (
            all(one.sign == 0 for one in found),
            all(one.lower <= 0 <= one.upper for one in found),
        )

    def aggregates(self, part: int, arm: npt.NDArray[np.bool_]) -> Any:
        """Seen of a part and started by the users of an arm, for tea-tasting."""
        from tea_tasting.aggr import Aggregates

        seen, started = self.seen[arm, part], self.started[arm]
        spread = np.cov(seen, started)
        return Aggregates(
            count_=int(arm.sum()),
            mean_={"seen": float(seen.mean()), "started": float(started.mean())},
            var_={"seen": float(spread[0, 0]), "started": float(spread[1, 1])},
            cov_={("seen", "started"): float(spread[0, 1])},
        )
