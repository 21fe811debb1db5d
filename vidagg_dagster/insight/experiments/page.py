"""The page of an experiment: one HTML file that loads nothing, and no id of a person on it."""

from collections.abc import Iterator, Sequence
from html import escape

from vidagg_dagster.core.days import days_text
from vidagg_dagster.core.text import spaced
from vidagg_dagster.insight.experiments.result import DayEffect, Effect, Result
from vidagg_dagster.insight.html import document, picture

_WIDTH, _ROW, _LABEL, _RIGHT = 760, 30, 250, 190
_DAYS_HEIGHT, _MARGIN = 180, 48


def page(result: Result) -> str:
    """The whole page."""
    parts = [*_head(result), *_arms(result)]
    if result.refused:
        parts += ["<h2>No effects are shown</h2>"]
        parts += [f'<p class="refused">{escape(reason)}</p>' for reason in result.refused]
    else:
        parts += [*_effects(result), *_days(result)]
    return document(result.experiment, f"Experiment {result.experiment}", parts)


def _head(result: Result) -> Iterator[str]:
    plan = result.plan
    yield (
        f"<p>Everything until {result.complete_until:%Y-%m-%d %H:%M %Z}. What a user watched in "
        f"the {plan.window_days} days after the first exposure, compared with "
        f"{escape(plan.control)}; adjusted for the {plan.covariate_days} days before.</p>"
    )
    notes = [
        f"{spaced(result.rows)} rows of assignment",
        f"{spaced(result.repeated)} repeated exposures",
        f"{spaced(result.in_two_arms)} units in two arms, left out",
        f"{spaced(result.waiting)} units whose {plan.window_days} days are not over",
        f"looked at {result.looks} times",
    ]
    yield f'<p class="note">{"; ".join(notes)}.</p>'


def _arms(result: Result) -> Iterator[str]:
    yield '<h2>Arms</h2><table><tr><th>arm<th class="n">planned<th class="n">exposed'
    if result.clustered:
        yield '<th class="n">clusters'
    yield '<th class="n">compared'
    for arm in result.arms:
        share = "not planned" if arm.share is None else f"{100 * arm.share:.4g} %"
        yield f'<tr><td>{escape(arm.variant)}<td class="n">{share}'
        yield f'<td class="n">{spaced(arm.exposed)}'
        if arm.clusters is not None:
            yield f'<td class="n">{spaced(arm.clusters)}'
        yield f'<td class="n">{spaced(arm.units)}'
    verdict = "as planned" if result.sample_ratio_holds else "not as planned"
    yield f"</table><p>The numbers are {verdict} (p = {result.sample_ratio_p:.2g}).</p>"
    if result.uneven_days:
        yield (
            f"<p>Not as planned on {days_text(result.uneven_days)} (UTC): look at what happened "
            "to the assignment or its log then.</p>"
        )


def _effects(result: Result) -> Iterator[str]:
    for variant in sorted({effect.variant for effect in result.effects}):
        of_variant = [effect for effect in result.effects if effect.variant == variant]
        yield f"<h2>{escape(variant)} against {escape(result.plan.control)}</h2>"
        yield intervals_picture(of_variant)
        yield (
            f'<table><tr><th>metric<th class="n">{escape(result.plan.control)}'
            f'<th class="n">{escape(variant)}<th class="n">difference<th class="n">95 % interval'
            '<th class="n">valid at every look<th class="n">p<th class="n">adjusted p'
        )
        for effect in of_variant:
            yield _row(effect)
        yield "</table>"
    if result.not_known:
        yield f'<p class="note">Not known: {escape(", ".join(result.not_known))}.</p>'
    yield (
        '<p class="note">The 95 % interval holds for one look at a time that was fixed before. Who '
        "looks every day and stops at what pleases needs the wide one. Adjusted p: the share of "
        "false ones among all metrics that are called different (Benjamini-Hochberg).</p>"
    )


