"""The videos of the demo site."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Video:
    """One video. `listed` tells whether the metadata file has it."""

    video_id: str
    title: str
    duration_ms: int
    popularity: int
    listed: bool = True


def _video(number: int, title: str, duration: str, popularity: int) -> Video:
    seconds = 0
    for part in duration.split(":"):
        seconds = 60 * seconds + int(part)
    return Video(f"video_{number:03d}", title, seconds * 1000, popularity)


CATALOGUE = (
    _video(1, "Welcome: a five-minute tour", "5:00", 9),
    _video(2, "Trailer: The Lighthouse Keeper", "0:45", 8),
    _video(3, "How to sharpen a kitchen knife", "3:20", 8),
    _video(4, "Sourdough for beginners", "14:30", 8),
    _video(5, "Ten stretches for desk workers", "10:05", 7),
    _video(6, "SQL window functions explained", "22:40", 7),
    _video(7, "Spanish A1, lesson 1: greetings", "18:00", 7),
    _video(8, "Spanish A1, lesson 2: numbers", "19:30", 5),
    _video(9, "Repairing a bicycle tube", "7:50", 6),
    _video(10, "The history of the tomato", "52:00", 4),
    _video(11, "Live at the harbour: jazz trio", "1:14:00", 3),
    _video(12, "City council, January session", "2:25:00", 2),
    _video(13, "The Lighthouse Keeper (feature film)", "1:51:00", 4),
    _video(14, "Winter crossing (director's cut)", "3:00:00", 2),
    _video(15, "News in 90 seconds", "1:30", 8),
    _video(16, "Guitar chords: the first four", "12:15", 5),
    _video(17, "Product update, release 4.2", "6:40", 5),
    _video(18, "Sleep better: a guided evening", "35:00", 4),
    Video("video_099", "", 240_000, 1, listed=False),
)
"""The videos that viewers choose from. video_001 lasts 300 s, as the documentation says."""
