"""Positions beyond the video, and videos of unknown duration."""

from vidagg_dagster_tests.support.scenarios.scenario import ExpectedSession, Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
)
