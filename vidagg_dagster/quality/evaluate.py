"""Validation rules as data, and their evaluation on the stored tables, per day.

A rule about single rows is a pure Column. One query, or one for each slice of a very large day,
counts the violations of all row rules of a table, together with its rows and repeated keys. A rule
about a whole day is a function of `CheckContext`. The rules themselves are in `quality/rules/`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final, TypeVar

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import LateReport, LifetimeUpdate, RuleOutcome, Severity
from vidagg_dagster.core.days import with_day_before
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    INGESTION_COUNTS,
    NOTED_READ,
    SOURCE_INVENTORY,
    TableSpec,
)
from vidagg_dagster.spark.columns import milliseconds
from vidagg_dagster.spark.slices import AT_ONCE, Slicing
from vidagg_dagster.tables.interface import Tables

MAX_COUNTABLE: Final = 1e15
"""Published seconds at or above this are not converted to milliseconds."""

_ROWS, _REPEATED = "__rows", "__repeated"

_Counts = dict[date | None, dict[str, int]]

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RuleFinding:
    """What a rule found on one day: how many violations, and the numbers behind them."""

    violations: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)


RuleFindings = Mapping[date | None, RuleFinding]
"""Day -> finding; the day is None for a table without days."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Something that must always be true of a table. People read `description` in the UI."""

    name: str
    description: str
    severity: Severity = Severity.ERROR

    @property
    def blocking(self) -> bool:
        """Whether a violation means wrong tables, so that nothing may be built on them."""
        return self.severity is Severity.ERROR

    def finding(self, violations: int, rows: int) -> RuleFinding:
        """What to say of a day that has so many rows, where so many were counted as violations."""
        del rows
        return RuleFinding(violations)


@dataclass(frozen=True, kw_only=True)
class RowRule(Rule):
    """Violated by every row where `violates` is true; null is no violation."""

    violates: Callable[[], Column]


@dataclass(frozen=True, kw_only=True)
class ShareRule(RowRule):
    """As a `RowRule`, but up to a share of `limit` of a day's rows are no violation.

    `shown` is what people read of the rows that are.
    """

    limit: float
    shown: str

    def finding(self, violations: int, rows: int) -> RuleFinding:
        """See `Rule.finding`."""
        detail = {
            "rows": rows,
            self.shown: violations,
            "share": round(violations / rows, 6) if rows else 0.0,
            "limit": self.limit,
        }
        return RuleFinding(violations if violations > self.limit * rows else 0, detail)


@dataclass(frozen=True, kw_only=True)
class KeyRule(Rule):
    """Violated by every row beyond the first of its key."""


@dataclass(frozen=True, kw_only=True)
class DayRule(Rule):
    """About a day as a whole, or about several tables. A day without a finding has passed."""

    evaluate: "Callable[[CheckContext], RuleFindings]"


@dataclass(frozen=True)
class Noted:
    """Rows of a day: how many the source has, and how many of them raw_events has read."""

    in_source: int
    read: int


