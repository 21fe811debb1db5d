"""Viewers who watch across midnight, in every way that makes a day depend on the one before."""

from collections.abc import Iterator
from datetime import date

from vidagg_dagster.core.days import ONE_DAY
from vidagg_dagster_tests.support.small_site import Row, event, peter


def evening(when: date) -> list[Row]:
    """What begins on a day and ends after it."""
    night = f"night-{when}"
    return [
        # Goes on after midnight: the interval belongs to the next day.
        event(when, "23:59:40", "nora", "video_play", 0, sessionId=night),
        # Nothing follows: its tail is settled on the next day.
        event(when, "23:50:00", "ghost", "video_play", 0, sessionId=night),
        # Tells the rate at which the next day's session plays.
        event(when, "21:00:00", "rita", "video_play", 0, sessionId=night, playbackRate=2.0),
        event(when, "21:00:10", "rita", "video_pause", 20, sessionId=night),
    ]


def morning(when: date) -> list[Row]:
    """What goes on with the evening before."""
    night = f"night-{when - ONE_DAY}"
    return [
        event(when, "00:00:20", "nora", "video_pause", 40, sessionId=night),
        event(when, "08:00:00", "rita", "video_play", 20, sessionId=night),
        event(when, "08:00:20", "rita", "video_seek", 200, sessionId=night),
        event(when, "08:00:30", "rita", "video_pause", 210, sessionId=night),
    ]


def whole_day(when: date) -> list[Row]:
    """A morning, an afternoon and an evening."""
    return list(_parts(when))


def _parts(when: date) -> Iterator[Row]:
    yield from morning(when)
    yield from peter(when)
    yield from evening(when)
