"""Validation rules as asset checks: what Dagster shows of them, and what a step reports.

Dagster 1.13 files a check result under a day only in a run of one day, and only for that day. In a
run over a range the result belongs to no day, and every day stays "planned". So a run also reports
by itself each day of a range, and each day that it settled besides; only `day_results` does that.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from vidagg_dagster.core.contract import RuleOutcome, Severity, StepResult
from vidagg_dagster.quality.evaluate import Rule
from vidagg_dagster.quality.rules import RULES

VIOLATIONS: Final = "violations"
FAILED_DAYS: Final = "failed_days"
NOT_ALONE: Final = (
    "It looks at what a run has written, so it runs with its asset and cannot be run alone."
)
MAX_DAYS_SHOWN: Final = 31

_SEVERITY: Final = {
    Severity.ERROR: dg.AssetCheckSeverity.ERROR,
    Severity.WARN: dg.AssetCheckSeverity.WARN,
}


def check_specs(
    table: str, partitions: dg.PartitionsDefinition | None = None
) -> list[dg.AssetCheckSpec]:
    """One check for each rule of a table; an ERROR rule blocks what is downstream."""
    with warnings.catch_warnings():
        # Partitioned checks are a preview feature; only this module depends on them.
        warnings.filterwarnings("ignore", ".*partitions_def", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name=rule.name,
                asset=table,
                description=f"{rule.description} {NOT_ALONE}",
                blocking=rule.blocking,
                partitions_def=partitions,
            )
            for rule in RULES[table]
        ]


def check_results(
    context: dg.AssetExecutionContext, result: StepResult
) -> Iterator[dg.AssetCheckResult]:
    """One result for each rule: of the day that the run is of, or over all days of a range."""
    rules = _rules(result)
    for name, every in _by_rule(result):
        outcomes = [outcome for outcome in every if not _by_itself(context, outcome)] or every
        failed = [outcome for outcome in outcomes if not outcome.passed]
        yield dg.AssetCheckResult(
            check_name=name,
            passed=not failed,
            severity=_SEVERITY[rules[name].severity],
            metadata=_metadata(outcomes[0]) if len(outcomes) == 1 else _summary(failed),
        )


def day_results(
    context: dg.AssetExecutionContext, result: StepResult
) -> Iterator[dg.AssetCheckEvaluation]:
    """The outcomes that Dagster would file under no day. Take them after the materializations.

    Each evaluation points at its day's materialization, so that the UI shows it as current. It
    belongs to the run, because Dagster accepts an evaluation outside of runs only once for each
    day: the second backfill of a day would fail.
    """
    outcomes = [outcome for outcome in result.outcomes if _by_itself(context, outcome)]
    if not outcomes:
        return
    rules = _rules(result)
    targets = _materializations(context, sorted({str(outcome.day) for outcome in outcomes}))
    for outcome in outcomes:
        rule, day = rules[outcome.rule], str(outcome.day)
        yield dg.AssetCheckEvaluation(
            asset_key=context.asset_key,
            check_name=rule.name,
            passed=outcome.passed,
            severity=_SEVERITY[rule.severity],
            blocking=rule.blocking,
            metadata=_metadata(outcome),
            partition=day,
            target_materialization_data=targets.get(day),
        )


def _by_itself(context: dg.AssetExecutionContext, outcome: RuleOutcome) -> bool:
    """Whether the result of the run does not tell of this outcome's day."""
    if outcome.day is None:
        return False
    # A backfill of one day is also a range: from that day to that day.
    return not context.has_partition_key or context.partition_key != outcome.day.isoformat()


def _materializations(
    context: dg.AssetExecutionContext, days: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=days),
        limit=len(days),
    ).records
    # Records come newest first; reversed, the newest of a day overwrites the older ones.
    return {
        record.partition_key: AssetCheckEvaluationTargetMaterializationData(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in reversed(records)
        if record.partition_key is not None
    }


def _rules(result: StepResult) -> Mapping[str, Rule]:
    return {rule.name: rule for rule in RULES[result.step]}


def _by_rule(result: StepResult) -> Iterator[tuple[str, list[RuleOutcome]]]:
    # A step evaluates rule by rule, so the outcomes of a rule are adjacent.
    for name, outcomes in groupby(result.outcomes, key=lambda outcome: outcome.rule):
        yield name, list(outcomes)


def _metadata(outcome: RuleOutcome) -> dict[str, Any]:
    return {VIOLATIONS: outcome.violations, **outcome.detail}


def _summary(failed: Sequence[RuleOutcome]) -> dict[str, Any]:
    days = [outcome.day.isoformat() for outcome in failed if outcome.day is not None]
    shown = ", ".join(days[:MAX_DAYS_SHOWN])
    more = f" and {len(days) - MAX_DAYS_SHOWN} more" if len(days) > MAX_DAYS_SHOWN else ""
    return {
        VIOLATIONS: sum(outcome.violations for outcome in failed),
        FAILED_DAYS: (shown + more) or "none",
    }
