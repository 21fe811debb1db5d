"""Other senders: the recorded sessions as another tracker would have sent them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import SparkSession

from recordings.files import Json, read
from recordings.recorded import credited, truths, written
from recordings.trackers import sent_by, told


@dataclass
class Recording:
    """One recorded session: what a plain tracker sent, and what else the page could tell."""

    events: list[Json]
    told: list[Json]
    truths: list[Json]

    def add(self, row: Json, **other: object) -> None:
        """Add what the page told, without `seekFrom`, as if it had been sent."""
        known = {name: value for name, value in row.items() if name != "seekFrom"}
        self.events.append(known | {"eventId": None} | other)


Sender = Callable[[Recording], None]


def tells_where_seeks_began(recording: Recording) -> None:
    """`seekFrom` with every seek: the place of the last frame before it."""
    began = {row["eventId"]: row.get("seekFrom") for row in recording.told}
    for event in recording.events:
        if event["eventName"] == "video_seek":
            event["seekFrom"] = began[event["eventId"]]


def tells_rate_changes(recording: Recording) -> None:
    """`video_rate` at each `ratechange`."""
    for row in recording.told:
        if row["eventName"] == "video_rate":
            recording.add(row)


def pauses_when_left(recording: Recording) -> None:
    """`video_pause` when the page goes away or swaps its source while playing."""
    for truth in recording.truths:
        if truth["playing_when_read"]:
            recording.add(
                recording.told[0],
                videoId=truth["videoId"],
                timestamp=truth["read_at"],
                eventName="video_pause",
                currentTime=truth["position_when_read"],
            )


def waits(recording: Recording) -> Iterator[tuple[Json, Json]]:
    """Where the picture stopped while playing, and where it went on."""
    playing, stopped = False, None
    for row in recording.told:
        name = row["eventName"]
        if name in ("video_play", "video_resume"):
            playing = True
        elif name in ("video_pause", "video_ended"):
            playing, stopped = False, None
        elif name == "video_waiting" and playing and stopped is None:
            stopped = row
        elif name == "video_playing" and stopped is not None:
            yield stopped, row
            stopped = None


def tells_waits(recording: Recording) -> None:
    """`video_waiting` where the picture stops, `video_playing` where it goes on."""
    for stopped, went_on in waits(recording):
        recording.add(stopped)
        recording.add(went_on)


def pauses_while_waiting(recording: Recording) -> None:
    """Waiting for data as a pause and a resume."""
    for stopped, went_on in waits(recording):
        recording.add(stopped, eventName="video_pause")
        recording.add(went_on, eventName="video_resume")


def reports_seeking(recording: Recording) -> None:
    """`video_seek` when a seek begins, not when it has finished."""
    sends_no_seeks(recording)
    for row in recording.told:
        if row["eventName"] == "video_seeking":
            recording.add(row, eventName="video_seek")


def tells_no_rate(recording: Recording) -> None:
    for event in recording.events:
        event.pop("playbackRate", None)


def sends_no_seeks(recording: Recording) -> None:
    recording.events = [row for row in recording.events if row["eventName"] != "video_seek"]


def changed(session: str, senders: Sequence[Sender]) -> list[Json]:
    """The events of a recorded session, as changed by each of `senders`."""
    truth = [row for row in read("truth.jsonl") if row["sessionId"] == session]
    in_order = sorted(told(session), key=lambda row: (row["timestamp"], _number(row)))
    recording = Recording(sent_by("plain", session), in_order, truth)
    for sender in senders:
        sender(recording)
    return recording.events


def _number(row: Json) -> int:
    """The page numbers what it tells."""
    return int(row["eventId"].rpartition(".")[2])


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
    events = [
        row | {"sessionId": str(number), "eventId": None}
        for number, (trial, senders) in enumerate(variants)
        for row in changed(trial.session, senders)
    ]
    with written(events) as file:
        result = credited(spark, file)
    found = []
    for number, (trial, _) in enumerate(variants):
        compared = [
            result.against(truth, (str(number), key[1]), key, "plain")
            for key, truth in truths().items()
            if key[0] == trial.session
        ]
        found.append(
            max(abs(one.clock_off_ms) if trial.clock else one.watch_off_ms for one in compared)
        )
    return list(zip(found[::2], found[1::2], strict=True))
