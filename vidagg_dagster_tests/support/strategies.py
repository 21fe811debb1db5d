"""Adversarial event lists: for Hypothesis, and in bulk from a seed.

Both come from one small simulation. It makes its decisions through `Choose`: Hypothesis answers
(and shrinks towards the first option), or `random` does. A simulated player behaves like a viewer
with an unreliable sender; noise is events without any sense. Times favour the edges of the rules:
ties, fractions of a millisecond, 250 ms, half an hour, midnight, more than a day.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from vidagg_dagster_tests.support.reference import EPOCH, NAME_ORDER, Event

T = TypeVar("T")

DURATIONS = {"short": 60_000, "talk": 300_000, "film": 10_800_000, "zero": 0}
"""Milliseconds; `live` below is a video that no metadata knows."""
VIDEOS = ("talk", "short", "film", "live", "zero")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu")

MILLISECOND, SECOND, MINUTE, HOUR = 1_000, 1_000_000, 60_000_000, 3_600_000_000
DAY = 24 * HOUR
TINY = (0, 0, 0, 1, 400, 999, MILLISECOND, 80 * MILLISECOND)
DRAG = (0, 1 * MILLISECOND, 250 * MILLISECOND, 250 * MILLISECOND + 999, 251 * MILLISECOND)
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
RATES = (None, None, None, 1.0, 2.0, 0.5, 1.25, 3.0, 16.0)
IDS = (None, None, None, "e1", "e2", "e3", "e4")
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
    "drag",
    "drag",
    "jump",
    "finish",
    "switch",
    "go back",
    "repeat",
    "resend",
    "beyond",
    "lose a stop",
    "flicker",
)


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
        self.playing = False
        self.enter(choose(VIDEOS))

    def enter(self, video: str) -> None:
        """Open a video from its beginning."""
        self.video, self.position, self.speed = video, 0, 1.0
        self.rate = self.choose(RATES)
        self.playing = False

    @property
    def end(self) -> int:
        return DURATIONS.get(self.video) or 300_000

    def wait(self, delay: int) -> None:
        self.us += delay
        if self.playing:
            self.position = min(self.end, self.position + int(delay / 1000 * self.speed))

    def send(self, name: str, position: int | None = None) -> None:
        self.sent.append(
            Event(
                self.us,
                self.user,
                self.session,
                self.video,
                f"video_{name}",
                max(0, self.position if position is None else position),
                self.rate,
            )
        )

    def target(self) -> int:
        share = self.choose((0, 25, 50, 90, 100, 3))
        near = self.choose((None, None, -10_000, -2_001, -2_000, 2_000, 5_000, 5_001, 10_000))
        if near is not None:
            return max(0, min(self.end, self.position + near))
        return self.end * share // 100

    def act(self, action: str) -> None:
        choose = self.choose
        if action == "toggle":
            action = "pause" if self.playing else "play"
        if action == "play":
            self.playing = True
            self.speed = choose((1.0, 1.0, 1.0, 2.0, 0.5)) if self.rate is None else self.rate
            self.send(choose(("play", "resume")))
        elif action == "pause":
            self.playing = False
            self.send("pause", self.position + choose(JITTER))
        elif action == "heartbeat":
            self.send("progress", self.position + choose(JITTER))
        elif action == "seek":
            self.position = self.target()
            self.send("seek")
        elif action == "drag":
            self.position = self.target()
            self.send("pause")
            self.us += choose(DRAG)
            self.send("seek", self.position + choose((0, 0, 250, 251, -250)))
            if choose((True, True, False)):
                self.us += choose(TINY + SHORT)
                self.playing = True
                self.send("resume")
            else:
                self.playing = False
        elif action == "jump":
            self.position = self.target()
        elif action == "finish":
            if choose((False, True)):
                self.wait(max(0, self.end - self.position) * 1000)
            self.position = self.end
            self.playing = False
            if choose((True, False)):
                self.send("pause", self.end - 80)
                self.us += 80 * MILLISECOND
            self.send("ended", self.end + choose((0, 0, 1, 5_000)))
        elif action == "switch":
            self.enter(choose(VIDEOS))
        elif action == "go back":
            earlier = choose(self.sent) if self.sent else None
            if earlier is not None:
                self.video, self.position = earlier.video, earlier.position_ms
                self.playing = choose((False, True))
        elif action == "repeat" and self.sent:
            self.sent.append(choose((self.sent[-1], choose(self.sent))))
        elif action == "resend" and self.sent:
            event_id = choose(("r1", "r2", "r3"))
            self.sent[-1] = replace(self.sent[-1], event_id=event_id)
            self.sent.append(replace(self.sent[-1], us=self.us + choose((SECOND, 0, MINUTE))))
        elif action == "beyond":
            beyond = choose((1_101, 1_100, 1_050, 5_000))
            name = choose(("progress", "play", "pause", "seek", "ended"))
            self.send(name, self.end * beyond // 1000)
        elif action == "lose a stop":
            self.playing = False
        elif action == "flicker":
            for name in choose((("pause", "resume"), ("resume", "pause"), ("play", "resume"))):
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
        name, position = choose(NAME_ORDER), choose(POSITIONS)
        video, rate, event_id = choose(VIDEOS), choose(RATES), choose(IDS)
        events.append(Event(us, user, session, video, name, position, rate, event_id))
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


def random_events(seed: int, n_users: int = 200, days: int = 4) -> list[Event]:
    """Events of many users on some days from 2025-03-29 on (clock change in Europe on the 30th).

    Every user is a mixture of simulated players and noise. Event ids are the user's own, so that
    users do not influence each other. The lengths of the videos are `DURATIONS`.
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
        events += [
            event if event.event_id is None else replace(event, event_id=f"{user}-{event.event_id}")
            for event in own
        ]
    generator.shuffle(events)
    return events
