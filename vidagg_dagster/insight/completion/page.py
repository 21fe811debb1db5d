"""The page of the forecast: one HTML file that loads nothing: scores, and how well calibrated."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import pyarrow as pa

from vidagg_dagster.core.text import spaced
from vidagg_dagster.insight.completion.forecast import BASE, LEARNED, TABLE, Evaluation
from vidagg_dagster.insight.completion.landmarks import BY_DAYS
from vidagg_dagster.insight.completion.scoring import Bin

_SIDE, _MARGIN = 320, 44
_TITLES: Final = {
    BASE: "the same share for everybody",
    TABLE: "the table",
    LEARNED: "the model",
}
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2430; background: #fff }
table { border-collapse: collapse } td, th { padding: .3rem .8rem .3rem 0; text-align: left;
  border-bottom: 1px solid #dde }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.note { color: #556 } svg { max-width: 100%; height: auto }
"""


def page(found: Evaluation, cohorts: pa.Table) -> str:
    """The whole page."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<title>Completion</title><meta name="viewport" content="width=device-width">',
            f"<style>{_STYLE}</style><h1>How likely is it that a video is completed?</h1>",
            *_head(found),
            *_scores(found),
            *_cohorts(cohorts),
            "</html>",
            "",
        ]
    )


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
    height = _SIDE + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {end + 60} {height}" '
        f'width="{end + 60}" font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="Told probability against share that completed">{drawn}</svg>'
    )
