"""What an experiment came to, or why it is not told."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from vidagg_dagster.insight.experiments.assignment import CLUSTER, Assigned
from vidagg_dagster.insight.experiments.curves import Part, parts
from vidagg_dagster.insight.experiments.estimates import (
    METRICS,
    MIN_SAMPLE_RATIO_P,
    Difference,
    adjusted,
    aggregates,
    daily_differences,
    detectable,
    difference,
    sample_ratio_p,
)
from vidagg_dagster.insight.experiments.plan import MIN_CLUSTERS, Plan
from vidagg_dagster.insight.experiments.units import (
    UNIT_COUNT,
    Units,
    by_cluster,
    cells_by_cluster,
    unit_rows,
)
from vidagg_dagster.metrics.arrays import Bools, floats_or_nan


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Model):
    """One variant: exposed units, those whose window is over, and clusters if there are any."""

    variant: str
    share: float | None
    exposed: int
    units: int
    clusters: int | None = None


class Effect(Difference):
    """A metric in a variant against the control.

    `adjusted_p` takes into account how many metrics there are. `detectable` is the smallest true
    difference that as many users find with the probability `estimates.POWER`.
    """

    metric: str
    title: str
    unit: str
    variant: str
    adjusted_p: float
    detectable: float | None


class DayEffect(_Model):
    """The effect on the watch seconds of one day since the exposure."""

    variant: str
    day: int
    effect: float
    lower: float
    upper: float


class CurvePart(Part):
    """Of the curve of a variant beside that of the control."""

    variant: str


class Result(_Model):
    """One experiment. Without `effects`, `refused` says why."""

    experiment: str
    plan: Plan
    complete_until: datetime
    arms: tuple[Arm, ...]
    rows: int
    repeated: int
    waiting: int
    in_two_arms: int
    sample_ratio_p: float
    uneven_days: tuple[date, ...] = ()
    """Days (UTC) on which the first exposures were not in the planned shares: a switch that was
    flipped, or a log that was down. All days together may still be as planned."""
    clustered: bool
    looks: int = 0
    """How often effects were computed: more than once means somebody may have peeked."""

    table_faults: tuple[str, ...] = ()
    """Why the stored tables must not be believed now; they are among `refused`."""
    refused: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    not_known: tuple[str, ...] = ()
    """Metrics that the rows do not tell: too few units, or nothing varies."""
    days: tuple[DayEffect, ...] = ()
    curves: tuple[CurvePart, ...] = ()
    """Part by part of the started videos whose length is known; see `curves.parts`."""

    @property
    def sample_ratio_holds(self) -> bool:
        """Whether the numbers of units are as they were planned."""
        return self.sample_ratio_p >= MIN_SAMPLE_RATIO_P


def evaluate(
    assigned: Assigned,
    intervals: pa.Table,
    durations: pa.Table,
    plan: Plan,
    complete_until: datetime,
    faults: tuple[str, ...] = (),
) -> Result:
    """The result of an experiment, or the reasons for which there is none.

    Args:
        assigned: Its units.
        intervals: See `units.unit_rows`.
        durations: See `units.unit_rows`.
        plan: How it is evaluated.
        complete_until: Everything that happened before it is in `intervals`.
        faults: Why the tables must not be believed now; empty where nothing is known.
    """
    until_us = int(complete_until.timestamp() * 1_000_000)
    units = unit_rows(assigned.units, intervals, durations, plan, until_us)
    compared = _by_cluster(units) if assigned.clustered else units
    counts = _counts(assigned)
    shares = plan.shares or dict.fromkeys(sorted({*counts, plan.control}), 1.0)
    ratio_p = sample_ratio_p(counts, shares)
    result = Result(
        experiment=assigned.experiment,
        plan=plan,
        complete_until=complete_until,
        arms=_arms(assigned, units, shares),
        rows=assigned.rows,
        repeated=assigned.repeated,
        waiting=units.waiting,
        in_two_arms=len(assigned.in_two_arms),
        sample_ratio_p=ratio_p,
        uneven_days=_uneven_days(assigned, shares),
        clustered=assigned.clustered,
        table_faults=faults,
    )
    refused = (*faults, *_refusals(result, compared.rows))
    if refused:
        return result.model_copy(update={"refused": refused})
    return _with_effects(result, compared)


def _counts(assigned: Assigned) -> dict[str, int]:
    """Variant -> what was assigned: units, or clusters."""
    pairs = assigned.units.select(["variant", CLUSTER])
    if assigned.clustered:
        pairs = pairs.group_by(["variant", CLUSTER]).aggregate([])
    counted = pairs.group_by("variant").aggregate([([], "count_all")]).to_pylist()
    return {row["variant"]: row["count_all"] for row in counted}


def _uneven_days(assigned: Assigned, shares: dict[str, float]) -> tuple[date, ...]:
    """Days whose exposures are less likely than the bound, shared among the days."""
    if assigned.clustered:
        # The units of a cluster are exposed together, which says nothing of the assignment.
        return ()
    counts: dict[date, Counter[str]] = defaultdict(Counter)
    exposed = assigned.units["exposedAt"].to_pylist()
    for moment, variant in zip(exposed, assigned.units["variant"].to_pylist(), strict=True):
        counts[moment.date()][variant] += 1
    return tuple(
        day
        for day in sorted(counts)
        if sample_ratio_p(counts[day], shares) < MIN_SAMPLE_RATIO_P / len(counts)
    )


def _arms(assigned: Assigned, units: Units, shares: dict[str, float]) -> tuple[Arm, ...]:
    exposed = assigned.units["variant"].to_pylist()
    ready = units.rows["variant"].to_pylist()
    counts = _counts(assigned)
    whole = sum(shares.values())
    return tuple(
        Arm(
            variant=name,
            share=shares[name] / whole if name in shares else None,
            exposed=exposed.count(name),
            units=ready.count(name),
            clusters=counts.get(name, 0) if assigned.clustered else None,
        )
        for name in sorted({*shares, *counts})
    )


def _refusals(result: Result, rows: pa.Table) -> list[str]:
    control = result.plan.control
    found: list[str] = []
    if not result.sample_ratio_holds:
        found.append(
            f"the numbers of units are not the planned shares (p = {result.sample_ratio_p:.2g}): "
            "the assignment or its log is broken, and every difference may come from that"
        )
    ready = {arm.variant: arm for arm in result.arms if arm.units}
    if control not in ready:
        found.append(f"no unit of the control {control!r} has a complete window yet")
    if len(ready) < 2:
        found.append(
            f"fewer than two arms have a unit whose {result.plan.window_days} days are over"
        )
    if result.clustered:
        variants = rows["variant"].to_pylist()
        few = [name for name in sorted(ready) if variants.count(name) < MIN_CLUSTERS]
        if few:
            found.append(
                f"fewer than {MIN_CLUSTERS} clusters in {', '.join(few)}: the variance between "
                "clusters would be a guess"
            )
    return found


def _with_effects(result: Result, compared: Units) -> Result:
    plan = result.plan
    by_variant = aggregates(compared.rows, METRICS)
    variants = sorted(set(by_variant) - {plan.control})
    found, not_known = [], []
    for name in variants:
        for metric in METRICS:
            one = difference(metric, by_variant[plan.control], by_variant[name], plan)
            if one is None:
                not_known.append(f"{metric.name} ({name})")
            else:
                found.append((metric, name, one))
    effects = [
        Effect(
            metric=metric.name,
            title=metric.title,
            unit=metric.unit,
            variant=name,
            adjusted_p=p,
            detectable=detectable(metric, by_variant[plan.control], by_variant[name], plan),
            **one.model_dump(),
        )
        for (metric, name, one), p in zip(
            found, adjusted([one.p for _, _, one in found]), strict=True
        )
    ]
    return result.model_copy(
        update={
            "effects": tuple(effects),
            "not_known": tuple(not_known),
            "days": tuple(_day_effects(compared, variants, plan)),
            "curves": tuple(_curves(compared, variants, plan)),
        }
    )


def _day_effects(compared: Units, variants: Sequence[str], plan: Plan) -> Iterator[DayEffect]:
    weights = floats_or_nan(compared.rows[UNIT_COUNT])
    for name in variants:
        arms = _rows_of(compared, plan.control), _rows_of(compared, name)
        for day, found in enumerate(daily_differences(compared.daily, weights, *arms, plan)):
            if found is not None:
                effect, low, high = found
                yield DayEffect(variant=name, day=day, effect=effect, lower=low, upper=high)


def _curves(compared: Units, variants: Sequence[str], plan: Plan) -> Iterator[CurvePart]:
    started = floats_or_nan(compared.rows["videosOffered"])
    for name in variants:
        arms = _rows_of(compared, plan.control), _rows_of(compared, name)
        for part in parts(compared.seen, started, *arms, plan.alpha):
            yield CurvePart(variant=name, **part.model_dump())


def _rows_of(compared: Units, variant: str) -> Bools:
    return np.asarray(np.array(compared.rows["variant"].to_pylist()) == variant, bool)


def _by_cluster(units: Units) -> Units:
    return units._replace(
        rows=by_cluster(units.rows),
        daily=cells_by_cluster(units.rows, units.daily),
        seen=cells_by_cluster(units.rows, units.seen),
    )
