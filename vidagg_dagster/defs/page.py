"""The page of `vidagg report` as an asset, its job, and the sensor that starts it."""

from pathlib import Path
from typing import Any, Final

import dagster as dg

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.insight_schemas import LIFETIME_VIDEO_CURVE
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.defs.code_references import code_references
from vidagg_dagster.defs.partitions import BESIDE_RANGES, with_backfill_policies
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.settings.model import Settings

ENGAGEMENT_PAGE: Final = "engagement_page"
GROUP: Final = "pages"
STANDS_OUT: Final = "stands_out"

page_job = dg.define_asset_job(
    "write_page",
    selection=dg.AssetSelection.assets(ENGAGEMENT_PAGE),
    description="Writes the page of the tables as they are now, without an engine, in seconds.",
)


@with_backfill_policies()
def page(settings: Settings) -> dg.Definitions:
    """All of it; nothing where the tables are in a catalog."""
    if not settings.tables_in_files:
        return dg.Definitions()
    return dg.Definitions(assets=[_asset(settings)], jobs=[page_job], sensors=[page_follows()])


def page_file(settings: Settings) -> Path:
    """Where the page is."""
    return settings.data_root / FILE


def _asset(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        name=ENGAGEMENT_PAGE,
        description="One HTML file over all tables: overview, curves and viewers of each video, "
        "who comes back, users by videos, data quality; every number with its query. It opens "
        "without a server. The sensor page_follows, or the job write_page, writes it anew. "
        f"Where: {page_file(settings)}",
        deps=[
            AGGREGATED_ENGAGEMENT.name,
            *([LIFETIME_VIDEO_CURVE.name] if settings.insights else []),
        ],
        group_name=GROUP,
        owners=settings.operations.owners,
        backfill_policy=BESIDE_RANGES,
        kinds={"html", "duckdb"},
        metadata=code_references("vidagg_dagster.report.page"),
    )
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        from vidagg_dagster.report.page import write_page

        try:
            written = write_page(
                settings.data_root,
                page_file(settings),
                name=settings.page_language,
                with_users=settings.page_users,
            )
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        context.log.info("wrote %s", page_file(settings))
        told = [
            {"video": video.title, "what": written.sentence(one, video)}
            for video in written.videos
            for one in video.findings
        ]
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(str(page_file(settings).absolute())),
                "videos": len(written.videos),
                "size_kb": round(page_file(settings).stat().st_size / 1000),
                **({STANDS_OUT: _table(told)} if told else {}),
            }
        )

    return materialize


def _table(records: list[dict[str, str]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records])


def page_follows() -> dg.SensorDefinition:
    """After a run that has materialized the lifetime table: the run that writes the page."""

    @dg.run_status_sensor(
        name="page_follows",
        run_status=dg.DagsterRunStatus.SUCCESS,
        request_job=page_job,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Writes the page after each run that has taken days into the lifetime table.",
    )
    def sensor(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        chosen = run.asset_selection
        if run.job_name == page_job.name or (
            chosen is not None and dg.AssetKey(AGGREGATED_ENGAGEMENT.name) not in chosen
        ):
            return dg.SkipReason(f"{run.job_name} has not materialized the lifetime table.")
        return dg.RunRequest(run_key=run.run_id)

    return sensor
