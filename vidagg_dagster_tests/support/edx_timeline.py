"""The acceptance example of edX's analytics pipeline: who played what, and its published answer.

The facts of `video_timeline.log` and `test_video.py` there: names, times and positions of three
users, and how many users and views each segment of five seconds had. Its clock is compressed: 14
seconds of the video take one.
"""

import json
from collections.abc import Iterator, Mapping

COURSE = "edX/DemoX/Demo_Course"
SEEKS, TAIL, SHORT = "seeks", "tail", "short"

_EVENTS = (
    # video, user, second, event, position (of a seek: from, to)
    (SEEKS, 1, 0, "play_video", 0),
    (SEEKS, 1, 1, "seek_video", (14.234121, 7.345)),
    (SEEKS, 1, 2, "play_video", 7.345),
    (SEEKS, 1, 3, "seek_video", (14.234121, 17)),
    (SEEKS, 1, 4, "play_video", 14),
    (SEEKS, 1, 5, "pause_video", 21.4),
    (SEEKS, 1, 6, "play_video", 21.4),
    (SEEKS, 1, 7, "pause_video", 24.9),
    (SEEKS, 2, 0, "play_video", 0),
    (SEEKS, 2, 5, "pause_video", 9.9),
    (SEEKS, 3, 0, "play_video", 15.3),
    (SEEKS, 3, 17, "pause_video", 24.9),
    (TAIL, 1, 1800, "play_video", 10),
    (TAIL, 1, 1810, "pause_video", 20),
    (SHORT, 1, 3600, "play_video", 0),
    (SHORT, 1, 3610, "stop_video", 4),
)

PUBLISHED: Mapping[tuple[str, int], tuple[int, int]] = {
    (SHORT, 0): (1, 1),
    (SEEKS, 0): (2, 2),
    (SEEKS, 1): (2, 3),
    (SEEKS, 2): (1, 2),
    (SEEKS, 3): (2, 2),
    (SEEKS, 4): (2, 3),
    (TAIL, 2): (1, 1),
    (TAIL, 3): (1, 1),
    (TAIL, 4): (1, 1),
}
"""Video and segment of five seconds -> users, views."""

FENCEPOST = (TAIL, 4)
"""Watched from 10 to 20 s: there the segment that begins at 20 s counts as watched, too."""


def records(day: str) -> Iterator[str]:
    """The events as lines of a tracking log."""
    for video, user, second, name, position in _EVENTS:
        if isinstance(position, tuple):
            places = dict(zip(("old_time", "new_time"), position, strict=True))
        else:
            places = {"currentTime": position}
        yield json.dumps(
            {
                "name": name,
                "event_type": name,
                "event_source": "browser",
                "time": f"{day}T{second // 3600 + 10:02}:{second // 60 % 60:02}:{second % 60:02}Z",
                "session": f"session-{video}-{user}",
                "context": {"user_id": user, "course_id": COURSE},
                "event": json.dumps({"id": video, **places}),
            }
        )
