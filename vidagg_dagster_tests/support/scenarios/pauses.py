"""Pauses and completions."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
)
