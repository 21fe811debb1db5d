"""Where a video is watched again, as far as chance does not explain it.

A peak is a part of the video that its viewers repeat more than the parts around it. It stays only
if it is found again when the users are drawn anew, with replacement, in nine of ten draws: what two
or three persons did is not a peak. It must also be higher than whatever comes about when each user
repeats as much, but elsewhere: places that nobody chose pile up, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

RESAMPLES: Final = 200
MIN_KEPT: Final = 0.9
MIN_ABOVE_CHANCE: Final = 0.95
"""The share of draws of random places whose highest point a peak must exceed."""
MIN_PROMINENCE: Final = 0.15
"""How many more times a viewer watches the peak again than what lies around it, at least."""
MIN_SHARE: Final = 0.2
"""By so much of its own height a peak stands out, at least: a loop is no peak."""
MIN_USERS: Final = 10
"""Of fewer viewers no peak is told, and no part of a video that fewer have seen counts."""
SMOOTHED_BINS: Final = 5
MAX_WIDTH: Final = 0.25
"""Share of the video; what is wider is no part that stands out."""
NEAR_BINS: Final = 5
"""A peak is found again if its top is not further away."""

_SEED: Final = 20
_INTERVALS_AT_ONCE: Final = 20_000

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Peak:
    """Bins `first` to `last`, with the top at `top`; `kept` is the share of draws that have it."""

    first: int
    last: int
    top: int
    kept: float


@dataclass(frozen=True)
class Seconds:
    """Milliseconds that each user watched of each bin: with repeats, and each part once."""

    watched_ms: Curve
    unique_ms: Curve


def watched_by_users(intervals: "pa.Table", edges_ms: npt.NDArray[np.int64]) -> Seconds:
    """The bins of one video by users, from the users' intervals (userId, startMs, endMs).

    The rows of a user follow each other, sorted by their start.
    """
    users = intervals["userId"].combine_chunks().dictionary_encode().indices.to_numpy()
    starts, ends = intervals["startMs"].to_numpy(), intervals["endMs"].to_numpy()
    first = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    seen_until = _seen_before(starts, ends, first)
    unseen_from = np.maximum(starts, seen_until)
    return Seconds(
        _sum_by_user(starts, ends, first, edges_ms),
        _sum_by_user(np.minimum(unseen_from, ends), ends, first, edges_ms),
    )


def peaks(seconds: Seconds) -> list[Peak]:
    """The peaks of re-watching that stay in `MIN_KEPT` of the draws, in the order of the video."""
    users = len(seconds.watched_ms)
    if users < MIN_USERS:
        return []
    curve = _repeats(seconds, np.ones((1, users)))[0]
    found = list(_peaks_of(curve))
    if not found:
        return []
    rng = np.random.default_rng(_SEED)
    draws = rng.multinomial(users, [1 / users] * users, size=RESAMPLES)
    tops = [[top for _, _, top in _peaks_of(drawn)] for drawn in _repeats(seconds, draws)]
    judged = [Peak(first, last, top, _kept(top, tops)) for first, last, top in found]
    kept = [peak for peak in judged if peak.kept >= MIN_KEPT]
    if not kept:
        return []
    chance = np.quantile(_highest_elsewhere(seconds, rng), MIN_ABOVE_CHANCE)
    return [peak for peak in kept if curve[peak.top] > chance]


def _highest_elsewhere(seconds: Seconds, rng: np.random.Generator) -> Curve:
    """The highest point of each draw in which every user's repeats are moved, around the end."""
    users, bins = seconds.watched_ms.shape
    again, every = seconds.watched_ms - seconds.unique_ms, np.ones((1, users))
    highest = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        places = (np.arange(bins) + rng.integers(bins, size=(users, 1))) % bins
        moved = np.take_along_axis(again, places, axis=1)
        highest[draw] = _repeats(Seconds(seconds.unique_ms + moved, seconds.unique_ms), every).max()
    return highest


def _kept(top: int, tops: list[list[int]]) -> float:
    return sum(any(abs(top - one) <= NEAR_BINS for one in drawn) for drawn in tops) / len(tops)


def _repeats(seconds: Seconds, draws: npt.NDArray[Any]) -> Curve:
    """For each draw: how many times more than once its users watched each bin, smoothed."""
    unique = draws @ seconds.unique_ms
    again = draws @ seconds.watched_ms - unique
    enough = MIN_USERS * seconds.unique_ms.max(initial=1)
    rate = np.where(unique >= enough, again / np.maximum(unique, 1), 0.0)
    window = np.hanning(SMOOTHED_BINS + 2)[1:-1]
    weights = np.convolve(np.ones(rate.shape[1]), window, mode="same")
    return np.array([np.convolve(one, window, mode="same") / weights for one in rate])


def _peaks_of(curve: Curve) -> Iterator[tuple[int, int, int]]:
    """First bin, last bin and top of what stands out enough.

    How far a top stands out is counted as in maps: from the higher of the two lowest points that
    lie between it and higher ground. Its extent is what is above half of that.
    """
    before, after = np.r_[-np.inf, curve[:-1]], np.r_[curve[1:], -np.inf]
    for top in np.flatnonzero((curve > before) & (curve >= after) & (curve >= MIN_PROMINENCE)):
        left, right = curve[: top + 1][::-1], curve[top:]
        base = max(_lowest_before_higher(left), _lowest_before_higher(right))
        if base >= 0 and curve[top] - base >= max(MIN_PROMINENCE, MIN_SHARE * curve[top]):
            half = (curve[top] + base) / 2
            first, last = int(top - _run(left > half)), int(top + _run(right > half))
            # Who comes back begins at the beginning once more: that is no peak.
            if first > 0 and last - first < MAX_WIDTH * len(curve):
                yield first, last, int(top)


def _lowest_before_higher(away: Curve) -> float:
    """The lowest point on the way from a top, its first value, to higher ground or to the end."""
    higher = np.flatnonzero(away > away[0])
    reach = away[: higher[0]] if len(higher) else away
    # The video's end is no valley: what rises up to it stands out from the other side only.
    return float(reach.min()) if len(reach) > 1 else float("-inf")


def _run(above: npt.NDArray[np.bool_]) -> int:
    """How many bins after the first one are above, too."""
    below = np.flatnonzero(~above)
    return int(below[0] if len(below) else len(above)) - 1


def _seen_before(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], first: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each interval how far the same user's earlier ones reach."""
    reach = np.zeros_like(starts)
    for begin, end in zip(first, np.r_[first[1:], len(starts)], strict=True):
        reach[begin + 1 : end] = np.maximum.accumulate(ends[begin : end - 1])
    return reach


def _sum_by_user(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    edges_ms: npt.NDArray[np.int64],
) -> Curve:
    # From the beginning to each edge, interval by interval; bins are the differences.
    below = np.zeros((len(first), len(edges_ms)))
    users = np.zeros(len(starts), dtype=np.int64)
    users[first[1:]] = 1
    users = users.cumsum()
    for at in range(0, len(starts), _INTERVALS_AT_ONCE):
        part = slice(at, at + _INTERVALS_AT_ONCE)
        lengths = (ends[part] - starts[part])[:, None]
        covered = np.clip(edges_ms[None, :] - starts[part, None], 0, lengths)
        groups = np.flatnonzero(np.r_[True, users[part][1:] != users[part][:-1]])
        below[users[part][groups]] += np.add.reduceat(covered, groups, axis=0)
    return np.diff(below, axis=1)
