"""What must always be true of each table, in sentences and in code."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import reduce
from operator import or_
from statistics import median

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.quality.evaluate import (
    ONE_DAY,
    CheckContext,
    DayRule,
    Finding,
    KeyRule,
    RowRule,
    Rule,
    countable_ms,
)
from vidagg_dagster.quality.report import MEASURES

MAX_REJECTED = 0.01
MAX_DUPLICATES = 0.05
MAX_UNKNOWN_DURATIONS = 0.10
MIN_VOLUME, MAX_VOLUME = 0.5, 2.0
VOLUME_DAYS, MIN_VOLUME_DAYS = 7, 3
MAX_DAYS_NAMED = 31
MAX_REASONS = 3

Findings = Mapping[date | None, Finding]

BROKEN_TABLE = (
    "If it fails, the table was changed by something else, or the code that writes it is wrong: "
    "run the day again; if it fails again, report it."
)


# Rules that several tables share.


def _any(conditions: Iterator[Column]) -> Column:
    return reduce(or_, conditions)


def _missing(name: str, kind: T.DataType) -> Column:
    column = F.col(name)
    return column.isNull() | (column == "") if isinstance(kind, T.StringType) else column.isNull()


def _keys_present(table: TableSpec) -> RowRule:
    types = {column.name: column.type for column in table.columns}
    return RowRule(
        name="keys_present",
        description=f"Every row names its {', '.join(table.key)}: a row without one belongs to nobody. "
        + BROKEN_TABLE,
        violates=lambda: _any(_missing(name, types[name]) for name in table.key),
    )


def _one_row_per_key(table: TableSpec) -> KeyRule:
    return KeyRule(
        name="one_row_per_key",
        description=f"No two rows share {', '.join(table.key)}: sums over the table would count twice. "
        + BROKEN_TABLE,
    )


def _bad_number(column: Column, kind: T.DataType) -> Column:
    """Negative, NaN or infinite. To Spark NaN is above every number, so `< 0` would let it pass."""
    bad = column < 0
    if isinstance(kind, T.DoubleType):
        bad = bad | F.isnan(column) | (column == F.lit(float("inf")))
    return bad


def _numbers_valid(table: TableSpec, nullable: frozenset[str] = frozenset()) -> RowRule:
    numbers = [c for c in table.columns if isinstance(c.type, T.LongType | T.DoubleType)]

    def violates() -> Column:
        null = [F.col(c.name).isNull() for c in numbers if c.name not in nullable]
        bad = [_bad_number(F.col(c.name), c.type) for c in numbers]
        return _any(F.coalesce(condition, F.lit(False)) for condition in (*null, *bad))

    return RowRule(
        name="numbers_valid",
        description="No number is negative, NaN or infinite, and none is missing where one must be: a "
        "single one spoils every sum and average over it. " + BROKEN_TABLE,
        violates=violates,
    )


# raw_events


def _input_reconciles(context: CheckContext) -> Findings:
    """The counts of reading, against each other and against the rows that were stored."""
    events = context.tables.day_counts(RAW_EVENTS, context.days)
    rejects = context.tables.day_counts(REJECTED_EVENTS, context.days)
    findings: dict[date | None, Finding] = {}
    for day, counted in context.ingestion.items():
        read, accepted, duplicates, rejected = (
            counted.get(name, 0) for name in ("input", "accepted", "duplicates", "rejected")
        )
        stored, stored_rejects = events.get(day, 0), rejects.get(day, 0)
        off = max(
            abs(read - accepted - duplicates - rejected),
            abs(accepted - stored),
            abs(rejected - stored_rejects),
        )
        findings[day] = Finding(
            off,
            {
                "input": read,
                "accepted": accepted,
                "duplicates": duplicates,
                "rejected": rejected,
                "stored in raw_events": stored,
                "stored in rejected_events": stored_rejects,
            },
        )
    return findings


def _share_of_input(measure: str, limit: float) -> Callable[[CheckContext], Findings]:
    def evaluate(context: CheckContext) -> Findings:
        findings: dict[date | None, Finding] = {}
        for day, counted in context.ingestion.items():
            rows, read = counted.get(measure, 0), counted.get("input", 0)
            share = rows / read if read else 0.0
            findings[day] = Finding(
                rows if share > limit else 0,
                {
                    measure: rows,
                    "input": read,
                    "share": round(share, 6),
                    "limit": limit,
                    **_most(counted, f"{measure}:"),
                },
            )
        return findings

    return evaluate


def _most(counted: Mapping[str, int], prefix: str) -> dict[str, int]:
    """The largest of the counts whose names begin so."""
    found = {name: rows for name, rows in counted.items() if name.startswith(prefix) and rows}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:MAX_REASONS])


def _volume_near_median(context: CheckContext) -> Findings:
    earlier = {day: [day - n * ONE_DAY for n in range(1, VOLUME_DAYS + 1)] for day in context.days}
    every = sorted({*context.days, *(before for days in earlier.values() for before in days)})
    counts = context.tables.day_counts(RAW_EVENTS, every)
    findings: dict[date | None, Finding] = {}
    for day, days in earlier.items():
        known = [counts[before] for before in days if counts.get(before)]
        rows = counts.get(day, 0)
        if len(known) < MIN_VOLUME_DAYS:
            why = f"only {len(known)} of the {VOLUME_DAYS} days before have events"
            findings[day] = Finding(0, {"events": rows, "skipped": why})
            continue
        usual = median(known)
        usual_range = MIN_VOLUME * usual <= rows <= MAX_VOLUME * usual
        findings[day] = Finding(
            0 if usual_range else 1,
            {"events": rows, "median": usual, "ratio": round(rows / usual, 3)},
        )
    return findings


def _not_empty(context: CheckContext) -> Findings:
    counts = context.tables.day_counts(RAW_EVENTS, context.days)
    return {day: Finding(0 if counts.get(day) else 1) for day in context.days}


def _late_within_limit(context: CheckContext) -> Findings:
    """About other days than the step's, so it is filed under the last of these."""
    beyond = context.late.beyond_limit if context.late else ()
    detail = {"days": ", ".join(str(late.day) for late in beyond[:MAX_DAYS_NAMED]) or "none"}
    if len(beyond) > MAX_DAYS_NAMED:
        detail["days"] += f" and {len(beyond) - MAX_DAYS_NAMED} more"
    rows = {"rows": sum(late.rows for late in beyond)}
    return {max(context.days): Finding(len(beyond), {**rows, **detail})}


