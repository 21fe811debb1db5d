"""The tab is closed: what was open then, and the estimate of its tail."""

from vidagg_dagster_tests.support.scenarios.scenario import ExpectedSession, Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
                # Its last heartbeat was left open, the start before it was not.
                "estimatedTailSeconds": 240.0,
                "openEndedCount": 1,
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
)
