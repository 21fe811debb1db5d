"""The asset of events that lie in Azure: each day as a file, which raw_events reads.

It is there where VIDAGG_SOURCE names a workspace or a resource of Azure, and only there.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import dagster as dg

from vidagg_dagster.azure.answers import EventsClient
from vidagg_dagster.azure.kusto import KustoEvents
from vidagg_dagster.azure.landing import LandedDay, Landing
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.source import AzureSource, LogSource
from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.lineage import LANDED_EVENTS, PLAYER_EVENTS
from vidagg_dagster.core.vocabulary import IGNORE
from vidagg_dagster.defs.assets import GROUP
from vidagg_dagster.defs.code_references import code_references
from vidagg_dagster.defs.metadata import PARTITION_ROW_COUNT
from vidagg_dagster.defs.partitions import (
    backfill_policy,
    daily_partitions,
    days_of,
    with_backfill_policies,
)
from vidagg_dagster.defs.targets import POOL, retry_policy
from vidagg_dagster.settings import Settings

NOTHING_SAMPLED: Final = "nothing_was_sampled"
LOGS: Final = "logs"
"""The resource: an `EventsClient`."""


@with_backfill_policies()
def landing_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The asset, where the source is in Azure."""
    source = settings.azure_source
    if source is None:
        return []
    return [_landed_events(settings)]


def landing_resources(settings: Settings) -> dict[str, dg.ResourceDefinition]:
    """What the asset needs. Nobody logs in before the asset runs."""
    source = settings.azure_source
    if source is None:
        return {}
    return {LOGS: dg.ResourceDefinition(lambda _: _client(source))}


def _client(source: AzureSource) -> EventsClient:
    return LogsClient(source) if isinstance(source, LogSource) else KustoEvents(source)


def _landed_events(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=LANDED_EVENTS,
        description="One row per event of a player, as Azure holds it: one Parquet file for each "
        "day. Each run also lands anew the days for which more events have arrived, as far back "
        "as VIDAGG_MAX_LATENESS_DAYS; raw_events then finds them late.",
        deps=[PLAYER_EVENTS],
        group_name=GROUP,
        owners=settings.operations.owners,
        kinds={"azure", "parquet"},
        metadata=code_references("vidagg_dagster.azure.landing"),
        pool=POOL,
        retry_policy=retry_policy(settings),
        partitions_def=daily_partitions(settings),
        backfill_policy=backfill_policy(settings),
        check_specs=[
            dg.AssetCheckSpec(
                NOTHING_SAMPLED,
                asset=LANDED_EVENTS,
                blocking=True,
                description="Azure keeps every event of a player. Where it samples, a play may "
                "lack its pause, and no number is right: switch sampling off for these events.",
            )
        ],
    )
    def materialize(context: dg.AssetExecutionContext, logs: dg.ResourceParam[EventsClient]) -> Any:
        days = days_of(context)
        today = datetime.now(UTC).astimezone(ZoneInfo(settings.timezone)).date()
        oldest = today - timedelta(days=settings.operations.max_lateness_days + 1)
        try:
            landed = _landing(settings, logs).land(days, oldest)
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        yield from _report(context, landed)

    return materialize


def _landing(settings: Settings, logs: EventsClient) -> Landing:
    return Landing(
        client=logs,
        columns=logs.columns(settings.columns),
        folder=settings.landing_folder,
        timezone=settings.timezone,
        dimensions=settings.columns,
        event_names=[name for name, ours in settings.event_names.items() if ours != IGNORE],
    )


def _report(
    context: dg.AssetExecutionContext, landed: Sequence[LandedDay]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    asked = days_of(context)
    for one in landed:
        if one.day in asked:
            context.add_asset_metadata(_metadata(one), partition_key=one.day.isoformat())
    sampled = {one.day.isoformat(): one.state.sampled for one in landed if one.state.sampled}
    yield dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(
                check_name=NOTHING_SAMPLED,
                passed=not sampled,
                metadata={
                    "violations": sum(sampled.values()),
                    "days": ", ".join(sampled) or "none",
                },
            )
        ]
    )
    for one in landed:
        if one.day not in asked:
            yield dg.AssetMaterialization(
                context.asset_key,
                description="Landed anew, because more events have arrived.",
                partition=one.day.isoformat(),
                metadata=_metadata(one),
            )


def _metadata(one: LandedDay) -> dict[str, Any]:
    return {
        PARTITION_ROW_COUNT: one.state.rows,
        "slices": one.slices,
        "sampled": one.state.sampled,
        "last arrival": one.state.ingested or "none",
    }