# sessions


def _sessions_valid() -> Column:
    counts = (
        "eventCount",
        "exceedingCount",
        "durationMs",
        "pauseCount",
        "completionCount",
        "forwardSkipCount",
        "backwardSkipCount",
        "openEndedCount",
        "tailMs",
    )

    def bad_visit(visit: Column) -> Column:
        bad = (F.coalesce(visit[name] < 0, F.lit(True)) for name in counts)
        return _any(iter((*bad, F.coalesce(visit["maxPositionMs"] < 0, F.lit(False)))))

    own = _any(
        F.coalesce(F.col(c.name) < 0, F.lit(True))
        for c in SESSIONS.columns
        if isinstance(c.type, T.LongType)
    )
    return own | F.col("visits").isNull() | F.exists("visits", bad_visit)


# watch_intervals


def _watch_within_clock(context: CheckContext) -> Findings:
    """Per session and day: watched <= clock x rate + tolerance for each interval.

    The rate is the greatest that an event of the session, on the day or as context, declares, and
    at least the assumed one; 1 at least, because what precedes a seek is credited at 1.
    """
    assumed = max(1.0, context.parameters.max_playback_rate)
    session = [EVENT_DATE, "userId", "sessionId"]
    fast = (
        context.tables.read(RAW_EVENTS, context.days_and_before)
        .where(F.col("playbackRate") > assumed)
        .select(
            F.explode(F.array(F.col(EVENT_DATE), F.date_add(EVENT_DATE, 1))).alias(EVENT_DATE),
            "userId",
            "sessionId",
            "playbackRate",
        )
        .groupBy(*session)
        .agg(F.max("playbackRate").alias("rate"))
    )
    watched = (
        context.tables.read(WATCH_INTERVALS, context.days)
        .groupBy(*session, "sessionStart")
        .agg(
            F.sum("watchMs").alias("watchMs"),
            F.sum("clockMs").alias("clockMs"),
            F.count(F.lit(1)).alias("intervals"),
        )
        .join(fast, on=session, how="left")
    )
    rate = F.coalesce(F.col("rate"), F.lit(assumed))
    most = rate * F.col("clockMs") + F.col("intervals") * F.lit(
        float(context.parameters.tolerance_ms)
    )
    too_much = watched.where(F.col("watchMs").cast("double") > most)
    rows = too_much.groupBy(EVENT_DATE).agg(F.count(F.lit(1)).alias("n")).collect()
    return {row[EVENT_DATE]: Finding(row["n"], {"sessions": row["n"]}) for row in rows}


