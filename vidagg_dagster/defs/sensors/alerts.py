"""The sensor `alerts`: tells the configured channels of failures and missing days."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import dagster as dg
from pydantic import ValidationError

from vidagg_dagster.alerts.causes import due_days, ended_runs, missing_days, of_run
from vidagg_dagster.alerts.channels import channels as configured_channels
from vidagg_dagster.alerts.kept import Keeper, newest
from vidagg_dagster.alerts.message import Alert
from vidagg_dagster.alerts.outbox import Delivery, Outbox, accept, deliver
from vidagg_dagster.core.contract import INSIGHT_STEPS, StepName
from vidagg_dagster.core.schemas import LIVE_USER_VIDEO, TABLES
from vidagg_dagster.defs.experiments import EXPERIMENTS
from vidagg_dagster.defs.verification import STORED_TABLES
from vidagg_dagster.insight.completion.names import TABLE_NAME
from vidagg_dagster.settings.model import Settings

INTERVAL_S: Final = 30

RUNS_AT_ONCE: Final = 100
LOOK_BUDGET_S: Final = 10.0
"""So long a tick looks at ended runs; the next tick goes on. Other projects' runs count too."""

OVERLAP_S: Final = 300.0
"""Runs that ended so shortly before the last one seen are looked at again. Their times come from
several machines, so they may become visible out of order."""


def alerts(settings: Settings) -> dg.SensorDefinition:
    """Looks at ended runs and passed deadlines, and delivers what people should know."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Tells the configured channels of failed checks (of both severities, also in "
        "runs that succeed), of failed runs, and of a day that is not there at "
        f"{settings.operations.deadline_hour:02}:00 ({settings.timezone}). What a channel does not "
        "take is tried again for a day. Runs that ended before it was switched on are not told.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = time.time()
        channels = configured_channels(settings)
        outbox, is_new = _opened(context, now)
        keeper = Keeper(context.instance, outbox)
        outbox, found = collect_alerts(context.instance, settings, outbox, now)
        outbox = accept(outbox, found, channels, now)
        if is_new:
            # Nothing is sent before there is a cursor that says what was sent.
            delivery = Delivery(outbox, 0, ())
        else:
            keeper.save(outbox)
            delivery = deliver(outbox, channels, now, time.monotonic, keeper.save)
        context.update_cursor(keeper.save(delivery.outbox))
        for line in delivery.failed:
            context.log.warning(f"not delivered to {line}")
        waiting = len(delivery.outbox.pending)
        counts = f"{len(found)} new, {delivery.sent} delivered, {waiting} waiting"
        return dg.SkipReason("; ".join((counts, *delivery.failed)))

    return sensor


def collect_alerts(
    instance: dg.DagsterInstance, settings: Settings, outbox: Outbox, now: float
) -> tuple[Outbox, list[Alert]]:
    """The alerts since `outbox` was written, and the outbox that remembers what was looked at."""
    assets = [step.value for step in StepName if settings.insights or step not in INSIGHT_STEPS]
    outbox, of_runs = _alerts_of_runs(instance, settings, outbox, [*assets, *_others(settings)])
    days = due_days(
        datetime.fromtimestamp(now, UTC),
        settings.timezone,
        settings.operations.deadline_hour,
        outbox.day_due,
    )
    days = [day for day in days if day >= settings.start_date]
    daily = [name for name in assets if TABLES[name].partitioned]
    of_days = missing_days(instance, daily, days, settings.operations.ui_url)
    day_due = days[-1] if days else outbox.day_due
    return outbox.model_copy(update={"day_due": day_due}), [*of_runs, *of_days]


def _others(settings: Settings) -> Iterator[str]:
    """The assets without days whose checks and runs are told, too."""
    yield STORED_TABLES
    if settings.experiments.assignments is not None:
        yield EXPERIMENTS
    if settings.completion_forecast != "off":
        yield TABLE_NAME
    if settings.live != "off":
        yield LIVE_USER_VIDEO.name


def _alerts_of_runs(
    instance: dg.DagsterInstance, settings: Settings, outbox: Outbox, assets: list[str]
) -> tuple[Outbox, list[Alert]]:
    found: list[Alert] = []
    ends = time.monotonic() + LOOK_BUDGET_S
    while True:
        since = outbox.seen_until - OVERLAP_S
        ended = ended_runs(instance, since, outbox.seen_runs, RUNS_AT_ONCE)
        for run, _ in ended:
            found += of_run(instance, run, assets, settings.operations.ui_url)
        outbox = outbox.looked_at({run.run_id: updated for run, updated in ended}, OVERLAP_S)
        if len(ended) < RUNS_AT_ONCE or time.monotonic() > ends:
            return outbox, found


def _opened(context: dg.SensorEvaluationContext, now: float) -> tuple[Outbox, bool]:
    """The newest outbox, and whether it is new. A new one ignores runs ended before `now`."""
    new = Outbox(seen_until=now + OVERLAP_S)
    if not context.cursor:
        return new, True
    try:
        return newest(context.instance, context.cursor), False
    except ValidationError:
        context.log.warning("The cursor is of another version; looking from now on.")
        return new, True
