"""Jobs, and when they run."""

import dagster as dg

from vidagg_dagster.defs.assets import GROUP
from vidagg_dagster.settings import Settings

daily_engagement = dg.define_asset_job(
    "daily_engagement",
    selection=dg.AssetSelection.groups(GROUP),
    description="Every table of one day or a range of days, then the lifetime table. A day looks "
    "back by one: after running days again, run the day that follows them again too. Backfills "
    "of assets add that day by themselves.",
)


def daily_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Yesterday, once a day. Off until someone switches it on.

    At a change to summer time that leaves the hour out, Dagster runs right after it; at a change
    back, it runs at the second of the two hours. So there is one run a day, always.
    """
    schedule: dg.ScheduleDefinition = dg.build_schedule_from_partitioned_job(  # type: ignore[assignment]
        daily_engagement,
        name="daily_engagement_schedule",
        hour_of_day=settings.operations.schedule_hour,
        description=f"At {settings.operations.schedule_hour:02}:00 ({settings.timezone}) "
        "materializes the day before. Missed while the daemon was down, it is made up for.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    return schedule
