"""The page of an experiment: one HTML file that loads nothing, and no id of a person on it."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from vidagg_dagster.core.days import days_text
from vidagg_dagster.core.text import spaced
from vidagg_dagster.insight.experiments.curves import Part
from vidagg_dagster.insight.experiments.pictures import (
    curves_picture,
    days_picture,
    intervals_picture,
)
from vidagg_dagster.insight.experiments.result import Effect, Result
from vidagg_dagster.insight.html import document


def page(result: Result) -> str:
    """The whole page."""
    parts = [*_head(result), *_arms(result)]
    if result.refused:
        parts += ["<h2>No effects are shown</h2>"]
        parts += [f'<p class="refused">{escape(reason)}</p>' for reason in result.refused]
    else:
        parts += [*_effects(result), *_curves(result), *_days(result)]
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
            '<th class="n">could be seen'
        )
        for effect in of_variant:
            yield _row(effect)
        yield "</table>"
    if result.not_known:
        yield f'<p class="note">Not known: {escape(", ".join(result.not_known))}.</p>'
    yield (
        '<p class="note">The 95 % interval holds for one look at a time that was fixed before. Who '
        "looks every day and stops at what pleases needs the wide one. Adjusted p: the share of "
        "false ones among all metrics that are called different (Benjamini-Hochberg). Could be "
        "seen: the smallest true difference that four of five such experiments with as many users "
        "would find at one look. A smaller one may be there, though none was found.</p>"
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
        _detectable(effect),
    ]
    title = f"{effect.title} [{effect.unit}]" if effect.unit else effect.title
    return f"<tr><td>{escape(title)}" + "".join(f'<td class="n">{cell}' for cell in cells)


def _detectable(effect: Effect) -> str:
    if effect.detectable is None:
        return "-"
    percent = f" ({100 * effect.detectable / effect.control:.1f} %)" if effect.control else ""
    return f"{effect.detectable:.3g}{percent}"


def number(value: float) -> str:
    """A figure with four digits that count."""
    return spaced(round(value)) if abs(value) >= 10_000 else f"{value:.4g}"


def _curves(result: Result) -> Iterator[str]:
    for variant in sorted({part.variant for part in result.curves}):
        curve = [part for part in result.curves if part.variant == variant]
        yield f"<h2>Which parts of started videos were seen: {escape(variant)}</h2>"
        yield curves_picture(curve, result.plan.control, variant)
        yield (
            f"<p>{_where_they_differ(curve)}</p>"
            '<p class="note">Every video is cut into equal parts, whatever its length; a point is '
            "the mean share seen of a part, over the started videos whose length is known. Below "
            "it the difference in percentage points: the dark interval is right in 95 of 100 "
            "experiments for one part, the light band for all parts together. Errors are those "
            "between users, by the delta method; they are not adjusted for the past.</p>"
        )
        yield _curve_table(curve, result.plan.control, variant)


def _where_they_differ(curve: Sequence[Part]) -> str:
    found = []
    for sign, stretch in groupby(curve, key=lambda part: part.sign):
        first, *rest = stretch
        if sign:
            word, last = "more" if sign > 0 else "less", rest[-1] if rest else first
            found.append(f"{word} from {first.from_percent:.0f} to {last.to_percent:.0f} %")
    if not found:
        return "The band holds 0 everywhere."
    return f"The band leaves out 0: {', '.join(found)}."


def _curve_table(curve: Sequence[Part], control: str, variant: str) -> str:
    rows = "".join(
        f"<tr><td>{part.from_percent:.0f} to {part.to_percent:.0f} %"
        f'<td class="n">{100 * part.control:.1f} %<td class="n">{100 * part.treatment:.1f} %'
        f'<td class="n">{100 * part.effect:+.1f}'
        f'<td class="n">{100 * part.lower:+.1f} to {100 * part.upper:+.1f}'
        f'<td class="n">{100 * part.band_lower:+.1f} to {100 * part.band_upper:+.1f}'
        for part in curve
    )
    return (
        f'<details><summary>The numbers</summary><table><tr><th>part<th class="n">{escape(control)}'
        f'<th class="n">{escape(variant)}<th class="n">difference<th class="n">95 % interval'
        f'<th class="n">band{rows}</table></details>'
    )


def _days(result: Result) -> Iterator[str]:
    for variant in sorted({day.variant for day in result.days}):
        days = [day for day in result.days if day.variant == variant]
        yield f"<h2>Watch seconds by day since the exposure: {escape(variant)}</h2>"
        yield days_picture(days, result.plan.window_days)
        yield (
            '<p class="note">Difference per user on each day, with its 95 % interval. An effect '
            "that fades was the charm of novelty.</p>"
        )
