"""The order of events at one timestamp, and duplicates."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    # --- one timestamp ---------------------------------------------------------------------------
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
    # --- duplicates ------------------------------------------------------------------------------
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
    Scenario(
        name="of the same event sent twice the one that says most stays",
        duplicates=3,
        events="""
            10:00:00  u  s  v  play     0
            10:00:20  u  s  v  seek   100
            10:00:20  u  s  v  seek   100  from=12
            10:00:30  u  s  v  pause  110
            10:00:00  w  s  v  play     0  x4
            10:00:00  w  s  v  play     0  x1
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  pause  120
        """,
        rows={
            ("u", "v"): {"observedSeconds": 22.0, "clippedSeconds": 0.0},
            ("w", "v"): {"observedSeconds": 0.0, "clippedSeconds": 60.0},
        },
    ),
    Scenario(
        name="an event id counts within its user, session, video and name",
        durations={"v": 300, "x": 300},
        duplicates=1,
        events="""
            10:00:00  u  s  v  play    0  id=1
            10:00:30  u  s  v  pause  30  id=1
            10:00:40  u  s  v  play   30  id=2
            10:01:20  u  s  v  pause  70  id=1   # the pause sent again
            10:00:00  u  s  x  play    0  id=1
            10:00:30  u  t  x  play    0  id=1
            10:00:00  w  s  v  play    0  id=1
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 30.0, "openEndedCount": 1},
            ("u", "x"): {"openEndedCount": 2, "sessionCount": 2},
            ("w", "v"): {"openEndedCount": 1},
        },
    ),
)
