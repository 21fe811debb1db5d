"""Days from Azure through Dagster: from the service's answers to the rows of the tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.azure.pack import RawEvent
from vidagg_dagster.core.lineage import LANDED_EVENTS
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.defs.export import ENGAGEMENT_IN_AZURE, export_assets, export_resources
from vidagg_dagster.defs.landing import NOTHING_SAMPLED, landing_assets, landing_resources
from vidagg_dagster.defs.metadata import FOLLOW_UP
from vidagg_dagster.settings import Settings
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.azure_site import AzureSite, azure_site
from vidagg_dagster_tests.support.dagster_project import materializations
from vidagg_dagster_tests.support.fake_azure_logs import Reply

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


@pytest.fixture
def site(tmp_path: Path, sail: SparkSession) -> Iterator[AzureSite]:
    with azure_site(tmp_path, sail, "video_001,300", DAY) as site:
        yield site


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