@dataclass(frozen=True)
class CheckContext:
    """What rules can look at: the tables as they are stored, and what was asked for.

    `days` is empty for the lifetime table. `update` says what that table took in, `late` which
    days have changed in the source, `unknown_names` are the
    commonest names of events that nobody knows, with their rows.
    """

    tables: Tables
    days: tuple[date, ...]
    parameters: EngagementParameters
    update: LifetimeUpdate | None = None
    late: LateReport | None = None
    unknown_names: Mapping[str, int] = field(default_factory=dict)
    _answers: dict[object, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    @cached_property
    def ingestion(self) -> Mapping[date, Mapping[str, int]]:
        """Per day, what reading the source counted: measure -> rows."""
        counts: dict[date, dict[str, int]] = {day: {} for day in self.days}
        for row in self.tables.rows(INGESTION_COUNTS, self.days):
            counts[row[EVENT_DATE]][row["measure"]] = row["value"]
        return counts

    @cached_property
    def inventory(self) -> Mapping[date, Noted]:
        """Per day that was read, what the inventory of the source says of it."""
        in_source, read = Counter[date](), dict[date, int]()
        for row in self.tables.rows(SOURCE_INVENTORY, self.days):
            if row["sourceFile"] == NOTED_READ:
                read[row[EVENT_DATE]] = row["rows"]
            else:
                in_source[row[EVENT_DATE]] += row["rows"]
        return {day: Noted(in_source=in_source[day], read=rows) for day, rows in read.items()}

    def once(self, compute: "Callable[[CheckContext], Answer]") -> Answer:
        """The result of `compute` for this context; rules that share it cost one query."""
        if compute not in self._answers:
            self._answers[compute] = compute(self)
        answer: Answer = self._answers[compute]
        return answer

    @property
    def days_and_before(self) -> list[date]:
        """The days and, as context, the one before each."""
        return with_day_before(self.days)


def countable_ms(name: str) -> Column:
    """Milliseconds of a published column of seconds; null where the number is absurd.

    A rule finds NaN, infinite and huge numbers. They must not end the query before: engines differ
    in how they cast them.
    """
    column = F.col(name)
    return F.when(F.abs(column) < F.lit(MAX_COUNTABLE), milliseconds(column))


@dataclass(frozen=True)
class Evaluation:
    """Outcomes per rule and day, and the rows per day that were counted with them."""

    outcomes: tuple[RuleOutcome, ...]
    rows: Mapping[date | None, int]


def evaluate(
    context: CheckContext,
    table: TableSpec,
    rules: Sequence[Rule],
    frame: DataFrame | None = None,
    slicing: Slicing = AT_ONCE,
) -> Evaluation:
    """Evaluates the rules of a table on its stored rows.

    `frame` replaces the stored rows where row rules also need columns of other tables. `slicing`
    says how keys are counted that do not fit into memory together. Every requested day gets an
    outcome for every rule, also a day without any rows.
    """
    days: tuple[date | None, ...] = context.days if table.partitioned else (None,)
    if frame is None:
        frame = context.tables.read(table, context.days if table.partitioned else None)
    row_rules = [rule for rule in rules if isinstance(rule, RowRule)]
    counted = _count(frame, table, row_rules, slicing)
    outcomes: list[RuleOutcome] = []
    for rule in rules:
        findings: RuleFindings
        if isinstance(rule, DayRule):
            findings = rule.evaluate(context)
        else:
            name = _REPEATED if isinstance(rule, KeyRule) else rule.name
            findings = {
                day: rule.finding(counts[name], counts[_ROWS]) for day, counts in counted.items()
            }
        outcomes += [_outcome(rule, day, findings.get(day, RuleFinding())) for day in days]
    return Evaluation(
        outcomes=tuple(outcomes),
        rows={day: counted[day][_ROWS] if day in counted else 0 for day in days},
    )


def _count(
    frame: DataFrame, table: TableSpec, rules: Sequence[RowRule], slicing: Slicing
) -> _Counts:
    """Per day: rows, rows that repeat a key, and violations of each row rule."""
    if not table.key:
        return _per_day(frame, table, rules, None)
    # By a hash of the key, because a hundred million text keys do not fit into memory. Different
    # keys rarely have the same hash; if hashes repeat, the keys themselves are counted.
    hashed = F.xxhash64(*table.key)
    parts = slicing.each(frame, lambda part, _: part, by=hashed)
    counted = _sum(_per_day(part, table, rules, [hashed.alias("_key")]) for part in parts)
    if any(counts[_REPEATED] for counts in counted.values()):
        keys = [F.col(name) for name in table.key]
        counted = _sum(_per_day(part, table, rules, keys) for part in parts)
    return counted


def _sum(parts: Iterable[_Counts]) -> _Counts:
    summed: _Counts = {}
    for part in parts:
        for day, counts in part.items():
            before = summed.setdefault(day, dict.fromkeys(counts, 0))
            summed[day] = {name: before[name] + number for name, number in counts.items()}
    return summed


def _per_day(
    frame: DataFrame, table: TableSpec, rules: Sequence[RowRule], key: Sequence[Column] | None
) -> _Counts:
    by_day = [EVENT_DATE] if table.partitioned else []
    violations = [F.count_if(rule.violates()).alias(rule.name) for rule in rules]
    names = [rule.name for rule in rules]
    if key is None:
        per_day = frame.groupBy(*by_day).agg(
            F.count(F.lit(1)).alias(_ROWS), F.lit(0).alias(_REPEATED), *violations
        )
    else:
        # A key of several columns may contain the day already.
        days = [] if EVENT_DATE in table.key and len(key) > 1 else [F.col(d) for d in by_day]
        per_key = frame.groupBy(*days, *key).agg(F.count(F.lit(1)).alias(_ROWS), *violations)
        per_day = per_key.groupBy(*by_day).agg(
            F.sum(_ROWS).alias(_ROWS),
            (F.sum(_ROWS) - F.count(F.lit(1))).alias(_REPEATED),
            *[F.sum(name).alias(name) for name in names],
        )
    return {
        row[EVENT_DATE] if by_day else None: {
            name: row[name] or 0 for name in (_ROWS, _REPEATED, *names)
        }
        for row in per_day.collect()
    }


def _outcome(rule: Rule, day: date | None, finding: RuleFinding) -> RuleOutcome:
    return RuleOutcome(
        rule=rule.name,
        day=day,
        passed=finding.violations == 0,
        violations=finding.violations,
        detail=dict(finding.detail),
    )
