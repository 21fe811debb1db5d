"""What recorded browser sessions really played is what the pipeline says, or it is explained."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from pyspark.sql import SparkSession

from recordings.compare import CAUSES, EXPLAINED, PAGE, WEAK_SPOTS, all_trials, page
from recordings.recorded import (
    EVENTS,
    LIMIT_MS,
    VIDEOS,
    Comparison,
    Span,
    compare,
    length,
    overlap,
    read,
    recorded_until,
    union,
)
from recordings.senders import off_by
from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.pipeline.batch import aggregate_files
from vidagg_dagster.spark.session import using
from vidagg_dagster_tests.support.repository import REPO


@dataclass(frozen=True)
class OnEngine:
    """The comparison as one engine computes it."""

    sessions: Sequence[Comparison]
    trials: Sequence[tuple[int, int]]
    counts: Mapping[str, int]
    lifetime: Mapping[tuple[str, str], tuple[list[Span], int]]
    """User and video: watched intervals and total."""


@pytest.fixture(scope="module")
def found(engine: str, spark: SparkSession) -> OnEngine:
    with using(engine):
        lifetime = aggregate_files(
            spark,
            SourceSpec(location=str(EVENTS)),
            video_metadata=str(VIDEOS),
            run_time=recorded_until(),
        )
        return OnEngine(
            sessions=compare(spark),
            trials=off_by(spark, all_trials()),
            counts=lifetime.counts,
            lifetime={
                (row["userId"], row["videoId"]): (
                    [(span["startMs"], span["endMs"]) for span in row["watchedIntervals"]],
                    round(row["totalWatchTime"] * 1000),
                )
                for row in lifetime.rows.to_pylist()
            },
        )


def test_there_are_enough_sessions(found: OnEngine) -> None:
    assert len({one.session for one in found.sessions}) >= 20


def test_every_recorded_event_is_accepted(found: OnEngine) -> None:
    lines = len(EVENTS.read_text(encoding="utf-8").splitlines())
    assert found.counts["input"] == found.counts["accepted"] == lines
    assert found.counts["duplicates"] == found.counts["rejected"] == 0


def test_what_was_watched_is_what_the_browser_played(found: OnEngine) -> None:
    for one in found.sessions:
        if one.key not in EXPLAINED:
            assert one.apart_ms <= LIMIT_MS, one
            assert abs(one.total_off_ms) <= LIMIT_MS, one
            assert abs(one.clock_off_ms) <= LIMIT_MS, one


def test_the_lifetime_rows_are_the_compared_sessions_of_each_user_and_video(
    found: OnEngine,
) -> None:
    users = {row["sessionId"]: row["userId"] for row in read("sessions.jsonl")}
    spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for one in found.sessions:
        spans[users[one.session], one.video] += one.watched
        totals[users[one.session], one.video] += one.watched_total_ms
    assert found.lifetime == {key: (union(spans[key]), totals[key]) for key in totals}


def test_every_difference_and_nothing_else_is_explained(found: OnEngine) -> None:
    assert {one.key for one in found.sessions if one.differs} == set(EXPLAINED)


def test_every_cause_explains_something() -> None:
    assert {cause for cause, _ in EXPLAINED.values()} == set(CAUSES)


def test_an_explanation_is_one_sentence() -> None:
    for _, sentence in EXPLAINED.values():
        assert sentence.endswith(".")
        assert ". " not in sentence


def test_a_weak_spot_costs_what_it_is_said_to_and_its_remedy_helps(found: OnEngine) -> None:
    for trial, (before, after) in zip(all_trials(), found.trials, strict=True):
        assert after * 2 < before, trial


def test_every_session_that_differs_has_a_weak_spot_with_a_remedy() -> None:
    tried = {trial.session for trial in all_trials() if not trial.now}
    assert tried >= {session for session, _ in EXPLAINED}


def test_the_page_is_current(found: OnEngine) -> None:
    current = (REPO / PAGE).read_text(encoding="utf-8")
    assert page(found.sessions, found.trials) == current, "run: python -m recordings.compare"


def test_every_weak_spot_is_tried() -> None:
    assert all(spot.trials for spot in WEAK_SPOTS)


@pytest.mark.parametrize(
    ("some", "others", "common"),
    [
        ([], [(0, 5)], 0),
        ([(0, 10)], [(2, 4), (6, 12)], 6),
        ([(0, 2), (4, 6)], [(2, 4)], 0),
        ([(0, 2), (4, 6)], [(1, 5)], 2),
    ],
)
def test_overlap_is_the_length_of_what_is_common(
    some: list[Span], others: list[Span], common: int
) -> None:
    assert overlap(some, others) == overlap(others, some) == common


def test_both_sources_of_the_truth_agree() -> None:
    """`video.played` and the sampled positions are independent; the rest relies on both."""
    for row in read("truth.jsonl"):
        played, sampled = (
            [(round(start * 1000), round(end * 1000)) for start, end in row[name]]
            for name in ("played_ranges", "sampled_ranges")
        )
        assert all(end < start for (_, end), (start, _) in pairwise(played)), row
        once = union(sampled)
        apart = length(played) + length(once) - 2 * overlap(played, once)
        assert apart <= LIMIT_MS / 2, row
