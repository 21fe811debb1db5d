"""What Microsoft's SDK for browsers sent, through both ways on, beside what the page played."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.aggregator import VideoEngagementAggregator
from vidagg_dagster.azure.landing import Landing
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.source import RESOURCE, WORKSPACE, parse_log_source
from vidagg_dagster_tests.support.browser_sdk import (
    assert_as_played,
    custom_events,
    exported,
    raw_events,
    recorded,
)
from vidagg_dagster_tests.support.fake_azure_logs import (
    RESOURCE_ID,
    WORKSPACE_ID,
    Credential,
    fake_logs,
)
from vidagg_dagster_tests.support.kql_engine import azure
from vidagg_dagster_tests.support.tracked_page import CLIP


def row_of(sail: SparkSession, folder: Path, **options: Any) -> Mapping[str, Any]:
    videos = folder / "videos.csv"
    videos.write_text(f"videoId,duration\n{CLIP.video_id},{CLIP.seconds}\n", "utf-8")
    (row,) = (
        VideoEngagementAggregator(sail, folder / "events", video_metadata_table=videos, **options)
        .run_aggregation()
        .collect()
    )
    return row.asDict(recursive=True)


@pytest.mark.parametrize(
    "address", [f"{WORKSPACE}{WORKSPACE_ID}", f"{RESOURCE}{RESOURCE_ID}"], ids=["logs", "insights"]
)
def test_what_was_sent_lands_and_becomes_what_the_page_played(
    sail: SparkSession, tmp_path: Path, address: str
) -> None:
    sent = recorded()
    # A beacon whose answer was lost is sent again.
    events = 2 * raw_events(sent.beacons)
    with azure(events) as tables, fake_logs(tables, tmp_path) as logs:
        source = parse_log_source(address)
        client = LogsClient(source, Credential(), **logs.options)
        day = events[0].timestamp.date()
        Landing(client, source.columns, tmp_path / "events").land([day], day)
    assert_as_played(row_of(sail, tmp_path), sent.truth)


def test_what_was_sent_is_exported_and_becomes_what_the_page_played(
    sail: SparkSession, tmp_path: Path
) -> None:
    sent = recorded()
    # As a rule lays them: month and minute have the same name.
    folder = tmp_path / "events" / "WorkspaceResourceId=" / "y=2026" / "m=01" / "d=05" / "h=10"
    for minute in ("m=00", "m=05"):
        (folder / minute).mkdir(parents=True)
        (folder / minute / "PT05M.json").write_text(exported(sent.beacons), "utf-8")
    assert_as_played(row_of(sail, tmp_path, mapping="app_events"), sent.truth)


def test_the_sdk_sends_numbers_as_measurements() -> None:
    numbers = {"currentTime", "playbackRate", "seekFrom"}
    for event in custom_events(recorded().beacons):
        said = event["data"]["baseData"]
        assert said["properties"].keys().isdisjoint(numbers)
        assert {"currentTime", "playbackRate"} <= said["measurements"].keys() <= numbers
