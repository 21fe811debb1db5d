"""The table: how likely a viewer completes a video, by how far the viewer has come.

Two moments. `reached`: the viewer is watching and passes a coverage; the chance is the product of
the chances to pass each further step (Kaplan-Meier over coverage). `resting`: the viewer has
stopped there, some days ago; the chance is the share of such rests that were followed by
completion.

A video with few viewers borrows from the catalogue: its shares are drawn towards those of videos
of similar length (beta-binomial), the more the fewer viewers it has and the less videos differ.
"""

from typing import Final, NamedTuple

import numpy as np

from vidagg_dagster.insight.completion.landmarks import IDLE_DAYS, History
from vidagg_dagster.metrics.arrays import Bools, Floats, Ints

STEP_PERCENT: Final = 5
LENGTHS_MS: Final = (60_000, 300_000, 1_200_000)
"""Videos up to a minute, 5 minutes, 20 minutes and longer ones are alike."""

MIN_GROUP: Final = 30
"""A group of fewer observations says nothing by itself; the whole catalogue speaks for it."""

_MIN_STRENGTH, _MAX_STRENGTH = 1.0, 10_000.0
_Z: Final = 1.96


class Cells(NamedTuple):
    """Observations by video and cell: how many, and how many of them went well."""

    tried: Ints
    good: Ints


class Shrunk(NamedTuple):
    """By video and cell: the share drawn towards similar videos, and observations behind it."""

    share: Floats
    weight: Floats


class Survival(NamedTuple):
    """The table. Arrays are by video and step, those of rests also by `IDLE_DAYS`."""

    steps: Floats
    """Coverage in percent at which each step begins; the last is the threshold."""
    at_risk: Cells
    """Of viewers that reached a step: how many, and how many reached the next one."""
    reached: Shrunk
    resting: Shrunk
    resting_cells: Cells


def grid(threshold_percent: int) -> Floats:
    """Where the steps begin, and the threshold."""
    below = np.arange(0, threshold_percent, STEP_PERCENT, dtype=float)
    return np.append(below, float(threshold_percent))


def step_of(coverage: Floats, steps: Floats) -> Ints:
    """The step that a coverage below the threshold is in."""
    found = np.searchsorted(steps, coverage, side="right") - 1
    return np.clip(found, 0, max(len(steps) - 2, 0)).astype(np.int64)


def lengths(duration_ms: Ints) -> Ints:
    """The class of length of each video."""
    return np.searchsorted(np.array(LENGTHS_MS), duration_ms, side="left").astype(np.int64)


def survival(
    known: History, duration_ms: Ints, threshold_percent: int, chosen: Bools | None = None
) -> Survival:
    """The table of pairs whose window is over.

    Args:
        known: All pairs.
        duration_ms: Of each video.
        threshold_percent: Coverage that completes a video.
        chosen: The pairs to learn from; all whose window is over, if it is None.
    """
    steps = grid(threshold_percent)
    learnt = known.pairs.known if chosen is None else chosen & known.pairs.known
    kind = lengths(duration_ms)
    at_risk = _at_risk(known, learnt, steps, len(duration_ms))
    resting = _resting(known, learnt, steps, len(duration_ms))
    return Survival(
        steps=steps,
        at_risk=at_risk,
        reached=_to_the_end(shrunk(at_risk, kind)),
        resting=shrunk(resting, kind),
        resting_cells=resting,
    )


def kaplan_meier(at_risk: Cells) -> Floats:
    """Chance to reach the threshold from each step, of the counts alone; NaN where nobody was."""
    with np.errstate(invalid="ignore", divide="ignore"):
        passed = at_risk.good / at_risk.tried
    return np.flip(np.cumprod(np.flip(passed, axis=1), axis=1), axis=1)


