"""All recorded sessions, told in each vocabulary that can, give the rows of our own events.

What a vocabulary cannot tell is left out on both sides. What that costs stands beside its name.
"""

from typing import Final

import pytest
from pyspark.sql import SparkSession

from recordings.files import Json
from recordings.trackers import told
from vidagg_dagster_tests.support.vocabulary_twins import TRANSLATIONS, rows, rows_understood

COST_S: Final = {
    "html5": 25.0,
    "application_insights": 0.0,
    "app_events": 0.0,
    "segment": 45.9,
    "edx": 39.9,
    "xapi": 56.4,
    "caliper": 39.9,
    "snowplow": 25.1,
    "snowplow version 1": 25.0,
    "mux": 28.6,
    "adobe": 83.5,
    "kaltura": 0.9,
    "jwplayer": 0.9,
    "youtube": 73.4,
    "cmcd": 17.1,
    "jellyfin": 83.6,
}
"""Seconds of watch time by which the rows differ from those of all that the page told."""

ALL_S: Final = 1104.9
"""Seconds of watch time of all that the page told."""


def seconds(found: list[Json]) -> dict[tuple[str, str], float]:
    return {(row["userId"], row["videoId"]): row["totalWatchTime"] for row in found}


def test_the_sessions_in_every_vocabulary_give_the_rows_of_our_events(sail: SparkSession) -> None:
    events = told()
    whole = seconds(rows(sail, events).rows.to_pylist())
    assert sum(whole.values()) == pytest.approx(ALL_S, abs=0.05)
    expected = rows_understood(sail, TRANSLATIONS, events)
    costs = {}
    for name, translation in TRANSLATIONS.items():
        result = rows(sail, translation.records(events), translation.vocabulary)
        assert result.counts["rejected"] == 0, name
        found = result.rows.to_pylist()
        assert found == expected[name], name
        costs[name] = sum(abs(whole[key] - told_s) for key, told_s in seconds(found).items())
    assert costs == {name: pytest.approx(cost, abs=0.06) for name, cost in COST_S.items()}
