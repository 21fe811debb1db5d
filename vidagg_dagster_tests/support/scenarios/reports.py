"""Stretches that somebody reports as watched: no events of a player, and no clock to check."""

from vidagg_dagster_tests.support.scenarios.scenario import ExpectedSession, Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="reported stretches are united and added up, whenever they arrive",
        durations={"v": 300},
        events="""
            10:00:00.000  u  s  v  reported   60  from=0
            10:00:00.005  u  s  v  reported   90  from=30  x2
            10:00:00.010  u  s  v  reported  310  from=200
            10:05:00      w  s  v  reported   20  from=20
            10:05:00      x  s  v  reported  331  from=300
            10:05:01      x  s  v  reported   10  from=0
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 220.0,
                "totalUniqueSecondsWatched": 190.0,
                "totalClockTime": 190.0,
                "reportedSeconds": 220.0,
                "observedSeconds": 0.0,
                "rewatchedSeconds": 30.0,
                "maxPositionReached": 300.0,
                "watchedIntervals": [(0, 90_000), (200_000, 300_000)],
                "sessionCount": 1,
                "pauseCount": 0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 0,
                "completionCount": 0,
                "estimatedTailSeconds": 0.0,
                "openEndedCount": 0,
                "qualityFlags": [],
            },
            ("w", "v"): {"totalWatchTime": 0.0, "maxPositionReached": 20.0, "noStartCount": 0},
            ("x", "v"): {
                "totalWatchTime": 10.0,
                "maxPositionReached": 10.0,
                "exceedingPositionCount": 1,
            },
        },
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 3, 0.010, 1),
            ExpectedSession("01-12", "w", "s", False, 1, 0.0, 1),
            ExpectedSession("01-12", "x", "s", False, 2, 1.0, 1),
        ],
    ),
    Scenario(
        name="a report takes no part in what the player does",
        durations={"v": 300},
        events="""
            10:00:00  u  s  v  play       0
            10:00:10  u  s  v  reported  200  from=100
            10:00:20  u  s  v  seek      250  from=20
            10:00:30  u  s  v  pause     260
            10:00:40  u  s  v  reported  260  from=250
            10:00:50  u  s  v  ended     300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 140.0,
                "totalUniqueSecondsWatched": 130.0,
                "observedSeconds": 30.0,
                "reportedSeconds": 110.0,
                "totalForwardSkips": 1,
                "pauseCount": 1,
                "completionCount": 1,
                "noStartCount": 0,
                "watchedIntervals": [(0, 20_000), (100_000, 200_000), (250_000, 260_000)],
            }
        },
        sessions=[ExpectedSession("01-12", "u", "s", False, 6, 50.0, 1)],
    ),
    Scenario(
        name="of two reports that end at one place at one time the longer one counts",
        duplicates=1,
        events="""
            10:00:00  u  s  v  reported  60  from=30
            10:00:00  u  s  v  reported  60  from=10
        """,
        rows={("u", "v"): {"totalWatchTime": 50.0, "reportedSeconds": 50.0}},
    ),
    Scenario(
        name="a report belongs to its own day, and reports far apart are two sessions",
        events="""
            01-12  23:50:00  u  s  v  reported  60  from=0
            01-13  00:10:00  u  s  v  reported  90  from=60
            01-13  00:40:01  u  s  v  reported  95  from=90
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 95.0, "sessionCount": 2, "reportedSeconds": 95.0},
        },
        days={
            ("u", "v", "01-12"): {"totalWatchTime": 60.0, "sessionCount": 1},
            ("u", "v", "01-13"): {"totalWatchTime": 35.0, "sessionCount": 1},
        },
        sessions=[
            ExpectedSession("01-12", "u", "s", False, 1, 0.0, 1),
            ExpectedSession("01-13", "u", "s", True, 1, 1200.0, 1),
            ExpectedSession("01-13", "u", "s", False, 1, 0.0, 1),
        ],
    ),
)
