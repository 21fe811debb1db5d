"""When the job of a day runs."""

from typing import Any, Final

import dagster as dg

from vidagg_dagster.defs.jobs import daily_engagement
from vidagg_dagster.settings.model import Settings

PRIORITY_TAG: Final = "dagster/priority"
BEFORE_BACKFILLS: Final = "10"
"""Runs that wait for the pool go by priority; those of a backfill have 0."""


def after_deadline(
    settings: Settings,
    name: str,
    *,
    job: Any,
    minutes: int,
    description: str,
    weekday: str = "*",
) -> dg.ScheduleDefinition:
    """So long after the hour at which a day is due. Off until someone switches it on.

    `job` is what `define_asset_job` gives, whose type Dagster does not export. `weekday` is that of
    cron: 1 is Monday.
    """
    hours, minute = divmod(settings.operations.deadline_hour * 60 + minutes, 60)
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=f"{minute} {hours % 24} * * {weekday}",
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )


def daily_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Yesterday, once a day. Off until someone switches it on.

    There is always one run a day. Where a change to summer time leaves the hour out, Dagster runs
    right after it; where a change back repeats the hour, it runs at the second one.
    """
    schedule: dg.ScheduleDefinition = dg.build_schedule_from_partitioned_job(  # type: ignore[assignment]
        daily_engagement,
        name="daily_engagement_schedule",
        hour_of_day=settings.operations.schedule_hour,
        description=f"At {settings.operations.schedule_hour:02}:00 ({settings.timezone}) "
        "materializes the day before. A run that was missed while the daemon was down is "
        "made up for.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        tags={PRIORITY_TAG: BEFORE_BACKFILLS},
    )
    return schedule
