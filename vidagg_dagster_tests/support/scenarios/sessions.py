"""Sessions of a viewer: where they begin, end and are cut."""

from vidagg_dagster_tests.support.scenarios.scenario import ExpectedSession, Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
            10:00:00  w  s  a  play      0
            10:00:00  w  s  b  play      0
            10:45:00  w  s  a  pause  1200
            10:45:00  w  s  b  pause   100
        """,
        rows={
            ("u", "a"): {"totalWatchTime": 100.0, "sessionCount": 1},
            ("u", "b"): {"totalWatchTime": 1200.0, "sessionCount": 1},
            ("w", "a"): {"totalWatchTime": 1200.0, "sessionCount": 1},
            ("w", "b"): {"totalWatchTime": 100.0, "sessionCount": 1},
        },
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 4, 2700.0, 2),
            ExpectedSession("01-12", "w", "s", False, 4, 2700.0, 2),
        ],
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
                # The last heartbeats of both sessions were left open.
                "openEndedCount": 2,
                "estimatedTailSeconds": 3600.0,
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
)
