"""The curve of a video by brute force: an array with a cell for each of its milliseconds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

FORWARD_MS, BACKWARD_MS = 5_000, 2_000


class Watching(NamedTuple):
    """An interval of a visit: positions in milliseconds, times in microseconds."""

    start: int
    end: int
    opened: int
    closed: int


Visit = Sequence[Watching]
Curve = Mapping[tuple[str, int], int]
"""Column and bin -> its value; what is 0 is left out."""


def bins_of(duration: int | None, furthest: int) -> list[tuple[int, int]]:
    """Where each bin begins and ends."""
    width = 10_000 if duration is None else max(1_000, -(-duration // 200))
    end = duration or furthest
    starts = range(0, max(end, 1), width)
    return [(at, at + width if duration is None else min(at + width, end)) for at in starts]


def curve(viewers: Iterable[Sequence[Visit]], duration: int | None) -> Curve:
    """The visits of each viewer -> what happened in each bin."""
    viewers = [list(visits) for visits in viewers]
    spans = [one for visits in viewers for visit in visits for one in visit]
    furthest = max((one.end for one in spans), default=0)
    bins = bins_of(duration, furthest)
    number = np.zeros(max(furthest, bins[-1][1]), np.int64)
    for place, (start, end) in enumerate(bins):
        number[start:end] = place
    number[bins[-1][1] :] = len(bins) - 1
    found: Counter[tuple[str, int]] = Counter()
    for visits in viewers:
        _see([one for visit in visits for one in visit], number, found)
        for visit in visits:
            _watch(visit, number, found)
    return {key: count for key, count in found.items() if count}


def _see(spans: Visit, number: np.ndarray, found: Counter[tuple[str, int]]) -> None:
    seen = np.zeros(len(number), bool)
    for one in spans:
        seen[one.start : one.end] = True
    if not seen.any():
        return
    for place, milliseconds in zip(*np.unique(number[seen], return_counts=True), strict=True):
        found["uniqueMs", int(place)] += int(milliseconds)
        found["viewers", int(place)] += 1
    found["lastSeenHere", int(number[np.flatnonzero(seen)[-1]])] += 1


def _watch(visit: Visit, number: np.ndarray, found: Counter[tuple[str, int]]) -> None:
    for one in visit:
        for place in number[one.start : one.end]:
            found["watchMs", int(place)] += 1
    stretches: list[list[Watching]] = []
    for one in visit:
        before = stretches[-1][-1] if stretches else None
        if before and (before.end, before.closed) == (one.start, one.opened):
            stretches[-1].append(one)
        else:
            stretches.append([one])
    for stretch in stretches:
        found["starts", int(number[stretch[0].start])] += 1
        found["stops", int(number[stretch[-1].end - 1])] += 1
    for before, after in pairwise(visit):
        ahead = after.start - before.end
        if ahead > FORWARD_MS or -ahead > BACKWARD_MS:
            found["jumpedTo", int(number[after.start])] += 1
        if ahead > FORWARD_MS:
            for place in np.unique(number[before.end : after.start]):
                found["skippedOver", int(place)] += 1