def _row(effect: Effect) -> str:
    relative = "" if effect.relative is None else f" ({100 * effect.relative:+.1f} %)"
    cells = [
        number(effect.control),
        number(effect.treatment),
        f"{effect.effect:+.4g}{relative}",
        f"{effect.lower:+.4g} to {effect.upper:+.4g}",
        f"{effect.always_lower:+.4g} to {effect.always_upper:+.4g}",
        f"{effect.p:.2g}",
        f"{effect.adjusted_p:.2g}",
    ]
    title = f"{effect.title} [{effect.unit}]" if effect.unit else effect.title
    return f"<tr><td>{escape(title)}" + "".join(f'<td class="n">{cell}' for cell in cells)


def number(value: float) -> str:
    """A figure with four digits that count."""
    return spaced(round(value)) if abs(value) >= 10_000 else f"{value:.4g}"


def intervals_picture(effects: Sequence[Effect]) -> str:
    """The intervals in percent of the control; metrics without one are left out."""
    shown = [effect for effect in effects if effect.control and effect.relative is not None]
    if not shown:
        return ""
    bounds = [100 * side / effect.control for effect in shown for side in _outer(effect)]
    low, high = min(0, *bounds), max(0, *bounds)
    scale = (_WIDTH - _LABEL - _RIGHT) / ((high - low) or 1)

    def x(percent: float) -> float:
        return round(_LABEL + (percent - low) * scale, 1)

    height = _ROW * len(shown)
    drawn = f'<path d="M{x(0)} 0V{height}" stroke="#889" stroke-dasharray="3 3"/>'
    for row, effect in enumerate(shown):
        y = _ROW * row + _ROW / 2
        inner = [100 * side / effect.control for side in (effect.lower, effect.upper)]
        wide = [100 * side / effect.control for side in _outer(effect)]
        middle = 100 * effect.effect / effect.control
        drawn += (
            f'<text x="0" y="{y + 4}">{escape(effect.title)}</text>'
            f'<path d="M{x(wide[0])} {y}H{x(wide[1])}" stroke="#9bb4e8" stroke-width="3"/>'
            f'<path d="M{x(inner[0])} {y}H{x(inner[1])}" stroke="#2f5bd0" stroke-width="9"/>'
            f'<circle cx="{x(middle)}" cy="{y}" r="6" fill="#12285f"/>'
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{y + 4}">{middle:+.1f} % '
            f"[{inner[0]:+.1f}, {inner[1]:+.1f}]</text>"
        )
    return picture(_WIDTH, height, "Differences in percent of the control", drawn)


def _outer(effect: Effect) -> tuple[float, float]:
    return effect.always_lower, effect.always_upper


def _days(result: Result) -> Iterator[str]:
    for variant in sorted({day.variant for day in result.days}):
        days = [day for day in result.days if day.variant == variant]
        yield f"<h2>Watch seconds by day since the exposure: {escape(variant)}</h2>"
        yield days_picture(days, result.plan.window_days)
        yield (
            '<p class="note">Difference per user on each day, with its 95 % interval. An effect '
            "that fades was the charm of novelty.</p>"
        )


def days_picture(days: Sequence[DayEffect], window_days: int) -> str:
    """The effect of each day since the exposure, with its interval."""
    low = min(0, *(day.lower for day in days))
    high = max(0, *(day.upper for day in days))
    step = (_WIDTH - _MARGIN) / window_days
    scale = (_DAYS_HEIGHT - 30) / ((high - low) or 1)

    def y(value: float) -> float:
        return round(10 + (high - value) * scale, 1)

    drawn = f'<path d="M{_MARGIN} {y(0)}H{_WIDTH}" stroke="#889" stroke-dasharray="3 3"/>'
    for value in sorted({low, 0, high}):
        drawn += f'<text x="0" y="{y(value) + 4}">{value:+.3g}</text>'
    for day in days:
        x = round(_MARGIN + step * (day.day + 0.5), 1)
        drawn += (
            f'<path d="M{x} {y(day.lower)}V{y(day.upper)}" stroke="#9bb4e8" stroke-width="5"/>'
            f'<circle cx="{x}" cy="{y(day.effect)}" r="4" fill="#12285f"/>'
            f'<text x="{x - 4}" y="{_DAYS_HEIGHT - 2}">{day.day + 1}</text>'
        )
    return picture(_WIDTH, _DAYS_HEIGHT, "Effect by day since the exposure", drawn)
