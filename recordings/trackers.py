"""What a product's tracker sends of what the page could tell."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

from recordings.files import Json, read

Tracker = Literal["plain", "full"]
TRACKERS: Final[tuple[Tracker, ...]] = get_args(Tracker)
"""`plain` sends `video_play`, `video_pause`, `video_resume`, `video_ended`, heartbeats and one
`video_seek` for each seek, as most do. `full` also sends `ONLY_FULL`.
"""

ONLY_FULL: Final = ("video_waiting", "video_playing", "video_seeking", "video_rate")


def told(session: str | None = None) -> list[Json]:
    """Everything that the page told of a session, or of all."""
    return [row for row in read("sessions.jsonl") if session in (None, row["sessionId"])]


def sent_by(tracker: Tracker, session: str | None = None) -> list[Json]:
    """The events of a session, or of all, as a tracker sends them; none says `seekFrom`."""
    rows = told(session)
    if tracker == "plain":
        rows = _plain(rows)
    return [{name: value for name, value in row.items() if name != "seekFrom"} for row in rows]


def _plain(rows: Iterable[Json]) -> list[Json]:
    """In some sessions the tracker reports a seek when it begins, in the others when it is done."""
    early = {row["sessionId"] for row in read("truth.jsonl") if row["seek_event"] == "seeking"}
    sent = []
    for row in rows:
        reports_early = row["sessionId"] in early
        if row["eventName"] == "video_seeking" and reports_early:
            sent.append(row | {"eventName": "video_seek"})
        elif row["eventName"] == "video_seek" and reports_early:
            continue
        elif row["eventName"] not in ONLY_FULL:
            sent.append(row)
    return sent
