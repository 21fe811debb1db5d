"""Events -> rows as players write and send them: in their own words, late, or twice."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from vidagg_dagster.demo.clock import DAY_MS, MINUTE_MS, moment_of
from vidagg_dagster.demo.player import PlayerEvent

ALIASES: Final = {
    "video_play": "play",
    "video_resume": "resume",
    "video_pause": "pause",
    "video_ended": "video_end",
    "video_progress": "video_heartbeat",
    "video_seek": "video_seeked",
}
"""The shorter names that some players send."""

Row = dict[str, Any]

_STYLES: Final = 10
_SHORT_NAMES, _POSITION_AS_TEXT, _TIME_WITH_OFFSET = 3, 5, 7
"""Styles of players that differ from the others."""


def row_of(event: PlayerEvent) -> Row:
    """The event as its player writes it. Each viewer's player keeps one style."""
    style = sum(event.user_id.encode()) % _STYLES
    row: Row = {
        "timestamp": _time(event.at_ms, style),
        "userId": event.user_id,
        "sessionId": event.session_id,
        "videoId": event.video_id,
        "eventName": ALIASES[event.name] if style == _SHORT_NAMES else event.name,
        "currentTime": event.position_ms / 1_000,
    }
    if style == _POSITION_AS_TEXT:
        row["currentTime"] = str(row["currentTime"])
    if event.rate is not None:
        row["playbackRate"] = event.rate
    if event.event_id is not None:
        row["eventId"] = event.event_id
    return row


def delay_ms(rng: random.Random) -> int:
    """How long a row travels: most none, some minutes (out of order), a few a day (late)."""
    chance = rng.random()
    if chance < 0.92:
        return 0
    return rng.randrange(10 * MINUTE_MS) if chance < 0.996 else DAY_MS


def sent_again(rng: random.Random, row: Row) -> str:
    """The line of a second delivery: the same row, its values spelled otherwise, or a new time."""
    if "eventId" in row and rng.random() < 0.5:
        later = datetime.fromisoformat(row["timestamp"]) + timedelta(milliseconds=1)
        # Not after midnight: ids are compared within one day.
        if later.astimezone(UTC).strftime("%H:%M:%S.%f") >= "00:00:01":
            return line_of(row | {"timestamp": later.isoformat()})
    if rng.random() < 0.5:
        return line_of(
            row | {"currentTime": f" {row['currentTime']} ", "userId": f"{row['userId']} "}
        )
    return line_of(row)


def line_of(row: Row) -> str:
    """The row as a line of JSON."""
    return json.dumps(row, ensure_ascii=False)


def _time(at_ms: int, style: int) -> str:
    moment = moment_of(at_ms)
    if style == _TIME_WITH_OFFSET:
        local = (moment + timedelta(hours=1)).replace(tzinfo=None)
        return f"{local.isoformat(timespec='milliseconds')}+01:00"
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
