"""Peaks of re-watching: found where a crowd repeats a part, and not where chance does."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from vidagg_dagster.report.peaks import MIN_KEPT, Seconds, peaks, watched_by_users

BINS = 100
USERS = 200


def seconds(again: np.ndarray) -> Seconds:
    """Users who have seen everything once, and `again` (users x bins) milliseconds more."""
    unique = np.full(again.shape, 1000.0)
    return Seconds(unique + again, unique)


def test_what_a_crowd_repeats_is_a_peak() -> None:
    again = np.zeros((USERS, BINS))
    again[: USERS // 2, 40:50] = 1000
    [peak] = peaks(seconds(again))
    assert (peak.first, peak.last) == (40, 49)
    assert peak.kept == 1


def test_what_few_repeat_very_often_is_no_peak() -> None:
    again = np.zeros((USERS, BINS))
    again[0, 40:50] = 40_000
    assert peaks(seconds(again)) == []


def test_chance_makes_no_peak() -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(20):
        again = np.zeros((40, BINS))
        for user in range(40):
            start = rng.integers(BINS)
            again[user, start : start + 8] = 2000
        found += len(peaks(seconds(again)))
    assert found <= 2


def only(bins: slice) -> np.ndarray:
    again = np.zeros((USERS, BINS))
    again[:, bins] = 1000
    return again


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(np.full((USERS, BINS), 4000.0), id="a loop"),
        pytest.param(np.r_["1", np.full((USERS, 60), 1000.0), np.zeros((USERS, 40))], id="a half"),
        pytest.param(
            np.r_["1", np.full((USERS, 5), 1000.0), np.zeros((USERS, 95))], id="the start"
        ),
        pytest.param(np.zeros((USERS, BINS)), id="nothing"),
        pytest.param(np.zeros((0, BINS)), id="nobody"),
        pytest.param(np.full((USERS, 1), 500.0), id="one bin"),
    ],
)
def test_no_part_stands_out(again: np.ndarray) -> None:
    assert peaks(seconds(again)) == []


def test_few_viewers_have_no_peaks() -> None:
    again = np.zeros((9, BINS))
    again[:, 40:50] = 1000
    assert peaks(seconds(again)) == []
    assert len(peaks(seconds(np.vstack([again, again])))) == 1


def test_the_draws_are_the_same_each_time() -> None:
    rng = np.random.default_rng(3)
    again = 1000.0 * (rng.random((60, BINS)) < 0.2)
    again[:30, 20:26] = 1000
    first, second = peaks(seconds(again)), peaks(seconds(again))
    assert first == second
    assert all(MIN_KEPT <= peak.kept <= 1 for peak in first)


def test_seconds_by_users_are_those_of_each_millisecond() -> None:
    rng = np.random.default_rng(5)
    rows = sorted(
        (f"user-{rng.integers(12)}", int(start), int(start + rng.integers(1, 400)))
        for start in rng.integers(0, 900, size=150)
    )
    users, starts, ends = (list(column) for column in zip(*rows, strict=True))
    edges = np.array([0, 128, 256, 640, 1000])
    found = watched_by_users(pa.table({"userId": users, "startMs": starts, "endMs": ends}), edges)
    for number, user in enumerate(sorted(set(users))):
        counts = np.zeros(1000, dtype=int)
        for name, start, end in rows:
            if name == user:
                counts[start : min(end, 1000)] += 1
        bins = [counts[a:b] for a, b in pairwise(edges)]
        assert found.watched_ms[number].tolist() == [part.sum() for part in bins]
        assert found.unique_ms[number].tolist() == [(part > 0).sum() for part in bins]
