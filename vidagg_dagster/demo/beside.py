"""What the demo's site has beside its events: chapters, and who should watch a video by when."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

CHAPTERS: Final[Mapping[str, Sequence[tuple[int, str]]]] = {
    "video_004": ((0, "Intro"), (120, "Flour and water"), (390, "Folding"), (660, "Baking")),
    "video_006": (
        (0, "Why windows"),
        (300, "PARTITION BY"),
        (660, "Frames, the hard part"),
        (720, "Ranks"),
        (1080, "Running sums"),
    ),
    "video_013": ((0, "Free to watch"), (1800, "Behind the paywall"), (4500, "The storm")),
}
"""Video -> second and title of its chapters. Each plot of these videos is one of them."""

REQUIRED: Final = "video_017"
AUDIENCE: Final = 80
"""So many of the viewers should watch `REQUIRED`; most of them never open it."""

_DAYS_AFTER_DUE: Final = 3


def chapters() -> Iterator[dict[str, Any]]:
    """One row per chapter."""
    for video, parts in CHAPTERS.items():
        for start, title in parts:
            yield {"videoId": video, "start": start, "title": title}


def audience(dates: Sequence[date], viewers: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row per user who should watch `REQUIRED`, due some days before the last one."""
    due = dates[-min(_DAYS_AFTER_DUE, len(dates))]
    for user in viewers[:AUDIENCE]:
        yield {"userId": user, "videoId": REQUIRED, "dueDate": due.isoformat()}
