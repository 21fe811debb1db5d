"""Edges of rules that no other scenario touches: one step further, and the numbers are others."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="how far a video can have played is rounded down",
        # 10 001 ms at 1.5x are 15 001.5 ms, and 1 s of tolerance.
        events="""
            10:00:00      at    s  v  play    0      x1.5
            10:00:10.001  at    s  v  pause  16.001  x1.5
            10:00:00      over  s  v  play    0      x1.5
            10:00:10.001  over  s  v  pause  16.002  x1.5
        """,
        rows={
            ("at", "v"): {"observedSeconds": 16.001, "clippedSeconds": 0.0},
            ("over", "v"): {"observedSeconds": 0.0, "clippedSeconds": 15.001},
        },
    ),
    Scenario(
        name="a start as far as a slow video can have played is neither bridged nor a seek",
        # In 10 s at 0.25x it plays 2.5 s, and 1 s of tolerance; in step would be 4 s and more.
        events="""
            10:00:00  at    s  v  play    0      x0.25
            10:00:10  at    s  v  resume  3.5    x0.25
            10:00:20  at    s  v  pause   6      x0.25
            10:00:00  over  s  v  play    0      x0.25
            10:00:10  over  s  v  resume  3.501  x0.25
            10:00:20  over  s  v  pause   6      x0.25
        """,
        rows={
            ("at", "v"): {"totalWatchTime": 2.5, "clippedSeconds": 0.0, "bridgedSeconds": 0.0},
            ("over", "v"): {"totalWatchTime": 4.999, "clippedSeconds": 2.5, "bridgedSeconds": 0.0},
        },
    ),
    Scenario(
        name="a seek of the next day does not land at a stop of the day before",
        events="""
            01-12 23:59:50    night  s  v  play     0
            01-12 23:59:59.9  night  s  v  pause   10.5
            01-13 00:00:00.1  night  s  v  seek    10.5
            01-13 00:00:05    night  s  v  resume  15.45
            01-13 00:00:15    night  s  v  pause   25.45
            01-12 10:00:00    day    s  v  play     0
            01-12 10:00:09.9  day    s  v  pause   10.5
            01-12 10:00:10.1  day    s  v  seek    10.5
            01-12 10:00:15    day    s  v  resume  15.45
            01-12 10:00:25    day    s  v  pause   25.45
        """,
        rows={
            ("night", "v"): {
                "observedSeconds": 20.5,
                "clippedSeconds": 0.0,
                "totalForwardSkips": 0,
            },
            ("day", "v"): {
                "observedSeconds": 10.0,
                "clippedSeconds": 9.9,
                "totalForwardSkips": 1,
            },
        },
    ),
    Scenario(
        name="two videos at once excuse no more idle time than the one that was watched longer",
        # 50 min on the clock less 1000 s are more than half an hour; less 2000 s they are not.
        durations={"v": 3600, "w": 3600},
        events="""
            10:00:00  u  s  v  play      0
            10:00:00  u  s  w  play      0
            10:50:00  u  s  v  pause  1000
            10:50:00  u  s  w  pause  1000
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 0.0, "sessionCount": 2},
            ("u", "w"): {"totalWatchTime": 0.0, "sessionCount": 2},
        },
    ),
)
