"""Kinds of players: replays, loops, senders of positions only, told rates."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="playing starts a stopped player and is a heartbeat while it plays",
        events="""
            10:00:00    u  s  v  playing   0
            10:00:30    u  s  v  pause    30
            10:00:40    u  s  v  play     30
            10:00:40.5  u  s  v  playing  30
            10:01:10.5  u  s  v  pause    60
            10:01:10.5  w  s  v  playing   0
            10:01:10.5  w  s  v  pause     0
            10:02:00    w  s  v  progress 10
            10:00:00    x  s  v  play      0
            10:05:00    x  s  v  ended   300
            10:05:10    x  s  v  playing 300   # a replay
            10:05:20    x  s  v  progress 10
            10:05:30    x  s  v  pause    20
            10:05:40    x  s  v  playing 280   # a skip
            10:06:00    x  s  v  ended   300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 60.0,
                "observedSeconds": 60.0,
                "heartbeatSeconds": 0.0,
                "bridgedSeconds": 0.0,
                "totalClockTime": 60.0,
                "pauseCount": 2,
                "openEndedCount": 0,
            },
            # At one instant it is a start: while stopped it comes before the stop.
            ("w", "v"): {"totalWatchTime": 0.0, "openEndedCount": 0},
            ("x", "v"): {
                "totalWatchTime": 340.0,
                "clippedSeconds": 0.0,
                "completionCount": 2,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
            },
        },
    ),
    Scenario(
        name="a sender of positions only is taken to play throughout",
        events="""
            10:00:00  u  s  v  progress   0
            10:00:10  u  s  v  progress  10
            10:00:20  u  s  v  seek     100
            10:00:30  u  s  v  progress 110
            10:00:00  w  s  v  progress   0
            10:00:10  w  s  v  progress  10
            10:00:00  w  t  v  play       0   # another session of the row says more
            10:00:10  w  t  v  pause     10
        """,
        rows={
            ("u", "v"): {
                "heartbeatSeconds": 20.0,
                "clippedSeconds": 10.0,
                "totalForwardSkips": 1,
                "estimatedTailSeconds": 190.0,
                "qualityFlags": ["seek_repaired", "open_ended", "no_start"],
                "dataQualityFlag": "ok",
            },
            ("w", "v"): {
                "totalWatchTime": 20.0,
                "sessionCount": 2,
                "qualityFlags": ["open_ended", "no_start"],
            },
        },
    ),
    Scenario(
        name="whether a sender tells positions only is judged by a day and the day before",
        events="""
            01-12 10:00:00  u  s  v  play      0
            01-12 10:00:10  u  s  v  pause    10
            01-13 10:00:00  u  s  v  progress 10
            01-13 10:00:10  u  s  v  progress 20
            01-14 10:00:00  u  s  v  progress 20
            01-14 10:00:10  u  s  v  progress 30
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 20.0,
                "sessionCount": 3,
                "qualityFlags": ["open_ended", "no_start"],
            }
        },
        days={
            ("u", "v", "01-12"): {"totalWatchTime": 10.0, "qualityFlags": []},
            ("u", "v", "01-13"): {"totalWatchTime": 0.0, "qualityFlags": ["very_short_watch"]},
            ("u", "v", "01-14"): {
                "totalWatchTime": 10.0,
                "estimatedTailSeconds": 270.0,
                "qualityFlags": ["open_ended", "no_start"],
            },
        },
    ),
    Scenario(
        name="a start at the end right after the end begins the video anew",
        events="""
            10:00:00  u      s  v  play      0
            10:05:00  u      s  v  ended   300
            10:05:10  u      s  v  play    299
            10:05:20  u      s  v  pause    10
            10:00:00  more   s  v  play      0
            10:05:00  more   s  v  ended   300
            10:05:10  more   s  v  play    298.999
            10:05:20  more   s  v  pause    10
            10:00:00  to     s  v  play      0
            10:05:00  to     s  v  ended   300
            10:05:10  to     s  v  play    300
            10:05:12  to     s  v  seek    100
            10:06:12  to     s  v  pause   160
            10:00:00  aside  s  v  play      0
            10:05:00  aside  s  v  ended   300
            10:05:05  aside  s  v  seek    300
            10:05:10  aside  s  v  play    300
            10:05:20  aside  s  v  pause    10
            10:00:00  stop   s  v  play      0
            10:05:00  stop   s  v  ended   300
            10:05:01  stop   s  v  pause   300
            10:05:10  stop   s  v  play    300
            10:05:20  stop   s  v  pause    10
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 310.0,
                "totalUniqueSecondsWatched": 300.0,
                "observedSeconds": 310.0,
                "totalBackwardSkips": 0,
            },
            ("more", "v"): {"totalWatchTime": 301.001, "clippedSeconds": 1.001},
            ("to", "v"): {
                "totalWatchTime": 360.0,
                "clippedSeconds": 0.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 0,
            },
            ("aside", "v"): {"totalWatchTime": 310.0, "totalBackwardSkips": 0},
            ("stop", "v"): {"totalWatchTime": 300.0, "clippedSeconds": 0.0},
        },
    ),
    Scenario(
        name="a page that is loaded again was left open",
        events="""
            10:00:00  u  s  v  play    0
            10:02:00  u  s  v  play    0
            10:03:00  u  s  v  pause  60
            10:00:00  w  s  v  play    0
            10:01:00  w  s  v  seek  200
            10:02:00  w  s  v  play    0   # credited by the clock, so not left open
            10:03:00  w  s  v  pause  60
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 60.0,
                "openEndedCount": 1,
                "estimatedTailSeconds": 120.0,
                "qualityFlags": ["open_ended"],
            },
            ("w", "v"): {"clippedSeconds": 120.0, "openEndedCount": 0, "totalBackwardSkips": 1},
        },
    ),
    Scenario(
        name="a player that takes up an earlier place within a second skips nothing",
        events="""
            10:00:00      u  s  v  play     0
            10:00:01      u  s  v  seek   200
            10:00:31      u  s  v  pause  230
            10:00:00      w  s  v  play     0
            10:00:01.001  w  s  v  seek   200
            10:00:31.001  w  s  v  pause  230
        """,
        rows={
            ("u", "v"): {"totalForwardSkips": 0, "totalWatchTime": 31.0},
            ("w", "v"): {"totalForwardSkips": 1, "totalWatchTime": 31.001},
        },
    ),
    Scenario(
        name="a stop while stopped moves nothing",
        events="""
            10:00:00  u  s  v  play     0
            10:00:30  u  s  v  pause   30
            10:00:40  u  s  v  pause  100
            10:00:50  u  s  v  play   100
            10:01:00  u  s  v  pause  110
        """,
        rows={("u", "v"): {"totalForwardSkips": 1, "totalWatchTime": 40.0, "pauseCount": 2}},
    ),
    Scenario(
        name="an end within a second of the last one is the same end",
        events="""
            10:00:00      u  s  v  play     0
            10:05:00      u  s  v  ended  300
            10:05:00.300  u  s  v  play   300
            10:05:01      u  s  v  ended  300
            10:00:00      w  s  v  play     0
            10:05:00      w  s  v  ended  300
            10:05:00.300  w  s  v  play   300
            10:05:01.001  w  s  v  ended  300
        """,
        rows={("u", "v"): {"completionCount": 1}, ("w", "v"): {"completionCount": 2}},
    ),
)
