"""Rules of raw_events: what reading the source counted, and how many events a day has."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from statistics import median
from typing import Final

from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster.core.schemas import RAW_EVENTS, REJECTED_EVENTS
from vidagg_dagster.quality.evaluate import (
    CheckContext,
    DayRule,
    Rule,
    RuleFinding,
    RuleFindings,
)
from vidagg_dagster.quality.rules.shared import keys_present, numbers_valid, one_row_per_key

MAX_REJECTED_SHARE: Final = 0.01
BLOCKING_REJECTED_SHARE: Final = 0.5
MAX_DUPLICATE_SHARE: Final = 0.05
MIN_VOLUME_RATIO: Final = 0.5
MAX_VOLUME_RATIO: Final = 2.0
VOLUME_DAYS: Final = 7
MIN_VOLUME_DAYS: Final = 3
MAX_DAYS_NAMED: Final = 31
MAX_REASONS: Final = 3

LATE_WITHIN_LIMIT: Final = "late_within_limit"


def _input_reconciles(context: CheckContext) -> RuleFindings:
    """The counts of reading, against each other and against the rows that were stored."""
    events = context.tables.day_counts(RAW_EVENTS, context.days)
    rejects = context.tables.day_counts(REJECTED_EVENTS, context.days)
    findings: dict[date | None, RuleFinding] = {}
    for day, counted in context.ingestion.items():
        noted = context.inventory.get(day)
        read, accepted, duplicates, ignored, rejected = (
            counted.get(name, 0)
            for name in ("input", "accepted", "duplicates", "ignored", "rejected")
        )
        stored, stored_rejects = events.get(day, 0), rejects.get(day, 0)
        off = max(
            abs(read - accepted - duplicates - ignored - rejected),
            abs(accepted - stored),
            abs(rejected - stored_rejects),
            abs(read - noted.read) if noted else 0,
        )
        findings[day] = RuleFinding(
            off,
            {
                "input": read,
                "accepted": accepted,
                "duplicates": duplicates,
                "ignored": ignored,
                "rejected": rejected,
                "stored in raw_events": stored,
                "stored in rejected_events": stored_rejects,
                **({"in the source": noted.in_source} if noted else {}),
            },
        )
    return findings


def _something_accepted(context: CheckContext) -> RuleFindings:
    findings: dict[date | None, RuleFinding] = {}
    for day, counted in context.ingestion.items():
        rejected = 0 if counted.get("accepted") else counted.get("rejected", 0)
        detail: dict[str, int | str] = {"input": counted.get("input", 0), "rejected": rejected}
        if rejected:
            detail |= _largest(counted, "rejected:")
            detail["unknown event names"] = _unknown_names(context)
        findings[day] = RuleFinding(rejected, detail)
    return findings


def _unknown_names(context: CheckContext) -> str:
    return ", ".join(f"{name!r} {rows}" for name, rows in context.unknown_names.items()) or "none"


def _share_of_input(measure: str, limit: float) -> Callable[[CheckContext], RuleFindings]:
    def evaluate(context: CheckContext) -> RuleFindings:
        findings: dict[date | None, RuleFinding] = {}
        for day, counted in context.ingestion.items():
            rows, read = counted.get(measure, 0), counted.get("input", 0)
            share = rows / read if read else 0.0
            findings[day] = RuleFinding(
                rows if share > limit else 0,
                {
                    measure: rows,
                    "input": read,
                    "share": round(share, 6),
                    "limit": limit,
                    **_largest(counted, f"{measure}:"),
                },
            )
        return findings

    return evaluate


def _largest(counted: Mapping[str, int], prefix: str) -> dict[str, int]:
    """The largest counts whose names start with `prefix`."""
    found = {name: rows for name, rows in counted.items() if name.startswith(prefix) and rows}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:MAX_REASONS])


def _volume_near_median(context: CheckContext) -> RuleFindings:
    earlier = {day: [day - n * ONE_DAY for n in range(1, VOLUME_DAYS + 1)] for day in context.days}
    every = sorted({*context.days, *(before for days in earlier.values() for before in days)})
    counts = context.tables.day_counts(RAW_EVENTS, every)
    findings: dict[date | None, RuleFinding] = {}
    for day, days in earlier.items():
        known = [counts[before] for before in days if counts.get(before)]
        rows = counts.get(day, 0)
        if len(known) < MIN_VOLUME_DAYS:
            why = f"only {len(known)} of the {VOLUME_DAYS} days before have events"
            findings[day] = RuleFinding(0, {"events": rows, "skipped": why})
            continue
        usual = median(known)
        in_range = MIN_VOLUME_RATIO * usual <= rows <= MAX_VOLUME_RATIO * usual
        findings[day] = RuleFinding(
            0 if in_range else 1,
            {"events": rows, "median": usual, "ratio": round(rows / usual, 3)},
        )
    return findings


def _day_not_empty(context: CheckContext) -> RuleFindings:
    counts = context.tables.day_counts(RAW_EVENTS, context.days)
    return {day: RuleFinding(0 if counts.get(day) else 1) for day in context.days}


def _late_within_limit(context: CheckContext) -> RuleFindings:
    """It is about other days than the step's, so the last of the step's days carries it."""
    beyond = context.late.beyond_limit if context.late else ()
    days = _named([late.day for late in beyond])
    detail = {"rows": sum(late.rows for late in beyond), "days": days}
    return {max(context.days): RuleFinding(len(beyond), detail)}


def _ahead_of_the_run(context: CheckContext) -> RuleFindings:
    """About other days than the step's, as `_late_within_limit`."""
    ahead = context.late.ahead if context.late else {}
    detail = {"rows": sum(ahead.values()), "days": _named(list(ahead))}
    return {max(context.days): RuleFinding(len(ahead), detail)}


