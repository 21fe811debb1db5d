"""What stands out in a video: each sentence where it is true, and not where it is not."""

import pytest

from vidagg_dagster.report.findings import Finding, findings
from vidagg_dagster.report.peaks import Peak
from vidagg_dagster.report.read import Row

BINS = 40


def video(viewers: int = 100, times: float | None = 1.2) -> Row:
    return {"viewers": viewers, "timesWatched": times}


def curve(**columns: list[float]) -> Row:
    level = {name: [0] * BINS for name in ("lastSeenHere", "skippedOver", "again")}
    return {"binMs": 1000, "endMs": BINS * 1000 - 500, **level, **columns}


def bins(*values: tuple[int, float]) -> list[float]:
    found = [0.0] * BINS
    for at, value in values:
        found[at] = value
    return found


def test_a_part_where_many_stop_is_told() -> None:
    left = bins((10, 9), (11, 8), (39, 60))
    assert findings(video(), curve(lastSeenHere=left), []) == [
        Finding("leave", 10_000, 12_000, 17, 17.0)
    ]


@pytest.mark.parametrize(
    "left", [bins((10, 14)), bins((38, 50), (39, 50)), bins(*((at, 2) for at in range(BINS)))]
)
def test_few_who_stop_the_end_and_a_steady_loss_are_not_told(left: list[float]) -> None:
    assert findings(video(), curve(lastSeenHere=left), []) == []


def test_a_part_that_many_jump_over_is_told_as_far_as_half_of_them_jump() -> None:
    skipped = bins((4, 20), (5, 60), (6, 80), (7, 40), (8, 39))
    assert findings(video(), curve(skippedOver=skipped), []) == [Finding("skip", 5_000, 8_000, 80)]
    assert findings(video(200), curve(skippedOver=skipped), []) == []


def test_a_peak_is_told_with_its_height() -> None:
    again = bins((20, 1.5), (21, 2.5), (22, 9))
    [found] = findings(video(), curve(again=again), [Peak(20, 21, 21, 0.93)])
    assert found == Finding("again", 20_000, 22_000, 2.5, 93.0)


@pytest.mark.parametrize(("times", "told"), [(2.0, True), (1.99, False), (None, False)])
def test_a_loop_is_told(times: float | None, told: bool) -> None:
    found = findings(video(times=times), curve(), [])
    assert found == ([Finding("loop", 0, 39_500, 2.0)] if told else [])


def test_of_few_viewers_nothing_is_told() -> None:
    left = bins((10, 9))
    assert findings(video(9), curve(lastSeenHere=left), []) == []
    assert findings(video(10), curve(lastSeenHere=left), []) != []


def test_a_video_of_one_bin_has_no_part_that_stands_out() -> None:
    single = {"binMs": 1000, "endMs": 1000, "lastSeenHere": [50], "skippedOver": [0], "again": [0]}
    assert findings(video(), single, []) == []
