"""Other senders: the recorded sessions as another tracker would have sent them."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import SparkSession

from recordings.recorded import Json, at, credited, moment, read, truths

LAST_SEEN = timedelta(milliseconds=20)
"""Age of the last known position when a seek or pause is reported: the recorder's sampling."""


@dataclass
class Recording:
    """One recorded session: what was sent, and what else the page could have known."""

    events: list[Json]
    dom: list[Json]
    truths: list[Json]

    def add(self, name: str, when: datetime, position: float, **more: object) -> None:
        """Add an event, as if the page had sent it."""
        added = {"timestamp": when.isoformat(), "eventName": name, "currentTime": position}
        without_id = {name: self.events[0][name] for name in self.events[0] if name != "eventId"}
        self.events.append(without_id | added | more)

    def moments(self, name: str) -> Iterator[tuple[datetime, Json]]:
        for event in self.dom:
            if event["event"] == name:
                yield moment(event), event


Sender = Callable[[Recording], None]


def ends_of_play(recording: Recording) -> Iterator[tuple[datetime, float]]:
    """Time and position at which each stretch of playing ended in a pause or a seek.

    The handlers of these events do not get the position. A page has it from the last `timeupdate`.
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


def tells_where_seeks_began(recording: Recording) -> None:
    """`seekFrom` with every seek: the last position before it."""
    ends = list(ends_of_play(recording))
    for event in recording.events:
        before = [position for when, position in ends if when <= at(event)]
        if event["eventName"] == "video_seek" and before:
            event["seekFrom"] = before[-1]


def tells_rate_changes(recording: Recording) -> None:
    """`video_rate` at each `ratechange`, with the rate computed from what came after."""
    for now, then in pairwise(recording.dom):
        if now["event"] == "ratechange" and not now["paused"]:
            speed = 1000 * (then["currentTime"] - now["currentTime"]) / (then["ms"] - now["ms"])
            rate = round(speed * 4) / 4
            recording.add("video_rate", moment(now), now["currentTime"], playbackRate=rate)


def pauses_when_left(recording: Recording) -> None:
    """`video_pause` when the page goes away or swaps its source while playing."""
    for truth in recording.truths:
        if truth["playing_when_read"]:
            when = datetime.fromisoformat(truth["read_at"])
            video, position = truth["videoId"], truth["position_when_read"]
            recording.add("video_pause", when, position, videoId=video)


def tells_waits(recording: Recording) -> None:
    """`video_waiting` where the picture stops, `video_playing` where it goes on."""
    waiting = False
    for event in recording.dom:
        if event["event"] == "waiting" and not event["paused"]:
            waiting = True
            recording.add("video_waiting", moment(event), event["currentTime"])
        elif event["event"] == "playing" and waiting:
            waiting = False
            recording.add("video_playing", moment(event), event["currentTime"])


def pauses_while_waiting(recording: Recording) -> None:
    """Waiting for data as a pause and a resume."""
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


def tells_no_rate(recording: Recording) -> None:
    for event in recording.events:
        event.pop("playbackRate", None)


def sends_no_seeks(recording: Recording) -> None:
    recording.events = [row for row in recording.events if row["eventName"] != "video_seek"]


def sent_by(session: str, senders: Sequence[Sender]) -> list[Json]:
    """The events of a recorded session, as changed by each of `senders`."""
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
    """Compare time on the clock, not what was watched."""


def off_by(spark: SparkSession, trials: Sequence[Trial]) -> list[tuple[int, int]]:
    """For each trial the error of its session and that with the better sender, in milliseconds."""
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
