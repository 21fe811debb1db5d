"""What passes at the limit of a rule, and what a failed rule tells."""

import pytest
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import (
    RAW_EVENTS,
    WATCH_INTERVALS,
)
from vidagg_dagster_tests.support.quality_lab import BROKEN, Lab, counted
from vidagg_dagster_tests.support.small_site import day


def test_the_volume_of_a_day_is_not_judged_by_fewer_than_three_days(lab: Lab) -> None:
    outcome = lab.evaluate(RAW_EVENTS, days=[day(2)])["volume_near_median", day(2)]
    assert outcome.passed
    assert outcome.detail["skipped"] == "only 2 of the 7 days before have events"


def test_a_volume_of_exactly_half_or_twice_the_median_passes(lab: Lab) -> None:
    lab.tables.replace_days(
        RAW_EVENTS,
        lab.tables.read(RAW_EVENTS, [BROKEN]).orderBy("timestamp").limit(7),
        [BROKEN],
    )
    # 7 of 13: above half. 6 would be below.
    assert lab.evaluate(RAW_EVENTS)["volume_near_median", BROKEN].passed
    lab.tables.replace_days(
        RAW_EVENTS,
        lab.tables.read(RAW_EVENTS, [BROKEN]).orderBy("timestamp").limit(6),
        [BROKEN],
    )
    assert not lab.evaluate(RAW_EVENTS)["volume_near_median", BROKEN].passed


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ({"input": 1000, "rejected": 10}, "rejected_share"),
        ({"input": 1000, "duplicates": 50}, "duplicate_share"),
        ({"input": 0, "rejected": 0}, "rejected_share"),
    ],
)
def test_a_share_at_its_limit_passes(lab: Lab, numbers: dict[str, int], rule: str) -> None:
    counted(**numbers)(lab)
    assert lab.evaluate(RAW_EVENTS)[rule, BROKEN].passed


def test_a_share_of_rejected_rows_names_the_most_frequent_reasons(lab: Lab) -> None:
    reasons = {"missing_user": 2, "unknown_event": 9, "malformed_row": 1, "invalid_position": 3}
    counted(input=1000, rejected=15, **{f"rejected:{name}": n for name, n in reasons.items()})(lab)
    detail = lab.evaluate(RAW_EVENTS)["rejected_share", BROKEN].detail
    assert [(name, rows) for name, rows in detail.items() if ":" in name] == [
        ("rejected:unknown_event", 9),
        ("rejected:invalid_position", 3),
        ("rejected:missing_user", 2),
    ]


def test_a_declared_playback_rate_widens_the_clock_of_its_session(lab: Lab) -> None:
    """anna's trailer: 60 s in 30 s would be 2 x; here the clock shows 15 s, so 4 x."""
    trailer = F.col("videoId") == "video_002"
    lab.change(WATCH_INTERVALS, {"clockMs": F.lit(6_000)}, where=trailer)
    assert "watch_within_clock" in lab.failed(WATCH_INTERVALS)
    lab.change(RAW_EVENTS, {"playbackRate": F.lit(4.0)}, where=trailer)
    assert "watch_within_clock" not in lab.failed(WATCH_INTERVALS)
