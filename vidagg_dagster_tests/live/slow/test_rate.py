"""A thousand events a second, after an hour of them: how long each takes to the page."""

from pathlib import Path

from vidagg_dagster.core.contract import SAIL
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.live_rate import measure

MOST_S = 15


def test_an_event_of_a_thousand_a_second_is_on_the_page_after_fifteen_seconds(
    tmp_path: Path,
) -> None:
    require(SAIL)
    measured = measure(tmp_path, SAIL, seconds=60, rate=1000, warm_up_s=30, history_s=3600)
    assert measured.events > 85_000
    assert len(measured.longest_s) >= 3
    assert measured.share_within(MOST_S) == 1.0, measured
