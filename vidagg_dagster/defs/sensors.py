"""Sensors: late events make their days run again; failures and missing days make alerts.

Both are off until someone switches them on. What they decide is in plain functions; only the edge
here knows Dagster's ticks and cursors.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import dagster as dg
from pydantic import ValidationError

from vidagg_dagster.alerts.causes import due_days, ended_runs, missing_days, of_run
from vidagg_dagster.alerts.channels import channels
from vidagg_dagster.alerts.message import Alert
from vidagg_dagster.alerts.outbox import Outbox, accept, deliver
from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import RAW_EVENTS, TABLES
from vidagg_dagster.defs.assets import FOLLOW_UP
from vidagg_dagster.defs.jobs import daily_engagement
from vidagg_dagster.settings import Settings

LATE_S: Final = 60
ALERT_S: Final = 30

RUNS_PER_TICK: Final = 100
OVERLAP_S: Final = 300.0
"""Runs that ended so shortly before the last one seen are looked for again: their times come from
several machines, and may become visible out of order."""

_RANGE_START: Final = "dagster/asset_partition_range_start"
_RANGE_END: Final = "dagster/asset_partition_range_end"


def late_events(settings: Settings) -> dg.SensorDefinition:
    """After raw_events has found late events: the runs of exactly the days that they change."""

    @dg.sensor(
        name="late_events",
        job=daily_engagement,
        minimum_interval_seconds=LATE_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs days again for which events have arrived since they were read, each with "
        "the day after it, which looks back. raw_events finds them whenever it runs. Only days up "
        f"to {settings.operations.max_lateness_days} before the last complete one; older ones show "
        "in the check late_within_limit.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        after = int(context.cursor) if context.cursor else None
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(RAW_EVENTS.name), after_storage_id=after),
            limit=1,
        ).records
        if not records:
            return dg.SkipReason("raw_events was not materialized since the last look.")
        # What is late is told anew by every run: the newest knows all.
        newest = records[0]
        found = _follow_up(newest)
        days = [date.fromisoformat(day) for day in found.get("days", [])]
        requests = list(late_runs(days, int(found.get("inventory", 0)), settings.max_days_per_run))
        cursor = str(newest.storage_id)
        if not requests:
            return dg.SensorResult(
                skip_reason=dg.SkipReason("raw_events found no late events."), cursor=cursor
            )
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return sensor


def _follow_up(record: dg.EventLogRecord) -> Mapping[str, Any]:
    materialization = record.asset_materialization
    found = None if materialization is None else materialization.metadata.get(FOLLOW_UP)
    value = found.value if isinstance(found, dg.JsonMetadataValue) else None
    return value if isinstance(value, Mapping) else {}


def late_runs(days: Sequence[date], inventory: int, most_days: int) -> Iterator[dg.RunRequest]:
    """One run for each stretch of days that follow each other.

    The same days of the same inventory are asked for once only: their key is the same.
    """
    for stretch in stretches(days, most_days):
        first, last = stretch[0].isoformat(), stretch[-1].isoformat()
        key = f"late {first} {last} inventory {inventory}"
        tags = {"vidagg/cause": "late_events"}
        if first == last:
            yield dg.RunRequest(run_key=key, partition_key=first, tags=tags)
        else:
            yield dg.RunRequest(run_key=key, tags={**tags, _RANGE_START: first, _RANGE_END: last})


def stretches(days: Sequence[date], most: int) -> list[list[date]]:
    """Days in order, split where one is missing and after `most` (0: never)."""
    parts: list[list[date]] = []
    for day in sorted(set(days)):
        follows = parts and parts[-1][-1] + timedelta(days=1) == day
        if follows and (not most or len(parts[-1]) < most):
            parts[-1].append(day)
        else:
            parts.append([day])
    return parts


def alerts(settings: Settings) -> dg.SensorDefinition:
    """Looks at ended runs and passed deadlines, and delivers what people should know."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=ALERT_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Tells the configured channels of failed checks (of both severities, also in "
        "runs that succeed), of failed runs, and of a day that is not there at "
        f"{settings.operations.deadline_hour:02}:00 ({settings.timezone}). What a channel does not "
        "take is tried again for a day. Nothing is told of runs before it was switched on.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = time.time()
        outbox = _opened(context, now)
        places = channels(settings)
        outbox, found = look_around(context.instance, settings, outbox, now)
        outbox = accept(outbox, found, places, now)
        delivery = deliver(outbox, places, now, time.monotonic)
        context.update_cursor(delivery.outbox.model_dump_json())
        for line in delivery.failed:
            context.log.warning(f"not delivered to {line}")
        waiting = len(delivery.outbox.pending)
        said = [f"{len(found)} new", f"{delivery.sent} delivered", f"{waiting} waiting"]
        return dg.SkipReason(", ".join(said) + "".join(f"; {line}" for line in delivery.failed))

    return sensor


def look_around(
    instance: dg.DagsterInstance, settings: Settings, outbox: Outbox, now: float
) -> tuple[Outbox, list[Alert]]:
    """What is new since `outbox` was written, and the outbox that has seen it."""
    assets = [step.value for step in StepName]
    found: list[Alert] = []
    ended = ended_runs(instance, outbox.seen_until - OVERLAP_S, outbox.seen_runs, RUNS_PER_TICK)
    for run, _ in ended:
        found += of_run(instance, run, assets, settings.operations.ui_url)
    until = max([outbox.seen_until, *(updated for _, updated in ended)])
    days = due_days(
        datetime.fromtimestamp(now, UTC),
        settings.timezone,
        settings.operations.deadline_hour,
        outbox.day_due,
    )
    days = [day for day in days if day >= settings.start_date]
    daily = [name for name in assets if TABLES[name].partitioned]
    found += missing_days(instance, daily, days, settings.operations.ui_url)
    seen = (*outbox.seen_runs, *(run.run_id for run, _ in ended))
    return (
        outbox.model_copy(
            update={
                "seen_until": until,
                "seen_runs": seen[-MAX_SEEN:],
                "day_due": days[-1] if days else outbox.day_due,
            }
        ),
        found,
    )


MAX_SEEN: Final = 2 * RUNS_PER_TICK


def _opened(context: dg.SensorEvaluationContext, now: float) -> Outbox:
    if not context.cursor:
        return Outbox(seen_until=now + OVERLAP_S)
    try:
        return Outbox.model_validate_json(context.cursor)
    except ValidationError:
        context.log.warning("The cursor is of another version; looking from now on.")
        return Outbox(seen_until=now + OVERLAP_S)