def _at_risk(known: History, learnt: Bools, steps: Floats, videos: int) -> Cells:
    final = known.pairs.final[learnt]
    last = np.where(known.pairs.completed[learnt], len(steps) - 1, step_of(final, steps))
    ended = np.zeros((videos, len(steps)), np.int64)
    np.add.at(ended, (known.pairs.video[learnt], last), 1)
    reached = np.flip(np.cumsum(np.flip(ended, axis=1), axis=1), axis=1)
    return Cells(reached[:, :-1], reached[:, 1:])


def _resting(known: History, learnt: Bools, steps: Floats, videos: int) -> Cells:
    """Rests by video, step and days of idleness, flat: a cell is `step * idles + idle`."""
    marks = known.landmarks
    chosen = learnt[marks.pair]
    pair = marks.pair[chosen]
    cell = resting_cell(marks.coverage[chosen], marks.idle[chosen], steps)
    shape = (videos, (len(steps) - 1) * len(IDLE_DAYS))
    count, good = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(count, (known.pairs.video[pair], cell), 1)
    np.add.at(good, (known.pairs.video[pair], cell), known.pairs.completed[pair].astype(np.int64))
    return Cells(count, good)


def resting_cell(coverage: Floats, idle: Ints, steps: Floats) -> Ints:
    """The cell of a rest."""
    place = np.searchsorted(np.array(IDLE_DAYS), idle, side="right") - 1
    return step_of(coverage, steps) * len(IDLE_DAYS) + place


def shrunk(cells: Cells, kind: Ints) -> Shrunk:
    """Shares of each video, drawn towards those of its kind, and these towards all videos'."""
    whole = (cells.good.sum(axis=0) + 0.5) / (cells.tried.sum(axis=0) + 1)
    prior = np.tile(whole, (len(kind), 1))
    for number in np.unique(kind):
        of_kind = kind == number
        count, good = cells.tried[of_kind].sum(axis=0), cells.good[of_kind].sum(axis=0)
        own = (good + MIN_GROUP * whole) / (count + MIN_GROUP)
        prior[of_kind] = np.where(count >= MIN_GROUP, own, whole)
    strength = _strength(cells, prior)
    weight = cells.tried + strength
    return Shrunk((cells.good + strength * prior) / weight, weight)


def _strength(cells: Cells, prior: Floats) -> Floats:
    """How many observations the prior is worth in each cell, by the method of moments.

    Shares of videos that differ from their prior by more than chance make it small. A cell borrows
    from all cells: of a dozen videos alone chance would often make it too small, and then what is
    told is too extreme.
    """
    count = cells.tried
    seen = count > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.where(seen, cells.good / np.maximum(count, 1) - prior, 0)
        excess = (count * off**2 / (prior * (1 - prior)) - seen).sum(axis=0)
        known = (count - seen).sum(axis=0)
        # As much of all cells as an average cell tells itself.
        mean = known.sum() / max((known > 0).sum(), 1)
        likeness = (excess + mean * excess.sum() / known.sum()) / (known + mean)
        strength = 1 / likeness - 1
    strength = np.where(likeness > 0, strength, _MAX_STRENGTH)
    strength = np.nan_to_num(strength, nan=_MAX_STRENGTH)
    return np.asarray(np.clip(strength, _MIN_STRENGTH, _MAX_STRENGTH), np.float64)


def _to_the_end(passed: Shrunk) -> Shrunk:
    """Chances to pass each step -> chances to reach the threshold from it.

    The weight is that of a share with the same error.
    """
    share = np.flip(np.cumprod(np.flip(passed.share, axis=1), axis=1), axis=1)
    one = (1 - passed.share) / (passed.share * passed.weight)
    error = np.flip(np.cumsum(np.flip(one, axis=1), axis=1), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = (1 - share) / (share * error)
    return Shrunk(share, np.nan_to_num(weight, nan=_MAX_STRENGTH, posinf=_MAX_STRENGTH))


def bounds(table: Shrunk) -> tuple[Floats, Floats]:
    """The 95 % interval of each share."""
    error = _Z * np.sqrt(table.share * (1 - table.share) / (table.weight + 1))
    return np.clip(table.share - error, 0, 1), np.clip(table.share + error, 0, 1)
