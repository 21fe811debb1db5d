"""The examples of the metric definitions that must hold exactly, as data.

They say nothing of who computes them: every implementation of the definitions is a subject.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from vidagg_dagster_tests.support.event_tables import parse_events
from vidagg_dagster_tests.support.reference import Event

USER, SESSION, VIDEO = "u", "s", "v"


@dataclass(frozen=True)
class Example:
    """Some events of one user, session and video, and columns of the one row they amount to.

    `events` are written as the definitions write them: seconds after the first event, event name,
    position in seconds, `(seekFrom 12)` where it is told. `duration` is in seconds.
    """

    name: str
    events: str
    columns: Mapping[str, object]
    duration: float | None = None
    user: str = field(default=USER)
    video: str = field(default=VIDEO)

    def parsed(self) -> list[Event]:
        return parse_events("\n".join(self._line(text) for text in self.events.split(",")))

    def _line(self, text: str) -> str:
        told = re.fullmatch(r"\s*([\d.]+) (\w+) ([\d.]+)(?: \(seekFrom ([\d.]+)\))?\s*", text)
        if told is None:
            raise ValueError(f"cannot read the event {text!r}")
        seconds, name, position, seek_from = told.groups()
        time = f"10:{int(float(seconds)) // 60:02}:{float(seconds) % 60:09.6f}"
        canonical = {"seeked": "seek"}.get(name, name)
        words = [time, self.user, SESSION, self.video, canonical, position]
        return "  ".join(words if seek_from is None else [*words, f"from={seek_from}"])

    def durations_ms(self) -> dict[str, int]:
        return {} if self.duration is None else {self.video: round(self.duration * 1000)}

    def __str__(self) -> str:
        return self.name


def _row(total: float, unique: float, forward: int, back: int, **more: object) -> dict[str, object]:
    return {
        "totalWatchTime": total,
        "totalUniqueSecondsWatched": unique,
        "totalForwardSkips": forward,
        "totalBackwardSkips": back,
        "sessionCount": 1,
        **more,
    }


def _button_every_quarter_minute() -> str:
    seeks = (f"{15 * n} seek {25 * n}" for n in range(1, 20))
    return ", ".join(["0 play 0", *seeks, "300 pause 490"])


PETER = Example(
    name="peter",
    user="peter",
    video="video_001",
    duration=300,
    events="0 play 0, 30 pause 30, 35 resume 30, 125 pause 120, 130 resume 110, 140 pause 120",
    columns=_row(
        130.0,
        120.0,
        0,
        1,
        watchPercentage=43.33,
        completionPercentage=40.0,
        uniqueWatchPercentage=40.0,
        completionCount=0,
        engagementScore=31.33,
        engagementTier="Low",
        dataQualityFlag="ok",
    ),
)
"""The example of section 8."""

EXAMPLES: tuple[Example, ...] = (
    PETER,
    Example(
        name="a button of +10 s every 15 s",
        events=_button_every_quarter_minute(),
        columns=_row(300.0, 300.0, 19, 0),
    ),
    Example(
        name="half a minute back",
        events="0 play 0, 60 seek 30, 120 pause 90",
        columns=_row(120.0, 90.0, 0, 1),
    ),
    Example(
        name="a drag as video.js sends it",
        events="0 play 0, 20 pause 35, 20.09 play 35, 20.15 seek 35, 40.15 pause 55",
        columns=_row(40.0, 40.0, 1, 0),
    ),
    Example(
        name="a drag on a slow line",
        events="0 play 0, 20 pause 35, 21 seek 35, 21.05 play 35, 41.05 pause 55",
        columns=_row(40.0, 40.0, 1, 0),
    ),
    Example(
        name="a replay whose play reports the end",
        duration=70,
        events=(
            "0 play 0, 70 ended 70, 75 play 70, 79.3 progress 4, 83.3 progress 8, 85.3 pause 10"
        ),
        columns=_row(80.0, 70.0, 0, 0),
    ),
    Example(
        name="a seek that tells where it began",
        events="0 play 0, 10 progress 10, 20 seek 100 (seekFrom 12), 30 pause 110",
        columns=_row(22.0, 22.0, 1, 0),
    ),
    Example(
        name="positions only",
        events="0 progress 0, 3 progress 3, 13 progress 13",
        columns=_row(13.0, 13.0, 0, 0),
    ),
    Example(
        name="buffering",
        events="0 play 0, 10 waiting 10, 25 playing 10, 35 pause 20",
        columns=_row(20.0, 20.0, 0, 0, totalClockTime=20.0),
    ),
    Example(
        name="a loop",
        duration=8,
        events="0 play 0, 8 seek 0, 16 seek 0, 20 pause 4",
        columns=_row(20.0, 8.0, 0, 2),
    ),
    Example(
        name="a button that starts again",
        events="0 play 0, 8 seek 0, 13.3 pause 5.3",
        columns=_row(13.3, 8.0, 0, 1),
    ),
    Example(
        name="a drag in WebKit",
        events="0 play 0, 4 pause 30, 4.7 play 30, 4.8 waiting 30, 4.8 seek 30, 8 pause 33.2",
        columns=_row(7.2, 7.2, 1, 0),
    ),
    Example(
        name="a slow line, both events of the seek sent",
        events="0 play 0, 5 seeking 60, 12 seeked 60, 20 pause 68",
        columns=_row(13.0, 13.0, 1, 0),
    ),
)
"""Sections 8 and 9."""
