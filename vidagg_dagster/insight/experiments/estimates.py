"""What differs between two arms: means and ratios by the delta method, adjusted for the past.

The statistics are tea-tasting's, of the extra `experiments`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.insight.experiments.plan import Plan
from vidagg_dagster.insight.experiments.sequential import half_width
from vidagg_dagster.insight.experiments.units import BEFORE, UNIT_COUNT
from vidagg_dagster.metrics.arrays import Bools, Floats

if TYPE_CHECKING:
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics.mean import MeanResult, RatioOfMeans

MIN_SAMPLE_RATIO_P: Final = 0.001
"""Numbers of units less likely than this are no chance: the assignment or its log is broken."""

POWER: Final = 0.8
"""A difference that could have been seen is found by so large a share of such experiments."""

_NORMAL_95: Final = 1.959963984540054


@dataclass(frozen=True)
class Metric:
    """A mean per unit, or with `denominator` a ratio of two means."""

    name: str
    title: str
    numerator: str
    denominator: str | None = None
    unit: str = ""


METRICS: Final = (
    Metric("watch_seconds", "Watched per user", "watchSeconds", unit="s"),
    Metric("active_users", "Users who watched anything", "active"),
    Metric("videos_started", "Videos started per user", "videosStarted"),
    Metric("completion_rate", "Completed per started video", "completed", "videosOffered"),
    Metric("coverage", "Seen share of started videos", "coveredSeconds", "offeredSeconds"),
)


class Difference(BaseModel):
    """Treatment minus control, with its 95 % interval and the one that stays valid at each look."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    control: float
    treatment: float
    effect: float
    lower: float
    upper: float
    always_lower: float
    always_upper: float
    relative: float | None
    p: float


def require_library() -> None:
    """Make sure that tea-tasting is there, before anything is read.

    Raises:
        StepError: It is not installed.
    """
    from importlib.util import find_spec

    if find_spec("tea_tasting") is None:
        raise StepError(
            "experiments need the Python package tea-tasting: "
            "pip install 'vidagg_dagster[experiments]'"
        )


def aggregates(rows: pa.Table, metrics: Sequence[Metric]) -> Mapping[str, "Aggregates"]:
    """Counts, means, variances and covariances of each variant, all that the metrics need."""
    from tea_tasting.aggr import read_aggregates

    columns = [_columns(metric) for metric in metrics]
    names = sorted({name for of_metric in columns for name in of_metric})
    pairs = {pair for of_metric in columns for pair in combinations_with_replacement(of_metric, 2)}
    found = read_aggregates(
        rows,
        "variant",
        has_count=True,
        mean_cols=names,
        var_cols=names,
        cov_cols=sorted(pairs),
    )
    assert isinstance(found, dict)
    return {str(variant): aggregate for variant, aggregate in found.items()}


def difference(
    metric: Metric, control: "Aggregates", treatment: "Aggregates", plan: Plan
) -> Difference | None:
    """The difference of two arms; None where the rows do not tell: too few, or nothing varies."""
    numerator, denominator, *_ = _columns(metric)
    arms = (control, treatment)
    if min(arm.count() for arm in arms) < 2 or any(not arm.mean(denominator) for arm in arms):
        return None
    if all(arm.ratio_var(numerator, denominator) <= 0 for arm in arms):
        return None
    found = _test(metric, arms, plan).analyze_aggregates(control, treatment)
    error = abs(found.effect_size / found.statistic) if found.statistic else _normal_error(found)
    units = control.count() + treatment.count()
    half = half_width(error, units, plan.planned_units, plan.alpha)
    return Difference(
        control=float(found.control),
        treatment=float(found.treatment),
        effect=float(found.effect_size),
        lower=float(found.effect_size_ci_lower),
        upper=float(found.effect_size_ci_upper),
        always_lower=float(found.effect_size - half),
        always_upper=float(found.effect_size + half),
        relative=float(found.rel_effect_size) if isfinite(found.rel_effect_size) else None,
        p=float(found.pvalue),
    )


