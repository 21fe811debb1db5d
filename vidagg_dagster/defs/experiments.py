"""Experiments as an asset with checks, a job and a schedule, where VIDAGG_EXPERIMENTS_ASSIGNMENTS
names who was exposed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    RAW_EVENTS,
    SESSIONS,
    SOURCE_INVENTORY,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
)
from vidagg_dagster.defs.code_references import code_references
from vidagg_dagster.defs.partitions import BESIDE_RANGES, with_backfill_policies
from vidagg_dagster.defs.schedules import after_deadline
from vidagg_dagster.defs.targets import POOL
from vidagg_dagster.insight.experiments.plan import FOLDER
from vidagg_dagster.settings.model import Settings

if TYPE_CHECKING:
    from vidagg_dagster.insight.experiments.result import Result
    from vidagg_dagster.insight.experiments.run import Evaluated
    from vidagg_dagster.pipeline.verify import Materialized

EXPERIMENTS: Final = "experiments"
GROUP: Final = "experiments"
JOB: Final = "evaluate_experiments"

SAMPLE_RATIO: Final = "sample_ratio"
ONE_ARM: Final = "units_are_in_one_arm"
USABLE: Final = "assignments_are_usable"
BELIEVABLE: Final = "tables_agree"

_CHECKS: Final = {
    SAMPLE_RATIO: "The numbers of units of each experiment are its planned shares (p >= 0.001). "
    "If it fails, no effect of that experiment is shown: look for units that are lost between "
    "the assignment and its log, and start the experiment anew.",
    ONE_ARM: "No unit was exposed to two variants. Those that were are left out; "
    "`vidagg experiments --excluded FILE` lists them.",
    USABLE: "Every row of the assignment table has an experiment, a unit, a variant and a time.",
    BELIEVABLE: "The days of each experiment are computed, and all tables agree. If it fails, no "
    "effect is shown; `vidagg verify` says what heals it.",
}
_BLOCKING: Final = frozenset({SAMPLE_RATIO})

_NEEDED: Final = frozenset(
    table.name
    for table in (
        RAW_EVENTS,
        INGESTION_COUNTS,
        SOURCE_INVENTORY,
        SESSIONS,
        WATCH_INTERVALS,
        USER_VIDEO_ENGAGEMENT,
        AGGREGATED_ENGAGEMENT,
    )
)
"""The tables that an experiment's numbers come from."""


@with_backfill_policies()
def experiments(settings: Settings) -> dg.Definitions:
    """All of it; nothing where there is no assignment table."""
    if settings.experiments.assignments is None:
        return dg.Definitions()
    return dg.Definitions(
        assets=[_experiments(settings)],
        jobs=[experiments_job],
        schedules=[_schedule(settings)],
    )


def evaluated(settings: Settings, materialized: "Materialized | None" = None) -> "Evaluated":
    """Evaluate the experiments of the settings on the stored tables, and write their pages.

    Args:
        settings: With an assignment table.
        materialized: See `verify`.

    Raises:
        StepError: The assignment table or a stored table cannot be read, or tea-tasting is not
            installed.
    """
    # Not imported where there are no experiments, and where the tables' packages are not.
    from vidagg_dagster.insight.experiments.run import Fault, run
    from vidagg_dagster.pipeline.verify import verify

    chosen = settings.experiments
    assert chosen.assignments is not None
    percent = settings.parameters.completion_coverage_percent
    faults = [
        Fault(finding.line, finding.days)
        for finding in verify(settings.data_root, materialized)
        if finding.table in _NEEDED
    ]
    return run(
        settings.data_root,
        chosen.assignments,
        chosen.plans(percent),
        chosen.plan(percent),
        settings.timezone,
        faults,
    )


def _experiments(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=EXPERIMENTS,
        description="One page per experiment: whether the arms have their planned numbers, and "
        "what differs between them, with intervals. It compares what is stored and computes no "
        "watching.",
        deps=[WATCH_INTERVALS.name, AGGREGATED_ENGAGEMENT.name],
        group_name=GROUP,
        owners=settings.operations.owners,
        backfill_policy=BESIDE_RANGES,
        kinds={"python"},
        pool=POOL,
        metadata=code_references("vidagg_dagster.insight.experiments.run"),
        check_specs=[
            dg.AssetCheckSpec(name, asset=EXPERIMENTS, description=said, blocking=name in _BLOCKING)
            for name, said in _CHECKS.items()
        ],
    )
    def materialize(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        from vidagg_dagster.defs.verification import rows_told

        try:
            found = evaluated(settings, rows_told(context.instance))
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        folder = settings.data_root / FOLDER
        pages = {
            f"page of {result.experiment}": dg.MetadataValue.path(
                str(folder / f"{result.experiment}.html")
            )
            for result in found.results
        }
        shown = dg.MetadataValue.md(effects_table(found.results))
        yield dg.MaterializeResult(metadata={"effects": shown, **pages})
        yield from _outcomes(found)

    return materialize


def _outcomes(found: "Evaluated") -> Iterator[dg.AssetCheckResult]:
    results = found.results
    unusable = found.assignments.unusable
    faults = {
        SAMPLE_RATIO: [
            f"{one.experiment}: p = {one.sample_ratio_p:.2g}"
            for one in results
            if not one.sample_ratio_holds
        ],
        ONE_ARM: [f"{one.experiment}: {one.in_two_arms}" for one in results if one.in_two_arms],
        USABLE: [f"{reason}: {rows}" for reason, rows in unusable.items()],
        BELIEVABLE: [
            f"{one.experiment}: {reason}" for one in results for reason in one.table_faults
        ],
    }
    wrong = {SAMPLE_RATIO, BELIEVABLE}
    for name, lines in faults.items():
        yield dg.AssetCheckResult(
            passed=not lines,
            check_name=name,
            severity=dg.AssetCheckSeverity.ERROR if name in wrong else dg.AssetCheckSeverity.WARN,
            metadata={"violations": len(lines), "what": "; ".join(lines) or "none"},
        )


def effects_table(results: Sequence["Result"]) -> str:
    """What differs, as Markdown; of a refused experiment the reasons."""
    lines = [
        "| experiment | metric | variant | difference | 95 % interval | valid at every look |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        lines += [
            f"| {result.experiment} | {one.title} | {one.variant} | {one.effect:+.4g} "
            f"| {one.lower:+.4g} to {one.upper:+.4g} "
            f"| {one.always_lower:+.4g} to {one.always_upper:+.4g} |"
            for one in result.effects
        ]
        lines += [f"| {result.experiment} | not shown: {why} | | | | |" for why in result.refused]
    return "\n".join(lines)


experiments_job = dg.define_asset_job(
    # An asset and a job must not have the same name.
    JOB,
    selection=dg.AssetSelection.assets(EXPERIMENTS),
    description="Evaluates every experiment on what is stored, without an engine.",
)


def _schedule(settings: Settings) -> dg.ScheduleDefinition:
    return after_deadline(
        settings,
        "experiments_schedule",
        job=experiments_job,
        minutes=60,
        description="An hour after the deadline evaluates the experiments.",
    )
