"""Days: midnight, time zones, and sessions that go on."""

from vidagg_dagster_tests.support.scenarios.scenario import ExpectedSession, Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
            01-12 10:00:10  near  s  v  pause    110
            01-10 12:00:00  far   s  v  play       0
            01-12 10:00:00  far   s  v  progress 100
            01-12 10:00:10  far   s  v  pause    110   # else a sender of positions only
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
)
