"""Recorded player sessions: what the browser says was played beside what the pipeline credits.

All lengths are whole milliseconds. `recordings/compare.py` writes them down.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.ingestion import accepted, classify
from vidagg_dagster.metrics.intervals import watch_intervals
from vidagg_dagster.metrics.timeline import sessions
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.sources.videos import read_videos
from vidagg_dagster_tests.support.reference import union

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "recordings"
EVENTS = RECORDINGS / "sessions.jsonl"
VIDEOS = RECORDINGS / "videos.jsonl"

LIMIT_MS = 500
"""A difference above this must be explained."""

LAST_SEEN = timedelta(milliseconds=20)
"""How old the last known position is when a seek or pause is reported: the recorder's sampling."""

Json = dict[str, Any]
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
    """One session and video. `played` and `watched` are unions; `credits` are in play order."""

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
    def differs(self) -> bool:
        return max(self.watch_off_ms, abs(self.clock_off_ms)) > LIMIT_MS


def length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)


def overlap(some: Sequence[Span], others: Sequence[Span]) -> int:
    """Length of what two unions have in common."""
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in some for b in others)


def ms(value: float) -> int:
    return round(value * 1000)


def read(name: str) -> list[Json]:
    """One file of the recordings."""
    with (RECORDINGS / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recorded_until() -> datetime:
    """The end of the recording: an ingestion time that does not depend on today."""
    return max(datetime.fromisoformat(truth["read_at"]) for truth in read("truth.jsonl"))


def classified(spark: SparkSession, events: Path = EVENTS) -> DataFrame:
    spec = SourceSpec(location=str(events))
    return classify(
        read_source(spark, spec),
        spec=spec,
        start_date=None,
        timezone="UTC",
        run_time=recorded_until(),
    )


class Credited(NamedTuple):
    """What the pipeline makes of some events, by session and video."""

    intervals: Mapping[Key, Sequence[Credit]]
    """In play order."""
    tails: Mapping[Key, int]

    def against(self, truth: Sequence[Json], key: Key, recorded_as: Key) -> Comparison:
        """What is credited under `key` beside the truth of the page loads recorded."""
        sampled = [(ms(start), ms(end)) for load in truth for start, end in load["sampled_ranges"]]
        played = [(ms(start), ms(end)) for load in truth for start, end in load["played_ranges"]]
        return Comparison(
            session=recorded_as[0],
            video=recorded_as[1],
            did=truth[0]["description"],
            played=tuple(union(played)),
            played_total_ms=length(sampled),
            played_clock_ms=sum(ms(load["sampled_clock_seconds"]) for load in truth),
            credits=tuple(self.intervals.get(key, ())),
            tail_ms=self.tails.get(key, 0),
        )


def credited(spark: SparkSession, events: Path = EVENTS) -> Credited:
    """Events through the pipeline."""
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
    """Every recorded session and video; page loads that share both are one."""
    result = credited(spark)
    return [result.against(truth, key, key) for key, truth in truths().items()]


def truths() -> dict[Key, list[Json]]:
    """The page loads of each session and video."""
    found: dict[Key, list[Json]] = defaultdict(list)
    for row in read("truth.jsonl"):
        found[row["sessionId"], row["videoId"]].append(row)
    return found


# ---- Other senders: the same sessions as another tracker would have sent them -------------------


@dataclass
class Recording:
    """One recorded session: what was sent, and what else the page could have known."""

    events: list[Json]
    dom: list[Json]
    truths: list[Json]

    def add(self, name: str, when: datetime, position: float, **more: object) -> None:
        """One more event, as if the page had sent it."""
        added = {"timestamp": when.isoformat(), "eventName": name, "currentTime": position}
        without_id = {name: self.events[0][name] for name in self.events[0] if name != "eventId"}
        self.events.append(without_id | added | more)

    def moments(self, name: str) -> Iterator[tuple[datetime, Json]]:
        for event in self.dom:
            if event["event"] == name:
                yield moment(event), event


Sender = Callable[[Recording], None]


def moment(event: Json) -> datetime:
    return datetime.fromisoformat(event["loadedAt"]) + timedelta(milliseconds=event["ms"])


def ends_of_play(recording: Recording) -> Iterator[tuple[datetime, float]]:
    """When each stretch of playing ended in a pause or a seek, and at which position it had been.

    The element tells neither event's handler; a page knows it from the last `timeupdate`.
    """
    playing, ends = False, []
    for event in recording.dom:
        if event["event"] == "playing":
            playing = True
        elif playing and event["event"] in ("pause", "seeking"):
            playing = False
            ends.append(moment(event))
    ranges = [span for truth in recording.truths for span in truth["sampled_ranges"]]
    return ((when, end) for when, (_, end) in zip(ends, ranges, strict=False))


def tells_last_position(recording: Recording) -> None:
    """`video_progress` with the last position before each pause and seek."""
    for when, position in ends_of_play(recording):
        recording.add("video_progress", when - LAST_SEEN, position)


def pauses_around_seeks(recording: Recording) -> None:
    """Each seek while playing as a pause where it began and a resume where it went."""
    for when, position in ends_of_play(recording):
        recording.add("video_pause", when - LAST_SEEN, position)
    for event in [row for row in recording.events if row["eventName"] == "video_seek"]:
        recording.add("video_resume", at(event), event["currentTime"])


def tells_rate_changes(recording: Recording) -> None:
    """`video_progress` at each `ratechange`; the recording shows the rate by what came after."""
    for now, then in pairwise(recording.dom):
        if now["event"] == "ratechange" and not now["paused"]:
            speed = 1000 * (then["currentTime"] - now["currentTime"]) / (then["ms"] - now["ms"])
            rate = round(speed * 4) / 4
            recording.add("video_progress", moment(now), now["currentTime"], playbackRate=rate)


def pauses_when_left(recording: Recording) -> None:
    """`video_pause` when the page goes away or swaps its source while playing."""
    for truth in recording.truths:
        if truth["playing_when_read"]:
            when = datetime.fromisoformat(truth["read_at"])
            video, position = truth["videoId"], truth["position_when_read"]
            recording.add("video_pause", when, position, videoId=video)


def pauses_while_waiting(recording: Recording) -> None:
    """Standing still to buffer as a pause and a resume."""
    waiting = False
    for event in recording.dom:
        if event["event"] == "waiting" and not event["paused"]:
            waiting = True
            recording.add("video_pause", moment(event), event["currentTime"])
        elif event["event"] == "playing" and waiting:
            waiting = False
            recording.add("video_resume", moment(event), event["currentTime"])


def reports_seeking(recording: Recording) -> None:
    """`video_seek` when a seek begins, not when it has finished."""
    sends_no_seeks(recording)
    for when, event in recording.moments("seeking"):
        recording.add("video_seek", when, event["currentTime"])


def ends_with_a_drag(recording: Recording) -> None:
    """The last pause is that of a slider taken by its thumb."""
    last = recording.events[-1]
    recording.add("video_seek", at(last) + timedelta(milliseconds=2), last["currentTime"])


def seeks_without_pause(recording: Recording) -> None:
    """A seek while playing sends only `video_seek`, as one by a script does."""
    seeks = [at(row) for row in recording.events if row["eventName"] == "video_seek"]
    recording.events = [
        row
        for row in recording.events
        if row["eventName"] == "video_seek"
        or all(abs(at(row) - seek) > timedelta(milliseconds=250) for seek in seeks)
    ]


def at(row: Json) -> datetime:
    return datetime.fromisoformat(row["timestamp"])


def tells_no_rate(recording: Recording) -> None:
    for event in recording.events:
        event.pop("playbackRate", None)


def sends_no_seeks(recording: Recording) -> None:
    recording.events = [row for row in recording.events if row["eventName"] != "video_seek"]


def sent_by(session: str, senders: Sequence[Sender]) -> list[Json]:
    """The events of a recorded session after each of `senders` had its way."""
    rows = [read(name) for name in ("sessions.jsonl", "dom_events.jsonl", "truth.jsonl")]
    recording = Recording(*([row for row in file if row["sessionId"] == session] for file in rows))
    for sender in senders:
        sender(recording)
    return recording.events


class Trial(NamedTuple):
    """A session as one tracker sends it, and as a more careful one does."""

    session: str
    now: tuple[Sender, ...]
    better: tuple[Sender, ...]
    clock: bool = False
    """What counts is the clock, not what was watched."""


def off_by(spark: SparkSession, trials: Sequence[Trial]) -> list[tuple[int, int]]:
    """For each trial by how much its session is off, and by how much with the better sender."""
    variants = [(trial, senders) for trial in trials for senders in (trial.now, trial.better)]
    with tempfile.TemporaryDirectory(prefix="vidagg-") as folder:
        file = Path(folder, "events.jsonl")
        with file.open("w", encoding="utf-8") as lines:
            for number, (trial, senders) in enumerate(variants):
                for row in sent_by(trial.session, senders):
                    lines.write(json.dumps(row | {"sessionId": str(number), "eventId": None}))
                    lines.write("\n")
        result = credited(spark, file)
    found = []
    for number, (trial, _) in enumerate(variants):
        compared = [
            result.against(truth, (str(number), key[1]), key)
            for key, truth in truths().items()
            if key[0] == trial.session
        ]
        found.append(
            max(abs(one.clock_off_ms) if trial.clock else one.watch_off_ms for one in compared)
        )
    return list(zip(found[::2], found[1::2], strict=True))
