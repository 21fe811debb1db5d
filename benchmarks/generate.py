"""Seeded player events of any number: skewed, with ties, duplicates, late and bad rows.

A site is one day of events, with the few after midnight of open sessions, or many days: one Parquet
file per day and million events, and a file with the metadata of its videos. The same arguments give
the same rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

FIRST_DAY: Final = date(2024, 1, 1)
CHUNK_EVENTS: Final = 1_000_000
"""About how many events one file holds, and so the memory at once."""

_EVENTS_PER_SESSION: Final = 9
_DAY_MS: Final = 86_400_000
_BAD_SHARE: Final = 0.0005
"""Share of the rows with each kind of fault."""
_START, _STOP, _BEAT, _SEEK = range(4)
_NAMES: Final = np.array(
    ["video_play", "video_resume", "video_pause", "video_ended", "video_progress", "video_seek"]
)
_PLAY, _RESUME, _PAUSE, _ENDED, _PROGRESS, _JUMP = range(6)

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Site:
    """What to generate.

    Attributes:
        events: About how many events a day has. Duplicates and bad rows come on top.
        days: Number of days, each with that many events.
        seed: Another seed gives other events.
        heartbeats: Whether a player reports its position about every ten seconds while it plays.
        bot_share: Share of the events that a single user sends.
        top_video_share: Share of the sessions that watch the same video.
    """

    events: int
    days: int = 1
    seed: int = 20240101
    heartbeats: bool = False
    bot_share: float = 0.0
    top_video_share: float = 0.0

    @property
    def users(self) -> int:
        """How many users the site has. About half of them visit on a day."""
        return max(20, self.events // 20)

    @property
    def videos(self) -> int:
        """How many videos there are."""
        return max(10, min(20_000, self.events // 500))


def generate(site: Site, folder: Path) -> None:
    """Write `folder/events/*.parquet` and `folder/videos.parquet`."""
    (folder / "events").mkdir(parents=True)
    durations = _durations(site)
    pq.write_table(
        pa.table(
            {
                "videoId": [f"video_{at:06d}" for at in range(site.videos)],
                # Some videos lack their metadata, as on any real site.
                "duration": [
                    None if at % 97 == 96 else ms / 1000 for at, ms in enumerate(durations)
                ],
                "title": [f"Video number {at}" for at in range(site.videos)],
            }
        ),
        folder / "videos.parquet",
    )
    for day in range(site.days):
        name = (FIRST_DAY + timedelta(days=day)).isoformat()
        for number, chunk in enumerate(_chunks(site, day, durations)):
            pq.write_table(chunk, folder / "events" / f"events-{name}-{number:04d}.parquet")


def _durations(site: Site) -> Ints:
    random = np.random.default_rng([site.seed, 1])
    minutes = np.clip(random.lognormal(2.0, 0.8, site.videos), 0.5, 180)
    return (minutes * 60_000).astype(np.int64)


def _chunks(site: Site, day: int, durations: Ints) -> Iterator[pa.Table]:
    bot_events = int(site.events * site.bot_share)
    left, number = site.events, 0
    while left > 0:
        size = min(left, CHUNK_EVENTS)
        random = np.random.default_rng([site.seed, 2, day, number])
        of_bot = min(size, max(0, bot_events - number * CHUNK_EVENTS))
        yield _chunk(site, day, number, size, of_bot, durations, random)
        left -= size
        number += 1


def _chunk(
    site: Site,
    day: int,
    number: int,
    size: int,
    of_bot: int,
    durations: Ints,
    random: np.random.Generator,
) -> pa.Table:
    """About `size` events in whole visits. A visit is one session at one video."""
    visits = _visits(site, day, number, size, of_bot, random)
    first = np.concatenate(([0], np.cumsum(visits.events)[:-1]))
    visit = np.repeat(np.arange(len(visits.events)), visits.events)
    at = np.arange(len(visit)) - first[visit]
    last = at == visits.events[visit] - 1
    duration = durations[visits.video]
    kind = _kinds(at, last, random, heartbeats=site.heartbeats)
    time_ms, position_ms, rate = _play(kind, at, visit, first, duration, random, site)
    at_end = position_ms >= duration[visit]
    name = _event_names(kind, at, last, at_end, random)
    midnight = (FIRST_DAY - date(1970, 1, 1)).days + day
    return _table(
        random,
        time_us=(midnight * _DAY_MS + visits.begin_ms[visit] + time_ms) * 1000
        + random.integers(0, 1000, len(visit)) * (time_ms % 7 == 0),
        user=visits.user[visit],
        session=visits.session[visit],
        video=visits.video[visit],
        name=name,
        position_ms=position_ms,
        rate=rate[visit],
        day=day,
    )


@dataclass(frozen=True)
class _Visits:
    """One entry per visit. `begin_ms` counts from midnight."""

    events: Ints
    user: Ints
    session: Ints
    video: Ints
    begin_ms: Ints


def _visits(
    site: Site, day: int, number: int, size: int, of_bot: int, random: np.random.Generator
) -> _Visits:
    events = 2 + random.poisson(_EVENTS_PER_SESSION - 2, max(1, size // _EVENTS_PER_SESSION))
    count = len(events)
    # A few users watch much and most watch little. The same holds for videos (Zipf's law).
    user = (site.users * random.random(count) ** 1.5).astype(np.int64)
    user[: int(count * of_bot / size)] = site.users
    session = np.arange(count, dtype=np.int64) + number * CHUNK_EVENTS
    # A tenth of the visits continue the session before, at another video.
    same = random.random(count) < 0.1
    same[:1] = False
    keeps = np.where(same)[0]
    session[keeps], user[keeps] = session[keeps - 1], user[keeps - 1]
    video = (random.zipf(1.3, count) - 1) % site.videos
    video[random.random(count) < site.top_video_share] = 0
    begin_ms = (np.clip(random.normal(0.68, 0.22, count), 0, 0.9999) * _DAY_MS).astype(np.int64)
    begin_ms[keeps] = begin_ms[keeps - 1] + random.integers(0, 600_000, len(keeps))
    if day:
        # Some arrive a day late: they are in this day's file but belong to the day before.
        late = np.random.default_rng([site.seed, 3, day, number]).random(count) < 0.002
        begin_ms[late] -= _DAY_MS
    return _Visits(events, user, session, video, begin_ms)


def _kinds(at: Ints, last: Bools, random: np.random.Generator, *, heartbeats: bool) -> Ints:
    """Starts and stops in turn, some of them lost, with seeks (and heartbeats) between them."""
    kind = np.where(at % 2 == 0, _START, _STOP)
    chance = random.random(len(at))
    kind = np.where((at > 0) & ~last & (chance < 0.04), _SEEK, kind)
    if heartbeats:
        kind = np.where((at > 0) & ~last & (chance >= 0.04) & (chance < 0.70), _BEAT, kind)
    return np.where(last & (random.random(len(at)) < 0.9), _STOP, kind)


def _event_names(
    kind: Ints, at: Ints, last: Bools, at_end: Bools, random: np.random.Generator
) -> Ints:
    """The event name of each kind, as its place in `_NAMES`."""
    name = np.choose(
        kind, [np.where(at == 0, _PLAY, _RESUME), np.full(len(kind), _PAUSE), _PROGRESS, _JUMP]
    )
    ended = at_end | (last & (random.random(len(kind)) < 0.05))
    return np.where((kind == _STOP) & ended, _ENDED, name)


def _play(
    kind: Ints,
    at: Ints,
    visit: Ints,
    first: Ints,
    duration: Ints,
    random: np.random.Generator,
    site: Site,
) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
    """Times since the start of the visit, positions, and rates of visits (NaN: not reported)."""
    size = len(kind)
    step = random.exponential(10_000 if site.heartbeats else 45_000, size).astype(np.int64)
    chance = random.random(size)
    # Ties, and pauses that cut a session.
    step[chance < 0.01] = 0
    step[(chance >= 0.01) & (chance < 0.015)] += 2_400_000
    step[at == 0] = 0
    time_ms = np.cumsum(step)
    time_ms -= time_ms[first][visit]

    rates = np.array([np.nan, 1.0, 1.25, 1.5, 2.0])
    rate = rates[random.choice(len(rates), len(first), p=[0.6, 0.3, 0.04, 0.03, 0.03])]
    playing = np.concatenate(([False], kind[:-1] != _STOP)) & (at > 0)
    speed = np.where(np.isnan(rate), 1.0, rate)[visit]
    moved = np.where(playing, step * speed, 0).astype(np.int64)
    jump = random.random(size) < 0.05
    moved = np.where(jump & (at > 0), random.integers(-60_000, 120_000, size), moved)
    position = np.cumsum(moved)
    begin = np.where(random.random(len(first)) < 0.8, 0, random.integers(0, 60_000, len(first)))
    position += (begin - position[first])[visit]
    position = np.clip(position, 0, duration[visit] + 100)
    wild = random.random(size) < 0.0005
    return time_ms, np.where(wild, duration[visit] * 2, position), rate


def _table(
    random: np.random.Generator,
    *,
    time_us: Ints,
    user: Ints,
    session: Ints,
    video: Ints,
    name: Ints,
    position_ms: Ints,
    rate: npt.NDArray[np.float64],
    day: int,
) -> pa.Table:
    size = len(time_us)
    # Rows arrive roughly in the order of their time, and some arrive twice.
    rows = np.argsort(time_us + random.integers(0, 2_000_000, size), kind="stable")
    again = rows[random.random(size) < 0.005]
    rows = np.concatenate((rows, again))
    chance = random.random(len(rows))
    named = np.array([f"user_{at:08d}" for at in np.unique(user)])
    return pa.table(
        {
            "timestamp": pa.array(
                time_us[rows], pa.timestamp("us", tz="UTC"), mask=_in_band(chance, 0)
            ),
            "userId": pa.DictionaryArray.from_arrays(
                pa.array(np.unique(user, return_inverse=True)[1][rows], mask=_in_band(chance, 1)),
                named,
            ).cast(pa.string()),
            "sessionId": _ids(f"s{day:03d}_", session[rows], 9),
            "videoId": _ids("video_", video[rows], 6),
            "eventName": pa.DictionaryArray.from_arrays(
                pa.array(np.where(_in_band(chance, 2), len(_NAMES), name[rows])),
                [*_NAMES, "video_buffer"],
            ).cast(pa.string()),
            "currentTime": np.where(_in_band(chance, 3), -1.0, position_ms[rows] / 1000),
            "playbackRate": pa.array(rate[rows], from_pandas=True),
        }
    )


def _in_band(chance: npt.NDArray[np.float64], band: int) -> Bools:
    """Which rows have the fault with that number: each fault has a band of the chances."""
    return (chance >= band * _BAD_SHARE) & (chance < (band + 1) * _BAD_SHARE)


def _ids(prefix: str, numbers: Ints, digits: int) -> pa.Array:
    distinct, where = np.unique(numbers, return_inverse=True)
    names = pa.array([f"{prefix}{at:0{digits}d}" for at in distinct])
    return pa.DictionaryArray.from_arrays(pa.array(where), names).cast(pa.string())
