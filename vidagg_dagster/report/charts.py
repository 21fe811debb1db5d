"""The shapes of the charts: numbers as paths and boxes of SVG, which the templates draw.

A plot is `HEIGHT` units high and as wide as its number of bins; the page stretches it. Text is not
part of a plot, so it keeps its size on a narrow screen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

HEIGHT: Final = 200
HEAT_STEPS: Final = 9
TICKS_ACROSS: Final = 6

_STEPS_MS: Final = (
    *(n * 1000 for n in (1, 2, 5, 10, 15, 30)),
    *(n * 60_000 for n in (1, 2, 5, 10, 15, 30)),
    *(n * 3_600_000 for n in (1, 2, 5, 10, 24)),
)


@dataclass(frozen=True)
class Tick:
    """A line of the grid: where it is, in percent of the plot, and its value."""

    at: float
    value: float


@dataclass(frozen=True)
class Bar:
    """A column of a chart by days: place and width in percent, height in percent, its row."""

    x: float
    width: float
    height: float
    row: dict[str, Any]


def area(values: Sequence[float], top: float) -> str:
    """The outline of the area below the values, each a step of one unit."""
    return f"M0 {HEIGHT}" + _steps(values, top) + f"V{HEIGHT}z"


def _steps(values: Sequence[float], top: float) -> str:
    """Steps of the same height are one, so a level curve costs little."""
    path, at, width = "", HEIGHT, 0
    for value in values:
        y = _y(value, top)
        if y != at:
            path += (f"h{width}" if width else "") + f"v{y - at}"
            at, width = y, 0
        width += 1
    return path + f"h{width}"


def _y(value: float, top: float) -> int:
    return round(HEIGHT * (1 - value / top)) if top else HEIGHT


def heat(values: Sequence[float], top: float) -> dict[int, str]:
    """The values as coloured strokes: a path for each colour from 1 to `HEAT_STEPS` that occurs."""
    paths: dict[int, str] = {}
    start, step = 0, 0
    for at, new in enumerate([*(step_of(value, top) for value in values), 0]):
        if new != step:
            if step:
                paths[step] = paths.get(step, "") + f"M{start} 1h{at - start}"
            start, step = at, new
    return paths


def step_of(value: float | None, top: float) -> int:
    """The colour of a value: 0 for nothing, `HEAT_STEPS` for the largest."""
    if not value or not top:
        return 0
    return max(1, min(HEAT_STEPS, round(HEAT_STEPS * value / top)))


def strip(intervals: Iterable[tuple[float, float]], end_ms: int, y: int) -> str:
    """Watched intervals (seconds) as strokes at the height `y`, in thousandths of the video."""
    path = ""
    for start_s, end_s in intervals:
        left = round(1e6 * start_s / end_ms)
        right = min(round(1e6 * end_s / end_ms), 1000)
        path += f"M{left} {y}h{max(right - left, 1)}"
    return path


def fewer(values: Sequence[float], most: int = 30) -> Sequence[float]:
    """Every n-th value, at most `most` of them: for a picture as small as a word."""
    return values[:: -(-len(values) // most) or 1]


def ticks_of_time(end_ms: int) -> list[Tick]:
    """Round positions of the video, about `TICKS_ACROSS` of them; not at its very end."""
    step = next((one for one in _STEPS_MS if end_ms / one <= TICKS_ACROSS), _STEPS_MS[-1])
    at = range(0, end_ms, step)
    return [Tick(100 * ms / end_ms, ms) for ms in at if ms <= 0.94 * end_ms]


def ticks_up(top: float, whole: float) -> list[Tick]:
    """Round percentages of `whole`, from the bottom to the top of a plot that ends at `top`."""
    if not whole:
        return []
    highest = 100 * top / whole
    step = next((n for n in (25, 50, 100, 200, 500, 1000) if highest / n <= 4.5), 2500)
    return [
        Tick(100 - 100 * percent / highest, percent)
        for percent in range(step, int(highest) + 1, step)
    ]


def bars(rows: Sequence[dict[str, Any]], column: str) -> list[Bar]:
    """A column of the chart for each row, the oldest day first; days without a row are gaps."""
    if not rows:
        return []
    days: list[date] = [row["event_date"] for row in rows]
    first, span = min(days), (max(days) - min(days)).days + 1
    top = max(row[column] or 0 for row in rows) or 1
    width = 100 / max(span, 7)
    return [
        Bar(
            round((row["event_date"] - first).days * width, 3),
            round(width * 0.8, 3),
            round(100 * (row[column] or 0) / top, 2),
            row,
        )
        for row in sorted(rows, key=lambda row: row["event_date"])
    ]