# user_video_engagement and the lifetime table

_NULL_WITHOUT_DURATION_OR_SESSION = frozenset(
    {
        "videoDuration",
        "watchPercentage",
        "uniqueWatchPercentage",
        "completionPercentage",
        "engagementScore",
        "avgWatchTimePerSession",
        "avgSessionDuration",
        "avgPausesPerSession",
    }
)


def _unique_differs_from_intervals() -> Column:
    length = F.aggregate(
        "watchedIntervals",
        F.lit(0).cast("bigint"),
        lambda sum_, span: sum_ + span["endMs"] - span["startMs"],
    )
    return F.coalesce(length != countable_ms("totalUniqueSecondsWatched"), F.lit(True))


def _intervals_overlap_or_touch() -> Column:
    """Folds the spans into the end of the last; null from the first one that is out of place on."""

    def follow(last: Column, span: Column) -> Column:
        in_place = (span["startMs"] > last) & (span["endMs"] > span["startMs"])
        return F.when(in_place, span["endMs"])

    return F.aggregate("watchedIntervals", F.lit(-1).cast("bigint"), follow).isNull()


def _evidence_off() -> Column:
    evidence = reduce(
        lambda total, part: total + part, (countable_ms(f"{name}Seconds") for name in EVIDENCE)
    )
    return (evidence != countable_ms("totalWatchTime")) | (
        countable_ms("rewatchedSeconds")
        != countable_ms("totalWatchTime") - countable_ms("totalUniqueSecondsWatched")
    )


def _engagement_rules(table: TableSpec) -> tuple[Rule, ...]:
    return (
        _keys_present(table),
        _one_row_per_key(table),
        _numbers_valid(table, _NULL_WITHOUT_DURATION_OR_SESSION),
        RowRule(
            name="unique_within_total",
            description="What was watched at all is never more than what was watched with replays. "
            + BROKEN_TABLE,
            violates=lambda: F.col("totalUniqueSecondsWatched") > F.col("totalWatchTime"),
        ),
        RowRule(
            name="unique_within_duration",
            description="Nobody watches more of a video than there is. If it fails, its duration changed "
            "in the metadata: run the days before the change again.",
            violates=lambda: F.col("totalUniqueSecondsWatched") > F.col("videoDuration"),
        ),
        RowRule(
            name="unique_equals_intervals",
            description="totalUniqueSecondsWatched is the length of watchedIntervals, to the "
            "millisecond. " + BROKEN_TABLE,
            violates=_unique_differs_from_intervals,
        ),
        RowRule(
            name="intervals_disjoint",
            description="watchedIntervals are sorted, none is empty, and no two overlap or touch. "
            + BROKEN_TABLE,
            violates=_intervals_overlap_or_touch,
        ),
        RowRule(
            name="evidence_adds_up",
            description="observed + heartbeat + bridged + clipped = totalWatchTime, and "
            "rewatchedSeconds = total - unique, to the millisecond. " + BROKEN_TABLE,
            violates=_evidence_off,
        ),
        RowRule(
            name="position_within_duration",
            description="maxPositionReached is within the video. If it fails, the video's duration "
            "changed in the metadata: run the days before the change again.",
            violates=lambda: F.col("maxPositionReached") > F.col("videoDuration"),
        ),
        RowRule(
            name="first_before_last",
            description="firstWatchDate is not after lastWatchDate. " + BROKEN_TABLE,
            violates=lambda: F.col("firstWatchDate") > F.col("lastWatchDate"),
        ),
        RowRule(
            name="score_in_range",
            description="engagementScore lies between 0 and 100 and has a tier. " + BROKEN_TABLE,
            violates=lambda: (
                F.coalesce(F.col("engagementScore") > 100, F.lit(False))
                | (F.col("engagementScore").isNull() != F.col("engagementTier").isNull())
            ),
        ),
    )


