"""What stands out in one video, in numbers: the sentences above its curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from vidagg_dagster.report.peaks import Peak
from vidagg_dagster.report.read import Row

MIN_LEAVING: Final = 0.15
"""Share of the viewers who must leave within a twentieth of the video."""
MIN_SKIPPING: Final = 0.5
"""Jumps over a part, for each viewer of the video."""
MIN_TIMES: Final = 2.0
"""How often the seen parts are watched, on average, for a loop."""
MIN_VIEWERS: Final = 10

_WINDOWS: Final = 20

Kind = Literal["leave", "skip", "again", "loop"]


@dataclass(frozen=True)
class Finding:
    """Something that stands out, from a position to another one, with the numbers to tell it."""

    kind: Kind
    start_ms: int
    end_ms: int
    count: float
    percent: float | None = None


def findings(video: Row, curve: Row, peaks: Sequence[Peak]) -> list[Finding]:
    """Where many leave, what many skip, what is watched again, and whether it is watched in a loop.

    Of a video with few viewers nothing is told.
    """
    if video["viewers"] < MIN_VIEWERS:
        return []
    found = (_leaving(video, curve), _skipping(video, curve), _loop(video, curve))
    return [
        *(_again(curve, peak) for peak in peaks),
        *(one for one in found if one is not None),
    ]


def before_the_end(bins: int) -> int:
    """The number of bins before the last twentieth; who stops in that one has reached the end."""
    return bins - max(bins // _WINDOWS, 1)


def _again(curve: Row, peak: Peak) -> Finding:
    most = max(curve["again"][peak.first : peak.last + 1])
    return Finding("again", *_span(curve, peak.first, peak.last), most, 100 * peak.kept)


def _leaving(video: Row, curve: Row) -> Finding | None:
    """The twentieth in which most stop, the last one left out."""
    left: list[int] = curve["lastSeenHere"]
    width = len(left) - before_the_end(len(left))
    firsts = range(before_the_end(len(left)) - width + 1)
    if not firsts:
        return None
    first = max(firsts, key=lambda at: sum(left[at : at + width]))
    count = sum(left[first : first + width])
    if count < MIN_LEAVING * video["viewers"]:
        return None
    first, last = _without_ends_of_nobody(left, first, first + width - 1)
    return Finding("leave", *_span(curve, first, last), count, 100 * count / video["viewers"])


def _without_ends_of_nobody(left: Sequence[int], first: int, last: int) -> tuple[int, int]:
    while first < last and not left[first]:
        first += 1
    while first < last and not left[last]:
        last -= 1
    return first, last


def _skipping(video: Row, curve: Row) -> Finding | None:
    """The part about the bin that is jumped over most, as far as at least half as many jump."""
    skipped: list[int] = curve["skippedOver"]
    most = max(skipped)
    if most < MIN_SKIPPING * video["viewers"]:
        return None
    first = last = skipped.index(most)
    while first > 0 and skipped[first - 1] * 2 >= most:
        first -= 1
    while last + 1 < len(skipped) and skipped[last + 1] * 2 >= most:
        last += 1
    return Finding("skip", *_span(curve, first, last), most)


def _loop(video: Row, curve: Row) -> Finding | None:
    times: Any = video["timesWatched"]
    if times is None or times < MIN_TIMES:
        return None
    return Finding("loop", 0, curve["endMs"], times)


def _span(curve: Row, first: int, last: int) -> tuple[int, int]:
    return first * curve["binMs"], min((last + 1) * curve["binMs"], curve["endMs"])
