"""Trackers of others in a real browser: their beacons become one row as the page played."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from recordings.files import Json
from recordings.recorded import length, ms, overlap, union
from vidagg_dagster.aggregator import VideoEngagementAggregator
from vidagg_dagster_tests.support.npm_trackers import record_mux, record_snowplow, snowplow_rows
from vidagg_dagster_tests.support.source_files import write
from vidagg_dagster_tests.support.tracked_page import CLIP, USER, Sent

TOLD_STARTS_MS: Final = 500
"""What no event says of the two seeks, which do not tell where they began."""

UNTOLD_STARTS_MS: Final = 1000
"""The same where none says either when the picture began to move."""


def row_of(
    sail: SparkSession, folder: Path, records: Sequence[Json], mapping: str
) -> Mapping[str, Any]:
    videos = write(folder / "videos.csv", ["videoId,duration", f"{CLIP.video_id},{CLIP.seconds}"])
    events = write(folder / "events.jsonl", [json.dumps(record) for record in records])
    (row,) = (
        VideoEngagementAggregator(sail, events, video_metadata_table=videos, mapping=mapping)
        .run_aggregation()
        .collect()
    )
    return row.asDict(recursive=True)


def apart_ms(row: Mapping[str, Any], truth: Json) -> int:
    """What was played or credited, but not both."""
    played = union((ms(start), ms(end)) for start, end in truth["played_ranges"])
    found = union((span["startMs"], span["endMs"]) for span in row["watchedIntervals"])
    return length(played) + length(found) - 2 * overlap(played, found)


def assert_as_played(row: Mapping[str, Any], sent: Sent, off_ms: int) -> None:
    assert apart_ms(row, sent.truth) <= off_ms
    sampled = sum(end - start for start, end in sent.truth["sampled_ranges"])
    assert abs(ms(row["totalWatchTime"] - sampled)) <= off_ms
    assert (row["userId"], row["videoId"], row["sessionCount"]) == (USER, CLIP.video_id, 1)
    assert (row["pauseCount"], row["completionCount"]) == (3, 1)
    assert (row["totalForwardSkips"], row["totalBackwardSkips"]) == (2, 1)


def test_what_mux_embed_sends_becomes_one_row_as_it_played(
    sail: SparkSession, tmp_path: Path
) -> None:
    sent = record_mux()
    row = row_of(sail, tmp_path, sent.beacons, "mux_beacons")
    assert_as_played(row, sent, TOLD_STARTS_MS)


def test_what_the_media_plugin_of_snowplow_sends_becomes_one_row_as_it_played(
    sail: SparkSession, tmp_path: Path
) -> None:
    sent = record_snowplow(filtered=False)
    row = row_of(sail, tmp_path, snowplow_rows(sent.beacons), "snowplow")
    assert_as_played(row, sent, UNTOLD_STARTS_MS)


def test_seeks_that_snowplow_holds_back_come_with_the_time_of_what_follows(
    sail: SparkSession, tmp_path: Path
) -> None:
    sent = record_snowplow(filtered=True)
    rows = snowplow_rows(sent.beacons)
    assert apart_ms(row_of(sail, tmp_path, rows, "snowplow"), sent.truth) > UNTOLD_STARTS_MS