def _known_durations(context: CheckContext) -> Findings:
    rows = (
        context.tables.read(USER_VIDEO_ENGAGEMENT, context.days)
        .groupBy(EVENT_DATE)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count(F.when(F.col("videoDuration").isNull(), F.lit(1))).alias("unknown"),
        )
        .collect()
    )
    return {
        row[EVENT_DATE]: Finding(
            row["unknown"] if row["unknown"] > MAX_UNKNOWN_DURATIONS * row["rows"] else 0,
            {
                "rows": row["rows"],
                "without a duration": row["unknown"],
                "share": round(row["unknown"] / row["rows"], 6),
                "limit": MAX_UNKNOWN_DURATIONS,
            },
        )
        for row in rows
    }


_ADDITIVE = {
    column.name: column.type for column in USER_VIDEO_ENGAGEMENT.columns if column.additive
}


def _exact(name: str) -> Column:
    """An additive column as an integer, so that sums do not depend on their order."""
    return countable_ms(name) if isinstance(_ADDITIVE[name], T.DoubleType) else F.col(name)


_UNIQUE = "totalUniqueSecondsWatched"


def _touched(context: CheckContext) -> tuple[DataFrame, DataFrame]:
    """Daily and lifetime rows of the pairs that the last update had to look at."""
    daily = context.tables.read(USER_VIDEO_ENGAGEMENT)
    lifetime = context.tables.read(AGGREGATED_ENGAGEMENT)
    days = None if context.update is None else context.update.days
    if days is None:
        return daily, lifetime
    key = list(AGGREGATED_ENGAGEMENT.key)
    if not days:
        return daily.where(F.lit(False)), lifetime.where(F.lit(False))
    now = context.tables.read(USER_VIDEO_ENGAGEMENT, days).select(*key)
    contains = F.arrays_overlap("activeDays", F.array(*[F.lit(day) for day in days]))
    pairs = now.unionByName(lifetime.where(contains).select(*key)).distinct()
    return daily.join(pairs, on=key, how="left_semi"), lifetime.join(pairs, on=key, how="left_semi")


def _pairs_off(context: CheckContext) -> Mapping[str, int]:
    """Per column, how many touched pairs have another sum over the days than in their lifetime."""
    daily, lifetime = _touched(context)
    key = list(AGGREGATED_ENGAGEMENT.key)
    days = daily.groupBy(*key).agg(
        *[F.sum(_exact(name)).alias(f"days_{name}") for name in _ADDITIVE],
        F.sum(countable_ms(_UNIQUE)).alias(f"days_{_UNIQUE}"),
        F.count(F.lit(1)).alias("days_rows"),
    )
    life = lifetime.select(
        *key,
        *[_exact(name).alias(f"life_{name}") for name in _ADDITIVE],
        countable_ms(_UNIQUE).alias(f"life_{_UNIQUE}"),
        F.size("activeDays").cast("bigint").alias("life_rows"),
    )
    both = days.join(life, on=key, how="full_outer")

    def count(condition: Column) -> Column:
        return F.count(F.when(condition, F.lit(1)))

    def differ(name: str) -> Column:
        return ~F.col(f"days_{name}").eqNullSafe(F.col(f"life_{name}"))

    columns = (*_ADDITIVE, "rows")
    row = both.agg(
        *[count(differ(name)).alias(name) for name in columns],
        count(_any(differ(name) for name in columns)).alias("pairs"),
        count(F.col(f"life_{_UNIQUE}") > F.col(f"days_{_UNIQUE}")).alias(_UNIQUE),
    ).collect()[0]
    return {name: row[name] for name in (*columns, "pairs", _UNIQUE)}


