"""Days from Azure through Dagster: from the service's answers to the rows of the tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.azure.export import Exporter
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.pack import RawEvent
from vidagg_dagster.azure.source import WORKSPACE
from vidagg_dagster.core.lineage import LANDED_EVENTS
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS, TableSpec
from vidagg_dagster.defs.assets import build_assets
from vidagg_dagster.defs.export import (
    ENGAGEMENT_IN_AZURE,
    EXPORTER,
    export_assets,
    export_resources,
)
from vidagg_dagster.defs.landing import LOGS, NOTHING_SAMPLED, landing_assets, landing_resources
from vidagg_dagster.defs.metadata import FOLLOW_UP
from vidagg_dagster.runners.local import LocalSteps
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.dagster_project import materializations
from vidagg_dagster_tests.support.fake_azure_ingestion import FakeIngestion, fake_ingestion
from vidagg_dagster_tests.support.fake_azure_logs import (
    WORKSPACE_ID,
    Credential,
    FakeLogs,
    Reply,
    fake_logs,
)
from vidagg_dagster_tests.support.kql_engine import azure

# Late days are looked for as far back as the clock says.
DAY = datetime.now(UTC).date() - timedelta(days=3)
NEXT_DAY = DAY + timedelta(days=1)
ARRIVAL = datetime.combine(NEXT_DAY, time(12))
DIMENSIONS = ("userId", "sessionId", "videoId", "currentTime")
PETER = [
    RawEvent(
        datetime.combine(DAY, datetime.fromisoformat(event["timestamp"]).time()),
        event["eventName"],
        {name: str(event[name]) for name in DIMENSIONS},
    )
    for event in peter.EVENTS
]


@dataclass
class AzureSite:
    """A project whose events are in a workspace, to which its rows go back."""

    logs: FakeLogs
    ingestion: FakeIngestion
    settings: Settings
    instance: dg.DagsterInstance
    spark: SparkSession

    def run(self, day: date, assets: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        source, target = self.settings.azure_source, self.settings.export_target
        assert source is not None
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


@pytest.fixture
def site(tmp_path: Path, sail: SparkSession) -> Iterator[AzureSite]:
    (tmp_path / "videos.csv").write_text("videoId,duration\nvideo_001,300\n", "utf-8")
    (tmp_path / "home").mkdir()
    with (
        azure([]) as tables,
        fake_logs(tables, tmp_path) as logs,
        fake_ingestion(tmp_path / "home") as ingestion,
        dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance,
    ):
        settings = Settings(
            source=f"{WORKSPACE}{WORKSPACE_ID}",
            export_log_analytics=ingestion.address,
            video_metadata=str(tmp_path / "videos.csv"),
            data_root=tmp_path / "tables",
            start_date=DAY,
        )
        yield AzureSite(logs, ingestion, settings, instance, sail)


def test_a_day_of_a_workspace_becomes_peter_s_row_and_goes_back(site: AzureSite) -> None:
    site.logs.tables.add(PETER)
    site.logs.max_rows = 4
    result = site.run(DAY)
    assert result.success
    shown = materializations(result, LANDED_EVENTS)[DAY.isoformat()]
    assert (shown["dagster/partition_row_count"], shown["sampled"]) == (6, 0)
    assert shown["slices"] > 1
    (row,) = site.rows(AGGREGATED_ENGAGEMENT)
    assert {name: row[name] for name in peter.ROW} == peter.ROW
    (sent,) = site.ingestion.rows
    assert {name: sent[name] for name in peter.ROW} == peter.ROW
    again = site.run(DAY, (ENGAGEMENT_IN_AZURE,))
    assert again.success
    assert len(site.ingestion.rows) == 1, "nothing was computed since"


def test_late_events_of_an_earlier_day_are_landed_and_told(site: AzureSite) -> None:
    reading = (LANDED_EVENTS, RAW_EVENTS.name)
    site.logs.tables.add(PETER[:4])
    assert site.run(DAY, reading).success
    site.logs.tables.add(PETER[4:], ingested=ARRIVAL)
    result = site.run(NEXT_DAY, reading)
    assert result.success
    assert set(materializations(result, LANDED_EVENTS)) == {DAY.isoformat(), NEXT_DAY.isoformat()}
    told = materializations(result, RAW_EVENTS.name)[NEXT_DAY.isoformat()]
    assert told[FOLLOW_UP]["days"] == [DAY.isoformat()]
    assert len(site.rows(RAW_EVENTS)) == 4
    assert site.run(DAY, reading).success
    assert len(site.rows(RAW_EVENTS)) == 6


def test_sampled_events_fail_a_check_and_stop_what_follows(site: AzureSite) -> None:
    site.logs.tables.add([*PETER[1:], PETER[0]._replace(item_count=5)])
    result = site.run(DAY)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (NOTHING_SAMPLED, False)
    assert check.metadata["violations"].value == 4
    assert not materializations(result, RAW_EVENTS.name)
    assert site.ingestion.calls == []


def test_a_refusal_fails_the_run_and_leaves_no_file(site: AzureSite) -> None:
    site.logs.replies.append(Reply(403))
    assert not site.run(DAY).success
    assert list(site.settings.landing_folder.iterdir()) == []


def test_without_azure_nothing_lands_and_nothing_is_sent(tmp_path: Path) -> None:
    settings = Settings(source=str(tmp_path))
    assert (landing_assets(settings), landing_resources(settings)) == ([], {})
    assert (export_assets(settings), export_resources(settings)) == ([], {})
