"""The asset that sends changed rows to Log Analytics, where VIDAGG_EXPORT_LOG_ANALYTICS says so."""

from datetime import datetime
from typing import Any, Final

import dagster as dg

from vidagg_dagster.azure.export import Exporter, ExportTarget, changed_rows
from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.defs.assets import GROUP
from vidagg_dagster.defs.code_references import code_references
from vidagg_dagster.defs.metadata import ROW_COUNT
from vidagg_dagster.defs.partitions import backfill_policy, daily_partitions, with_backfill_policies
from vidagg_dagster.defs.targets import POOL, retry_policy
from vidagg_dagster.settings import Settings

ENGAGEMENT_IN_AZURE: Final = "engagement_in_azure"
EXPORTER: Final = "azure_export"
"""The resource: an `Exporter`."""

SENT_UNTIL: Final = "sent until"


@with_backfill_policies()
def export_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The asset, where rows are to be sent."""
    if settings.export_target is None:
        return []
    return [_engagement_in_azure(settings)]


def export_resources(settings: Settings) -> dict[str, dg.ResourceDefinition]:
    """What the asset needs. Nobody logs in before the asset runs."""
    target: ExportTarget | None = settings.export_target
    return {} if target is None else {EXPORTER: dg.ResourceDefinition(lambda _: Exporter(target))}


def _engagement_in_azure(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=ENGAGEMENT_IN_AZURE,
        description="One row per user and video in Log Analytics: whatever of "
        "aggregated_user_video_engagement was computed since the last run is sent. Not after a "
        "failed check.",
        deps=[AGGREGATED_ENGAGEMENT.name],
        group_name=GROUP,
        owners=settings.operations.owners,
        kinds={"azure"},
        metadata=code_references("vidagg_dagster.azure.export"),
        pool=POOL,
        retry_policy=retry_policy(settings),
        partitions_def=daily_partitions(settings),
        backfill_policy=backfill_policy(settings),
    )
    def materialize(
        context: dg.AssetExecutionContext, azure_export: dg.ResourceParam[Exporter]
    ) -> dg.MaterializeResult[Any]:
        since = _sent_until(context)
        sent, until = 0, since
        try:
            for rows in changed_rows(settings.data_root, since):
                azure_export.send(rows)
                sent += len(rows)
                latest = max(datetime.fromisoformat(row["processedAt"]) for row in rows)
                until = latest if until is None else max(until, latest)
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        told = {} if until is None else {SENT_UNTIL: until.isoformat()}
        return dg.MaterializeResult(metadata={ROW_COUNT: sent, **told})

    return materialize


def _sent_until(context: dg.AssetExecutionContext) -> datetime | None:
    """The newest row that was sent, as the last run told."""
    last = context.instance.get_latest_materialization_event(context.asset_key)
    found = (
        last.asset_materialization.metadata.get(SENT_UNTIL)
        if (last is not None and last.asset_materialization is not None)
        else None
    )
    return None if found is None else datetime.fromisoformat(str(found.value))
