"""Rules of quality_report."""

from datetime import date
from typing import Final

from vidagg_dagster.core.schemas import EVENT_DATE, QUALITY_REPORT
from vidagg_dagster.quality.evaluate import (
    CheckContext,
    DayRule,
    Rule,
    RuleFinding,
    RuleFindings,
)
from vidagg_dagster.quality.report import MEASURES
from vidagg_dagster.quality.rules.raw_events import INPUT_RECONCILES
from vidagg_dagster.quality.rules.shared import (
    BROKEN_TABLE,
    keys_present,
    numbers_valid,
    one_row_per_key,
)


def _measures_present(context: CheckContext) -> RuleFindings:
    found: dict[date, set[str]] = {day: set() for day in context.days}
    for row in context.tables.rows(QUALITY_REPORT, context.days):
        found[row[EVENT_DATE]].add(row["measure"])
    wanted = {measure.name for measure in MEASURES}
    findings: dict[date | None, RuleFinding] = {}
    for day in context.days:
        missing = sorted(wanted - found[day])
        findings[day] = RuleFinding(len(missing), {"missing": missing} if missing else {})
    return findings


RULES: Final[tuple[Rule, ...]] = (
    keys_present(QUALITY_REPORT),
    one_row_per_key(QUALITY_REPORT),
    numbers_valid(QUALITY_REPORT),
    DayRule(
        name="measures_present",
        description="Every day has every measure, zeros included, so that a gap is never mistaken "
        f"for a zero. {BROKEN_TABLE}",
        evaluate=_measures_present,
    ),
    INPUT_RECONCILES,
)