def detectable(
    metric: Metric, control: "Aggregates", treatment: "Aggregates", plan: Plan
) -> float | None:
    """The smallest true difference that as many users as these find with the probability `POWER`.

    By the variance of both arms together. None where past and present are the same to the last
    digit, so that no variance is left. Of arms that have a `difference`.
    """
    test = _test(metric, (control, treatment), plan)
    both = control + treatment
    names = _columns(metric)
    if both.ratio_var(names[0], names[1]) <= 0:
        return None
    return float(test.solve_power_from_aggregates(both, "effect_size")[0].effect_size)


def _test(metric: Metric, arms: tuple["Aggregates", "Aggregates"], plan: Plan) -> "RatioOfMeans":
    import tea_tasting as tt

    control, treatment = arms
    numerator, denominator, *past = _columns(metric)
    return tt.RatioOfMeans(
        numerator,
        denominator,
        # Where nobody was there before, there is no past to adjust for.
        *(past if all(arm.mean(past[1]) for arm in arms) else ()),
        confidence_level=1 - plan.alpha,
        alpha=plan.alpha,
        power=POWER,
        ratio=treatment.count() / control.count(),
    )


def daily_differences(
    daily: Floats, weights: Floats, is_control: Bools, is_treatment: Bools, plan: Plan
) -> list[tuple[float, float, float] | None]:
    """Effect on the watch seconds of each day since the exposure, with its interval.

    Args:
        daily: Watch seconds by row (unit or cluster) and day.
        weights: Units in each row.
        is_control: True for the rows of the control.
        is_treatment: True for those of the other arm.
        plan: Its error rate.
    """
    import tea_tasting as tt

    metric = tt.RatioOfMeans("x", "units", confidence_level=1 - plan.alpha)
    found: list[tuple[float, float, float] | None] = []
    for day in daily.T:
        arms = [_of_arm(day[arm], weights[arm]) for arm in (is_control, is_treatment)]
        if min(arm.count() for arm in arms) < 2 or all(arm.var("x") <= 0 for arm in arms):
            found.append(None)
            continue
        one = metric.analyze_aggregates(*arms)
        found.append(
            (
                float(one.effect_size),
                float(one.effect_size_ci_lower),
                float(one.effect_size_ci_upper),
            )
        )
    return found


def _of_arm(values: Floats, weights: Floats) -> "Aggregates":
    from tea_tasting.aggr import Aggregates

    if len(values) < 2:
        return Aggregates(count_=len(values))
    spread = np.cov(values, weights)
    return Aggregates(
        count_=len(values),
        mean_={"x": float(values.mean()), "units": float(weights.mean())},
        var_={"x": float(spread[0, 0]), "units": float(spread[1, 1])},
        cov_={("x", "units"): float(spread[0, 1])},
    )


def sample_ratio_p(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """How likely numbers of units so far from their shares are, if all is well (chi-square).

    Args:
        counts: Variant -> units, or clusters where these were assigned.
        shares: Variant -> expected share. Of a variant without one no unit is expected.
    """
    from scipy.stats import chisquare

    if any(counts.get(name, 0) for name in counts if name not in shares):
        return 0.0
    names = sorted(shares)
    observed = [counts.get(name, 0) for name in names]
    if not sum(observed):
        return 1.0
    whole = sum(observed) / sum(shares.values())
    return float(chisquare(observed, [shares[name] * whole for name in names]).pvalue)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg: how many of the differences found may be none."""
    from scipy.stats import false_discovery_control

    return [float(p) for p in false_discovery_control(p_values)] if p_values else []


def _columns(metric: Metric) -> tuple[str, str, str, str]:
    """Numerator, denominator, and the same before the exposure.

    A mean per unit is a ratio as well: rows of clusters hold many units.
    """
    if metric.denominator is None:
        return metric.numerator, UNIT_COUNT, f"{BEFORE}{metric.numerator}", UNIT_COUNT
    return (
        metric.numerator,
        metric.denominator,
        f"{BEFORE}{metric.numerator}",
        f"{BEFORE}{metric.denominator}",
    )


def _normal_error(found: "MeanResult") -> float:
    """The standard error where the effect is exactly 0; a little too large."""
    return float(found.effect_size_ci_upper - found.effect_size_ci_lower) / 2 / _NORMAL_95
