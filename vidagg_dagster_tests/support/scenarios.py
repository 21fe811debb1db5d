"""Viewing behaviour as readable tables, with the numbers that the metric definitions demand.

The expected values are worked out by hand from docs/metrics.md, never copied from a run. Only the
columns that matter to a scenario are named; the set of rows is always complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import NamedTuple

from vidagg_dagster_tests.support.event_tables import YEAR, parse_events
from vidagg_dagster_tests.support.reference import Event

Columns = Mapping[str, object]


class ExpectedSession(NamedTuple):
    """A row of the table `sessions`: day as `01-13`, duration in seconds."""

    day: str
    user: str
    session: str
    continues: bool
    events: int
    seconds: float
    videos: int


@dataclass(frozen=True)
class Scenario:
    """Some events and what they amount to.

    `rows` are the lifetime rows per (user, video); `days` the daily rows per (user, video, day),
    day as `01-13`, where the scenario is about days. `rules` are changed settings by name, in the
    units of the rules. `durations` are in seconds.
    """

    name: str
    events: str
    rows: Mapping[tuple[str, str], Columns]
    days: Mapping[tuple[str, str, str], Columns] | None = None
    sessions: Sequence[ExpectedSession] | None = None
    duplicates: int = 0
    durations: Mapping[str, float] = field(default_factory=lambda: {"v": 300})
    parameters: Mapping[str, object] = field(default_factory=dict)
    timezone: str = "UTC"

    def parsed(self) -> list[Event]:
        """Its events; the times of the table are wall times of its zone."""
        return parse_events(self.events, self.timezone)

    def durations_ms(self) -> dict[str, int]:
        return {video: round(seconds * 1000) for video, seconds in self.durations.items()}

    def __str__(self) -> str:
        return self.name


def day(text: str) -> date:
    """The date of a day as scenarios write it, for example `01-13`."""
    return datetime.strptime(f"{YEAR}-{text}", "%Y-%m-%d").date()


def set_apart(scenario: Scenario, prefix: str) -> Scenario:
    """The same scenario with its own users, videos and event ids, to run many of them at once."""
    lines = []
    for line in scenario.events.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        first = 1 if ":" in words[0] else 2
        words[first] = prefix + words[first]
        words[first + 2] = prefix + words[first + 2]
        words = [w.replace("id=", f"id={prefix}", 1) if w.startswith("id=") else w for w in words]
        lines.append("  ".join(words))
    return replace(
        scenario,
        events="\n".join(lines),
        rows={(prefix + user, prefix + video): row for (user, video), row in scenario.rows.items()},
        days=None
        if scenario.days is None
        else {(prefix + u, prefix + v, day): row for (u, v, day), row in scenario.days.items()},
        sessions=None
        if scenario.sessions is None
        else [session._replace(user=prefix + session.user) for session in scenario.sessions],
        durations={prefix + video: seconds for video, seconds in scenario.durations.items()},
    )


def _close(actual: object, expected: object) -> bool:
    if isinstance(expected, bool) or expected is None or isinstance(expected, str):
        return actual == expected
    if isinstance(expected, int | float):
        return (
            isinstance(actual, int | float)
            and not isinstance(actual, bool)
            and abs(actual - expected) <= 1e-9 * max(1.0, abs(expected))
        )
    return actual == expected


def differences(actual: Columns, expected: Columns) -> list[str]:
    """Every named column whose value is not the expected one, as readable lines."""
    return [
        f"{column}: expected {value!r}, got {actual.get(column, 'no such column')!r}"
        for column, value in expected.items()
        if column not in actual or not _close(actual[column], value)
    ]


SCENARIOS: tuple[Scenario, ...] = (
    # --- watching ------------------------------------------------------------------------------
    Scenario(
        name="the example of the definitions: peter",
        durations={"video_001": 300},
        events="""
            10:00:00  peter  s1  video_001  play      0
            10:00:30  peter  s1  video_001  pause    30
            10:00:35  peter  s1  video_001  resume   30
            10:02:05  peter  s1  video_001  pause   120
            10:02:10  peter  s1  video_001  resume  110
            10:02:20  peter  s1  video_001  pause   120
        """,
        rows={
            ("peter", "video_001"): {
                "videoDuration": 300.0,
                "totalWatchTime": 130.0,
                "totalUniqueSecondsWatched": 120.0,
                "totalClockTime": 130.0,
                "maxPositionReached": 120.0,
                "watchPercentage": 43.33,
                "uniqueWatchPercentage": 40.0,
                "completionPercentage": 40.0,
                "sessionCount": 1,
                "isReplay": False,
                "avgWatchTimePerSession": 130.0,
                "avgSessionDuration": 140.0,
                "avgPausesPerSession": 3.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 1,
                "completionCount": 0,
                "isCompletedAtLeastOnce": False,
                "rewatchedSeconds": 10.0,
                "observedSeconds": 130.0,
                "heartbeatSeconds": 0.0,
                "bridgedSeconds": 0.0,
                "clippedSeconds": 0.0,
                "estimatedTailSeconds": 0.0,
                "watchedIntervals": [(0, 120_000)],
                "engagementScore": 31.33,
                "engagementTier": "Low",
                "qualityFlags": [],
                "dataQualityFlag": "ok",
            }
        },
        sessions=[ExpectedSession("01-12", "peter", "s1", False, 6, 140.0, 1)],
    ),
    Scenario(
        name="play straight to the end",
        events="""
            10:00:00  u  s  v  play     0
            10:05:00  u  s  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 300.0,
                "totalUniqueSecondsWatched": 300.0,
                "watchPercentage": 100.0,
                "uniqueWatchPercentage": 100.0,
                "completionPercentage": 100.0,
                "observedSeconds": 300.0,
                "sessionCount": 1,
                "completionCount": 1,
                "isCompletedAtLeastOnce": True,
                "avgPausesPerSession": 0.0,
                "engagementScore": 90.0,
                "engagementTier": "High",
                "qualityFlags": [],
            }
        },
    ),
    Scenario(
        name="pause, fetch a coffee, resume, finish",
        events="""
            10:00:00  u  s  v  play      0
            10:01:00  u  s  v  pause    60
            10:05:00  u  s  v  resume   60
            10:09:00  u  s  v  ended   300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 300.0,
                "totalUniqueSecondsWatched": 300.0,
                "totalClockTime": 300.0,
                "avgSessionDuration": 540.0,
                "avgPausesPerSession": 1.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 0,
                "completionCount": 1,
                "engagementScore": 90.0,
                "watchedIntervals": [(0, 300_000)],
            }
        },
    ),
    Scenario(
        name="heartbeats carry the watch time, also when the tab is closed after one",
        events="""
            10:00:00  u  s  v  play       0
            10:00:10  u  s  v  progress  10
            10:00:20  u  s  v  progress  20
            10:00:30  u  s  v  progress  30
            10:00:35  u  s  v  pause     35
            10:00:00  w  s  v  play       0
            10:00:10  w  s  v  progress  10
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 35.0,
                "heartbeatSeconds": 30.0,
                "observedSeconds": 5.0,
                "avgPausesPerSession": 1.0,
                "watchedIntervals": [(0, 35_000)],
            },
            ("w", "v"): {
                "totalWatchTime": 10.0,
                "heartbeatSeconds": 10.0,
                "estimatedTailSeconds": 0.0,
                "qualityFlags": [],
            },
        },
    ),
    Scenario(
        name="heartbeats without a start make no watch time",
        events="""
            10:00:00  u  s  v  progress   0
            10:00:10  u  s  v  progress  10
            10:00:20  u  s  v  pause     20
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 0.0,
                "maxPositionReached": 20.0,
                "completionPercentage": 6.67,
                "sessionCount": 1,
                "avgSessionDuration": 20.0,
                "avgPausesPerSession": 1.0,
                "watchedIntervals": [],
                "engagementScore": 0.0,
                "engagementTier": "Minimal",
                "qualityFlags": ["very_short_watch"],
            }
        },
    ),
    Scenario(
        name="a film of three hours without a click is one session",
        durations={"v": 10_800},
        events="""
            10:00:00  u  s  v  play       0
            13:00:00  u  s  v  ended  10800
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10_800.0,
                "sessionCount": 1,
                "completionCount": 1,
                "estimatedTailSeconds": 0.0,
                "engagementScore": 90.0,
                "qualityFlags": [],
            }
        },
        sessions=[ExpectedSession("01-12", "u", "s", False, 2, 10_800.0, 1)],
    ),
    Scenario(
        name="the player stalls: less video than clock is still watched",
        events="""
            10:00:00  u  s  v  play    0
            10:10:00  u  s  v  pause  60
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 60.0, "totalClockTime": 600.0, "observedSeconds": 60.0}
        },
    ),
    # --- speed ---------------------------------------------------------------------------------
    Scenario(
        name="double speed without a rate is believed up to the tolerance, triple speed is not",
        events="""
            10:00:00  u  s  v  play      0
            10:01:00  u  s  v  pause   120
            10:00:00  w  s  v  play      0
            10:01:00  w  s  v  pause   121
            10:00:00  x  s  v  play      0
            10:01:00  x  s  v  pause   121.001
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 120.0,
                "totalClockTime": 60.0,
                "observedSeconds": 120.0,
            },
            ("w", "v"): {"totalWatchTime": 121.0, "observedSeconds": 121.0},
            ("x", "v"): {
                "totalWatchTime": 60.0,
                "totalClockTime": 60.0,
                "clippedSeconds": 60.0,
                "observedSeconds": 0.0,
                "totalForwardSkips": 0,
                "qualityFlags": ["seek_repaired"],
            },
        },
    ),
    Scenario(
        name="a known rate replaces the assumed one, upwards and downwards",
        events="""
            10:00:00  fast  s  v  play      0  x3
            10:01:00  fast  s  v  pause   180  x3
            10:00:00  calm  s  v  play      0  x1
            10:01:00  calm  s  v  pause   120  x1
            10:00:00  edge  s  v  play      0  x1
            10:01:00  edge  s  v  pause    61  x1
        """,
        rows={
            ("fast", "v"): {"totalWatchTime": 180.0, "totalClockTime": 60.0, "qualityFlags": []},
            ("calm", "v"): {"totalWatchTime": 60.0, "clippedSeconds": 60.0},
            ("edge", "v"): {"totalWatchTime": 61.0, "observedSeconds": 61.0},
        },
    ),
    Scenario(
        name="of two known rates the greater one counts, one known rate is enough",
        events="""
            10:00:00  u  s  v  play      0  x1
            10:01:00  u  s  v  pause   120  x2
            10:00:00  w  s  v  play      0
            10:01:00  w  s  v  pause   120  x1
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 120.0, "observedSeconds": 120.0},
            ("w", "v"): {"totalWatchTime": 60.0, "clippedSeconds": 60.0},
        },
    ),
    Scenario(
        name="the assumed rate and the tolerance are settings",
        parameters={"max_playback_rate": 1.0, "tolerance_ms": 0},
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  pause   60
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  pause   60.001
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 60.0, "observedSeconds": 60.0},
            ("w", "v"): {"totalWatchTime": 60.0, "clippedSeconds": 60.0},
        },
    ),
    Scenario(
        name="a jump of a slow viewer is not credited past its destination",
        events="""
            10:00:00  u  s  v  play      0  x0.5
            10:01:00  u  s  v  progress 40  x0.5
            10:01:20  u  s  v  pause    50  x0.5
        """,
        rows={
            ("u", "v"): {
                # 40 s of video in a minute at half speed: more than 0.5 * 60 + 1.
                "clippedSeconds": 40.0,
                "observedSeconds": 10.0,
                "totalWatchTime": 50.0,
                "totalClockTime": 60.0,
                "totalForwardSkips": 0,
                "qualityFlags": ["seek_repaired"],
            }
        },
    ),
    # --- a lost stop ---------------------------------------------------------------------------
    Scenario(
        name="a lost pause is bridged down to half speed",
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  play    60
            10:01:30  u  s  v  pause   90
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  resume  29
            10:01:30  w  s  v  pause   59
        """,
        rows={
            ("u", "v"): {
                "bridgedSeconds": 60.0,
                "observedSeconds": 30.0,
                "totalWatchTime": 90.0,
                "totalClockTime": 90.0,
                "totalForwardSkips": 0,
                "qualityFlags": [],
            },
            ("w", "v"): {"bridgedSeconds": 29.0, "observedSeconds": 30.0, "totalForwardSkips": 0},
        },
    ),
    Scenario(
        name="a start far too early is not bridged and counts the way between as a skip",
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  resume  28.999
            10:01:30  u  s  v  pause   58.999
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  resume   0
            10:01:30  w  s  v  pause   30
        """,
        rows={
            ("u", "v"): {
                "bridgedSeconds": 0.0,
                "observedSeconds": 30.0,
                "totalWatchTime": 30.0,
                "totalForwardSkips": 1,
            },
            ("w", "v"): {"totalWatchTime": 30.0, "totalForwardSkips": 0},
        },
    ),
    # --- the tab is closed ---------------------------------------------------------------------
    Scenario(
        name="the tab is closed: nothing counts, the rest of the video bounds the tail",
        events="""
            10:00:00  u  s  v  play      0
            10:01:40  u  s  v  pause   100
            10:02:00  u  s  v  resume  100
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 100.0,
                "estimatedTailSeconds": 200.0,
                "openEndedCount": 1,
                "engagementScore": 26.67,
                "engagementTier": "Low",
                "qualityFlags": ["open_ended"],
                "dataQualityFlag": "ok",
            }
        },
    ),
    Scenario(
        name="the tab is closed in a long video: the session timeout bounds the tail",
        durations={"v": 7200},
        events="""
            10:00:00  u  s  v  play  0
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 0.0,
                "totalUniqueSecondsWatched": 0.0,
                "maxPositionReached": 0.0,
                "watchPercentage": 0.0,
                "sessionCount": 1,
                "avgSessionDuration": 0.0,
                "estimatedTailSeconds": 1800.0,
                "engagementScore": 0.0,
                "engagementTier": "Minimal",
                "qualityFlags": ["very_short_watch", "open_ended"],
                "dataQualityFlag": "very_short_watch",
                "watchedIntervals": [],
            }
        },
    ),
    Scenario(
        name="switching to another video without a pause: its event bounds the tail",
        durations={"a": 300, "b": 300},
        events="""
            10:00:00  u  s  a  play    0
            10:02:00  u  s  b  play    0
            10:03:00  u  s  b  pause  60
        """,
        rows={
            ("u", "a"): {
                "totalWatchTime": 0.0,
                "estimatedTailSeconds": 120.0,
                "openEndedCount": 1,
                "avgSessionDuration": 0.0,
            },
            ("u", "b"): {
                "totalWatchTime": 60.0,
                "estimatedTailSeconds": 0.0,
                "openEndedCount": 0,
                "avgSessionDuration": 60.0,
            },
        },
    ),
    Scenario(
        name="an event of another session or at the same instant bounds no tail",
        durations={"a": 300, "b": 300},
        events="""
            10:00:00  u  s  a  play    0
            10:00:00  u  s  b  play    0
            10:00:40  u  t  b  play    0
            10:01:00  u  s  b  pause  60
        """,
        rows={
            ("u", "a"): {"estimatedTailSeconds": 60.0, "openEndedCount": 1},
            ("u", "b"): {
                "totalWatchTime": 60.0,
                "sessionCount": 2,
                "estimatedTailSeconds": 300.0,
                "openEndedCount": 1,
            },
        },
    ),
    Scenario(
        name="switching videos and coming back: the first one was not left open",
        durations={"a": 300, "b": 300},
        events="""
            10:00:00  u  s  a  play       0
            10:01:00  u  s  b  play       0
            10:01:30  u  s  b  pause     30
            10:02:00  u  s  a  progress  60
        """,
        rows={
            ("u", "a"): {
                "totalWatchTime": 60.0,
                "heartbeatSeconds": 60.0,
                "totalClockTime": 120.0,
                "estimatedTailSeconds": 0.0,
                "sessionCount": 1,
            },
            ("u", "b"): {"totalWatchTime": 30.0},
        },
    ),
    Scenario(
        name="a tail is settled by its timeout, before or after midnight",
        durations={"v": 7200},
        events="""
            01-12 23:29:59  early  s  v  play  0
            01-12 23:30:00  late   s  v  play  0
        """,
        rows={
            ("early", "v"): {"estimatedTailSeconds": 1800.0, "sessionCount": 1},
            ("late", "v"): {
                "estimatedTailSeconds": 1800.0,
                "sessionCount": 1,
                "avgWatchTimePerSession": 0.0,
                "openEndedCount": 1,
            },
        },
        days={
            ("early", "v", "01-12"): {"estimatedTailSeconds": 1800.0, "openEndedCount": 1},
            ("late", "v", "01-12"): {
                "sessionCount": 1,
                "estimatedTailSeconds": 0.0,
                "qualityFlags": ["very_short_watch"],
            },
            ("late", "v", "01-13"): {
                "sessionCount": 0,
                "isReplay": False,
                "avgWatchTimePerSession": None,
                "avgSessionDuration": None,
                "avgPausesPerSession": None,
                "maxPositionReached": 0.0,
                "estimatedTailSeconds": 1800.0,
                "openEndedCount": 1,
                "firstWatchDate": None,
                "lastWatchDate": None,
                "qualityFlags": ["very_short_watch", "open_ended"],
            },
        },
        sessions=[
            ExpectedSession("01-12", "early", "s", False, 1, 0.0, 1),
            ExpectedSession("01-12", "late", "s", False, 1, 0.0, 1),
            ExpectedSession("01-13", "late", "s", True, 0, 0.0, 0),
        ],
    ),
    Scenario(
        name="a tail is settled by the session's next event after midnight",
        durations={"a": 7200, "b": 300},
        events="""
            01-12 23:55:00  u  s  a  play    0
            01-13 00:05:00  u  s  b  play    0
            01-13 00:06:00  u  s  b  pause  60
        """,
        rows={
            ("u", "a"): {"estimatedTailSeconds": 600.0, "openEndedCount": 1},
            ("u", "b"): {"totalWatchTime": 60.0},
        },
        days={
            ("u", "a", "01-12"): {"estimatedTailSeconds": 0.0, "sessionCount": 1},
            ("u", "a", "01-13"): {"estimatedTailSeconds": 600.0, "sessionCount": 0},
            ("u", "b", "01-13"): {"totalWatchTime": 60.0, "sessionCount": 1},
        },
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 1, 0.0, 1),
            ExpectedSession("01-13", "u", "s", True, 2, 660.0, 1),
        ],
    ),
    Scenario(
        name="a tail settled before midnight is not settled again after it",
        durations={"a": 7200, "b": 7200},
        events="""
            01-12 23:05:00  u  s  b  play      0
            01-12 23:10:00  u  s  a  play      0
            01-13 00:10:00  u  s  b  pause  3900   # watched throughout, so one session
        """,
        rows={
            ("u", "a"): {"estimatedTailSeconds": 1800.0, "openEndedCount": 1},
            # On 01-12 nobody can know that b goes on: its start was left open as far as known.
            ("u", "b"): {"totalWatchTime": 3900.0, "estimatedTailSeconds": 300.0},
        },
        days={
            ("u", "a", "01-12"): {"estimatedTailSeconds": 1800.0, "openEndedCount": 1},
            ("u", "b", "01-12"): {"estimatedTailSeconds": 300.0, "openEndedCount": 1},
            ("u", "b", "01-13"): {"totalWatchTime": 3900.0, "estimatedTailSeconds": 0.0},
        },
    ),
    # --- skips ---------------------------------------------------------------------------------
    Scenario(
        name="a forward skip while paused",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  pause    30
            10:00:40  u  s  v  resume   90
            10:01:10  u  s  v  pause   120
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 60.0,
                "totalUniqueSecondsWatched": 60.0,
                "maxPositionReached": 120.0,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
                "watchedIntervals": [(0, 30_000), (90_000, 120_000)],
                "engagementScore": 15.0,
                "engagementTier": "Minimal",
                "qualityFlags": [],
            }
        },
    ),
    Scenario(
        name="five seconds ahead and two seconds back are not yet skips",
        events="""
            10:00:00  u  s  v  play     0
            10:00:30  u  s  v  pause   30
            10:01:00  u  s  v  resume  35
            10:01:05  u  s  v  pause   40
            10:02:00  u  s  v  resume  45.001
            10:02:05  u  s  v  pause   50
            10:03:00  u  s  v  resume  48
            10:03:12  u  s  v  pause   60
            10:04:00  u  s  v  resume  57.999
            10:04:12  u  s  v  pause   70
        """,
        rows={
            ("u", "v"): {
                "totalForwardSkips": 1,
                "totalBackwardSkips": 1,
                "totalWatchTime": 64.0,
                "totalUniqueSecondsWatched": 59.999,
                "watchedIntervals": [(0, 30_000), (35_000, 40_000), (45_001, 70_000)],
            }
        },
    ),
    Scenario(
        name="seeking while paused counts once, at the start that ends it",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  pause    30
            10:00:35  u  s  v  seek    200
            10:00:36  u  s  v  seek    100
            10:00:37  u  s  v  seek    150
            10:00:40  u  s  v  resume  150
            10:01:10  u  s  v  pause   180
        """,
        rows={
            ("u", "v"): {
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
                "totalWatchTime": 60.0,
                "clippedSeconds": 0.0,
                "maxPositionReached": 200.0,
                "qualityFlags": [],
            }
        },
    ),
    Scenario(
        name="seeking while paused without playing on is no skip",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  pause    30
            10:00:35  u  s  v  seek    200
        """,
        rows={("u", "v"): {"totalForwardSkips": 0, "totalWatchTime": 30.0}},
    ),
    Scenario(
        name="starting in the middle is no skip",
        events="""
            10:00:00  u  s  v  seek    200
            10:00:01  u  s  v  play    200
            10:00:31  u  s  v  pause   230
            10:00:00  w  s  v  play    150
            10:00:30  w  s  v  pause   180
        """,
        rows={
            ("u", "v"): {"totalForwardSkips": 0, "totalWatchTime": 30.0},
            ("w", "v"): {"totalForwardSkips": 0, "totalWatchTime": 30.0},
        },
    ),
    Scenario(
        name="watching again after the end is a replay, not a skip",
        events="""
            10:00:00  u  s  v  play     0
            10:05:00  u  s  v  ended  300
            10:05:10  u  s  v  play     0
            10:10:10  u  s  v  ended  300
            10:00:00  w  s  v  play     0
            10:05:00  w  s  v  ended  300
            10:05:05  w  s  v  seek   100
            10:05:06  w  s  v  play   100
            10:06:06  w  s  v  pause  160
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 600.0,
                "totalUniqueSecondsWatched": 300.0,
                "rewatchedSeconds": 300.0,
                "watchPercentage": 200.0,
                "completionCount": 2,
                "totalBackwardSkips": 0,
                "sessionCount": 1,
                "isReplay": False,
                "engagementScore": 100.0,
                "qualityFlags": ["excessive_watch_time"],
                "dataQualityFlag": "excessive_watch_time",
            },
            ("w", "v"): {
                "totalWatchTime": 360.0,
                "totalBackwardSkips": 0,
                "completionCount": 1,
                "engagementScore": 92.0,
                "qualityFlags": [],
            },
        },
    ),
    # --- seeks while playing -------------------------------------------------------------------
    Scenario(
        name="a slider drag forward as browsers report it: pause and seek at the destination",
        events="""
            10:00:00      u  s  v  play      0
            10:00:30      u  s  v  pause   200
            10:00:30.001  u  s  v  seek    200
            10:00:31      u  s  v  resume  200
            10:01:01      u  s  v  pause   230
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
                "totalWatchTime": 60.0,
                "totalClockTime": 60.0,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
                "avgPausesPerSession": 2.0,
                "watchedIntervals": [(0, 30_000), (200_000, 230_000)],
                "qualityFlags": ["seek_repaired"],
                "dataQualityFlag": "ok",
            }
        },
    ),
    Scenario(
        name="a slider drag back",
        events="""
            10:00:00      u  s  v  play    100
            10:00:30      u  s  v  pause    20
            10:00:30.001  u  s  v  seek     20
            10:00:31      u  s  v  resume   20
            10:01:01      u  s  v  pause    50
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 1,
                "watchedIntervals": [(20_000, 50_000), (100_000, 130_000)],
            }
        },
    ),
    Scenario(
        name="a short drag is clipped although double speed could explain it",
        events="""
            10:00:00      drag  s  v  play     0
            10:00:30      drag  s  v  pause   50
            10:00:30.250  drag  s  v  seek    50.25
            10:00:31      drag  s  v  resume  50
            10:00:41      drag  s  v  pause   60
            10:00:00      late  s  v  play     0
            10:00:30      late  s  v  pause   50
            10:00:30.251  late  s  v  seek    50
            10:00:00      away  s  v  play     0
            10:00:30      away  s  v  pause   50
            10:00:30.001  away  s  v  seek    50.251
        """,
        rows={
            ("drag", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 10.0,
                "totalForwardSkips": 1,
                "watchedIntervals": [(0, 30_000), (50_000, 60_000)],
            },
            ("late", "v"): {"clippedSeconds": 0.0, "observedSeconds": 50.0},
            ("away", "v"): {"clippedSeconds": 0.0, "observedSeconds": 50.0},
        },
    ),
    Scenario(
        name="a drag over midnight is not recognised: its pause does not know the next day",
        events="""
            01-12 23:59:29.999  u  s  v  play    0
            01-12 23:59:59.999  u  s  v  pause  50
            01-13 00:00:00.001  u  s  v  seek   50
            01-13 00:00:01      u  s  v  resume 50
            01-13 00:00:11      u  s  v  pause  60
        """,
        rows={("u", "v"): {"clippedSeconds": 0.0, "observedSeconds": 60.0}},
        days={
            ("u", "v", "01-12"): {"observedSeconds": 50.0},
            ("u", "v", "01-13"): {
                "observedSeconds": 10.0,
                "sessionCount": 0,
                "totalForwardSkips": 0,  # the pause counts as it did on its own day
            },
        },
    ),
    Scenario(
        name="a drag that ends where it began costs nothing and is no skip",
        events="""
            10:00:00      u  s  v  play     0
            10:00:30      u  s  v  pause   30
            10:00:30.001  u  s  v  seek    30
            10:00:35      u  s  v  resume  30
            10:01:05      u  s  v  pause   60
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 60.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 0,
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
            }
        },
    ),
    Scenario(
        name="a drag right after the start clips nothing but is a skip all the same",
        events="""
            10:00:00      u  s  v  play     0
            10:00:00      u  s  v  pause  200
            10:00:00.001  u  s  v  seek   200
            10:00:01      u  s  v  resume 200
            10:00:31      u  s  v  pause  230
            10:00:00      w  s  v  resume   0   # the start alone, then the drag
            10:00:00.001  w  s  v  pause  200
            10:00:00.002  w  s  v  seek   200
            10:00:01      w  s  v  resume 200
            10:00:31      w  s  v  pause  230
        """,
        rows={
            # While stopped the start comes before the stop of its instant.
            ("u", "v"): {
                "clippedSeconds": 0.0,
                "totalWatchTime": 30.0,
                "totalForwardSkips": 1,
                "avgPausesPerSession": 2.0,
                "qualityFlags": [],
            },
            ("w", "v"): {
                "clippedSeconds": 0.001,
                "totalWatchTime": 30.001,
                "totalForwardSkips": 1,
                "qualityFlags": ["seek_repaired"],
            },
        },
    ),
    Scenario(
        name="a seek while playing, reported by a neutral event",
        events="""
            10:00:00  u  s  v  play        0
            10:00:30  u  s  v  seek      200
            10:00:40  u  s  v  progress  210
            10:01:00  u  s  v  pause     230
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "heartbeatSeconds": 10.0,
                "observedSeconds": 20.0,
                "totalWatchTime": 60.0,
                "totalForwardSkips": 1,
                "watchedIntervals": [(0, 30_000), (200_000, 230_000)],
            }
        },
    ),
    Scenario(
        name="a seek while playing, reported by a start",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  play    200
            10:01:00  u  s  v  pause   230
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "bridgedSeconds": 0.0,
                "totalWatchTime": 60.0,
                "totalForwardSkips": 1,
            }
        },
    ),
    Scenario(
        name="a seek while playing, reported by a stop, counts where it starts again",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  pause   200
            10:00:40  u  s  v  resume  200
            10:01:10  u  s  v  pause   230
            10:00:00  w  s  v  play      0
            10:00:30  w  s  v  pause   200
        """,
        rows={
            ("u", "v"): {"clippedSeconds": 30.0, "totalWatchTime": 60.0, "totalForwardSkips": 1},
            ("w", "v"): {"clippedSeconds": 30.0, "totalWatchTime": 30.0, "totalForwardSkips": 0},
        },
    ),
    Scenario(
        name="seeking back while playing, credited at most to the end of the video",
        events="""
            10:00:00  u  s  v  play      100
            10:00:30  u  s  v  progress   50
            10:00:40  u  s  v  pause      60
            10:00:00  w  s  v  play      290
            10:00:30  w  s  v  progress   10
            10:00:40  w  s  v  pause      20
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 10.0,
                "totalClockTime": 40.0,
                "totalBackwardSkips": 1,
                "watchedIntervals": [(50_000, 60_000), (100_000, 130_000)],
            },
            ("w", "v"): {
                "clippedSeconds": 10.0,
                "totalWatchTime": 20.0,
                "totalClockTime": 20.0,
                "totalBackwardSkips": 1,
            },
        },
    ),
    Scenario(
        name="a seek to where the last event was looks like standing still",
        events="""
            10:00:00  u  s  v  play    0
            10:01:00  u  s  v  seek    0
            10:01:10  u  s  v  pause  10
        """,
        rows={("u", "v"): {"totalWatchTime": 10.0, "totalBackwardSkips": 0, "qualityFlags": []}},
    ),
    Scenario(
        name="a position up to two seconds back while playing is imprecision, not a seek",
        events="""
            10:00:00  u  s  v  play      100
            10:00:10  u  s  v  progress   98
            10:00:20  u  s  v  pause     108
            10:00:00  w  s  v  play      100
            10:00:10  w  s  v  progress   97.999
            10:00:20  w  s  v  pause     107.999
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10.0,
                "clippedSeconds": 0.0,
                "totalBackwardSkips": 0,
                "maxPositionReached": 108.0,
            },
            ("w", "v"): {
                "totalWatchTime": 20.0,
                "clippedSeconds": 10.0,
                "totalBackwardSkips": 1,
            },
        },
    ),
    Scenario(
        name="after more than the session timeout nothing is clipped, the skip still counts",
        durations={"v": 10_800, "b": 10_800},
        events="""
            10:00:00  u  s  v  play         0
            10:20:00  u  s  b  progress     0   # keeps the session alive
            10:40:00  u  s  v  progress  9000
            10:40:10  u  s  v  pause     9010
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10.0,
                "clippedSeconds": 0.0,
                "totalForwardSkips": 1,
                "sessionCount": 1,
            },
            ("u", "b"): {"totalWatchTime": 0.0},
        },
    ),
    Scenario(
        name="without repair a drag keeps nothing, and its resume hides the skip",
        parameters={"repair_seeks": False},
        events="""
            10:00:00      u  s  v  play      0
            10:00:30      u  s  v  pause   200
            10:00:30.001  u  s  v  seek    200
            10:00:31      u  s  v  resume  200
            10:01:01      u  s  v  pause   230
            10:00:00      w  s  v  play      0
            10:00:30      w  s  v  pause    50
            10:00:30.001  w  s  v  seek     50
            10:00:00      x  s  v  play      0
            10:00:30      x  s  v  seek    200
            10:01:00      x  s  v  pause   230
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 30.0, "clippedSeconds": 0.0, "totalForwardSkips": 0},
            ("w", "v"): {"totalWatchTime": 50.0, "observedSeconds": 50.0},
            ("x", "v"): {"totalWatchTime": 30.0, "clippedSeconds": 0.0, "totalForwardSkips": 1},
        },
    ),
    Scenario(
        name="at most ten points are lost to skips",
        durations={"v": 60},
        events="""
            10:00:00  u  s  v  play       0
            10:01:00  u  s  v  progress  60
            10:01:01  u  s  v  seek       0
            10:01:02  u  s  v  seek      20
            10:01:03  u  s  v  seek       0
            10:01:04  u  s  v  seek      20
            10:01:05  u  s  v  seek       0
            10:01:06  u  s  v  seek      20
            10:01:07  u  s  v  seek       0
            10:01:08  u  s  v  seek      20
            10:01:09  u  s  v  seek       0
            10:01:10  u  s  v  seek      20
            10:01:11  u  s  v  seek       0
            10:01:12  u  s  v  seek      20
            10:01:13  u  s  v  pause     21
        """,
        rows={
            ("u", "v"): {
                "totalForwardSkips": 6,
                "totalBackwardSkips": 6,
                "heartbeatSeconds": 60.0,
                "clippedSeconds": 11.0,
                "observedSeconds": 1.0,
                "totalWatchTime": 72.0,
                "totalUniqueSecondsWatched": 60.0,
                "engagementScore": 72.0,
                "qualityFlags": ["seek_repaired"],
            }
        },
    ),
    # --- pauses and completions ----------------------------------------------------------------
    Scenario(
        name="players pause 80 ms before the end: completed all the same",
        events="""
            10:00:00      u  s  v  play     0
            10:04:59.920  u  s  v  pause  299.92
            10:05:00      u  s  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 299.92,
                "watchPercentage": 99.97,
                "completionPercentage": 100.0,
                "completionCount": 1,
                "avgPausesPerSession": 1.0,
                "engagementScore": 89.98,
                "engagementTier": "High",
                "qualityFlags": [],
            }
        },
    ),
    Scenario(
        name="an end reported twice is one completion, after another start it is two",
        events="""
            10:00:00      u  s  v  play     0
            10:05:00      u  s  v  ended  300
            10:05:00.500  u  s  v  ended  300
            10:00:00      w  s  v  play     0
            10:05:00      w  s  v  ended  300
            10:05:01      w  s  v  seek   290
            10:05:02      w  s  v  ended  300
            10:05:03      w  s  v  play   290
            10:05:13      w  s  v  ended  300
        """,
        rows={
            ("u", "v"): {"completionCount": 1, "totalWatchTime": 300.0},
            ("w", "v"): {"completionCount": 2, "totalWatchTime": 310.0, "totalBackwardSkips": 0},
        },
    ),
    Scenario(
        name="an end as the first event is a completion without sufficient watch",
        events="""
            10:00:00  u  s  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "completionCount": 1,
                "totalWatchTime": 0.0,
                "completionPercentage": 100.0,
                "uniqueWatchPercentage": 0.0,
                "engagementScore": 0.0,
                "engagementTier": "Minimal",
                "qualityFlags": ["completed_without_sufficient_watch", "very_short_watch"],
                "dataQualityFlag": "completed_without_sufficient_watch",
            }
        },
    ),
    Scenario(
        name="completion needs three quarters of the video",
        events="""
            10:00:00  less    s  v  play   75.001
            10:03:45  less    s  v  ended  300
            10:00:00  enough  s  v  play   75
            10:03:45  enough  s  v  ended  300
        """,
        rows={
            ("less", "v"): {
                "totalWatchTime": 224.999,
                "engagementScore": 60.0,
                "engagementTier": "Medium",
                "isCompletedAtLeastOnce": True,
                "qualityFlags": ["completed_without_sufficient_watch"],
                "dataQualityFlag": "completed_without_sufficient_watch",
            },
            ("enough", "v"): {
                "totalWatchTime": 225.0,
                "engagementScore": 70.0,
                "qualityFlags": [],
            },
        },
    ),
    Scenario(
        name="only a pause that interrupts something is a pause",
        events="""
            10:00:00  u  s  v  play    0
            10:00:30  u  s  v  pause  30
            10:00:40  u  s  v  pause  30
            10:00:00  w  s  v  play     0
            10:05:00  w  s  v  ended  300
            10:05:01  w  s  v  pause  300
            10:00:00  x  s  v  pause   30
            10:00:05  x  s  v  progress 30
            10:00:06  x  s  v  pause   30
        """,
        rows={
            ("u", "v"): {"pauseCount": 1, "avgPausesPerSession": 1.0},
            ("w", "v"): {"pauseCount": 0, "avgPausesPerSession": 0.0},
            ("x", "v"): {"pauseCount": 2, "totalWatchTime": 0.0},
        },
    ),
    # --- sessions ------------------------------------------------------------------------------
    Scenario(
        name="two sessions on one day",
        events="""
            10:00:00  u  s1  v  play     0
            10:01:40  u  s1  v  pause  100
            15:00:00  u  s2  v  play   100
            15:03:20  u  s2  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 300.0,
                "totalUniqueSecondsWatched": 300.0,
                "sessionCount": 2,
                "isReplay": True,
                "avgWatchTimePerSession": 150.0,
                "avgSessionDuration": 150.0,
                "avgPausesPerSession": 0.5,
                "completionCount": 1,
                "totalForwardSkips": 0,
                "watchedIntervals": [(0, 300_000)],
            }
        },
    ),
    Scenario(
        name="several videos in one session",
        durations={"a": 300, "b": 200},
        events="""
            10:00:00  u  s  a  play      0
            10:01:00  u  s  a  pause    60
            10:01:10  u  s  b  play      0
            10:02:50  u  s  b  pause   100
            10:03:00  u  s  a  resume   60
            10:04:00  u  s  a  pause   120
        """,
        rows={
            ("u", "a"): {
                "totalWatchTime": 120.0,
                "sessionCount": 1,
                "avgSessionDuration": 240.0,
                "uniqueWatchPercentage": 40.0,
            },
            ("u", "b"): {
                "totalWatchTime": 100.0,
                "sessionCount": 1,
                "avgSessionDuration": 100.0,
                "uniqueWatchPercentage": 50.0,
            },
        },
        sessions=[ExpectedSession("01-12", "u", "s", False, 6, 240.0, 2)],
    ),
    Scenario(
        name="the same session id of two users is two sessions",
        events="""
            10:00:00  u  s  v  play    0
            10:00:30  w  s  v  pause  30
            10:01:00  u  s  v  pause  60
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 60.0, "sessionCount": 1},
            ("w", "v"): {"totalWatchTime": 0.0, "sessionCount": 1},
        },
    ),
    Scenario(
        name="thirty idle minutes are one session, one millisecond more are two",
        events="""
            10:00:00      u  s  v  play      0
            10:01:00      u  s  v  pause    60
            10:31:00      u  s  v  resume   60
            10:32:00      u  s  v  pause   120
            11:02:00.001  u  s  v  resume  200   # the first event of a visit is no skip
            11:03:00.001  u  s  v  pause   260
        """,
        rows={
            ("u", "v"): {
                "sessionCount": 2,
                "totalWatchTime": 180.0,
                "totalForwardSkips": 0,
                "avgSessionDuration": 990.0,
            }
        },
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 4, 1920.0, 1),
            ExpectedSession("01-12", "u", "s", False, 2, 60.0, 1),
        ],
    ),
    Scenario(
        name="a time difference is rounded down to whole milliseconds",
        events="""
            10:00:00         u  s  v  play      0
            10:01:00         u  s  v  pause    60
            10:31:00.000999  u  s  v  resume   60
            10:32:00.000999  u  s  v  pause   120
        """,
        rows={("u", "v"): {"sessionCount": 1, "totalWatchTime": 120.0, "totalClockTime": 120.0}},
    ),
    Scenario(
        name="a cut voids the pair across it and leaves its start open",
        events="""
            10:00:00  u  s  v  play    0
            10:40:00  u  s  v  pause  20
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 0.0,
                "sessionCount": 2,
                "pauseCount": 1,
                "estimatedTailSeconds": 300.0,
                "openEndedCount": 1,
                "qualityFlags": ["very_short_watch", "open_ended"],
            }
        },
    ),
    Scenario(
        name="watched time is not idle",
        durations={"v": 3600},
        events="""
            10:00:00  u  s  v  play     0
            10:45:00  u  s  v  pause  900       # 45 minutes less 15 watched: 30 idle
            10:00:00  w  s  v  play     0
            10:45:00  w  s  v  pause  899.999
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 900.0, "totalClockTime": 2700.0, "sessionCount": 1},
            ("w", "v"): {"totalWatchTime": 0.0, "sessionCount": 2, "openEndedCount": 1},
        },
    ),
    Scenario(
        name="of several events at one instant the largest credit counts against idling",
        durations={"a": 3600, "b": 3600},
        events="""
            10:00:00  u  s  a  play      0
            10:00:00  u  s  b  play      0
            10:45:00  u  s  a  pause   100
            10:45:00  u  s  b  pause  1200
        """,
        rows={
            ("u", "a"): {"totalWatchTime": 100.0, "sessionCount": 1},
            ("u", "b"): {"totalWatchTime": 1200.0, "sessionCount": 1},
        },
        sessions=[ExpectedSession("01-12", "u", "s", False, 4, 2700.0, 2)],
    ),
    Scenario(
        name="another video keeps a session alive",
        durations={"a": 300, "b": 300},
        events="""
            10:00:00  u  s  a  play      0
            10:01:00  u  s  a  pause    60
            10:20:00  u  s  b  play      0
            10:21:00  u  s  b  pause    60
            10:45:00  u  s  a  resume   60
            10:46:00  u  s  a  pause   120
        """,
        rows={
            ("u", "a"): {"sessionCount": 1, "totalWatchTime": 120.0, "avgSessionDuration": 2760.0},
            ("u", "b"): {"sessionCount": 1, "totalWatchTime": 60.0},
        },
    ),
    Scenario(
        name="the session timeout is a setting, also for tails",
        parameters={"session_timeout_ms": 60_000},
        events="""
            10:00:00  u  s  v  play     0
            10:00:30  u  s  v  pause   30
            10:01:30  u  s  v  resume  30
            10:01:40  u  s  v  pause   40
            10:02:41  u  s  v  resume  40
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 40.0, "sessionCount": 2, "estimatedTailSeconds": 60.0}
        },
    ),
    Scenario(
        name="a heartbeat after a cut shows that the player is still playing",
        durations={"v": 10_800},
        events="""
            10:00:00  u  s  v  play       0
            10:01:00  u  s  v  progress  60
            11:30:00  u  s  v  progress  70
            11:31:00  u  s  v  progress 130
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 120.0,
                "heartbeatSeconds": 120.0,
                "sessionCount": 2,
                "totalForwardSkips": 0,
                "openEndedCount": 0,
            }
        },
    ),
    Scenario(
        name="two devices at once are two sessions, the union counts once",
        events="""
            10:00:00  u  phone  v  play     0
            10:00:00  u  tv     v  play   100
            10:03:20  u  phone  v  pause  200
            10:03:20  u  tv     v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 400.0,
                "totalUniqueSecondsWatched": 300.0,
                "rewatchedSeconds": 100.0,
                "sessionCount": 2,
                "avgWatchTimePerSession": 200.0,
                "completionCount": 1,
                "engagementScore": 93.33,
                "watchedIntervals": [(0, 300_000)],
                "qualityFlags": [],
            }
        },
    ),
    # --- days ----------------------------------------------------------------------------------
    Scenario(
        name="a session over midnight: every fact on the day that settles it",
        durations={"v": 3600},
        events="""
            01-12 23:50:00  u  s  v  play       0
            01-13 00:10:00  u  s  v  pause   1200
            01-13 00:15:00  u  s  v  resume  1100
            01-13 00:20:00  u  s  v  pause   1400
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 1500.0,
                "totalUniqueSecondsWatched": 1400.0,
                "sessionCount": 1,
                "avgSessionDuration": 1800.0,
                "totalBackwardSkips": 1,
                "pauseCount": 2,
                "openEndedCount": 0,
            }
        },
        days={
            ("u", "v", "01-12"): {
                "totalWatchTime": 0.0,
                "sessionCount": 1,
                "avgWatchTimePerSession": 0.0,
                "avgSessionDuration": 0.0,
                "maxPositionReached": 0.0,
                "pauseCount": 0,
                "openEndedCount": 0,
                "dataQualityFlag": "very_short_watch",
            },
            ("u", "v", "01-13"): {
                "totalWatchTime": 1500.0,
                "totalSessionDuration": 1800.0,
                "sessionCount": 0,
                "avgWatchTimePerSession": None,
                "avgSessionDuration": None,
                "avgPausesPerSession": None,
                "totalBackwardSkips": 1,
                "pauseCount": 2,
                "maxPositionReached": 1400.0,
            },
        },
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 1, 0.0, 1),
            ExpectedSession("01-13", "u", "s", True, 3, 1800.0, 1),
        ],
    ),
    Scenario(
        name="skips and ends compare with the evening before",
        events="""
            01-12 23:50:00  u  s  v  play      0
            01-12 23:51:00  u  s  v  pause    60
            01-13 00:01:00  u  s  v  resume  200
            01-13 00:02:00  u  s  v  pause   260
            01-12 23:50:00  w  s  v  play      0
            01-12 23:55:00  w  s  v  ended   300
            01-13 00:01:00  w  s  v  ended   300
            01-13 00:01:10  w  s  v  play      0
            01-13 00:02:10  w  s  v  pause    60
        """,
        rows={
            ("u", "v"): {"totalForwardSkips": 1, "sessionCount": 1, "totalWatchTime": 120.0},
            ("w", "v"): {"completionCount": 1, "totalBackwardSkips": 0, "totalWatchTime": 360.0},
        },
        days={
            ("u", "v", "01-12"): {"totalForwardSkips": 0, "totalWatchTime": 60.0},
            ("u", "v", "01-13"): {"totalForwardSkips": 1, "totalWatchTime": 60.0},
            ("w", "v", "01-12"): {"completionCount": 1, "totalSessionDuration": 300.0},
            ("w", "v", "01-13"): {"completionCount": 0, "totalSessionDuration": 430.0},
        },
    ),
    Scenario(
        name="the same part watched on two days is united in the lifetime only",
        events="""
            01-12 10:00:00  u  s1  v  play     0
            01-12 10:02:00  u  s1  v  pause  120
            01-14 10:00:00  u  s2  v  play    60
            01-14 10:04:00  u  s2  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 360.0,
                "totalUniqueSecondsWatched": 300.0,
                "rewatchedSeconds": 60.0,
                "sessionCount": 2,
                "isReplay": True,
                "completionCount": 1,
                "engagementScore": 92.0,
            }
        },
        days={
            ("u", "v", "01-12"): {
                "totalUniqueSecondsWatched": 120.0,
                "engagementScore": 32.0,
                "isReplay": False,
            },
            ("u", "v", "01-14"): {
                "totalUniqueSecondsWatched": 240.0,
                "completionCount": 1,
                "engagementScore": 74.0,
                "engagementTier": "Medium",
            },
        },
    ),
    Scenario(
        name="a film over midnight: the evening cannot know that it goes on",
        durations={"v": 10_800},
        events="""
            01-12 23:00:00  u  s  v  play       0
            01-13 02:00:00  u  s  v  ended  10800
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10_800.0,
                "sessionCount": 1,
                "completionCount": 1,
                "estimatedTailSeconds": 1800.0,
                "qualityFlags": ["open_ended"],
            }
        },
        days={
            ("u", "v", "01-12"): {"estimatedTailSeconds": 1800.0, "sessionCount": 1},
            ("u", "v", "01-13"): {"totalWatchTime": 10_800.0, "sessionCount": 0},
        },
    ),
    Scenario(
        name="a day knows the day before and nothing earlier",
        events="""
            01-11 12:00:00  near  s  v  play       0
            01-12 10:00:00  near  s  v  progress 100
            01-12 10:00:10  near  s  v  progress 110
            01-10 12:00:00  far   s  v  play       0
            01-12 10:00:00  far   s  v  progress 100
            01-12 10:00:10  far   s  v  progress 110
        """,
        rows={
            ("near", "v"): {
                "totalWatchTime": 10.0,
                "sessionCount": 2,
                "estimatedTailSeconds": 300.0,
            },
            ("far", "v"): {"totalWatchTime": 0.0, "sessionCount": 2, "estimatedTailSeconds": 300.0},
        },
    ),
    Scenario(
        name="days are days of the configured zone",
        timezone="America/New_York",
        events="""
            01-12 20:00:00  u  s  v  play    0   # 01:00 on 01-13 in UTC
            01-12 20:01:00  u  s  v  pause  60
            01-13 00:00:00  u  t  v  play    0
            01-13 00:01:00  u  t  v  pause  60
        """,
        rows={("u", "v"): {"totalWatchTime": 120.0, "sessionCount": 2}},
        days={
            ("u", "v", "01-12"): {"totalWatchTime": 60.0},
            ("u", "v", "01-13"): {"totalWatchTime": 60.0},
        },
    ),
    Scenario(
        name="the clock change in spring takes no watch time and gives none",
        timezone="Europe/Berlin",
        events="""
            03-30 01:55:00  u  s  v  play     0
            03-30 03:00:00  u  s  v  ended  300   # five minutes later
        """,
        rows={("u", "v"): {"totalWatchTime": 300.0, "totalClockTime": 300.0, "completionCount": 1}},
        days={("u", "v", "03-30"): {"totalWatchTime": 300.0}},
    ),
    Scenario(
        name="the day of the clock change in autumn has 25 hours",
        timezone="Europe/Berlin",
        events="""
            10-26 00:15:00  u  s  v  play     0   # 22:15 on 10-25 in UTC
            10-26 00:16:00  u  s  v  pause   60
            10-26 23:45:00  u  t  v  play    60   # 22:45 on 10-26 in UTC
            10-26 23:46:00  u  t  v  pause  120
        """,
        rows={("u", "v"): {"totalWatchTime": 120.0}},
        days={("u", "v", "10-26"): {"totalWatchTime": 120.0, "sessionCount": 2}},
    ),
    # --- one timestamp -------------------------------------------------------------------------
    Scenario(
        name="at one instant while playing the stop comes first",
        events="""
            10:00:00  u  s  v  play     0
            10:00:30  u  s  v  resume  30
            10:00:30  u  s  v  pause   30
            10:01:00  u  s  v  pause   60
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 60.0,
                "observedSeconds": 60.0,
                "bridgedSeconds": 0.0,
                "pauseCount": 2,
                "openEndedCount": 0,
            }
        },
    ),
    Scenario(
        name="at one instant while stopped the start comes first",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  pause    30
            10:00:40  u  s  v  pause    30
            10:00:40  u  s  v  resume   30
            10:01:00  u  s  v  progress 50
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 30.0,
                "pauseCount": 2,
                "openEndedCount": 0,
                "heartbeatSeconds": 0.0,
            }
        },
    ),
    Scenario(
        name="an instant with start and stop leaves the state as it found it",
        events="""
            10:00:00  u  s  v  play     0
            10:00:30  u  s  v  resume  30
            10:00:30  u  s  v  pause   30
            10:01:00  u  s  v  pause   60
            10:01:00  u  s  v  resume  60
            10:01:30  u  s  v  ended   90
        """,
        rows={("u", "v"): {"totalWatchTime": 90.0, "observedSeconds": 90.0, "pauseCount": 2}},
    ),
    Scenario(
        name="at one instant the neutral events lie between, ordered by name and position",
        events="""
            10:00:00  u  s  v  play       0
            10:00:10  u  s  v  progress  14
            10:00:10  u  s  v  progress  10
            10:00:20  u  s  v  pause     24
            10:00:00  w  s  v  play       0
            10:00:10  w  s  v  resume    10
            10:00:10  w  s  v  progress  10
            10:00:10  w  s  v  pause     10
            10:00:20  w  s  v  pause     20
            10:00:00  x  s  v  play       0
            10:00:10  x  s  v  resume   200
            10:00:10  x  s  v  seek      10
            10:00:10  x  s  v  pause     10
            10:00:20  x  s  v  pause    210
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 20.0,
                "heartbeatSeconds": 10.0,
                "totalForwardSkips": 0,
                "watchedIntervals": [(0, 10_000), (14_000, 24_000)],
            },
            ("w", "v"): {"totalWatchTime": 20.0, "observedSeconds": 20.0, "pauseCount": 2},
            ("x", "v"): {
                "totalWatchTime": 20.0,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
                "watchedIntervals": [(0, 10_000), (200_000, 210_000)],
            },
        },
    ),
    # --- duplicates ----------------------------------------------------------------------------
    Scenario(
        name="the same event sent twice counts once",
        duplicates=3,
        events="""
            10:00:00  u  s  v  play     0
            10:00:00  u  s  v  play     0
            10:05:00  u  s  v  ended  300  id=2
            10:05:00  u  s  v  ended  300  id=1
            10:05:00  u  s  v  ended  300
        """,
        rows={("u", "v"): {"totalWatchTime": 300.0, "completionCount": 1, "openEndedCount": 0}},
    ),
    Scenario(
        name="an event id counts once a day, whatever its row says",
        duplicates=1,
        events="""
            01-12 10:00:00  u  s  v  play     0  id=1
            01-12 10:05:00  u  s  v  ended  300  id=2
            01-12 10:06:00  u  s  v  play     0  id=1   # sent again, stamped again
            01-13 10:00:00  u  t  v  play     0  id=1   # another day, another event
            01-13 10:01:00  u  t  v  pause   60  id=2
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 360.0,
                "openEndedCount": 0,
                "sessionCount": 2,
                "completionCount": 1,
            }
        },
    ),
    # --- positions beyond the video, unknown duration ------------------------------------------
    Scenario(
        name="a position beyond 1.1 x the duration takes no part",
        events="""
            10:00:00  u  s  v  play        0
            10:00:10  u  s  v  progress  330.001
            10:00:30  u  s  v  pause      30
            10:00:40  u  s  v  play      999
            10:01:00  u  s  v  progress   60
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 30.0,
                "observedSeconds": 30.0,
                "heartbeatSeconds": 0.0,
                "maxPositionReached": 60.0,
                "exceedingPositionCount": 2,
                "openEndedCount": 0,
                "qualityFlags": ["position_exceeds_duration"],
                "dataQualityFlag": "position_exceeds_duration",
            }
        },
        sessions=[ExpectedSession("01-12", "u", "s", False, 5, 60.0, 1)],
    ),
    Scenario(
        name="a position between the duration and 1.1 x is the end of the video",
        events="""
            10:00:00  u  s  v  play   280
            10:00:30  u  s  v  ended  330
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 20.0,
                "maxPositionReached": 300.0,
                "completionPercentage": 100.0,
                "exceedingPositionCount": 0,
                "qualityFlags": ["completed_without_sufficient_watch"],
            }
        },
    ),
    Scenario(
        name="only unbelievable positions: no row, but a session",
        durations={"v": 300, "b": 300},
        events="""
            10:00:00  u  s  v  play   400
            10:00:30  u  s  v  pause  430
            10:01:00  w  s  b  play     0
            10:01:30  w  s  b  pause   30
        """,
        rows={("w", "b"): {"totalWatchTime": 30.0, "qualityFlags": []}},
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 2, 30.0, 0),
            ExpectedSession("01-12", "w", "s", False, 2, 30.0, 1),
        ],
    ),
    Scenario(
        name="an unbelievable position still keeps its session alive",
        events="""
            10:00:00  u  s  v  play        0
            10:01:00  u  s  v  pause      60
            10:25:00  u  s  v  progress  900
            10:50:00  u  s  v  resume     60
            10:51:00  u  s  v  pause     120
        """,
        rows={
            ("u", "v"): {
                "sessionCount": 1,
                "totalWatchTime": 120.0,
                "avgSessionDuration": 3060.0,
                "exceedingPositionCount": 1,
            }
        },
    ),
    Scenario(
        name="without a duration there are seconds but no shares",
        durations={"zero": 0},
        events="""
            10:00:00  u  s  v     play      0
            10:01:00  u  s  v     pause    60
            10:01:10  u  s  v     resume   60
            10:00:00  w  s  zero  play      0
            10:01:00  w  s  zero  ended    60
        """,
        rows={
            ("u", "v"): {
                "videoDuration": None,
                "totalWatchTime": 60.0,
                "totalUniqueSecondsWatched": 60.0,
                "maxPositionReached": 60.0,
                "watchPercentage": None,
                "uniqueWatchPercentage": None,
                "completionPercentage": None,
                "engagementScore": None,
                "engagementTier": None,
                "estimatedTailSeconds": 1800.0,
                "qualityFlags": ["open_ended", "unknown_duration"],
                "dataQualityFlag": "ok",
            },
            ("w", "zero"): {
                "videoDuration": None,
                "totalWatchTime": 60.0,
                "completionCount": 1,
                "engagementScore": None,
                "qualityFlags": ["unknown_duration"],
            },
        },
    ),
    # --- flags, score, tier --------------------------------------------------------------------
    Scenario(
        name="excessive is more than 1.2 x the duration per session",
        events="""
            10:00:00  u  s  v  play     0
            10:05:00  u  s  v  ended  300
            10:05:10  u  s  v  play     0
            10:06:10  u  s  v  pause   60
            10:00:00  w  s  v  play     0
            10:05:00  w  s  v  ended  300
            10:05:10  w  s  v  play     0
            10:06:11  w  s  v  pause   61
            10:00:00  x  s  v  play     0
            10:05:00  x  s  v  ended  300
            10:05:10  x  s  v  play     0
            10:06:11  x  s  v  pause   61
            15:00:00  x  t  v  play     0
            15:00:10  x  t  v  pause   10
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 360.0, "qualityFlags": [], "engagementScore": 92.0},
            ("w", "v"): {
                "totalWatchTime": 361.0,
                "qualityFlags": ["excessive_watch_time"],
                "dataQualityFlag": "excessive_watch_time",
                "engagementScore": 92.03,
            },
            ("x", "v"): {"totalWatchTime": 371.0, "sessionCount": 2, "qualityFlags": []},
        },
    ),
    Scenario(
        name="less than five seconds is a very short watch",
        events="""
            10:00:00      u  s  v  play   0
            10:00:04.999  u  s  v  pause  4.999
            10:00:00      w  s  v  play   0
            10:00:05      w  s  v  pause  5
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 4.999,
                "qualityFlags": ["very_short_watch"],
                "dataQualityFlag": "very_short_watch",
                "watchPercentage": 1.67,
            },
            ("w", "v"): {"totalWatchTime": 5.0, "qualityFlags": [], "dataQualityFlag": "ok"},
        },
    ),
    Scenario(
        name="tiers begin at 75, 50 and 25 points of the rounded score",
        events="""
            10:00:00  high     s  v  play    0
            10:05:00  high     s  v  pause  281.25
            10:00:00  medium   s  v  play    0
            10:05:00  medium   s  v  pause  187.5
            10:00:00  low      s  v  play    0
            10:05:00  low      s  v  pause   93.75
            10:00:00  rounded  s  v  play    0
            10:05:00  rounded  s  v  pause   93.732   # 24.9952 points
            10:00:00  minimal  s  v  play    0
            10:05:00  minimal  s  v  pause   93.731   # 24.9949 points
        """,
        rows={
            ("high", "v"): {"engagementScore": 75.0, "engagementTier": "High"},
            ("medium", "v"): {"engagementScore": 50.0, "engagementTier": "Medium"},
            ("low", "v"): {"engagementScore": 25.0, "engagementTier": "Low"},
            ("rounded", "v"): {"engagementScore": 25.0, "engagementTier": "Low"},
            ("minimal", "v"): {"engagementScore": 24.99, "engagementTier": "Minimal"},
        },
    ),
    Scenario(
        name="percentages are rounded half up",
        durations={"v": 16},
        events="""
            10:00:00  u  s  v  play   0
            10:00:05  u  s  v  pause  5.0008   # 5001 ms: 31.25625 %
            10:00:00  w  s  v  play   0
            10:00:05  w  s  v  pause  5.0004   # 5000 ms: 31.25 %
            10:00:00  x  s  v  play   0
            10:00:05  x  s  v  pause  5.002    # 31.2625 %
        """,
        rows={
            ("u", "v"): {"watchPercentage": 31.26, "totalWatchTime": 5.001},
            ("w", "v"): {"watchPercentage": 31.25, "totalWatchTime": 5.0},
            ("x", "v"): {"watchPercentage": 31.26, "totalWatchTime": 5.002},
        },
    ),
    Scenario(
        name="weights and thresholds of the score are settings",
        parameters={
            "coverage_weight": "50",
            "completion_weight": "20.5",
            "rewatch_weight": "0",
            "skip_penalty_limit": 0,
            "completion_coverage_percent": 50,
            "high_tier_score": "45",
            "medium_tier_score": "40",
            "very_short_watch_ms": 200_000,
            "forward_skip_ms": 60_000,
        },
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  pause   60
            10:01:10  u  s  v  resume 110   # less than a minute ahead
            10:01:50  u  s  v  pause  150
            10:02:00  u  s  v  resume 145   # a backward skip
            10:02:50  u  s  v  pause  195   # 60 + 85 of 300 are watched
            10:02:55  u  s  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalForwardSkips": 0,
                "totalBackwardSkips": 1,
                "totalUniqueSecondsWatched": 145.0,
                "totalWatchTime": 150.0,
                "completionCount": 1,
                "engagementScore": 24.17,
                "engagementTier": "Minimal",
                "qualityFlags": ["completed_without_sufficient_watch", "very_short_watch"],
            }
        },
    ),
)
