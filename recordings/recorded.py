"""Recorded player sessions: what the browser says was played beside what the pipeline credits.

All lengths are whole milliseconds. `compare.py` writes them down.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession

from recordings.files import FOLDER, Json, read, write
from recordings.trackers import TRACKERS, Tracker, sent_by
from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.ingestion import accepted, classify
from vidagg_dagster.metrics.intervals import watch_intervals
from vidagg_dagster.metrics.timeline import sessions
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import read_videos

VIDEOS = FOLDER / "videos.jsonl"

LIMIT_MS = 500
"""A difference above this must be explained."""

Span = tuple[int, int]
Key = tuple[str, str]
"""Session and video."""


class Credit(NamedTuple):
    """One credited interval."""

    start_ms: int
    end_ms: int
    clock_ms: int
    evidence: str


@dataclass(frozen=True)
class Comparison:
    """One session and video, as one tracker reports it.

    `played` and `watched` are unions; `credits` are in play order.
    """

    browser: str
    version: str
    tracker: Tracker
    session: str
    video: str
    did: str
    played: tuple[Span, ...]
    played_total_ms: int
    played_clock_ms: int
    credits: tuple[Credit, ...]
    tail_ms: int

    @property
    def key(self) -> Key:
        return self.session, self.video

    @property
    def scenario(self) -> Key:
        """The session without its browser, and the video."""
        return self.session[1:], self.video

    @property
    def watched(self) -> tuple[Span, ...]:
        return tuple(union((credit.start_ms, credit.end_ms) for credit in self.credits))

    @property
    def watched_total_ms(self) -> int:
        return sum(credit.end_ms - credit.start_ms for credit in self.credits)

    @property
    def watched_clock_ms(self) -> int:
        return sum(credit.clock_ms for credit in self.credits)

    @property
    def missing_ms(self) -> int:
        """Played, but not in any credited interval."""
        return length(self.played) - overlap(self.played, self.watched)

    @property
    def extra_ms(self) -> int:
        """Credited, but never played."""
        return length(self.watched) - overlap(self.played, self.watched)

    @property
    def apart_ms(self) -> int:
        """Length of the symmetric difference of what was played and what is credited."""
        return self.missing_ms + self.extra_ms

    @property
    def total_off_ms(self) -> int:
        return self.watched_total_ms - self.played_total_ms

    @property
    def clock_off_ms(self) -> int:
        return self.watched_clock_ms - self.played_clock_ms

    @property
    def watch_off_ms(self) -> int:
        """The larger of the differences in coverage and in total."""
        return max(self.apart_ms, abs(self.total_off_ms))

    @property
    def off_ms(self) -> int:
        return max(self.watch_off_ms, abs(self.clock_off_ms))

    @property
    def differs(self) -> bool:
        return self.off_ms > LIMIT_MS


def union(spans: Iterable[Span]) -> list[Span]:
    """Sorted spans that neither overlap nor touch."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


def length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)


def overlap(some: Sequence[Span], others: Sequence[Span]) -> int:
    """Length of what two unions have in common."""
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in some for b in others)


def ms(value: float) -> int:
    return round(value * 1000)


def recorded_until() -> datetime:
    """The end of the recording: an ingestion time that does not depend on today."""
    return max(datetime.fromisoformat(truth["read_at"]) for truth in read("truth.jsonl"))


@contextmanager
def written(events: Iterable[Json]) -> Iterator[Path]:
    """A file of events, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        file = Path(folder, "events.jsonl")
        write(file, events)
        yield file


def classified(spark: SparkSession, events: Path) -> DataFrame:
    spec = SourceSpec(location=str(events))
    return classify(
        read_source(spark, spec),
        spec=spec,
        start_date=None,
        timezone="UTC",
        run_time=recorded_until(),
    )


class Credited(NamedTuple):
    """Intervals and tails that the pipeline credits, by session and video."""

    intervals: Mapping[Key, Sequence[Credit]]
    """In play order."""
    tails: Mapping[Key, int]

    def against(
        self, truth: Sequence[Json], key: Key, recorded_as: Key, tracker: Tracker
    ) -> Comparison:
        """What is credited under `key` beside the truth of the page loads recorded."""
        sampled = [(ms(start), ms(end)) for load in truth for start, end in load["sampled_ranges"]]
        played = [(ms(start), ms(end)) for load in truth for start, end in load["played_ranges"]]
        return Comparison(
            browser=truth[0]["browser"],
            version=truth[0]["version"],
            tracker=tracker,
            session=recorded_as[0],
            video=recorded_as[1],
            did=truth[0]["description"],
            played=tuple(union(played)),
            played_total_ms=length(sampled),
            played_clock_ms=sum(ms(load["sampled_clock_seconds"]) for load in truth),
            credits=tuple(self.intervals.get(key, ())),
            tail_ms=self.tails.get(key, 0),
        )


def credited(spark: SparkSession, events: Path) -> Credited:
    """Send events through the pipeline."""
    told = sessions(
        accepted(classified(spark, events)),
        read_videos(spark, str(VIDEOS)),
        days=None,
        parameters=EngagementParameters(),
        timezone="UTC",
    ).toArrow()
    rows = watch_intervals(spark.createDataFrame(told)).toArrow().to_pylist()
    intervals: dict[Key, list[Credit]] = defaultdict(list)
    for row in sorted(rows, key=itemgetter("openedAt")):
        intervals[row["sessionId"], row["videoId"]].append(
            Credit(row["startMs"], row["endMs"], row["clockMs"], row["evidence"])
        )
    tails: dict[Key, int] = defaultdict(int)
    for row in told.to_pylist():
        for visit in row["visits"]:
            tails[row["sessionId"], visit["videoId"]] += visit["tailMs"]
    return Credited(intervals, tails)


def compare(spark: SparkSession) -> list[Comparison]:
    """Every recorded session and video by each tracker; page loads that share both are one."""
    events = [
        row | {"sessionId": f"{tracker} {row['sessionId']}"}
        for tracker in TRACKERS
        for row in sent_by(tracker)
    ]
    with written(events) as file:
        result = credited(spark, file)
    return [
        result.against(truth, (f"{tracker} {session}", video), (session, video), tracker)
        for ((session, video), truth), tracker in product(truths().items(), TRACKERS)
    ]


def truths() -> dict[Key, list[Json]]:
    """The page loads of each session and video."""
    found: dict[Key, list[Json]] = defaultdict(list)
    for row in read("truth.jsonl"):
        found[row["sessionId"], row["videoId"]].append(row)
    return found
