"""Viewers whose chances are known: intervals made from hazards, and the best possible forecast."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vidagg_dagster.insight.completion.landmarks import DAY_US

FIRST: Final = datetime(2026, 1, 5, tzinfo=UTC)
THRESHOLD: Final = 75
DURATION_S: Final = 1_000
STEPS: Final = 15
"""Of 5 percent each, up to the threshold."""

Numbers = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def at(days: float) -> datetime:
    """So many days after the first one."""
    return FIRST + timedelta(days=days)


def until_us(days: float) -> int:
    return int(at(days).timestamp() * 1_000_000)


def intervals_of(columns: dict[str, Any]) -> pa.Table:
    """A table of intervals: `user`, `video`, `session`, seconds from and to, day of the close."""
    closed = np.round(np.asarray(columns["day"], float) * DAY_US).astype(np.int64)
    instants = pa.array(closed + until_us(0)).cast(pa.timestamp("us", tz="UTC"))
    session = columns["session"]
    return pa.table(
        {
            "userId": pa.array([str(user) for user in columns["user"]], pa.string()),
            "videoId": pa.array([str(video) for video in columns["video"]], pa.string()),
            "sessionId": pa.array([str(one) for one in session], pa.string()),
            "sessionStart": pa.array([at(-1)] * len(session), pa.timestamp("us", tz="UTC")),
            "startMs": pa.array(np.asarray(columns["start"], np.int64) * 1000),
            "endMs": pa.array(np.asarray(columns["end"], np.int64) * 1000),
            "closedAt": instants,
        }
    )


def durations_of(videos: int) -> pa.Table:
    """Videos 0, 1, ... of `DURATION_S` each."""
    return pa.table(
        {
            "videoId": [str(number) for number in range(videos)],
            "durationMs": pa.array([DURATION_S * 1000] * videos, pa.int64()),
        }
    )


@dataclass(frozen=True)
class Site:
    """Viewers who watch a video from its beginning, in visits; `passing` are the true chances.

    In each visit a viewer passes steps of 5 percent until stopping; after a visit that ends below
    the threshold the viewer comes back with the chance of the video, some days later.
    """

    intervals: pa.Table
    durations: pa.Table
    passing: Numbers
    """Chance to pass each step in a visit, by video and step."""
    back: Numbers
    """Chance to come back after a visit, by video."""

    def true_resting(self, video: Whole, step: Whole) -> Numbers:
        """The true chance to complete of a viewer who has just stopped in a step."""
        through = np.flip(np.cumprod(np.flip(self.passing, axis=1), axis=1), axis=1)
        chance = np.zeros_like(self.passing)
        for place in range(STEPS - 1, -1, -1):
            chance[:, place] = self.back * self._from(place, chance, through)
        return chance[video, step]

    def _from(self, place: int, chance: Numbers, through: Numbers) -> Numbers:
        """Of a viewer who comes back at the beginning of a step.

        Whoever stops in it again is where the viewer was, so the chance solves an equation.
        """
        reach, total = np.ones(len(self.back)), through[:, place].copy()
        for step in range(place, STEPS):
            stops = reach * (1 - self.passing[:, step])
            if step > place:
                total += stops * chance[:, step]
            reach = reach * self.passing[:, step]
        again = 1 - self.passing[:, place]
        return total / (1 - again * self.back)


def site(seed: int, videos: int, viewers: int, days: float, keen: bool = False) -> Site:
    """A made-up site.

    Args:
        seed: Of the random numbers.
        videos: How many there are; their chances differ.
        viewers: Pairs of a user and a video.
        days: Over how many days they begin.
        keen: Whether users differ too, which no table of videos can know.
    """
    draws = np.random.default_rng(seed)
    passing = draws.beta(18, 2, (videos, STEPS))
    back = draws.beta(6, 6, videos)
    video = draws.integers(0, videos, viewers)
    user = draws.integers(0, max(viewers // 4, 1), viewers)
    bonus = np.where(user % 2, 0.45, -0.35) * keen
    begin = np.sort(draws.uniform(0, days, viewers))
    rows: dict[str, list[Any]] = {
        name: [] for name in ("user", "video", "session", "start", "end", "day")
    }
    for number in range(viewers):
        chance = float(np.clip(back[video[number]] + bonus[number], 0.02, 0.98))
        place, day, visit = 0, float(begin[number]), 0
        while True:
            stop = place
            while stop < STEPS and draws.random() < passing[video[number], stop]:
                stop += 1
            # Stopping within a step: half of it was seen.
            end = min(stop * 50 + 25, DURATION_S) if stop < STEPS else DURATION_S
            for name, value in zip(
                rows,
                (user[number], video[number], f"{number}-{visit}", place * 50, end, day),
                strict=True,
            ):
                rows[name].append(value)
            if stop == STEPS or draws.random() >= chance:
                break
            place, day, visit = stop, day + 0.2, visit + 1
    return Site(intervals_of(rows), durations_of(videos), passing, back)
