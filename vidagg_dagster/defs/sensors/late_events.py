"""The sensor `late_events`: days for which events have arrived late run again."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import dagster as dg

from vidagg_dagster.core.days import stretches
from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.defs.jobs import daily_engagement
from vidagg_dagster.defs.metadata import follow_up_of
from vidagg_dagster.quality.rules.raw_events import LATE_WITHIN_LIMIT
from vidagg_dagster.settings.model import Settings

INTERVAL_S: Final = 60

_RANGE_START: Final = "dagster/asset_partition_range_start"
_RANGE_END: Final = "dagster/asset_partition_range_end"


def late_events(settings: Settings) -> dg.SensorDefinition:
    """After raw_events has found late events: the runs of exactly the days that they change."""

    @dg.sensor(
        name="late_events",
        job=daily_engagement,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Runs days again for which events have arrived since they were read. "
        "raw_events finds them whenever it runs. Only days up "
        f"to {settings.operations.max_lateness_days} before the last complete one; older ones "
        f"show in the check {LATE_WITHIN_LIMIT}.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        after = int(context.cursor) if context.cursor else None
        # Every run of raw_events reports all late days, so the newest one is enough.
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(RAW_EVENTS.name), after_storage_id=after),
            limit=1,
        ).records
        if not records:
            return dg.SkipReason("raw_events was not materialized since the last look.")
        [newest] = records
        found = follow_up_of(newest.asset_materialization)
        requests = list(late_runs(found.days, found.inventory, settings.max_days_per_run))
        cursor = str(newest.storage_id)
        if not requests:
            return dg.SensorResult(
                skip_reason=dg.SkipReason("raw_events found no late events."), cursor=cursor
            )
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return sensor


def late_runs(days: Sequence[date], inventory: int, max_days: int) -> Iterator[dg.RunRequest]:
    """One run for each stretch of consecutive days, of at most `max_days` (0: no limit).

    The run key holds the days and the inventory, so Dagster runs the same request only once.
    """
    for stretch in stretches(days, max_days):
        first, last = stretch[0].isoformat(), stretch[-1].isoformat()
        key = f"late {first} {last} inventory {inventory}"
        tags = {"vidagg/cause": "late_events"}
        if first == last:
            yield dg.RunRequest(run_key=key, partition_key=first, tags=tags)
        else:
            yield dg.RunRequest(run_key=key, tags={**tags, _RANGE_START: first, _RANGE_END: last})
