"""The pictures of an experiment, as SVG."""

from collections.abc import Sequence
from html import escape

from vidagg_dagster.insight.experiments.curves import Part
from vidagg_dagster.insight.experiments.result import DayEffect, Effect
from vidagg_dagster.insight.html import picture

_WIDTH, _ROW, _LABEL, _RIGHT = 760, 30, 250, 190
_DAYS_HEIGHT, _MARGIN = 180, 48
_CURVE_HEIGHT, _BAND_HEIGHT, _GAP, _EDGE, _LEGEND = 220, 120, 30, 30, 34


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


def curves_picture(curve: Sequence[Part], control: str, variant: str) -> str:
    """Both curves, and below them their difference with its intervals and its band."""
    whole = _CURVE_HEIGHT + _GAP + _BAND_HEIGHT
    drawn = _two_curves(curve, control, variant) + _difference(curve, _CURVE_HEIGHT + _GAP)
    for percent in (0, 25, 50, 75, 100):
        drawn += f'<text x="{_across(percent)}" y="{whole + 18}" text-anchor="middle">'
        drawn += f"{percent} %</text>"
    return picture(_WIDTH, whole + 24, "Share seen of each part of started videos", drawn)


def _across(percent: float) -> float:
    return round(_MARGIN + (_WIDTH - _MARGIN - _EDGE) * percent / 100, 1)


def _middle(part: Part) -> float:
    return _across((part.from_percent + part.to_percent) / 2)


def _two_curves(curve: Sequence[Part], control: str, variant: str) -> str:
    def y(share: float) -> float:
        return round(_LEGEND + (_CURVE_HEIGHT - _LEGEND) * (1 - share), 1)

    drawn = ""
    for share in (0, 0.5, 1):
        drawn += f'<path d="M{_MARGIN} {y(share)}H{_across(100)}" stroke="#dde"/>'
        drawn += f'<text x="0" y="{y(share) + 4}">{share:.0%}</text>'
    shown = (
        ([part.control for part in curve], control, "#667", "5 4", 0.3),
        ([part.treatment for part in curve], variant, "#2f5bd0", "", 0.62),
    )
    for shares, name, colour, dashes, at in shown:
        points = " ".join(
            f"{_middle(part)},{y(one)}" for part, one in zip(curve, shares, strict=True)
        )
        drawn += f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"'
        drawn += f' stroke-dasharray="{dashes}"/>' if dashes else "/>"
        x = round(_WIDTH * at, 1)
        drawn += f'<path d="M{x} 12h30" stroke="{colour}" stroke-width="2.5"'
        drawn += f' stroke-dasharray="{dashes}"/>' if dashes else "/>"
        drawn += f'<text x="{x + 36}" y="16">{escape(name)}</text>'
    return drawn


def _difference(curve: Sequence[Part], top: float) -> str:
    low = min(0, *(part.band_lower for part in curve))
    high = max(0, *(part.band_upper for part in curve))
    scale = _BAND_HEIGHT / ((high - low) or 1)

    def y(value: float) -> float:
        return round(top + (high - value) * scale, 1)

    upper = [f"{_middle(part)},{y(part.band_upper)}" for part in curve]
    lower = [f"{_middle(part)},{y(part.band_lower)}" for part in reversed(curve)]
    drawn = f'<polygon points="{" ".join([*upper, *lower])}" fill="#9bb4e8" fill-opacity=".45"/>'
    drawn += f'<path d="M{_MARGIN} {y(0)}H{_across(100)}" stroke="#889" stroke-dasharray="3 3"/>'
    for value in sorted({low, 0, high}):
        drawn += f'<text x="0" y="{y(value) + 4}">{100 * value:+.2g}</text>'
    for part in curve:
        x = _middle(part)
        drawn += (
            f'<path d="M{x} {y(part.lower)}V{y(part.upper)}" stroke="#2f5bd0" stroke-width="4"/>'
            f'<circle cx="{x}" cy="{y(part.effect)}" r="4" fill="#12285f"/>'
        )
    return drawn
