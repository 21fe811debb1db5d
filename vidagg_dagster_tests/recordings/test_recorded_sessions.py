"""What recorded browser sessions really played is what the pipeline says, or it is explained."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from recordings.compare import CAUSES, EXPLAINED, PAGE, WEAK_SPOTS, all_trials, page
from recordings.files import read
from recordings.recorded import (
    LIMIT_MS,
    VIDEOS,
    Comparison,
    Span,
    compare,
    length,
    overlap,
    recorded_until,
    union,
    written,
)
from recordings.scenarios import SCENARIOS
from recordings.senders import off_by
from recordings.trackers import ONLY_FULL, TRACKERS, Tracker, sent_by
from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.insight.bins import BINS, MIN_BIN_MS, BinsKernel
from vidagg_dagster.insight.sweep import SeenKernel
from vidagg_dagster.pipeline.batch import Aggregation, aggregate_files
from vidagg_dagster.spark.session import using
from vidagg_dagster_tests.support.repository import REPO

MAX_RECORDED_MS = BINS * MIN_BIN_MS
"""No recorded video is longer, so that each bin is a second."""

SPANS = pa.list_(pa.struct([("startMs", pa.int64()), ("endMs", pa.int64())]))


@dataclass(frozen=True)
class OnEngine:
    """The comparison as one engine computes it."""

    sessions: Sequence[Comparison]
    trials: Sequence[tuple[int, int]]
    counts: Mapping[Tracker, Mapping[str, int]]
    lifetime: Mapping[tuple[Tracker, str, str], tuple[list[Span], int]]
    """Tracker, user and video: watched intervals and total."""


@pytest.fixture(scope="module")
def found(patient: None, engine: str, spark: SparkSession) -> OnEngine:
    del patient
    with using(engine):
        results = {tracker: lifetime(spark, tracker) for tracker in TRACKERS}
        return OnEngine(
            sessions=compare(spark),
            trials=off_by(spark, all_trials()),
            counts={tracker: result.counts for tracker, result in results.items()},
            lifetime={
                (tracker, row["userId"], row["videoId"]): (
                    [(span["startMs"], span["endMs"]) for span in row["watchedIntervals"]],
                    round(row["totalWatchTime"] * 1000),
                )
                for tracker, result in results.items()
                for row in result.rows.to_pylist()
            },
        )


def lifetime(spark: SparkSession, tracker: Tracker) -> Aggregation:
    with written(sent_by(tracker)) as events:
        return aggregate_files(
            spark,
            SourceSpec(location=str(events)),
            video_metadata=str(VIDEOS),
            run_time=recorded_until(),
        )


def test_both_browsers_acted_out_the_same_scenarios() -> None:
    acted = defaultdict(set)
    for row in read("truth.jsonl"):
        acted[row["browser"]].add(row["scenario"])
    assert set(acted) == {"Chromium", "Firefox"}
    assert acted["Chromium"] == acted["Firefox"] == {one.name for one in SCENARIOS}


def test_every_recorded_event_is_accepted(found: OnEngine) -> None:
    for tracker in TRACKERS:
        counts = found.counts[tracker]
        assert counts["input"] == counts["accepted"] == len(sent_by(tracker))
        assert counts["duplicates"] == counts["rejected"] == counts["ignored"] == 0


def test_the_full_tracker_sends_what_the_plain_one_does_not(found: OnEngine) -> None:
    names = {tracker: {row["eventName"] for row in sent_by(tracker)} for tracker in TRACKERS}
    assert names["full"] - names["plain"] == set(ONLY_FULL)
    assert all("seekFrom" not in row for tracker in TRACKERS for row in sent_by(tracker))
    assert any(row.get("seekFrom") is not None for row in read("sessions.jsonl"))
    off = {
        tracker: sum(one.watch_off_ms for one in found.sessions if one.tracker == tracker)
        for tracker in TRACKERS
    }
    assert off["full"] < off["plain"]


def test_what_was_watched_is_what_the_browser_played(found: OnEngine) -> None:
    for one in found.sessions:
        if one.scenario not in EXPLAINED:
            assert one.apart_ms <= LIMIT_MS, one
            assert abs(one.total_off_ms) <= LIMIT_MS, one
            assert abs(one.clock_off_ms) <= LIMIT_MS, one


def seen_bins(spans: Sequence[Span]) -> set[int]:
    """The seconds of a video in which anything was seen, by the curve."""
    rows = pa.table(
        {
            "day": pa.array([None], pa.date32()),
            "videoId": pa.array(["v"]),
            "durationMs": pa.array([MAX_RECORDED_MS], pa.int64()),
            "spans": pa.array([[{"startMs": a, "endMs": b} for a, b in spans]], SPANS),
        }
    )
    bins = BinsKernel()(SeenKernel()(rows)).to_pylist()
    return {row["binStartMs"] // MIN_BIN_MS for row in bins if row["viewers"]}


def test_the_curve_of_a_session_is_that_of_the_browser_within_one_bin(found: OnEngine) -> None:
    compared = [one for one in found.sessions if one.scenario not in EXPLAINED and one.played]
    assert len(compared) > 50
    for one in compared:
        played, watched = seen_bins(one.played), seen_bins(one.watched)
        for some, others in ((played, watched), (watched, played)):
            near = {number + shift for number in others for shift in (-1, 0, 1)}
            assert some <= near, one


def test_the_lifetime_rows_are_the_compared_sessions_of_each_user_and_video(
    found: OnEngine,
) -> None:
    users = {row["sessionId"]: row["userId"] for row in read("sessions.jsonl")}
    spans: dict[tuple[Tracker, str, str], list[Span]] = defaultdict(list)
    totals: dict[tuple[Tracker, str, str], int] = defaultdict(int)
    for one in found.sessions:
        key = one.tracker, users[one.session], one.video
        spans[key] += one.watched
        totals[key] += one.watched_total_ms
    assert found.lifetime == {key: (union(spans[key]), totals[key]) for key in totals}


def test_every_difference_and_nothing_else_is_explained(found: OnEngine) -> None:
    assert {one.scenario for one in found.sessions if one.differs} == set(EXPLAINED)


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
    tried = {trial.session[1:] for trial in all_trials() if not trial.now}
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
