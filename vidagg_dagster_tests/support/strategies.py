"""Adversarial event lists: for Hypothesis, and in bulk from a seed.

Both come from one small simulation. It makes its decisions through `Choose`: Hypothesis answers
(and shrinks towards the first option), or `random` does. A simulated player behaves like a viewer
with an unreliable sender; its seeks, drags, ends and replays come in the orders that browsers and
players were recorded to send. Noise is events without any sense. Times favour the edges of the
rules: ties, fractions of a millisecond, 250 ms, 10 s, half an hour, midnight, more than a day.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from vidagg_dagster_tests.support.reference import EPOCH, NAME_ORDER, REPORTED, Event

T = TypeVar("T")

DURATIONS = {"short": 60_000, "talk": 300_000, "film": 10_800_000, "zero": 0}
"""Milliseconds; `live` below is a video that no metadata knows."""
VIDEOS = ("talk", "short", "film", "live", "zero")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu")

PLAYER_NAMES = tuple(name for name in NAME_ORDER if name != REPORTED)
MILLISECOND, SECOND, MINUTE, HOUR = 1_000, 1_000_000, 60_000_000, 3_600_000_000
DAY = 24 * HOUR
TINY = (0, 0, 0, 1, 400, 999, MILLISECOND, 80 * MILLISECOND)
QUICK = (0, 2 * MILLISECOND, MILLISECOND, 999, 20 * MILLISECOND, 80 * MILLISECOND, SECOND)
"""Between the events of one gesture."""
SLOW = (
    700 * MILLISECOND,
    SECOND + MILLISECOND,
    5 * SECOND,
    10 * SECOND,
    10 * SECOND + 999,
    10 * SECOND + MILLISECOND,
    36 * SECOND,
)
"""Between the events of one gesture on a slow line; 10 s still belong to a drag."""
SHORT = (10 * SECOND, SECOND, 500_500, 2 * SECOND, 5 * SECOND, 15 * SECOND)
LONG = (MINUTE, 30 * SECOND, 5 * MINUTE, 12 * MINUTE, 29 * MINUTE)
IDLE = (
    30 * MINUTE,
    30 * MINUTE - 1,
    30 * MINUTE + 999,
    30 * MINUTE + MILLISECOND,
    45 * MINUTE,
    HOUR,
    3 * HOUR,
    11 * HOUR,
    DAY,
    DAY + 10 * MINUTE,
    2 * DAY,
)
SPEEDS = (1.0, 1.0, 1.0, 2.0, 0.5, 1.25, 3.0, 0.7, 16.0)
RATES = (None, None, None, 1.0, 2.0, 0.5, 1.25, 3.0, 16.0)
IDS = (None, None, None, "e1", "e2", "e3", "e4")
ORIGINS = (None, None, 0, 10_000, 30_000, 60_000, 299_999, 330_001)
NEAR = (0, 0, 0, 20, 250, 251, -250)
JITTER = (0, 0, 0, 1, -1, 400, 1_000, 1_001, -2_000, -2_001, 5_000, 5_001)
POSITIONS = (
    0,
    1,
    10_000,
    30_000,
    32_000,
    35_001,
    59_999,
    60_000,
    60_001,
    66_000,
    66_001,
    150_000,
    295_000,
    299_999,
    300_000,
    300_001,
    330_000,
    330_001,
    999_000,
    5_400_000,
    10_800_000,
    86_400_000,
)
START_TIMES = (
    "2025-01-12T10:00:00",
    "2025-01-12T23:29:59.999",
    "2025-01-12T23:30:00",
    "2025-01-12T23:45:00",
    "2025-01-12T23:59:59.999999",
    "2025-01-13T00:00:00",
    "2025-01-11T23:50:00",
    "2025-03-30T00:55:00",
    "2025-10-25T22:15:00",
)
ACTIONS = (
    "pause",
    "play",
    "heartbeat",
    "heartbeat",
    "toggle",
    "toggle",
    "seek",
    "seek",
    "click",
    "drag",
    "drag",
    "jump",
    "finish",
    "finish",
    "replay",
    "loop",
    "buffer",
    "change speed",
    "reload",
    "switch",
    "go back",
    "repeat",
    "resend",
    "beyond",
    "lose a stop",
    "flicker",
)


class Tracker(NamedTuple):
    """What a sender leaves out, and what it tells besides positions."""

    silent: frozenset[str] = frozenset()
    tells_origin: bool = False
    tells_rate: str = "never"
    """`never`, `always`, `changes` (with `video_rate` only) or `starts`."""


_SILENT = frozenset({"waiting", "playing", "seeking", "rate"})
TRACKERS = (
    Tracker(_SILENT),
    Tracker(),
    Tracker(_SILENT, tells_rate="always"),
    Tracker(tells_rate="changes"),
    Tracker(_SILENT, tells_origin=True),
    Tracker(tells_origin=True, tells_rate="starts"),
    Tracker(frozenset({"seek", "playing"})),
    Tracker(frozenset({"seek", "seeking"}), tells_rate="changes"),
    Tracker(frozenset({"play", "resume", "pause", "ended", "playing"}), tells_origin=True),
    Tracker(frozenset({"play", "resume"})),
)
"""The last but one sends positions only; the last one starts with `video_playing`."""

CLICKS = (
    "pause seeking waiting seek play playing",
    "pause seeking seek play playing",
    "pause seeking seek play waiting seeking seek",
    "pause waiting play waiting seek playing",
    "pause waiting seeking seek play",
)
DRAGS = (
    "pause seeking play waiting seek playing",
    "pause waiting seeking seek seeking play waiting seek playing",
    "pause seeking seek play waiting seeking seek",
    "pause play seek",
    "pause seek resume",
)
SEEKS_WHILE_PLAYING = ("seeking waiting seek playing", "seeking waiting seek", "seeking seek")
SEEKS_WHILE_PAUSED = ("seeking seek", "seeking seek play waiting")
ENDS = (
    "pause ended",
    "ended",
    "pause play waiting seek playing pause ended",
    "ended seeking play waiting seeking pause ended",
)
REPLAYS = (
    "play waiting playing seeking waiting seek playing",
    "seeking play playing waiting seek playing",
    "seeking play waiting seek playing",
    "play",
)
"""Orders of events as recorded in Chromium, Firefox and WebKit, with their own controls and with
video.js."""


class Choose(Protocol):
    """One of some options; the first one is the simplest."""

    def __call__(self, options: Sequence[T]) -> T: ...


def _from_hypothesis(draw: st.DrawFn) -> Choose:
    def choose(options: Sequence[T]) -> T:
        return draw(st.sampled_from(options))

    return choose


def _from_random(generator: random.Random) -> Choose:
    def choose(options: Sequence[T]) -> T:
        return generator.choice(options)

    return choose


def microseconds(text: str, timezone: str = "UTC") -> int:
    """The instant of a wall time, in microseconds since 1970."""
    instant = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone))
    elapsed = instant - EPOCH.astimezone(ZoneInfo("UTC"))
    return (elapsed.days * 86_400 + elapsed.seconds) * SECOND + elapsed.microseconds


class _Player:
    """A viewer's player: a position that moves while it plays, and a log of what it sent."""

    def __init__(self, choose: Choose, user: str, session: str, us: int) -> None:
        self.choose, self.user, self.session, self.us = choose, user, session, us
        self.sent: list[Event] = []
        self.tracker = choose(TRACKERS)
        self.enter(choose(VIDEOS))

    def enter(self, video: str) -> None:
        """Open a video from its beginning."""
        self.video, self.position = video, 0
        self.speed = self.choose(SPEEDS)
        self.playing = False

    @property
    def end(self) -> int:
        return DURATIONS.get(self.video) or 300_000

    def wait(self, delay: int) -> None:
        self.us += delay
        if self.playing:
            self.position = min(self.end, self.position + int(delay / 1000 * self.speed))

    def send(self, name: str, position: int | None = None, origin: int | None = None) -> None:
        if name in self.tracker.silent:
            return
        tells = self.tracker.tells_rate
        told = tells == "always" or (tells, name) in (("changes", "rate"), ("starts", "play"))
        seeks = name in ("seek", "seeking")
        self.sent.append(
            Event(
                self.us,
                self.user,
                self.session,
                self.video,
                f"video_{name}",
                max(0, self.position if position is None else position),
                self.speed if told else None,
                seek_from_ms=origin if seeks and self.tracker.tells_origin else None,
            )
        )

    def target(self) -> int:
        share = self.choose((0, 25, 50, 90, 100, 3))
        near = self.choose((None, None, -10_000, -2_001, -2_000, 2_000, 5_000, 5_001, 10_000))
        if near is not None:
            return max(0, min(self.end, self.position + near))
        return self.end * share // 100

    def gesture(self, orders: Sequence[str], target: int) -> None:
        """The events of one gesture, all of them at its destination or nearly there."""
        choose = self.choose
        origin = self.position + choose((0, 0, -400, 1_001))
        self.position = target
        slow = choose((False, False, True))
        for number, name in enumerate(choose(orders).split()):
            if number:
                self.us += choose(SLOW if slow and choose((False, False, True)) else QUICK)
            self.send(name, target + choose(NEAR), max(0, origin))
            if name in ("play", "resume", "pause", "ended"):
                self.playing = name in ("play", "resume")

    def act(self, action: str) -> None:
        if action == "toggle":
            action = "pause" if self.playing else "play"
        getattr(self, f"_{action.replace(' ', '_')}")()

    def _play(self) -> None:
        self.playing = True
        self.send(self.choose(("play", "resume")))
        if self.choose((False, True)):
            self.us += self.choose(QUICK)
            self.send("playing")

    def _pause(self) -> None:
        self.playing = False
        self.send("pause", self.position + self.choose(JITTER))

    def _heartbeat(self) -> None:
        self.send("progress", self.position + self.choose(JITTER))

    def _seek(self) -> None:
        self.gesture(SEEKS_WHILE_PLAYING if self.playing else SEEKS_WHILE_PAUSED, self.target())

    def _click(self) -> None:
        self.gesture(CLICKS, self.target())

    def _drag(self) -> None:
        self.gesture(DRAGS, self.target())

    def _jump(self) -> None:
        self.position = self.target()

    def _finish(self) -> None:
        if self.choose((False, True)):
            self.wait(max(0, self.end - self.position) * 1000)
        self.gesture(ENDS, self.end + self.choose((0, 0, 1, -80, 5_000)))
        self.position = self.end

    def _replay(self) -> None:
        reported = self.choose((0, self.end, self.end, self.end - 1_000, self.end - 1_001))
        self.gesture(REPLAYS, max(0, reported))
        self.position = 0

    def _loop(self) -> None:
        self.wait(max(0, self.end - self.position) * 1000)
        self.gesture(("seeking seek",), self.choose((0, 36)))

    def _buffer(self) -> None:
        self.send("waiting")
        stands_still = self.choose((True, True, False))
        delay = self.choose(QUICK + SLOW)
        if stands_still:
            self.us += delay
            self.send("playing")
        else:
            self.wait(delay)

    def _change_speed(self) -> None:
        self.speed = self.choose(SPEEDS)
        self.send("rate")
        if self.choose((False, True)):
            self.us += 20 * MILLISECOND
            self.send("waiting")

    def _reload(self) -> None:
        """The page anew, without a stop; perhaps it takes up the place where it was left."""
        left_at = self.position
        self.position, self.playing = 0, True
        self.send("play")
        if self.choose((False, True)):
            self.wait(self.choose(QUICK))
            self.gesture(SEEKS_WHILE_PLAYING, left_at)

    def _switch(self) -> None:
        self.enter(self.choose(VIDEOS))

    def _go_back(self) -> None:
        earlier = self.choose(self.sent) if self.sent else None
        if earlier is not None:
            self.video, self.position = earlier.video, earlier.position_ms
            self.playing = self.choose((False, True))

    def _repeat(self) -> None:
        """An event sent twice; the second one may say more, or less."""
        if self.sent:
            again = self.choose((self.sent[-1], self.choose(self.sent)))
            if self.choose((False, True)):
                again = replace(again, rate=self.choose(RATES))
            if again.seek_from_ms is not None or self.choose((False, True)):
                again = replace(again, seek_from_ms=self.choose(ORIGINS))
            self.sent.append(again)

    def _resend(self) -> None:
        if self.sent:
            event_id = self.choose(("r1", "r2", "r3"))
            self.sent[-1] = replace(self.sent[-1], event_id=event_id)
            us = self.us + self.choose((SECOND, 0, MINUTE))
            self.sent.append(replace(self.sent[-1], us=us, rate=self.choose(RATES)))

    def _beyond(self) -> None:
        beyond = self.choose((1_101, 1_100, 1_050, 5_000))
        name = self.choose(("progress", "play", "pause", "seek", "ended", "rate", "waiting"))
        self.send(name, self.end * beyond // 1000)

    def _lose_a_stop(self) -> None:
        self.playing = False

    def _flicker(self) -> None:
        """Starts and stops at one instant."""
        orders = ("pause resume", "resume pause", "play resume", "playing pause", "ended play")
        for name in self.choose(orders).split():
            self.send(name)


def _simulate(choose: Choose, user: str, session: str, us: int, actions: int) -> list[Event]:
    player = _Player(choose, user, session, us)
    player.act("play")
    for _ in range(actions):
        player.wait(choose(choose((SHORT, SHORT, SHORT, LONG, LONG, TINY, IDLE))))
        player.act(choose(ACTIONS))
    return player.sent


def _noise(choose: Choose, user: str, session: str, us: int, count: int) -> list[Event]:
    events = []
    for _ in range(count):
        us += choose(choose((SHORT, TINY, LONG, IDLE)))
        name, position = choose(PLAYER_NAMES), choose(POSITIONS)
        video, rate, event_id = choose(VIDEOS), choose(RATES), choose(IDS)
        origin = choose(ORIGINS)
        events.append(Event(us, user, session, video, name, position, rate, event_id, origin))
    return events


@st.composite
def event_lists(draw: st.DrawFn, max_events: int = 40) -> list[Event]:
    """1 to `max_events` events of 1 to 3 users with 1 to 3 sessions each, in any order."""
    choose = _from_hypothesis(draw)
    events: list[Event] = []
    for _ in range(draw(st.integers(1, 4))):
        user, session = choose(("u1", "u1", "u2", "u3")), choose(("s1", "s1", "s2", "s3"))
        us = microseconds(choose(START_TIMES)) + choose((0, 0, 1, MINUTE, 20 * MINUTE))
        behave = choose((_simulate, _simulate, _noise))
        events += behave(choose, user, session, us, draw(st.integers(1, 15)))
    events = events[:max_events]
    return draw(st.permutations(events)) if draw(st.booleans()) else events


durations: st.SearchStrategy[dict[str, int]] = st.one_of(
    st.just(DURATIONS),
    st.dictionaries(st.sampled_from(VIDEOS), st.sampled_from((300_000, 10_000, 1, 60_001))),
)
"""Lengths of videos in milliseconds; some videos without one."""

zones: st.SearchStrategy[str] = st.sampled_from(ZONES)


def with_reports(events: Sequence[Event], dice: random.Random) -> list[Event]:
    """Some of the events as reports of what was watched up to their position."""

    def report(event: Event) -> Event:
        begin = dice.choice((0, event.position_ms, event.position_ms // 2, None))
        return replace(event, name=REPORTED, seek_from_ms=begin)

    share = dice.choice((0.1, 0.5, 1.0))
    return [report(event) if dice.random() < share else event for event in events]


def random_events(seed: int, n_users: int = 200, days: int = 4) -> list[Event]:
    """Events of many users on some days from 2025-03-29 on (clock change in Europe on the 30th).

    Every user is a mixture of simulated players and noise. The lengths of the videos are
    `DURATIONS`.
    """
    generator = random.Random(seed)
    choose = _from_random(generator)
    first_day = microseconds("2025-03-29T00:00:00")
    events: list[Event] = []
    for number in range(n_users):
        user = f"user{number:05d}"
        own: list[Event] = []
        for _ in range(generator.randint(1, 4)):
            us = first_day + generator.randrange(days) * DAY
            hour = choose((10 * HOUR, 20 * HOUR, 23 * HOUR, 23 * HOUR + 30 * MINUTE))
            us += hour + choose((0, 50 * SECOND, 29 * MINUTE, generator.randrange(HOUR)))
            session = choose(("s1", "s1", "s2", "s3"))
            behave = choose((_simulate, _simulate, _simulate, _noise))
            own += behave(choose, user, session, us, generator.randint(1, 25))
        events += own
    generator.shuffle(events)
    return events
