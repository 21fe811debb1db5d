"""What in Dagster's history causes an alert: failed checks, failed runs, missing days.

Only runs and their own events are read, never the event log by cursor, because not every storage of
Dagster offers that.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

import dagster as dg

from vidagg_dagster.alerts.message import MAX_LINE, Alert, Cause, shortened, without_values
from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.days import ONE_DAY, span_text
from vidagg_dagster.core.vocabulary import REJECTED_PREFIX
from vidagg_dagster.quality.evaluate import Rule
from vidagg_dagster.quality.rules import RULES

MAX_DAYS_ONE_BY_ONE: Final = 10
"""How many days of one check in one run get an alert each; the others share one."""

LOOK_BACK_DAYS: Final = 7
"""How many deadlines are looked at that passed unseen, for example while the daemon was down."""

_DAYS_NAMED: Final = ("days", "failed_days")
"""The only texts of a check that go into an alert."""

_TOO_LONG: Final = re.compile(r"Exceeded maximum runtime of (\d+) seconds")
"""What Dagster's monitoring says of a run that it ends."""

_WILL_RETRY: Final = "dagster/will_retry"
_DAY_TAG: Final = "dagster/partition"
_RANGE_TAGS: Final = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def of_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, assets: Collection[str], ui_url: str
) -> list[Alert]:
    """The alerts of a run that has ended; none if it concerns other assets only."""
    if run.tags.get(_WILL_RETRY) == "true":
        return []
    link = f"{ui_url}/runs/{run.run_id}"
    entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    checks = [entry.dagster_event.event_specific_data for entry in entries if entry.dagster_event]
    failed = [
        check
        for check in checks
        if isinstance(check, dg.AssetCheckEvaluation)
        and not check.passed
        and check.asset_key.to_user_string() in assets
    ]
    alerts = list(_alerts_of_checks(failed, run, link))
    if run.status is dg.DagsterRunStatus.FAILURE and _is_ours(instance, run, assets):
        alerts += _alerts_of_failure(instance, run, link, bool(failed))
    return alerts


