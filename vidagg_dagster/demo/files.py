"""The demo's event files: what the players reported, delivered as real rows are."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

from vidagg_dagster.demo.beside import audience, chapters
from vidagg_dagster.demo.catalogue import CATALOGUE
from vidagg_dagster.demo.clock import MINUTE_MS, day_of
from vidagg_dagster.demo.damage import DAMAGES
from vidagg_dagster.demo.player import PlayerEvent
from vidagg_dagster.demo.rows import delay_ms, line_of, row_of, sent_again
from vidagg_dagster.demo.viewers import PETER, events_of, peter, viewer

FIRST_DAY: Final = date(2026, 1, 5)
DAYS: Final = 10
VIEWERS: Final = 610
SEED: Final = 5
CHAPTERS_FILE: Final = "chapters.jsonl"
AUDIENCE_FILE: Final = "audience.jsonl"

_DUPLICATE_SHARE: Final = 0.012
_BUSY_DAY_EVENTS: Final = 1_000
"""A day with fewer events gets fewer damaged rows, so that their share stays small."""


@dataclass(frozen=True)
class DemoFiles:
    """What was written, and what reading it has to find."""

    events: Path
    """The folder with one file of JSON lines per day."""
    videos: Path
    """The metadata file."""
    days: tuple[date, ...]
    rows: int
    duplicates: int
    rejected: int
    reasons: Mapping[str, int]
    """Number of rows by rejection reason. A row can have two reasons."""

    @property
    def accepted(self) -> int:
        """How many rows are good and kept."""
        return self.rows - self.duplicates - self.rejected


def generate(
    folder: Path,
    *,
    first_day: date = FIRST_DAY,
    days: int = DAYS,
    viewers: int = VIEWERS,
    seed: int = SEED,
) -> DemoFiles:
    """Write `events/<day>.jsonl`, videos, chapters and audience below `folder`.

    Same seed, same bytes.

    Removes day files that an earlier, longer demo left in the same folder.
    """
    dates = tuple(first_day + timedelta(days=number) for number in range(days))
    happened = _happened(dates, viewers, seed)
    delivery = _Delivery(dates[-1])
    for day in dates:
        rng = random.Random(f"{seed}/delivery/{day}")
        delivery.send(day, happened[day], rng)
        delivery.damage(day, happened[day], rng)
    events = folder / "events"
    _write_days(events, {day: delivery.lines_of(day) for day in dates})
    videos = folder / "videos.jsonl"
    videos.write_text("".join(f"{line}\n" for line in _metadata()), encoding="utf-8")
    users = [viewer(seed, number).user_id for number in range(1, viewers + 1)]
    for name, rows in ((CHAPTERS_FILE, chapters()), (AUDIENCE_FILE, audience(dates, users))):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return DemoFiles(
        events=events,
        videos=videos,
        days=dates,
        rows=sum(map(len, delivery.lines.values())),
        duplicates=delivery.duplicates,
        rejected=delivery.rejected,
        reasons=dict(sorted(delivery.reasons.items())),
    )


def _happened(dates: Sequence[date], viewers: int, seed: int) -> dict[date, list[PlayerEvent]]:
    """The events of all viewers by their day."""
    happened: dict[date, list[PlayerEvent]] = {day: [] for day in dates}
    people = (viewer(seed, number) for number in range(1, viewers + 1))
    for event in chain(
        peter(dates[0]),
        chain.from_iterable(events_of(person, seed, dates[0], len(dates)) for person in people),
    ):
        # The export ends at the last midnight, in the middle of open sessions.
        if (day := day_of(event.at_ms)) in happened:
            happened[day].append(event)
    return happened


@dataclass
class _Delivery:
    """The lines that arrive on each day, and how many of them are duplicates or damaged."""

    last_day: date
    lines: dict[date, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Time of arrival and line, by the day of arrival."""
    duplicates: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def send(self, day: date, events: Sequence[PlayerEvent], rng: random.Random) -> None:
        """Deliver the events of a day, some late and some twice."""
        for event in events:
            row = row_of(event)
            arrives_ms = event.at_ms + delay_ms(rng)
            arrived = self.lines[min(max(day_of(arrives_ms), day), self.last_day)]
            arrived.append((arrives_ms, line_of(row)))
            if event.user_id != PETER and rng.random() < _DUPLICATE_SHARE:
                self.duplicates += 1
                again_ms = arrives_ms + rng.randrange(MINUTE_MS)
                arrived.append((again_ms, sent_again(rng, row)))

    def damage(self, day: date, events: Sequence[PlayerEvent], rng: random.Random) -> None:
        """Add damaged copies of some events: at least one for each kind of damage."""
        for damage in DAMAGES if events else ():
            for _ in range(rng.randint(2, 5) if len(events) > _BUSY_DAY_EVENTS else 1):
                event = rng.choice(events)
                line, reasons = damage(rng, row_of(event) | {"eventId": None})
                self.lines[day].append((event.at_ms, line))
                self.rejected += 1
                self.reasons.update(reasons)

    def lines_of(self, day: date) -> list[str]:
        """The lines of a day in the order of their arrival."""
        return [line for _, line in sorted(self.lines[day])]


def _write_days(folder: Path, lines: Mapping[date, Sequence[str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {day.isoformat() for day in lines}
    for stale in folder.glob("????-??-??.jsonl"):
        if stale.stem not in names:
            stale.unlink()
    for day, of_day in lines.items():
        (folder / f"{day}.jsonl").write_text("\n".join(of_day) + "\n", encoding="utf-8")


def _metadata() -> Iterator[str]:
    for video in CATALOGUE:
        if video.listed:
            yield json.dumps(
                {
                    "videoId": video.video_id,
                    "title": video.title,
                    "duration": video.duration_ms / 1_000,
                }
            )
