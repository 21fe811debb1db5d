"""A site with a Dagster instance to run its assets on, and what Dagster shows then."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.interface import Tables
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site


class Project:
    """A site, its settings, and a Dagster instance to run its assets on."""

    def __init__(self, site: Site, instance: dg.DagsterInstance, spark: SparkSession) -> None:
        self.site = site
        self.instance = instance
        self.spark = spark
        self.engine = SAIL
        self.changed: dict[str, Any] = {}

    @property
    def settings(self) -> Settings:
        values: dict[str, Any] = {
            "source": str(self.site.events),
            "video_metadata": str(self.site.videos),
            "data_root": self.site.tables,
            "start_date": FIRST_DAY,
            "engine": self.engine,
            **self.changed,
        }
        return Settings(**values)

    @property
    def tables(self) -> Tables:
        return open_tables(self.spark, self.settings.store)

    def run(
        self,
        first: date,
        last: date | None = None,
        *,
        assets: Sequence[str] = (),
    ) -> dg.ExecuteInProcessResult:
        """Materialize one day or a range of days."""
        tags = {}
        if last is not None:
            tags = {
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": last.isoformat(),
            }
        return dg.materialize(
            build_assets(self.settings),
            instance=self.instance,
            resources=step_resources(self.settings),
            partition_key=first.isoformat() if last is None else None,
            tags=tags,
            selection=list(assets) or None,
            raise_on_error=False,
        )

    def rows(self, table: TableSpec, tables: Tables | None = None) -> list[dict[str, Any]]:
        """The stored rows in a fixed order, without the time of the run; of other `tables` too."""
        columns = [name for name in table.column_names if name != "processedAt"]
        rows = [row.asDict(recursive=True) for row in (tables or self.tables).read(table).collect()]
        return sorted(({name: row[name] for name in columns} for row in rows), key=repr)


def materializations(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dict[str, Any]]:
    """Partition ("" without) -> metadata values."""
    return {
        event.partition or "": {
            name: _plain(value) for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    }


def _plain(value: dg.MetadataValue[Any]) -> Any:
    if isinstance(value, dg.TableMetadataValue):
        return [record.data for record in value.records]
    return value.value


def days_by_status(project: Project, asset: str, check: str) -> dict[str, set[str]]:
    """What the page of a check shows of each day: its latest status."""
    latest: dict[str, str] = {}
    for record in project.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), check), limit=100
    ):  # newest first
        if record.partition is not None:
            latest.setdefault(record.partition, record.status.value)
    return {s: {d for d, found in latest.items() if found == s} for s in set(latest.values())}
