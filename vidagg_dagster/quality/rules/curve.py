"""Rules of both curves: bins fit together, and nothing is lost between them and the viewers' rows.

The figures of a video and the cohorts are written with a curve, so their rules are here too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    REACH_DAYS,
    VIDEO_CURVE,
    VIDEO_ENGAGEMENT,
    VIDEO_REACH,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.quality.evaluate import (
    CheckContext,
    DayRule,
    RowRule,
    Rule,
    RuleFinding,
    RuleFindings,
    countable_ms,
)
from vidagg_dagster.quality.rules.shared import (
    BROKEN_TABLE,
    any_of,
    keys_present,
    numbers_valid,
    one_row_per_key,
)
from vidagg_dagster.spark.compat import union

Sums = Mapping[date | None, Mapping[str, int]]
"""Day -> sums by name; the day is None for tables without days."""

_Evaluate = Callable[[CheckContext], RuleFindings]

_IN_BINS: Final = ("uniqueMs", "watchMs", "lastSeen")
_TABLE: Final = "__table"
_IN_FIGURES: Final = ("uniqueMs", "watchMs", "users", "viewers", "plays", "completions")


def _inconsistent() -> Column:
    return (
        (F.col("binStartMs") >= F.col("binEndMs"))
        | (F.col("rewatchMs") != F.col("watchMs") - F.col("uniqueMs"))
        | ((F.col("viewers") > 0) != (F.col("uniqueMs") > 0))
        | (F.col("lastSeenHere") > F.col("viewers"))
    )


def _sums(context: CheckContext, asked: Mapping[TableSpec, Mapping[str, Column]]) -> list[Sums]:
    """Sums over each of the tables, all by days or none, from one query."""
    names = sorted({name for sums in asked.values() for name in sums})
    partitioned = all(table.partitioned for table in asked)
    by = [EVENT_DATE] if partitioned else []
    frames = []
    for number, (table, sums) in enumerate(asked.items()):
        rows = context.tables.read(table, context.days if partitioned else None)
        summed = [sums.get(name, F.lit(None)).cast("bigint").alias(name) for name in names]
        frames.append(rows.groupBy(*by).agg(F.lit(number).alias(_TABLE), *summed))
    found: list[dict[date | None, dict[str, int]]] = [{} for _ in asked]
    for row in union(frames).collect():
        day = row[EVENT_DATE] if by else None
        found[row[_TABLE]][day] = {name: row[name] or 0 for name in names}
    return [*found]


def _hours_ms(name: str) -> Column:
    return F.sum(F.round(F.col(name) * F.lit(3_600_000.0)).cast("bigint"))


@dataclass(frozen=True)
class _Compared:
    """A curve and the figures written with it, against the rows of viewers that they come from."""

    curve: TableSpec
    figures: TableSpec
    pairs: TableSpec

    def sums(self, context: CheckContext) -> list[Sums]:
        """What the rows of viewers, the bins and the figures of videos come to."""
        watched = F.col("totalWatchTime") > 0
        of_bins = ("uniqueMs", "watchMs", "starts", "stops")
        of_figures = ("users", "viewers", "plays", "completions")
        return _sums(
            context,
            {
                self.pairs: {
                    "uniqueMs": F.sum(countable_ms("totalUniqueSecondsWatched")),
                    "watchMs": F.sum(countable_ms("totalWatchTime")),
                    "lastSeen": F.count_if(F.size("watchedIntervals") > 0),
                    "users": F.count(F.lit(1)),
                    "viewers": F.count_if(watched),
                    "plays": F.sum("sessionCount"),
                    "completions": F.sum("completionCount"),
                },
                self.curve: {name: F.sum(name) for name in of_bins}
                | {"lastSeen": F.sum("lastSeenHere")},
                self.figures: {name: F.sum(name) for name in of_figures}
                | {"watchMs": _hours_ms("watchHours"), "uniqueMs": _hours_ms("uniqueHours")},
            },
        )

    def bins(self, context: CheckContext) -> RuleFindings:
        """The bins against the rows of viewers, and each beginning against an end."""
        viewers, found, _ = context.once(self.sums)
        expected = {
            day: {name: pairs[name] for name in _IN_BINS}
            | {"stops": found.get(day, {}).get("starts", 0)}
            for day, pairs in viewers.items()
        }
        return _differing(expected, found)

    def whole_videos(self, context: CheckContext) -> RuleFindings:
        """The figures of videos against the rows of viewers."""
        viewers, _, found = context.once(self.sums)
        expected = {
            day: {name: pairs[name] for name in _IN_FIGURES} for day, pairs in viewers.items()
        }
        return _differing(expected, found)


def _differing(expected: Sums, found: Sums) -> RuleFindings:
    return {day: _finding(expected.get(day, {}), found.get(day, {})) for day in {*expected, *found}}


def _finding(expected: Mapping[str, int], found: Mapping[str, int]) -> RuleFinding:
    wrong = {
        name: f"{found.get(name, 0)}, should be {number}"
        for name, number in expected.items()
        if found.get(name, 0) != number
    }
    return RuleFinding(len(wrong), wrong)


def _cohorts_add_up(context: CheckContext) -> RuleFindings:
    """Each viewer is in one cohort, and a cohort is active in its first week."""
    tables = context.tables
    watched = tables.read(AGGREGATED_ENGAGEMENT).where(F.col("totalWatchTime") > 0)
    viewers = watched.agg(F.count_distinct("userId")).collect()[0][0]
    first = [row for row in tables.rows(VIEWER_COHORTS) if row["weekOffset"] == 0]
    # Of a week that is not over nobody knows it yet.
    idle = sum(row["activeUsers"] not in (None, row["users"]) for row in first)
    users = sum(row["users"] for row in first)
    return {None: _finding({"users": viewers, "cohorts": 0}, {"users": users, "cohorts": idle})}


def _attribute_cohorts_add_up(context: CheckContext) -> RuleFindings:
    """The values of each attribute, added up, are the cohorts of all users."""
    by = ["attribute", *VIEWER_COHORTS.key]
    counts = ("users", "activeUsers", "completions")
    found = context.tables.read(ATTRIBUTE_COHORTS)
    summed = found.groupBy(*by).agg(*[F.sum(name).alias(f"sum_{name}") for name in counts])
    whole = context.tables.read(VIEWER_COHORTS)
    expected = found.select("attribute").distinct().crossJoin(whole)
    both = expected.join(summed, on=by, how="full")
    differing = both.where(
        any_of(~F.col(name).eqNullSafe(F.col(f"sum_{name}")) for name in counts)
    ).count()
    return {None: RuleFinding(differing, {"differing": differing} if differing else {})}


def _reach_is_possible(context: CheckContext) -> RuleFindings:
    """Nobody is reached who could not be, and who was reached stays so."""
    reached = [F.col(f"reachedByDay{days}") for days in REACH_DAYS]
    steps = list(pairwise([*reached, F.col("couldSee")]))
    rows = context.tables.read(VIDEO_REACH)
    wrong = rows.where(any_of(earlier > later for earlier, later in steps)).count()
    return {None: RuleFinding(wrong, {"videos": wrong} if wrong else {})}


def _where_told(table: TableSpec, evaluate: _Evaluate) -> _Evaluate:
    """Not read at all where nobody told what the table is made of."""

    def judged(context: CheckContext) -> RuleFindings:
        return evaluate(context) if context.tables.version(table) >= 0 else {None: RuleFinding(0)}

    return judged


def _rules(compared: _Compared) -> Iterator[Rule]:
    curve, figures, pairs = compared.curve, compared.figures, compared.pairs
    yield keys_present(curve)
    yield one_row_per_key(curve)
    yield numbers_valid(curve)
    yield RowRule(
        name="bin_consistent",
        description="A bin ends after it begins, what was rewatched is watched less unique, and "
        f"who saw it last is among its viewers. {BROKEN_TABLE}",
        violates=_inconsistent,
    )
    yield DayRule(
        name="bins_add_up",
        description=f"The bins add up to the rows of {pairs.name}, to the millisecond, and "
        f"whatever began has ended. {BROKEN_TABLE}",
        evaluate=compared.bins,
    )
    yield DayRule(
        name="figures_add_up",
        description=f"The rows of {figures.name} add up to those of {pairs.name}. {BROKEN_TABLE}",
        evaluate=compared.whole_videos,
    )


DAILY_RULES: Final[tuple[Rule, ...]] = (
    *_rules(_Compared(VIDEO_CURVE, VIDEO_ENGAGEMENT, USER_VIDEO_ENGAGEMENT)),
)

LIFETIME_RULES: Final[tuple[Rule, ...]] = (
    *_rules(_Compared(LIFETIME_VIDEO_CURVE, LIFETIME_VIDEO_ENGAGEMENT, AGGREGATED_ENGAGEMENT)),
    DayRule(
        name="cohorts_add_up",
        description="Every user who watched is in one cohort of viewer_cohorts, and active in its "
        f"first week. {BROKEN_TABLE}",
        evaluate=_cohorts_add_up,
    ),
    DayRule(
        name="attribute_cohorts_add_up",
        description="The values of each attribute in attribute_cohorts add up to viewer_cohorts. "
        f"{BROKEN_TABLE}",
        evaluate=_where_told(ATTRIBUTE_COHORTS, _attribute_cohorts_add_up),
    ),
    DayRule(
        name="reach_is_possible",
        description="In video_reach nobody was reached who could not be, and no fewer after more "
        f"days. {BROKEN_TABLE}",
        evaluate=_where_told(VIDEO_REACH, _reach_is_possible),
    ),
)
