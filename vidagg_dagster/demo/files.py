"""The demo's event files: what the players reported, and what happens to it on the way."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from vidagg_dagster.demo.catalogue import CATALOGUE
from vidagg_dagster.demo.player import PlayerEvent
from vidagg_dagster.demo.viewers import day_of, events_of, milliseconds, peter, viewer

FIRST_DAY = date(2026, 1, 5)
DAYS = 10
VIEWERS = 610
SEED = 5

ALIASES = {
    "video_play": "play",
    "video_resume": "resume",
    "video_pause": "pause",
    "video_ended": "video_end",
    "video_progress": "video_heartbeat",
    "video_seek": "video_seeked",
}
"""The shorter names that some players send."""

Row = dict[str, Any]
Damage = Callable[[random.Random, Row], tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class DemoFiles:
    """What was written, and what reading it has to find."""

    events: Path
    """The folder of one JSON-lines file per day."""
    videos: Path
    """The metadata file."""
    days: tuple[date, ...]
    rows: int
    duplicates: int
    rejected: int
    reasons: Mapping[str, int]
    """How many rows have each rejection reason; a row can have two."""

    @property
    def accepted(self) -> int:
        """How many rows are good and stay."""
        return self.rows - self.duplicates - self.rejected


def generate(
    folder: Path,
    *,
    first_day: date = FIRST_DAY,
    days: int = DAYS,
    viewers: int = VIEWERS,
    seed: int = SEED,
) -> DemoFiles:
    """Write `events/<day>.jsonl` and `videos.jsonl` below `folder`; same seed, same bytes.

    Day files of an earlier, longer demo in the same folder are removed.
    """
    dates = tuple(first_day + timedelta(days=number) for number in range(days))
    happened: dict[date, list[PlayerEvent]] = {day: [] for day in dates}
    people = (viewer(seed, number) for number in range(1, viewers + 1))
    for event in chain(
        peter(first_day),
        chain.from_iterable(events_of(person, seed, first_day, days) for person in people),
    ):
        # The export ends at the last midnight, in the middle of whatever is playing.
        if (day := day_of(event.at_ms)) in happened:
            happened[day].append(event)

    lines: dict[date, list[tuple[int, str]]] = defaultdict(list)
    reasons: Counter[str] = Counter()
    duplicates = rejected = 0
    for day in dates:
        rng = random.Random(f"{seed}/delivery/{day}")
        for event in happened[day]:
            row = _row(event)
            arrives = event.at_ms + _delay(rng)
            arrival_day = min(max(day_of(arrives), day), dates[-1])
            lines[arrival_day].append((arrives, _json(row)))
            if event.user_id != "peter" and rng.random() < 0.012:
                duplicates += 1
                lines[arrival_day].append((arrives + rng.randrange(60_000), _resent(rng, row)))
        # A quiet day gets fewer, so that their share stays small.
        for damage in DAMAGES if happened[day] else ():
            for _ in range(rng.randint(2, 5) if len(happened[day]) > 1_000 else 1):
                event = rng.choice(happened[day])
                line, found = damage(rng, _row(event) | {"eventId": None})
                lines[day].append((event.at_ms, line))
                rejected += 1
                reasons.update(found)

    events = folder / "events"
    events.mkdir(parents=True, exist_ok=True)
    for stale in events.glob("????-??-??.jsonl"):
        if stale.stem not in {day.isoformat() for day in dates}:
            stale.unlink()
    for day in dates:
        arrived = [line for _, line in sorted(lines[day])]
        (events / f"{day}.jsonl").write_text("\n".join(arrived) + "\n", encoding="utf-8")
    videos = folder / "videos.jsonl"
    videos.write_text("".join(f"{line}\n" for line in _metadata()), encoding="utf-8")
    return DemoFiles(
        events=events,
        videos=videos,
        days=dates,
        rows=sum(map(len, lines.values())),
        duplicates=duplicates,
        rejected=rejected,
        reasons=dict(sorted(reasons.items())),
    )


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


def _delay(rng: random.Random) -> int:
    """How long a row travels: most none, some minutes (out of order), a few a day (late)."""
    kind = rng.random()
    if kind < 0.92:
        return 0
    return rng.randrange(600_000) if kind < 0.996 else milliseconds(date(1970, 1, 2))


def _row(event: PlayerEvent) -> Row:
    """The event as its player writes it; which way is a property of the viewer."""
    style = sum(event.user_id.encode()) % 10
    row: Row = {
        "timestamp": _time(event.at_ms, style),
        "userId": event.user_id,
        "sessionId": event.session_id,
        "videoId": event.video_id,
        "eventName": ALIASES[event.name] if style == 3 else event.name,
        "currentTime": event.position_ms / 1_000,
    }
    if style == 5:
        row["currentTime"] = str(row["currentTime"])
    if event.rate is not None:
        row["playbackRate"] = event.rate
    if event.event_id is not None:
        row["eventId"] = event.event_id
    return row


def _time(at_ms: int, style: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    if style == 7:
        local = (moment + timedelta(hours=1)).replace(tzinfo=None)
        return f"{local.isoformat(timespec='milliseconds')}+01:00"
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _resent(rng: random.Random, row: Row) -> str:
    """A second delivery: the same row, the same facts in other words, or a retry's new time."""
    if "eventId" in row and rng.random() < 0.5:
        later = datetime.fromisoformat(row["timestamp"]) + timedelta(milliseconds=1)
        # Not past midnight: an id is compared within its day.
        if later.astimezone(UTC).strftime("%H:%M:%S.%f") >= "00:00:01":
            return _json(row | {"timestamp": later.isoformat()})
    if rng.random() < 0.5:
        return _json(
            row | {"currentTime": f" {row['currentTime']} ", "userId": f"{row['userId']} "}
        )
    return _json(row)


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


def _replaced(reason: str, column: str, *values: object) -> Damage:
    def damage(rng: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
        return _json(row | {column: rng.choice(values)}), (reason,)

    return damage


def _removed(reason: str, column: str) -> Damage:
    def damage(_: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
        return _json({name: value for name, value in row.items() if name != column}), (reason,)

    return damage


def _malformed(rng: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
    line = _json(row)
    return rng.choice(
        (
            line[: len(line) // 2],
            f"[{line}]",
            f"{line}{line}",
            "<html>502 Bad Gateway</html>",
            '"video_play"',
        )
    ), ("malformed_row",)


def _doubly_wrong(_: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
    line = _json(row | {"userId": " ", "currentTime": -1})
    return line, ("missing_user", "invalid_position")


DAMAGES: tuple[Damage, ...] = (
    _removed("missing_timestamp", "timestamp"),
    _replaced(
        "unparsable_timestamp",
        "timestamp",
        "yesterday",
        "2026-13-40T00:00:00Z",
        "05.01.2026 10:00",
        1767607200000,
    ),
    _replaced(
        "timestamp_out_of_range", "timestamp", "1970-01-01T00:00:03Z", "2099-12-31T23:59:59Z"
    ),
    _replaced("missing_user", "userId", None, "", "   "),
    _replaced("missing_session", "sessionId", None, ""),
    _removed("missing_video", "videoId"),
    _replaced("unknown_event", "eventName", "ad_start", "volume_change", None),
    _replaced("missing_position", "currentTime", None, "", "null"),
    _replaced(
        "invalid_position", "currentTime", "NaN", float("nan"), "Infinity", -3, 1e9, "abc", True
    ),
    _malformed,
    _doubly_wrong,
)
"""Every way a row can be unusable: each reason of the closed list occurs every day."""