def _is_ours(instance: dg.DagsterInstance, run: dg.DagsterRun, assets: Collection[str]) -> bool:
    """Whether the run was to materialize one of `assets`. Other projects may share the instance."""
    if run.asset_selection:
        return any(key.to_user_string() in assets for key in run.asset_selection)
    planned = instance.all_logs(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    keys = [entry.dagster_event.asset_key for entry in planned if entry.dagster_event]
    return any(key is not None and key.to_user_string() in assets for key in keys)


def _alerts_of_checks(
    failed: Sequence[dg.AssetCheckEvaluation], run: dg.DagsterRun, link: str
) -> Iterator[Alert]:
    by_check: dict[tuple[str, str], list[dg.AssetCheckEvaluation]] = defaultdict(list)
    for evaluation in failed:
        by_check[evaluation.asset_key.to_user_string(), evaluation.check_name].append(evaluation)
    for (asset, check), evaluations in by_check.items():
        # A run over a range reports each day, and then all days together.
        days = {e.partition: e for e in evaluations if e.partition is not None}
        rule = next((rule for rule in RULES.get(asset, ()) if rule.name == check), None)
        if not days:
            yield _alert_of_check(evaluations[-1], asset, check, rule, _only_day(run), link)
        for day in sorted(days)[:MAX_DAYS_ONE_BY_ONE]:
            yield _alert_of_check(days[day], asset, check, rule, date.fromisoformat(day), link)
        others = sorted(days)[MAX_DAYS_ONE_BY_ONE:]
        if others:
            yield Alert(
                cause=Cause.CHECK,
                severity=_severity(days[others[0]]),
                title=f"Check failed on {len(others)} more days: {asset} {check}",
                asset=asset,
                check=check,
                counts={"days": len(others)},
                reasons=(span_text(others[0], others[-1]),),
                what_to_do=_advice(rule),
                link=link,
            )


def _alert_of_check(
    evaluation: dg.AssetCheckEvaluation,
    asset: str,
    check: str,
    rule: Rule | None,
    day: date | None,
    link: str,
) -> Alert:
    numbers = _numbers(evaluation.metadata)
    reasons = sorted(
        (name for name in numbers if name.startswith(REJECTED_PREFIX)),
        key=lambda name: -numbers[name],
    )
    blocks = "; nothing was built on it" if evaluation.blocking else ""
    return Alert(
        cause=Cause.CHECK,
        severity=_severity(evaluation),
        title=f"Check failed: {asset} {check}{blocks}",
        asset=asset,
        check=check,
        day=day,
        counts={
            name: value for name, value in numbers.items() if not name.startswith(REJECTED_PREFIX)
        },
        reasons=tuple(
            [f"{name.removeprefix(REJECTED_PREFIX)} {numbers[name]}" for name in reasons]
            or _named_days(evaluation.metadata)
        ),
        what_to_do=_advice(rule),
        link=link,
    )


def _numbers(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, int | float]:
    """The numbers of a check. Its texts are left out, because they may contain ids of users."""
    return {
        name: value.value
        for name, value in metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        and value.value is not None
    }


def _named_days(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[str]:
    named = [metadata[name].value for name in _DAYS_NAMED if name in metadata]
    return [shortened(str(days), MAX_LINE) for days in named if days and str(days) != "none"]


def _advice(rule: Rule | None) -> str:
    return "Open the run: its checks say what to do." if rule is None else rule.description


def _severity(evaluation: dg.AssetCheckEvaluation) -> Severity:
    return Severity.ERROR if evaluation.severity is dg.AssetCheckSeverity.ERROR else Severity.WARN


def _only_day(run: dg.DagsterRun) -> date | None:
    ends = set(_ends(run))
    try:
        return date.fromisoformat(ends.pop()) if len(ends) == 1 else None
    except ValueError:  # another kind of partition
        return None


def _ends(run: dg.DagsterRun) -> list[str]:
    """The first and the last partition of a run; empty without any."""
    day = run.tags.get(_DAY_TAG)
    return [day] * 2 if day else [run.tags[tag] for tag in _RANGE_TAGS if tag in run.tags]


def _alerts_of_failure(
    instance: dg.DagsterInstance, run: dg.DagsterRun, link: str, has_failed_checks: bool
) -> Iterator[Alert]:
    failures = [
        entry.dagster_event
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event is not None
    ]
    errors = {event.step_key or "": _error(event) for event in failures}
    if has_failed_checks and errors and all("AssetCheck" in error for error in errors.values()):
        return  # It failed because a check blocks, which has an alert already.
    ends = _ends(run)
    covered = f" of {span_text(ends[0], ends[-1])}" if ends else ""
    job = "backfill" if run.job_name.startswith("__") else run.job_name
    steps = [step for step in errors if step]
    yield Alert(
        cause=Cause.RUN,
        severity=Severity.ERROR,
        title=f"Run failed: {job}{covered}",
        asset=steps[0] if len(steps) == 1 else None,
        day=_only_day(run),
        counts={"failed steps": len(errors), "attempts": _attempts(run)},
        reasons=tuple(f"{step}: {error}" for step, error in list(errors.items())[:3])
        or (_end_without_failed_step(instance, run),),
        what_to_do="Open the run, fix the cause and re-execute it from failure. No table is half "
        "written: it holds its old rows or its new ones.",
        link=link,
    )


def _end_without_failed_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    ends = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    said = [_TOO_LONG.search(end.dagster_event.message or "") for end in ends if end.dagster_event]
    bounds = [found[1] for found in said if found]
    if bounds:
        return f"ended by dagster.yaml, because it ran longer than {bounds[-1]} seconds"
    return "the process of the run ended without a word (killed, out of memory, restarted?)"


def _attempts(run: dg.DagsterRun) -> int:
    return int(run.tags.get("dagster/retry_number", "0")) + 1


def _error(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    if error is None:
        return "failed"
    # Dagster wraps what a step raised. A Failure of ours has a message for people.
    inner = error
    while inner.cause is not None and inner.cls_name == "DagsterExecutionStepExecutionError":
        inner = inner.cause
    kind = inner.cls_name or "error"
    message = inner.message.removeprefix(f"{inner.cls_name}: ")
    for prefix in (f"dagster._core.definitions.events.{kind}: ", f"{kind}: "):
        message = message.removeprefix(prefix)
    if kind == "Failure":
        return without_values(message)
    return kind


def missing_days(
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    days: Sequence[date],
    ui_url: str,
) -> Iterator[Alert]:
    """An alert for each of `days` on which an asset was never materialized."""
    for day in days:
        lacking = [asset for asset in assets if not _has(instance, asset, day)]
        if not lacking:
            continue
        why, link = _last_run(instance, day, ui_url)
        yield Alert(
            cause=Cause.MISSING_DAY,
            severity=Severity.ERROR,
            title=f"Day missing at its deadline: {day}",
            asset=lacking[0],
            day=day,
            counts={"assets missing": len(lacking), "of": len(assets)},
            reasons=(why, "missing: " + ", ".join(lacking)),
            what_to_do="If no run was started, check that the schedule is on and the daemon runs; "
            "then materialize the day by hand.",
            link=link,
        )


def due_days(now: datetime, timezone: str, deadline_hour: int, after: date | None) -> list[date]:
    """The days whose deadline has passed after that of day `after`; None: only the last one."""
    local = now.astimezone(ZoneInfo(timezone))
    newest = local.date() - ONE_DAY * (1 if local.time() >= time(deadline_hour) else 2)
    if after is None:
        return [newest]
    count = min((newest - after).days, LOOK_BACK_DAYS)
    return [newest - ONE_DAY * back for back in reversed(range(max(count, 0)))]


def _has(instance: dg.DagsterInstance, asset: str, day: date) -> bool:
    found = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[day.isoformat()]),
        limit=1,
    )
    return bool(found.records)


def _last_run(instance: dg.DagsterInstance, day: date, ui_url: str) -> tuple[str, str]:
    records = instance.get_run_records(dg.RunsFilter(tags={_DAY_TAG: day.isoformat()}), limit=1)
    if not records:
        return "no run of this day was started", f"{ui_url}/automation"
    run = records[0].dagster_run
    return f"its last run: {run.status.value}", f"{ui_url}/runs/{run.run_id}"


def ended_runs(
    instance: dg.DagsterInstance, since: float, seen: Collection[str], max_runs: int
) -> list[tuple[dg.DagsterRun, float]]:
    """Runs that ended after `since` and are not in `seen`, each with the time of its last update.

    At most `max_runs`, the oldest first. Times are seconds since 1970.
    """
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
            updated_after=datetime.fromtimestamp(since, UTC),
        ),
        order_by="update_timestamp",
        ascending=True,
        limit=max_runs + len(seen),
    )
    return [
        (record.dagster_run, _seconds(record.update_timestamp))
        for record in records
        if record.dagster_run.run_id not in seen
    ][:max_runs]


def _seconds(instant: datetime) -> float:
    """Seconds since 1970. Storages give UTC, most of them without a zone."""
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
