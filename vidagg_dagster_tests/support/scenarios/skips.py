"""Skips ahead and back, and steps that are none."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
)
