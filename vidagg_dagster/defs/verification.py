"""The comparison of everything that is stored as an asset check, a job and a schedule."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import dagster as dg

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, QUALITY_REPORT, TABLES
from vidagg_dagster.defs.metadata import PARTITION_ROW_COUNT
from vidagg_dagster.defs.schedules import after_deadline
from vidagg_dagster.settings.model import Settings

STORED_TABLES: Final = "stored_tables"
"""An asset that nothing materializes: all tables, as they lie on the disk."""

VERIFIED: Final = "verified"
MAX_SHOWN: Final = 20
_PAGE: Final = 1000

ASSET: Final = dg.AssetSpec(
    STORED_TABLES,
    description="All tables as they lie on the disk: files, logs and counts. Nothing materializes "
    "it; the job `verify` compares what is stored, as `vidagg verify` does.",
    group_name="verification",
    kinds={"deltalake"},
    deps=[AGGREGATED_ENGAGEMENT.name, QUALITY_REPORT.name],
)


def verification(settings: Settings) -> dg.Definitions:
    """All of it; nothing where the tables are in a catalog, whose Delta checks its own files."""
    if not settings.tables_in_files:
        return dg.Definitions()
    return dg.Definitions(
        assets=[ASSET],
        asset_checks=[verified(settings)],
        jobs=[verify_job],
        schedules=[_schedule(settings)],
    )


def verified(settings: Settings) -> dg.AssetChecksDefinition:
    """The check of `STORED_TABLES`."""

    @dg.asset_check(
        asset=STORED_TABLES,
        name=VERIFIED,
        description="Counts, files, inventory and sums of all tables agree with each other and "
        "with Dagster's history. If it fails, each finding names the command that heals it; "
        "`vidagg verify` says the same.",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        from vidagg_dagster.pipeline.verify import verify

        findings = verify(settings.data_root, rows_told(context.instance))
        shown = "\n".join(f"- {finding.line}" for finding in findings[:MAX_SHOWN])
        return dg.AssetCheckResult(
            passed=not findings,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"findings": len(findings), "what": dg.MetadataValue.md(shown or "none")},
        )

    return check


verify_job = dg.define_asset_job(
    "verify",
    selection=dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(STORED_TABLES), VERIFIED)),
    description="Compares everything that is stored, without an engine, in seconds.",
)


def _schedule(settings: Settings) -> dg.ScheduleDefinition:
    return after_deadline(
        settings,
        "verify_schedule",
        job=verify_job,
        minutes=30,
        description="Half an hour after the deadline compares everything that is stored.",
    )


def rows_told(instance: dg.DagsterInstance) -> dict[str, Mapping[date, int | None]]:
    """Asset -> its materialized days -> the rows that the newest run of each has reported."""
    daily = [name for name, table in TABLES.items() if table.partitioned]
    told = {name: _rows_of(instance, dg.AssetKey(name)) for name in daily}
    return {name: days for name, days in told.items() if days}


def _rows_of(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[date, int | None]:
    wanted = instance.get_materialized_partitions(asset)
    rows: dict[date, int | None] = {}
    cursor: str | None = None
    while len(rows) < len(wanted):
        page = instance.fetch_materializations(asset, limit=_PAGE, cursor=cursor)
        for record in page.records:  # newest first
            if record.partition_key is not None:
                rows.setdefault(date.fromisoformat(record.partition_key), _reported(record))
        if not page.has_more:
            break
        cursor = page.cursor
    return rows


def _reported(record: dg.EventLogRecord) -> int | None:
    materialization = record.asset_materialization
    found = materialization.metadata.get(PARTITION_ROW_COUNT) if materialization else None
    value = None if found is None else found.value
    return value if isinstance(value, int) else None
