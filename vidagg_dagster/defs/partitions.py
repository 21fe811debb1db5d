"""The daily partitions, and how many days a step of one day looks back."""

from datetime import date, timedelta

import dagster as dg

from vidagg_dagster.settings import Settings

LOOK_BACK = dg.TimeWindowPartitionMapping(start_offset=-1)
"""A day's sessions need the events of the day before as context: what was open at midnight.

Backfilling days A to B therefore runs raw_events for these days and, in a second run, what is built
on it for A to B + 1.
"""


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition per calendar day of the configured zone, from the start date on."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone
    )


def backfill_policy(settings: Settings) -> dg.BackfillPolicy:
    """How a backfill is split into runs. The same on every asset, else Dagster splits by asset."""
    most = settings.max_days_per_run
    return dg.BackfillPolicy.multi_run(most) if most else dg.BackfillPolicy.single_run()


def by_deadline(settings: Settings) -> dg.FreshnessPolicy:
    """Fresh is what was materialized after midnight, once the day's deadline has passed.

    For the badge in the UI. It does not know which partition was materialized; the alert of a
    missing day does.
    """
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"0 {settings.operations.deadline_hour} * * *",
        lower_bound_delta=timedelta(hours=settings.operations.deadline_hour),
        timezone=settings.timezone,
    )


def days_of(context: dg.AssetExecutionContext) -> tuple[date, ...]:
    """The days that a step of a partitioned asset has to replace, in a single or a range run."""
    return tuple(date.fromisoformat(key) for key in sorted(context.partition_keys))
