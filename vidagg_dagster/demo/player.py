"""A video player as a state machine: what a viewer does, and which events the player reports."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from vidagg_dagster.demo.catalogue import Video

PAUSE_BEFORE_END_MS = 80
"""Browsers report a pause this long before they report the end."""


@dataclass(frozen=True, slots=True)
class PlayerEvent:
    """One reported event. Times are milliseconds since 1970, positions milliseconds of video."""

    at_ms: int
    user_id: str
    session_id: str
    video_id: str
    name: str
    position_ms: int
    rate: float | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Habits:
    """How the player of one viewer reports, and how fast the viewer watches."""

    heartbeat_ms: int | None = None
    rate: float = 1.0
    reports_rate: bool = False
    sends_event_ids: bool = False


@dataclass
class Player:
    """One player session of one viewer. Each method is one thing that a viewer does.

    The clock only moves forward. Watching takes video time / rate plus a little buffering, so times
    and positions agree as they do in real players.
    """

    rng: random.Random
    habits: Habits
    user_id: str
    session_id: str
    clock_ms: int
    events: list[PlayerEvent] = field(default_factory=list)
    video: Video | None = None
    position_ms: int = 0
    playing: bool = False
    rate: float = 1.0
    _fresh: bool = True

    def open(self, video: Video) -> None:
        """Switch to a video. No event reports that the viewer leaves the one before."""
        self.video = video
        self.position_ms = 0
        self.playing = False
        self.rate = self.habits.rate
        self._fresh = True

    def report(self, name: str, position_ms: int | None = None) -> None:
        """Send an event, at the position of the player unless another one is given."""
        assert self.video is not None, "open a video first"
        self.events.append(
            PlayerEvent(
                at_ms=self.clock_ms,
                user_id=self.user_id,
                session_id=self.session_id,
                video_id=self.video.video_id,
                name=name,
                position_ms=self.position_ms if position_ms is None else position_ms,
                rate=self.rate if self.habits.reports_rate else None,
                event_id=f"{self.rng.getrandbits(64):016x}"
                if self.habits.sends_event_ids
                else None,
            )
        )

    def play(self) -> None:
        """Start, or continue after a pause."""
        self.report("video_play" if self._fresh else "video_resume")
        self._fresh = False
        self.playing = True

    def watch(self, video_ms: int) -> None:
        """Play `video_ms` of the video, at most to its end, and send heartbeats meanwhile."""
        for step in self._steps(min(video_ms, self.left_ms)):
            self.clock_ms += round(step / self.rate) + self.rng.randrange(40)
            self.position_ms += step
            if self.habits.heartbeat_ms and step == self._heartbeat_step:
                self.report("video_progress")

    @property
    def left_ms(self) -> int:
        """How much of the video is left."""
        assert self.video is not None, "open a video first"
        return self.video.duration_ms - self.position_ms

    @property
    def _heartbeat_step(self) -> int:
        return round((self.habits.heartbeat_ms or 0) * self.rate)

    def _steps(self, video_ms: int) -> Iterator[int]:
        if self._heartbeat_step:
            while video_ms > self._heartbeat_step:
                yield self._heartbeat_step
                video_ms -= self._heartbeat_step
        if video_ms > 0:
            yield video_ms

    def pause(self) -> None:
        """Pause where the player is."""
        self.report("video_pause")
        self.playing = False

    def wait(self, clock_ms: int) -> None:
        """Let time pass without playing."""
        self.clock_ms += clock_ms

    def seek(self, to_ms: int) -> None:
        """Jump, in a player that reports seeks."""
        self._jump(to_ms)
        self.report("video_seek")

    def jump(self, to_ms: int) -> None:
        """Jump, in a player that reports no seeks. The next start shows the new position."""
        self._jump(to_ms)

    def drag(self, to_ms: int) -> None:
        """Drag the slider while playing. The player reports pause and seek at the destination."""
        self._jump(to_ms)
        self.pause()
        self.clock_ms += 1
        self.report("video_seek")
        self.clock_ms += self.rng.randrange(20, 200)
        self.play()

    def _jump(self, to_ms: int) -> None:
        assert self.video is not None, "open a video first"
        self.position_ms = max(0, min(to_ms, self.video.duration_ms - 1_000))
        self.clock_ms += self.rng.randrange(200, 900)

    def finish(self) -> None:
        """Watch to the end. The player reports a pause just before it, then the end."""
        self.watch(self.left_ms - PAUSE_BEFORE_END_MS)
        self.pause()
        self.clock_ms += PAUSE_BEFORE_END_MS
        self.position_ms += PAUSE_BEFORE_END_MS
        self.report("video_ended")

    def start_over(self) -> None:
        """Press play after the end."""
        self.position_ms = 0
        self._fresh = True
        self.play()

    def speed(self, rate: float) -> None:
        """Change the speed. The next events carry it, if the player reports rates."""
        self.rate = rate

    def misreport(self, name: str, position_ms: int) -> None:
        """Send one event whose position is not the player's."""
        self.events.append(
            replace(
                self.events[-1],
                at_ms=self.clock_ms,
                name=name,
                position_ms=position_ms,
                event_id=None,
            )
        )