def _pairs_add_up(context: CheckContext) -> Findings:
    off = context.once(_pairs_off)
    wrong = {name: n for name, n in off.items() if n and name not in ("pairs", _UNIQUE)}
    return {None: Finding(off["pairs"], {f"pairs with another {k}": n for k, n in wrong.items()})}


def _unique_within_days(context: CheckContext) -> Findings:
    return {None: Finding(context.once(_pairs_off)[_UNIQUE])}


def _totals_add_up(context: CheckContext) -> Findings:
    """Whole-table sums: no shuffle, and it sees pairs that no update has touched."""

    def totals(table: TableSpec) -> dict[str, int]:
        row = (
            context.tables.read(table)
            .agg(*[F.sum(_exact(name)).alias(name) for name in _ADDITIVE])
            .collect()[0]
        )
        return {name: row[name] or 0 for name in _ADDITIVE}

    days, life = totals(USER_VIDEO_ENGAGEMENT), totals(AGGREGATED_ENGAGEMENT)
    wrong = {
        name: f"days {days[name]}, lifetime {life[name]}"
        for name in days
        if days[name] != life[name]
    }
    return {None: Finding(len(wrong), wrong)}


# quality_report


def _measures_present(context: CheckContext) -> Findings:
    rows = (
        context.tables.read(QUALITY_REPORT, context.days)
        .groupBy(EVENT_DATE)
        .agg(F.collect_set("measure").alias("measures"))
        .collect()
    )
    found = {row[EVENT_DATE]: set(row["measures"]) for row in rows}
    wanted = {measure.name for measure in MEASURES}
    findings: dict[date | None, Finding] = {}
    for day in context.days:
        missing = sorted(wanted - found.get(day, set()))
        findings[day] = Finding(len(missing), {"missing": missing} if missing else {})
    return findings


_INPUT_RECONCILES = DayRule(
    name="input_reconciles",
    description="Every input row ends in exactly one place: input = accepted + duplicates + rejected, and "
    "raw_events and rejected_events hold as many rows as were counted. If it fails, writing was "
    "interrupted: run raw_events of the day again.",
    evaluate=_input_reconciles,
)

