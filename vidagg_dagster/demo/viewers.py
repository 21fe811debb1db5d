"""What viewers do: one function per way of watching, and a viewer's evenings made of them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from vidagg_dagster.demo.catalogue import CATALOGUE, Video
from vidagg_dagster.demo.player import Habits, Player, PlayerEvent

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = 24 * HOUR


def _share(player: Player, low: float, high: float) -> int:
    """A random share of the rest of the video, in milliseconds."""
    return round(player.left_ms * player.rng.uniform(low, high))


def watch_through(player: Player) -> None:
    """Play to the end without a click."""
    player.play()
    player.finish()


def watch_with_pauses(player: Player) -> None:
    """Play, pause, resume; most stay to the end."""
    player.play()
    for _ in range(player.rng.randint(1, 4)):
        player.watch(_share(player, 0.1, 0.4))
        player.pause()
        player.wait(player.rng.randrange(2 * SECOND, 10 * MINUTE))
        player.play()
    if player.rng.random() < 0.7:
        player.finish()
    else:
        player.watch(_share(player, 0.2, 0.8))
        player.pause()


def close_the_tab(player: Player) -> None:
    """Play and close the browser: nothing follows the start but heartbeats, if it sends any."""
    player.play()
    player.watch(_share(player, 0.1, 0.9))


def give_up(player: Player) -> None:
    """A few seconds, then away."""
    player.play()
    player.watch(player.rng.randrange(500, 12 * SECOND))
    player.pause()


def skip_ahead(player: Player) -> None:
    """Seek forward while playing; the player reports the destination."""
    player.play()
    for _ in range(player.rng.randint(1, 3)):
        player.watch(_share(player, 0.05, 0.2))
        player.seek(player.position_ms + _share(player, 0.1, 0.3))
    player.finish()


def skip_back(player: Player) -> None:
    """Seek back while playing."""
    player.play()
    player.watch(_share(player, 0.3, 0.6))
    player.seek(player.position_ms - round(player.position_ms * player.rng.uniform(0.2, 0.6)))
    player.watch(_share(player, 0.3, 0.9))
    player.pause()


def skip_while_paused(player: Player) -> None:
    """Pause, jump without a seek event, resume somewhere else."""
    player.play()
    player.watch(_share(player, 0.1, 0.4))
    player.pause()
    back = player.rng.random() < 0.5
    distance = player.rng.randrange(3 * SECOND, 40 * SECOND)
    player.jump(player.position_ms - distance if back else player.position_ms + distance)
    player.play()
    player.watch(_share(player, 0.3, 0.9))
    player.pause()


def drag_the_slider(player: Player) -> None:
    """Drag while playing, once ahead and perhaps once back."""
    player.play()
    player.watch(_share(player, 0.1, 0.3))
    player.drag(player.position_ms + _share(player, 0.2, 0.5))
    player.watch(_share(player, 0.2, 0.6))
    if player.rng.random() < 0.4:
        player.drag(round(player.position_ms * player.rng.uniform(0.1, 0.7)))
        player.watch(_share(player, 0.1, 0.3))
    player.pause()


def jump_unreported(player: Player) -> None:
    """Jump while playing; all that is reported is another start, at the destination."""
    player.play()
    player.watch(_share(player, 0.1, 0.3))
    player.jump(player.position_ms + _share(player, 0.2, 0.5))
    player.play()
    player.watch(_share(player, 0.2, 0.6))
    player.pause()


def lose_a_stop(player: Player) -> None:
    """The network drops the pause and what follows it: two starts in a row, in step."""
    player.play()
    player.watch(_share(player, 0.2, 0.6))
    player.wait(player.rng.randrange(100, 900))
    player.play()
    player.watch(_share(player, 0.2, 0.8))
    player.pause()


def watch_again(player: Player) -> None:
    """To the end, and once more from the start."""
    player.play()
    player.finish()
    player.wait(player.rng.randrange(2 * SECOND, 5 * MINUTE))
    player.start_over()
    if player.rng.random() < 0.5:
        player.finish()
    else:
        player.watch(_share(player, 0.1, 0.7))
        player.pause()


def come_back_later(player: Player) -> None:
    """Pause for longer than a session lasts, then go on in the same tab."""
    player.play()
    player.watch(_share(player, 0.2, 0.6))
    player.pause()
    player.wait(player.rng.randrange(31 * MINUTE, 2 * HOUR))
    player.play()
    player.watch(_share(player, 0.3, 0.9))
    player.pause()


def change_speed(player: Player) -> None:
    """Some at normal speed, the rest faster."""
    player.play()
    player.watch(_share(player, 0.1, 0.3))
    player.pause()
    player.wait(player.rng.randrange(SECOND, 5 * SECOND))
    player.speed(player.rng.choice((1.25, 1.5, 2.0)))
    player.play()
    player.finish()


def padded_end(player: Player) -> None:
    """An encoder that counts longer than the metadata: the end is a little beyond the duration."""
    player.play()
    player.watch(player.left_ms)
    assert player.video is not None
    padding = min(400, player.video.duration_ms // 20)
    player.clock_ms += padding
    player.position_ms += padding
    player.report("video_ended")


def impossible_position(player: Player) -> None:
    """A broken heartbeat far beyond the video, in an otherwise ordinary view."""
    player.play()
    player.watch(_share(player, 0.2, 0.5))
    assert player.video is not None
    player.wait(50)
    player.misreport("video_progress", 2 * player.video.duration_ms)
    player.watch(_share(player, 0.2, 0.5))
    player.pause()


WAYS: dict[Callable[[Player], None], int] = {
    watch_through: 20,
    watch_with_pauses: 22,
    close_the_tab: 8,
    give_up: 8,
    skip_ahead: 7,
    skip_back: 5,
    skip_while_paused: 9,
    drag_the_slider: 7,
    jump_unreported: 3,
    lose_a_stop: 2,
    watch_again: 4,
    come_back_later: 2,
    change_speed: 3,
    padded_end: 1,
    impossible_position: 1,
}
"""Every way of watching and how common it is."""

STARTING_HOURS = (1, 1, 0, 0, 0, 1, 2, 4, 4, 3, 3, 3, 5, 4, 3, 3, 4, 5, 7, 9, 11, 12, 9, 5)
"""How common it is to sit down at each hour (UTC): the last ones run past midnight."""


@dataclass(frozen=True)
class Viewer:
    """One person: habits, how often they watch, and whether they use two devices at once."""

    user_id: str
    habits: Habits
    activity: float
    second_device: bool


def viewer(seed: int, number: int) -> Viewer:
    """The viewer of that number: the same in every run with that seed."""
    rng = random.Random(f"{seed}/viewer/{number}")
    rate = rng.choices((1.0, 1.5, 2.0), (88, 5, 7))[0]
    return Viewer(
        user_id=f"user_{number:04d}",
        habits=Habits(
            heartbeat_ms=rng.choices((None, 30 * SECOND, 60 * SECOND), (78, 12, 10))[0],
            rate=rate,
            reports_rate=rng.random() < 0.35,
            sends_event_ids=rng.random() < 0.4,
        ),
        activity=rng.choice((0.2, 0.4, 0.6, 0.9)),
        second_device=rng.random() < 0.08,
    )


def events_of(person: Viewer, seed: int, first_day: date, days: int) -> Iterator[PlayerEvent]:
    """Everything the viewer's players report, from the first day on; may run past the last one."""
    rng = random.Random(f"{seed}/events/{person.user_id}")
    midnight = milliseconds(first_day)
    busy_until = midnight
    for day in range(days):
        if rng.random() >= person.activity:
            continue
        for number in range(rng.choices((1, 2, 3), (6, 3, 1))[0]):
            hour = rng.choices(range(24), STARTING_HOURS)[0]
            start = midnight + day * DAY + hour * HOUR + rng.randrange(HOUR)
            start = max(start, busy_until + rng.randrange(5 * MINUTE, 20 * MINUTE))
            session = f"s-{person.user_id[5:]}-{day:02d}-{number}"
            events = _sitting(person, rng, session, start)
            yield from events
            busy_until = events[-1].at_ms
            if person.second_device:
                yield from _sitting(person, rng, f"{session}-tv", start + rng.randrange(MINUTE))


