"""The page of the forecast: one HTML file that loads nothing: scores, and how well calibrated."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import pyarrow as pa

from vidagg_dagster.core.text import spaced
from vidagg_dagster.insight.completion.forecast import BASE, LEARNED, TABLE, Evaluation
from vidagg_dagster.insight.completion.landmarks import BY_DAYS
from vidagg_dagster.insight.completion.scoring import Bin
from vidagg_dagster.insight.html import document, picture

_SIDE, _MARGIN = 320, 44
_TITLES: Final = {
    BASE: "the same share for everybody",
    TABLE: "the table",
    LEARNED: "the model",
}


def page(found: Evaluation, cohorts: pa.Table) -> str:
    """The whole page."""
    heading = "How likely is it that a video is completed?"
    return document("Completion", heading, [*_head(found), *_scores(found), *_cohorts(cohorts)])


def _head(found: Evaluation) -> Iterator[str]:
    yield (
        f"<p>Until {found.complete_until:%Y-%m-%d}: {spaced(found.pairs)} pairs of a user and a "
        f"video whose 28 days are over. Complete means {found.threshold_percent} % seen.</p>"
        f"<p>In force: <b>{escape(_TITLES[found.in_force])}</b>, because {escape(found.why)}.</p>"
        '<p class="note">Not for judging persons: a probability says what became of others who '
        "had come as far, not what someone wants, can or will do.</p>"
    )


def _scores(found: Evaluation) -> Iterator[str]:
    if not found.scores:
        return
    yield (
        f"<h2>On {spaced(found.test_landmarks)} later moments</h2><table><tr><th>forecast"
        '<th class="n">Brier<th class="n">log loss<th class="n">calibration error'
    )
    for one in found.scores:
        cells = (one.brier, one.log_loss, one.calibration_error)
        yield f"<tr><td>{escape(_TITLES[one.name])}"
        yield "".join(f'<td class="n">{cell:.4f}' for cell in cells)
    yield "</table><p class=note>The lower the better. Everything was learnt before.</p>"
    yield "<h2>Of those told so much, so many completed</h2>"
    yield reliability_picture(found.bins)
    if found.slope is not None:
        value, lower, upper = found.slope
        yield (
            f"<p>Calibration slope {value:.2f}, 95 % interval {lower:.2f} to {upper:.2f}: of those "
            f"told 10 points more, {10 * value:.1f} points more completed. 1 is right; below it "
            "the forecast is too extreme.</p>"
        )


def _cohorts(rows: pa.Table) -> Iterator[str]:
    yield "<h2>Completed within so many days, by the week begun</h2><table><tr><th>week"
    yield '<th class="n">begun' + "".join(f'<th class="n">{days} d' for days in BY_DAYS)
    for row in reversed(rows.to_pylist()):
        week, started, *completed = row.values()
        yield f'<tr><td>{week}<td class="n">{spaced(started)}'
        yield "".join(f'<td class="n">{_share(count, started)}' for count in completed)
    yield "</table><p class=note>A dash: the days of that week are not over.</p>"


def _share(count: int | None, of: int) -> str:
    return "-" if count is None else f"{spaced(count)} ({100 * count / of:.1f} %)"


def reliability_picture(found: Sequence[Bin]) -> str:
    """The reliability diagram: told against happened, the area of a point being its moments."""
    most = max(one.landmarks for one in found)
    end = _MARGIN + _SIDE

    def x(share: float) -> float:
        return round(_MARGIN + _SIDE * share, 1)

    def y(share: float) -> float:
        return round(10 + _SIDE * (1 - share), 1)

    drawn = f'<path d="M{x(0)} {y(0)}L{x(1)} {y(1)}" stroke="#889" stroke-dasharray="4 4"/>'
    drawn += f'<path d="M{x(0)} {y(1)}V{y(0)}H{end}" stroke="#889" fill="none"/>'
    for share in (0, 0.5, 1):
        drawn += f'<text x="6" y="{y(share) + 4}">{share:.0%}</text>'
        drawn += f'<text x="{x(share) - 12}" y="{y(0) + 20}">{share:.0%}</text>'
    for one in found:
        radius = round(4 + 12 * (one.landmarks / most) ** 0.5, 1)
        middle = f'cx="{x(one.probability)}" cy="{y(one.completed)}"'
        drawn += (
            f'<circle {middle} r="{radius}" fill="#2f5bd0" fill-opacity=".7"/>'
            f'<text x="{x(one.probability) + radius + 2}" y="{y(one.completed) + 4}">'
            f"{spaced(one.landmarks)}</text>"
        )
    return picture(end + 60, _SIDE + 40, "Told probability against share that completed", drawn)
