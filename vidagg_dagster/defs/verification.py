"""The comparison of everything that is stored as an asset check, a job and a schedule."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import dagster as dg

from vidagg_dagster.core.days import span_text
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, QUALITY_REPORT, TABLES
from vidagg_dagster.defs.metadata import PARTITION_ROW_COUNT, RULES
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
        others = "\n".join(f"- {line}" for line in other_rules(context.instance, settings.rules))
        return dg.AssetCheckResult(
            passed=not findings,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "findings": len(findings),
                "what": dg.MetadataValue.md(shown or "none"),
                "by other rules": dg.MetadataValue.md(others or "none"),
            },
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
    return {
        name: {day: _rows(told.get(PARTITION_ROW_COUNT)) for day, told in days.items()}
        for name, days in _told(instance).items()
    }


def other_rules(instance: dg.DagsterInstance, rules: str) -> list[str]:
    """A line for each asset with days whose newest run computed them by other rules than `rules`.

    Days of runs that did not say by which rules are in none.
    """
    lines = []
    for name, days in _told(instance).items():
        found = {day: told[RULES].value for day, told in days.items() if RULES in told}
        others = sorted(day for day, by in found.items() if by != rules)
        if others:
            lines.append(
                f"{name}: {len(others)} of {len(days)} days, {span_text(others[0], others[-1])}, "
                f"were computed by other rules than those of now ({rules}); to have all days "
                "by one set of rules, materialize them again"
            )
    return lines


Told = Mapping[str, dg.MetadataValue[Any]]


def _told(instance: dg.DagsterInstance) -> dict[str, Mapping[date, Told]]:
    """Asset -> its materialized days -> the metadata of the newest run of each."""
    daily = [name for name, table in TABLES.items() if table.partitioned]
    told = {name: _newest(instance, dg.AssetKey(name)) for name in daily}
    return {name: days for name, days in told.items() if days}


def _newest(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[date, Told]:
    wanted = instance.get_materialized_partitions(asset)
    told: dict[date, Told] = {}
    cursor: str | None = None
    while len(told) < len(wanted):
        page = instance.fetch_materializations(asset, limit=_PAGE, cursor=cursor)
        for record in page.records:  # newest first
            if record.partition_key is not None and record.asset_materialization is not None:
                day = date.fromisoformat(record.partition_key)
                told.setdefault(day, record.asset_materialization.metadata)
        if not page.has_more:
            break
        cursor = page.cursor
    return told


def _rows(found: dg.MetadataValue[Any] | None) -> int | None:
    value = None if found is None else found.value
    return value if isinstance(value, int) else None