def _sitting(
    person: Viewer, rng: random.Random, session_id: str, start_ms: int
) -> list[PlayerEvent]:
    """One player session: one to four videos, one after the other, sometimes back to an old one."""
    player = Player(rng, person.habits, person.user_id, session_id, start_ms)
    seen: list[Video] = []
    for _ in range(rng.choices((1, 2, 3, 4), (50, 30, 14, 6))[0]):
        again = seen and rng.random() < 0.1
        video = rng.choice(seen) if again else _pick(rng)
        seen.append(video)
        player.open(video)
        rng.choices(list(WAYS), list(WAYS.values()))[0](player)
        player.wait(rng.randrange(3 * SECOND, 4 * MINUTE))
    return player.events


def _pick(rng: random.Random) -> Video:
    return rng.choices(CATALOGUE, [video.popularity for video in CATALOGUE])[0]


def peter(day: date) -> Iterator[PlayerEvent]:
    """The worked example of the documentation, at 10:00 UTC."""
    for minute_second, name, position in (
        ((0, 0), "video_play", 0),
        ((0, 30), "video_pause", 30),
        ((0, 35), "video_resume", 30),
        ((2, 5), "video_pause", 120),
        ((2, 10), "video_resume", 110),
        ((2, 20), "video_pause", 120),
    ):
        minute, second = minute_second
        yield PlayerEvent(
            at_ms=milliseconds(day) + 10 * HOUR + minute * MINUTE + second * SECOND,
            user_id="peter",
            session_id="s-peter",
            video_id="video_001",
            name=name,
            position_ms=position * SECOND,
        )


def milliseconds(day: date) -> int:
    """Midnight UTC of a day, in milliseconds since 1970."""
    return round((datetime(day.year, day.month, day.day, tzinfo=UTC)).timestamp()) * 1_000


def day_of(at_ms: int) -> date:
    """The UTC day of a time in milliseconds since 1970."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date()
