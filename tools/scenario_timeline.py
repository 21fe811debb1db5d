"""The picture of a scenario: where in the video, when, and which stretches count.

Time runs to the right and is compressed: a long wait is a little wider than a short one. Each user
and video has a panel; the bar at its right end has what was seen at least once.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from vidagg_dagster_tests.support.reference import Event, IntervalRow

COLOURS: Final = {
    "observed": "#2458c5",
    "heartbeat": "#1b7f4b",
    "bridged": "#b35900",
    "clipped": "#8a3ab0",
    "reported": "#5f6b7a",
}
"""Evidence -> its colour."""

WIDTH: Final = 720
LEFT, RIGHT, PLOT, NAMES, GAP = 64, 78, 92, 46, 20
_NEAREST, _PER_DECADE = 26.0, 20.0
"""Distance of two instants that are a second apart or less, and what ten times as long adds."""


@dataclass(frozen=True)
class Panel:
    """One user and video. `seen` is the union of what counts, in milliseconds."""

    title: str
    events: Sequence[Event]
    intervals: Sequence[IntervalRow]
    seen: Sequence[tuple[int, int]]
    duration_ms: int | None

    @property
    def top_ms(self) -> int:
        """The position at the upper edge of the plot."""
        return max(self.duration_ms or 0, *(event.position_ms for event in self.events), 1)


def timeline(panels: Sequence[Panel]) -> str:
    """The picture of a scenario as SVG."""
    height = len(panels) * (PLOT + NAMES + GAP) + 24
    body = "".join(
        part
        for number, panel in enumerate(panels)
        for part in _panel(panel, GAP + number * (PLOT + NAMES + GAP), len(panels) > 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="#fff"/>{body}{_legend(panels, height)}</svg>\n'
    )


def _panel(panel: Panel, top: float, named: bool) -> Iterator[str]:
    at = _places(sorted({event.us for event in panel.events}))

    def y(position_ms: int) -> float:
        return top + PLOT * (1 - position_ms / panel.top_ms)

    right = WIDTH - RIGHT
    yield f'<path d="M{LEFT} {top}V{top + PLOT}H{right}" fill="none" stroke="#888"/>'
    yield _text(LEFT - 6, top + PLOT, "0 s", "end")
    length = panel.duration_ms or panel.top_ms
    yield _text(LEFT - 6, y(length) + 4, f"{length / 1000:g} s", "end")
    if named:
        yield _text(LEFT + 4, top - 6, panel.title, "start", "#333")
    if panel.duration_ms:
        yield f'<path d="M{LEFT} {y(length):.1f}H{right}" stroke="#bbb" stroke-dasharray="2 3"/>'
    for before, after in _neighbours(panel.events):
        yield (
            f'<path d="M{at[before.us]:.1f} {y(before.position_ms):.1f}L{at[after.us]:.1f} '
            f'{y(after.position_ms):.1f}" stroke="#777" stroke-dasharray="2 3"/>'
        )
    for span in panel.intervals:
        yield (
            f'<path d="M{at[span.opened_us]:.1f} {y(span.start_ms):.1f}L{at[span.closed_us]:.1f} '
            f'{y(span.end_ms):.1f}" stroke="{COLOURS[span.evidence]}" stroke-width="3.5"/>'
        )
    for event in panel.events:
        yield f'<circle cx="{at[event.us]:.1f}" cy="{y(event.position_ms):.1f}" r="3" fill="#222"/>'
    yield from _names(panel.events, at, top + PLOT + 12)
    yield from _seen(panel, y, right + 26, top)


def _places(instants: Sequence[int]) -> Mapping[int, float]:
    """Where each instant is drawn."""
    places = {instants[0]: 0.0}
    for before, after in pairwise(instants):
        wait = _PER_DECADE * math.log10(max(1.0, (after - before) / 1_000_000))
        places[after] = places[before] + _NEAREST + wait
    room = WIDTH - LEFT - RIGHT - 36
    scale = min(2.6, room / places[instants[-1]]) if len(instants) > 1 else 1.0
    return {instant: LEFT + 18 + place * scale for instant, place in places.items()}


def _neighbours(events: Sequence[Event]) -> Iterator[tuple[Event, Event]]:
    for session in dict.fromkeys(event.session for event in events):
        yield from pairwise(event for event in events if event.session == session)


def _names(events: Sequence[Event], at: Mapping[int, float], y: float) -> Iterator[str]:
    for instant, x in at.items():
        names = " + ".join(
            event.name.removeprefix("video_") for event in events if event.us == instant
        )
        yield (
            f'<text x="{x:.1f}" y="{y}" transform="rotate(30 {x:.1f} {y})" font-size="10" '
            f'fill="#333">{escape(names)}</text>'
        )


def _seen(panel: Panel, y: Callable[[int], float], x: float, top: float) -> Iterator[str]:
    yield f'<rect x="{x}" y="{top}" width="14" height="{PLOT}" fill="#eee"/>'
    for start, end in panel.seen:
        yield (
            f'<rect x="{x}" y="{y(end):.1f}" width="14" height="{y(start) - y(end):.1f}" '
            'fill="#2458c5"/>'
        )
    yield _text(x + 7, top + PLOT + 14, "seen", "middle")


def _legend(panels: Sequence[Panel], height: float) -> str:
    found = {span.evidence for panel in panels for span in panel.intervals}
    parts, x = "", float(LEFT)
    for evidence in (name for name in COLOURS if name in found):
        parts += (
            f'<path d="M{x} {height - 12}h18" stroke="{COLOURS[evidence]}" stroke-width="3.5"/>'
        )
        parts += _text(x + 23, height - 8, evidence, "start")
        x += 100
    return parts


def _text(x: float, y: float, text: str, anchor: str, fill: str = "#555") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