RULES: Mapping[str, tuple[Rule, ...]] = {
    RAW_EVENTS.name: (
        _INPUT_RECONCILES,
        _keys_present(RAW_EVENTS),
        _one_row_per_key(RAW_EVENTS),
        _numbers_valid(RAW_EVENTS, frozenset({"playbackRate"})),
        DayRule(
            name="rejected_share",
            severity=Severity.WARN,
            description=f"At most {MAX_REJECTED:.0%} of the input rows are rejected. If it fails, look "
            "at the reasons in rejected_events: a sender changed, or a column mapping is wrong.",
            evaluate=_share_of_input("rejected", MAX_REJECTED),
        ),
        DayRule(
            name="duplicate_share",
            severity=Severity.WARN,
            description=f"At most {MAX_DUPLICATES:.0%} of the input rows are duplicates. They are "
            "counted once, so the tables are right; if it fails, a sender repeats itself or a "
            "file was delivered twice.",
            evaluate=_share_of_input("duplicates", MAX_DUPLICATES),
        ),
        DayRule(
            name="volume_near_median",
            severity=Severity.WARN,
            description=f"The day has {MIN_VOLUME} to {MAX_VOLUME} times the median of events of the "
            f"{VOLUME_DAYS} days before (needs {MIN_VOLUME_DAYS} of them). If it fails, files "
            "may be missing or delivered twice.",
            evaluate=_volume_near_median,
        ),
        DayRule(
            name="day_not_empty",
            severity=Severity.WARN,
            description="The day has events: a site without a single viewer is rare. If it fails, its "
            "files have not arrived, or lie elsewhere than VIDAGG_SOURCE says.",
            evaluate=_not_empty,
        ),
        DayRule(
            name="late_within_limit",
            severity=Severity.WARN,
            description="No events have arrived for days that were read already and lie too far back to "
            "be run again by themselves (VIDAGG_MAX_LATENESS_DAYS). If it fails, they are kept in "
            "the source and are in no table yet: backfill the days that it names, each with the "
            "day after.",
            evaluate=_late_within_limit,
        ),
    ),
    SESSIONS.name: (
        _keys_present(SESSIONS),
        _one_row_per_key(SESSIONS),
        RowRule(
            name="numbers_valid",
            description="No count and no duration of a session or of a video in it is missing or "
            "negative. " + BROKEN_TABLE,
            violates=_sessions_valid,
        ),
    ),
    WATCH_INTERVALS.name: (
        _keys_present(WATCH_INTERVALS),
        _one_row_per_key(WATCH_INTERVALS),
        _numbers_valid(WATCH_INTERVALS),
        RowRule(
            name="interval_has_length",
            description="An interval ends after it starts, on the clock not before, and watchMs is the "
            "difference. " + BROKEN_TABLE,
            violates=lambda: (
                (F.col("startMs") >= F.col("endMs"))
                | (F.col("watchMs") != F.col("endMs") - F.col("startMs"))
                | (F.col("openedAt") > F.col("closedAt"))
            ),
        ),
        RowRule(
            name="evidence_known",
            description=f"The evidence is {', '.join(EVIDENCE)}; anything else is in no total. "
            + BROKEN_TABLE,
            violates=lambda: F.coalesce(~F.col("evidence").isin(*EVIDENCE), F.lit(True)),
        ),
        RowRule(
            name="within_video",
            description="No interval ends behind the end of its video. If it fails, the video's duration "
            "changed in the metadata after sessions ran: run sessions of the day again.",
            violates=lambda: F.col("endMs") > F.col("durationMs"),
        ),
        DayRule(
            name="watch_within_clock",
            description="No session watched more than its clock allows: watch time <= time on the clock "
            "x playback rate + tolerance for each interval. " + BROKEN_TABLE,
            evaluate=_watch_within_clock,
        ),
    ),
    USER_VIDEO_ENGAGEMENT.name: (
        *_engagement_rules(USER_VIDEO_ENGAGEMENT),
        DayRule(
            name="known_durations",
            severity=Severity.WARN,
            description=f"At most {MAX_UNKNOWN_DURATIONS:.0%} of the rows are about a video of unknown "
            "duration; those have no percentage, score or tier. If it fails, complete the table "
            "that VIDAGG_VIDEO_METADATA names, or set VIDAGG_ESTIMATE_MISSING_DURATIONS.",
            evaluate=_known_durations,
        ),
    ),
    AGGREGATED_ENGAGEMENT.name: (
        *_engagement_rules(AGGREGATED_ENGAGEMENT),
        DayRule(
            name="days_add_up",
            description="For every user and video that changed, the daily rows add up to the lifetime "
            "row in every additive column, to the millisecond. " + BROKEN_TABLE,
            evaluate=_pairs_add_up,
        ),
        DayRule(
            name="totals_add_up",
            description="Over the whole table, the daily rows add up to the lifetime rows in every "
            "additive column. If it fails, the table missed a change of some day: run that day's "
            "user_video_engagement and this table again.",
            evaluate=_totals_add_up,
        ),
        DayRule(
            name="unique_within_days",
            description="Nobody's lifetime unique seconds exceed the sum of the daily ones. "
            + BROKEN_TABLE,
            evaluate=_unique_within_days,
        ),
    ),
    QUALITY_REPORT.name: (
        _keys_present(QUALITY_REPORT),
        _one_row_per_key(QUALITY_REPORT),
        _numbers_valid(QUALITY_REPORT),
        DayRule(
            name="measures_present",
            description="Every day has every measure, zeros included, so that a gap is never mistaken "
            "for a zero. " + BROKEN_TABLE,
            evaluate=_measures_present,
        ),
        _INPUT_RECONCILES,
    ),
}
"""Table name -> its rules, in the order in which people should read them."""
