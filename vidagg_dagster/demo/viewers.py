"""The viewers of the demo site, and the sittings that fill their evenings."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from vidagg_dagster.demo.catalogue import CATALOGUE, Video
from vidagg_dagster.demo.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, midnight_ms
from vidagg_dagster.demo.player import Habits, Player, PlayerEvent
from vidagg_dagster.demo.plots import PLOT_SHARE, PLOTS
from vidagg_dagster.demo.ways import WAYS

PETER: Final = "peter"
"""The viewer of the documentation's example. His rows are never sent twice."""

STARTING_HOURS: Final = (1, 1, 0, 0, 0, 1, 2, 4, 4, 3, 3, 3, 5, 4, 3, 3, 4, 5, 7, 9, 11, 12, 9, 5)
"""The weight of each hour (UTC) as the start of a sitting. Late sittings run past midnight."""


@dataclass(frozen=True)
class Viewer:
    """One person: habits, how often they watch, and whether they use two devices at once."""

    user_id: str
    habits: Habits
    activity: float
    second_device: bool


def viewer(seed: int, number: int) -> Viewer:
    """The viewer with that number: the same in every run with the same seed."""
    rng = random.Random(f"{seed}/viewer/{number}")
    rate = rng.choices((1.0, 1.5, 2.0), (88, 5, 7))[0]
    return Viewer(
        user_id=f"user_{number:04d}",
        habits=Habits(
            heartbeat_ms=rng.choices((None, 30 * SECOND_MS, 60 * SECOND_MS), (78, 12, 10))[0],
            rate=rate,
            reports_rate=rng.random() < 0.35,
            sends_event_ids=rng.random() < 0.4,
        ),
        activity=rng.choice((0.2, 0.4, 0.6, 0.9)),
        second_device=rng.random() < 0.08,
    )


def events_of(person: Viewer, seed: int, first_day: date, days: int) -> Iterator[PlayerEvent]:
    """All events that a viewer's players report. The last ones may be after the last day."""
    rng = random.Random(f"{seed}/events/{person.user_id}")
    midnight = midnight_ms(first_day)
    busy_until = midnight
    for day in range(days):
        if rng.random() >= person.activity:
            continue
        for number in range(rng.choices((1, 2, 3), (6, 3, 1))[0]):
            hour = rng.choices(range(24), STARTING_HOURS)[0]
            start = midnight + day * DAY_MS + hour * HOUR_MS + rng.randrange(HOUR_MS)
            start = max(start, busy_until + rng.randrange(5 * MINUTE_MS, 20 * MINUTE_MS))
            session = f"s-{person.user_id[5:]}-{day:02d}-{number}"
            events = _sitting(person, rng, session, start)
            yield from events
            busy_until = events[-1].at_ms
            if person.second_device:
                yield from _sitting(person, rng, f"{session}-tv", start + rng.randrange(MINUTE_MS))


def _sitting(
    person: Viewer, rng: random.Random, session_id: str, start_ms: int
) -> list[PlayerEvent]:
    """One player session: one to four videos in turn, sometimes one of them again."""
    player = Player(rng, person.habits, person.user_id, session_id, start_ms)
    seen: list[Video] = []
    for _ in range(rng.choices((1, 2, 3, 4), (50, 30, 14, 6))[0]):
        again = seen and rng.random() < 0.1
        video = rng.choice(seen) if again else _pick(rng)
        seen.append(video)
        player.open(video)
        _way(rng, video)(player)
        player.wait(rng.randrange(3 * SECOND_MS, 4 * MINUTE_MS))
    return player.events


def _way(rng: random.Random, video: Video) -> Callable[[Player], None]:
    plot = PLOTS.get(video.video_id)
    if plot is not None and rng.random() < PLOT_SHARE:
        return plot.way
    return rng.choices(list(WAYS), list(WAYS.values()))[0]


def _pick(rng: random.Random) -> Video:
    return rng.choices(CATALOGUE, [video.popularity for video in CATALOGUE])[0]


def peter(day: date) -> Iterator[PlayerEvent]:
    """The worked example of the documentation, at 10:00 UTC."""
    for (minute, second), name, position in (
        ((0, 0), "video_play", 0),
        ((0, 30), "video_pause", 30),
        ((0, 35), "video_resume", 30),
        ((2, 5), "video_pause", 120),
        ((2, 10), "video_resume", 110),
        ((2, 20), "video_pause", 120),
    ):
        yield PlayerEvent(
            at_ms=midnight_ms(day) + 10 * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS,
            user_id=PETER,
            session_id=f"s-{PETER}",
            video_id="video_001",
            name=name,
            position_ms=position * SECOND_MS,
        )
