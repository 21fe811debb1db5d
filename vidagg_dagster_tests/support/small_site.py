"""A few viewers on a few days as JSON lines: small enough to know every number by heart."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from vidagg_dagster.core.contract import (
    SourceSpec,
    StepName,
    StepRequest,
    TableStore,
)

FIRST_DAY = date(2026, 1, 5)
RUN_TIME = datetime(2026, 2, 1, tzinfo=UTC)
VIDEOS: Mapping[str, tuple[float, str]] = {
    "video_001": (300.0, "Welcome"),
    "video_002": (60.0, "Trailer"),
}

Row = dict[str, Any]


def day(number: int) -> date:
    """The days of the site, counted from 0."""
    return FIRST_DAY + timedelta(days=number)


def event(when: date, clock: str, user: str, name: str, position: float, **more: object) -> Row:
    """One row as a player sends it. By default the session is the user's only one of the day."""
    return {
        "timestamp": f"{when}T{clock}Z",
        "userId": user,
        "sessionId": f"{user}-{when}",
        "videoId": "video_001",
        "eventName": name,
        "currentTime": position,
        **more,
    }


def peter(when: date) -> list[Row]:
    """The example of the documentation: 130 s watched, 120 of them unique, score 31.33."""
    steps = [
        ("10:00:00", "video_play", 0),
        ("10:00:30", "video_pause", 30),
        ("10:00:35", "video_resume", 30),
        ("10:02:05", "video_pause", 120),
        ("10:02:10", "video_resume", 110),
        ("10:02:20", "video_pause", 120),
    ]
    return [event(when, clock, "peter", name, position) for clock, name, position in steps]


def anna(when: date) -> list[Row]:
    """Watches the trailer at double speed to its end, seeks in the other video, leaves it open."""
    trailer = {"videoId": "video_002", "playbackRate": 2.0}
    return [
        event(when, "20:00:00", "anna", "video_play", 0, **trailer),
        event(when, "20:00:10", "anna", "video_progress", 20, **trailer),
        event(when, "20:00:30", "anna", "video_ended", 60, **trailer),
        event(when, "20:01:00", "anna", "video_play", 0),
        event(when, "20:01:10", "anna", "video_seek", 200),
        event(when, "20:01:20", "anna", "video_pause", 210),
        event(when, "20:01:30", "anna", "video_play", 210),
    ]


@dataclass(frozen=True)
class Site:
    """The files of a site, and the folder of its tables."""

    folder: Path

    @property
    def events(self) -> Path:
        return self.folder / "events"

    @property
    def videos(self) -> Path:
        return self.folder / "videos.jsonl"

    @property
    def tables(self) -> Path:
        return self.folder / "tables"

    def request(self, step: StepName, days: Sequence[date]) -> StepRequest:
        """The request that an asset would make."""
        return StepRequest(
            step=step,
            days=() if step is StepName.AGGREGATED_ENGAGEMENT else tuple(days),
            start_date=FIRST_DAY,
            timezone="UTC",
            run_time=RUN_TIME,
            store=TableStore(kind="local", location=str(self.tables)),
            source=SourceSpec(location=str(self.events)),
            video_metadata=str(self.videos),
        )

    def write_day(self, when: date, rows: Sequence[Row | str]) -> None:
        """The event file of a day; a row given as text is written as it is."""
        self.events.mkdir(parents=True, exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (self.events / f"{when}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def write_site(folder: Path, days: int) -> Site:
    """Peter and anna on each of the days."""
    site = Site(folder)
    for number in range(days):
        site.write_day(day(number), [*peter(day(number)), *anna(day(number))])
    site.videos.write_text("".join(_video_lines()))
    return site


def _video_lines() -> Iterator[str]:
    for video, (duration, title) in VIDEOS.items():
        yield json.dumps({"videoId": video, "duration": duration, "title": title}) + "\n"
