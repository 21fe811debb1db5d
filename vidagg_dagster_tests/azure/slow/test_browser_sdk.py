"""Microsoft's SDK in a real browser, through Dagster, to one row as the page played."""

from datetime import timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster_tests.support.azure_site import azure_site
from vidagg_dagster_tests.support.browser_sdk import (
    assert_as_played,
    custom_events,
    raw_events,
    record,
    recorded,
)
from vidagg_dagster_tests.support.tracked_page import CLIP


def test_what_a_browser_sends_becomes_one_row_as_it_played(
    sail: SparkSession, tmp_path: Path
) -> None:
    sent = record()
    # A day has a partition when it is over.
    events = [
        event._replace(timestamp=event.timestamp - timedelta(days=1))
        for event in raw_events(sent.beacons)
    ]
    assert len(events) < len(sent.beacons), "a page view is no event of a player"
    day = events[0].timestamp.date()
    with azure_site(tmp_path, sail, f"{CLIP.video_id},{CLIP.seconds}", day) as site:
        site.logs.tables.add(events)
        assert site.run(day).success
        (row,) = site.rows(AGGREGATED_ENGAGEMENT)
    assert_as_played(row, sent.truth)
    shapes = [
        {tuple(event["data"]["baseData"]) for event in custom_events(one.beacons)}
        for one in (sent, recorded())
    ]
    assert shapes[0] == shapes[1], "what was recorded is of another SDK"
