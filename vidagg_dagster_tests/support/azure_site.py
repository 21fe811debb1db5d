"""A project whose events are in a workspace of Azure on this machine, to which its rows go back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from pyspark.sql import SparkSession

from vidagg_dagster.azure.export import Exporter
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.source import WORKSPACE, LogSource
from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.export import EXPORTER, export_assets
from vidagg_dagster.defs.landing import LOGS, landing_assets
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.fake_azure_ingestion import FakeIngestion, fake_ingestion
from vidagg_dagster_tests.support.fake_azure_logs import (
    WORKSPACE_ID,
    Credential,
    FakeLogs,
    fake_logs,
)
from vidagg_dagster_tests.support.kql_engine import azure


@dataclass
class AzureSite:
    """The project, what it talks to, and its tables."""

    logs: FakeLogs
    ingestion: FakeIngestion
    settings: Settings
    instance: dg.DagsterInstance
    spark: SparkSession

    def run(self, day: date, assets: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        source, target = self.settings.azure_source, self.settings.export_target
        assert isinstance(source, LogSource)
        assert target is not None
        return dg.materialize(
            [
                *build_assets(self.settings),
                *landing_assets(self.settings),
                *export_assets(self.settings),
            ],
            instance=self.instance,
            resources={
                "steps": LocalSteps(engine="sail"),
                LOGS: LogsClient(source, Credential(), **self.logs.options),
                EXPORTER: Exporter(target, Credential(), **self.ingestion.options),
            },
            partition_key=day.isoformat(),
            selection=list(assets) or None,
            raise_on_error=False,
        )

    def rows(self, table: TableSpec) -> list[dict[str, Any]]:
        tables = open_tables(self.spark, self.settings.store)
        return [row.asDict() for row in tables.read(table).collect()]


@contextmanager
def azure_site(folder: Path, sail: SparkSession, videos: str, start: date) -> Iterator[AzureSite]:
    """A new project in a folder, with the durations of its videos as lines of CSV."""
    (folder / "videos.csv").write_text(f"videoId,duration\n{videos}\n", "utf-8")
    (folder / "home").mkdir()
    with (
        azure([]) as tables,
        fake_logs(tables, folder) as logs,
        fake_ingestion(folder / "home") as ingestion,
        dg.DagsterInstance.local_temp(str(folder / "home")) as instance,
    ):
        settings = Settings(
            source=f"{WORKSPACE}{WORKSPACE_ID}",
            export_log_analytics=ingestion.address,
            video_metadata=str(folder / "videos.csv"),
            data_root=folder / "tables",
            start_date=start,
        )
        yield AzureSite(logs, ingestion, settings, instance, sail)
