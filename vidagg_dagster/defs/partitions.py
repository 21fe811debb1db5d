"""The daily partitions, and the days of a run."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Final

import dagster as dg

from vidagg_dagster.settings import Settings


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """One partition per calendar day in the configured zone, from the start date on."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(), timezone=settings.timezone
    )


def backfill_policy(settings: Settings) -> dg.BackfillPolicy:
    """How a backfill is split into runs. All assets share it, or Dagster would split by asset."""
    max_days = settings.max_days_per_run
    return dg.BackfillPolicy.multi_run(max_days) if max_days else dg.BackfillPolicy.single_run()


BESIDE_RANGES: Final = dg.BackfillPolicy.single_run()
"""For assets without partitions. Without it Dagster's command refuses a range of all assets."""


@contextmanager
def with_backfill_policies() -> Iterator[None]:
    """Assets that have one are built here. The parameter has been in beta for years, and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*`backfill_policy`", dg.BetaWarning)
        yield


def by_deadline(settings: Settings) -> dg.FreshnessPolicy:
    """Once the day's deadline has passed, an asset is fresh if it was materialized after midnight.

    This is for the badge in the UI. The policy does not know which partition was materialized; the
    alert of a missing day does.
    """
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"0 {settings.operations.deadline_hour} * * *",
        lower_bound_delta=timedelta(hours=settings.operations.deadline_hour),
        timezone=settings.timezone,
    )


def days_of(context: dg.AssetExecutionContext) -> tuple[date, ...]:
    """The days that a run of a partitioned asset replaces: one day or a range."""
    return tuple(date.fromisoformat(key) for key in sorted(context.partition_keys))