def _named(days: Sequence[date]) -> str:
    named = ", ".join(map(str, days[:MAX_DAYS_NAMED])) or "none"
    more = len(days) - MAX_DAYS_NAMED
    return f"{named} and {more} more" if more > 0 else named


INPUT_RECONCILES: Final = DayRule(
    name="input_reconciles",
    description="Every input row ends in exactly one place: input = accepted + duplicates + "
    "ignored + rejected, raw_events and rejected_events hold as many rows as were counted, and "
    "the inventory of the source has noted as many as read. If it fails, writing was interrupted: "
    "run raw_events of the day again.",
    evaluate=_input_reconciles,
)
"""Also a rule of quality_report, which shows the same counts."""

RULES: Final[tuple[Rule, ...]] = (
    INPUT_RECONCILES,
    keys_present(RAW_EVENTS),
    one_row_per_key(RAW_EVENTS),
    numbers_valid(RAW_EVENTS, frozenset({"playbackRate", "seekFromMs"})),
    DayRule(
        name="something_accepted",
        description="Where rows came in, not all of them are rejected. If it fails, the source "
        "calls its columns or events by other names: the check lists the commonest unknown names. "
        "Map them by VIDAGG_EVENT_NAMES and VIDAGG_COLUMNS, and run the day again.",
        evaluate=_something_accepted,
    ),
    DayRule(
        name="not_mostly_rejected",
        description=f"At most {BLOCKING_REJECTED_SHARE:.0%} of the input rows are rejected. If it "
        "fails, look at the reasons and the unknown names that the check lists, correct the "
        "mapping of names, columns, units or zones, and run the day again: what is computed of "
        "the rest is no picture of the day.",
        evaluate=_share_of_input("rejected", BLOCKING_REJECTED_SHARE),
    ),
    DayRule(
        name="rejected_share",
        severity=Severity.WARN,
        description=f"At most {MAX_REJECTED_SHARE:.0%} of the input rows are rejected. If it "
        "fails, look at the reasons in rejected_events: a sender changed, or a column mapping is "
        "wrong.",
        evaluate=_share_of_input("rejected", MAX_REJECTED_SHARE),
    ),
    DayRule(
        name="duplicate_share",
        severity=Severity.WARN,
        description=f"At most {MAX_DUPLICATE_SHARE:.0%} of the input rows are duplicates. They "
        "are counted once, so the tables are right; if it fails, a sender repeats itself or a "
        "file was delivered twice.",
        evaluate=_share_of_input("duplicates", MAX_DUPLICATE_SHARE),
    ),
    DayRule(
        name="volume_near_median",
        severity=Severity.WARN,
        description=f"The day has {MIN_VOLUME_RATIO} to {MAX_VOLUME_RATIO} times the median of "
        f"events of the {VOLUME_DAYS} days before (needs {MIN_VOLUME_DAYS} of them). If it fails, "
        "files may be missing or delivered twice.",
        evaluate=_volume_near_median,
    ),
    DayRule(
        name="day_not_empty",
        severity=Severity.WARN,
        description="The day has events: a site without a single viewer is rare. If it fails, its "
        "files have not arrived, or are not where VIDAGG_SOURCE says.",
        evaluate=_day_not_empty,
    ),
    DayRule(
        name=LATE_WITHIN_LIMIT,
        severity=Severity.WARN,
        description="No events have arrived for days that were already read and are too old to "
        "run again by themselves (VIDAGG_MAX_LATENESS_DAYS). If it fails, these events are kept "
        "in the source and are in no table yet: backfill the days that the check names.",
        evaluate=_late_within_limit,
    ),
    DayRule(
        name="none_ahead",
        severity=Severity.WARN,
        description="No event in the source is dated more than a day after the run. If it fails, "
        "a sender's clock is wrong, or this machine's is behind. Such events are in no table "
        "yet: each is taken in when the day that it names is run.",
        evaluate=_ahead_of_the_run,
    ),
)
