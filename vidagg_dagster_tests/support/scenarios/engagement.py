"""Flags, score and tier."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
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
