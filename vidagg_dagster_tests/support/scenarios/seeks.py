"""Seeks while playing: what was watched before them, and how it is known."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="a slider drag forward as browsers report it: pause and seek at the destination",
        events="""
            10:00:00      u  s  v  play      0
            10:00:30      u  s  v  pause   200
            10:00:30.001  u  s  v  seek    200
            10:00:31      u  s  v  resume  200
            10:01:01      u  s  v  pause   230
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
                "totalWatchTime": 60.0,
                "totalClockTime": 60.0,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
                "avgPausesPerSession": 2.0,
                "watchedIntervals": [(0, 30_000), (200_000, 230_000)],
                "qualityFlags": ["seek_repaired"],
                "dataQualityFlag": "ok",
            }
        },
    ),
    Scenario(
        name="a slider drag back",
        events="""
            10:00:00      u  s  v  play    100
            10:00:30      u  s  v  pause    20
            10:00:30.001  u  s  v  seek     20
            10:00:31      u  s  v  resume   20
            10:01:01      u  s  v  pause    50
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 1,
                "watchedIntervals": [(20_000, 50_000), (100_000, 130_000)],
            }
        },
    ),
    Scenario(
        name="a short drag is clipped although double speed could explain it",
        events="""
            10:00:00      drag  s  v  play     0
            10:00:30      drag  s  v  pause   50
            10:00:40      drag  s  v  seek    50.25
            10:00:41      drag  s  v  resume  50
            10:00:51      drag  s  v  pause   60
            10:00:00      late  s  v  play     0
            10:00:30      late  s  v  pause   50
            10:00:40.001  late  s  v  seek    50
            10:00:00      away  s  v  play     0
            10:00:30      away  s  v  pause   50
            10:00:30.001  away  s  v  seek    50.251
        """,
        rows={
            ("drag", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 10.0,
                "totalForwardSkips": 1,
                "watchedIntervals": [(0, 30_000), (50_000, 60_000)],
            },
            ("late", "v"): {"clippedSeconds": 0.0, "observedSeconds": 50.0},
            ("away", "v"): {"clippedSeconds": 0.0, "observedSeconds": 50.0},
        },
    ),
    Scenario(
        name="a drag over midnight is not recognised: its pause does not know the next day",
        events="""
            01-12 23:59:29.999  u  s  v  play    0
            01-12 23:59:59.999  u  s  v  pause  50
            01-13 00:00:00.001  u  s  v  seek   50
            01-13 00:00:01      u  s  v  resume 50
            01-13 00:00:11      u  s  v  pause  60
        """,
        rows={("u", "v"): {"clippedSeconds": 0.0, "observedSeconds": 60.0}},
        days={
            ("u", "v", "01-12"): {"observedSeconds": 50.0},
            ("u", "v", "01-13"): {
                "observedSeconds": 10.0,
                "sessionCount": 0,
                "totalForwardSkips": 0,  # the pause counts as it did on its own day
            },
        },
    ),
    Scenario(
        name="a drag that ends where it began costs nothing and is no skip",
        events="""
            10:00:00      u  s  v  play     0
            10:00:30      u  s  v  pause   30
            10:00:30.001  u  s  v  seek    30
            10:00:35      u  s  v  resume  30
            10:01:05      u  s  v  pause   60
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 60.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 0,
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
            }
        },
    ),
    Scenario(
        name="a drag right after the start clips nothing but is a skip all the same",
        events="""
            10:00:00      u  s  v  play     0
            10:00:00      u  s  v  pause  200
            10:00:00.001  u  s  v  seek   200
            10:00:01      u  s  v  resume 200
            10:00:31      u  s  v  pause  230
            10:00:00      w  s  v  resume   0   # the start alone, then the drag
            10:00:00.001  w  s  v  pause  200
            10:00:00.002  w  s  v  seek   200
            10:00:01      w  s  v  resume 200
            10:00:31      w  s  v  pause  230
        """,
        rows={
            # While stopped the start comes before the stop of its instant.
            ("u", "v"): {
                "clippedSeconds": 0.0,
                "totalWatchTime": 30.0,
                "totalForwardSkips": 1,
                "avgPausesPerSession": 2.0,
                "qualityFlags": [],
            },
            ("w", "v"): {
                "clippedSeconds": 0.001,
                "totalWatchTime": 30.001,
                "totalForwardSkips": 1,
                "qualityFlags": ["seek_repaired"],
            },
        },
    ),
    Scenario(
        name="a seek while playing, reported by a neutral event",
        events="""
            10:00:00  u  s  v  play        0
            10:00:30  u  s  v  seek      200
            10:00:40  u  s  v  progress  210
            10:01:00  u  s  v  pause     230
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "heartbeatSeconds": 10.0,
                "observedSeconds": 20.0,
                "totalWatchTime": 60.0,
                "totalForwardSkips": 1,
                "watchedIntervals": [(0, 30_000), (200_000, 230_000)],
            }
        },
    ),
    Scenario(
        name="a seek while playing, reported by a start",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  play    200
            10:01:00  u  s  v  pause   230
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "bridgedSeconds": 0.0,
                "totalWatchTime": 60.0,
                "totalForwardSkips": 1,
            }
        },
    ),
    Scenario(
        name="a seek while playing, reported by a stop, counts where it starts again",
        events="""
            10:00:00  u  s  v  play      0
            10:00:30  u  s  v  pause   200
            10:00:40  u  s  v  resume  200
            10:01:10  u  s  v  pause   230
            10:00:00  w  s  v  play      0
            10:00:30  w  s  v  pause   200
        """,
        rows={
            ("u", "v"): {"clippedSeconds": 30.0, "totalWatchTime": 60.0, "totalForwardSkips": 1},
            ("w", "v"): {"clippedSeconds": 30.0, "totalWatchTime": 30.0, "totalForwardSkips": 0},
        },
    ),
    Scenario(
        name="seeking back while playing, credited at most to the end of the video",
        events="""
            10:00:00  u  s  v  play      100
            10:00:30  u  s  v  progress   50
            10:00:40  u  s  v  pause      60
            10:00:00  w  s  v  play      290
            10:00:30  w  s  v  progress   10
            10:00:40  w  s  v  pause      20
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 10.0,
                "totalClockTime": 40.0,
                "totalBackwardSkips": 1,
                "watchedIntervals": [(50_000, 60_000), (100_000, 130_000)],
            },
            ("w", "v"): {
                "clippedSeconds": 10.0,
                "totalWatchTime": 20.0,
                "totalClockTime": 20.0,
                "totalBackwardSkips": 1,
            },
        },
    ),
    Scenario(
        name="a seek back to where the player started counts what was played before it",
        events="""
            10:00:00  u  s  v  play    0
            10:01:00  u  s  v  seek    0
            10:01:10  u  s  v  pause  10
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 70.0,
                "totalUniqueSecondsWatched": 60.0,
                "totalBackwardSkips": 1,
                "qualityFlags": ["seek_repaired"],
            }
        },
    ),
    Scenario(
        name="a position up to two seconds back while playing is imprecision, not a seek",
        events="""
            10:00:00  u  s  v  play      100
            10:00:10  u  s  v  progress   98
            10:00:20  u  s  v  pause     108
            10:00:00  w  s  v  play      100
            10:00:10  w  s  v  progress   97.999
            10:00:20  w  s  v  pause     107.999
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10.0,
                "clippedSeconds": 0.0,
                "totalBackwardSkips": 0,
                "maxPositionReached": 108.0,
            },
            ("w", "v"): {
                "totalWatchTime": 20.0,
                "clippedSeconds": 10.0,
                "totalBackwardSkips": 1,
            },
        },
    ),
    Scenario(
        name="after more than the session timeout nothing is clipped, the skip still counts",
        durations={"v": 10_800, "b": 10_800},
        events="""
            10:00:00  u  s  v  play         0
            10:20:00  u  s  b  progress     0   # keeps the session alive
            10:40:00  u  s  v  progress  9000
            10:40:10  u  s  v  pause     9010
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10.0,
                "clippedSeconds": 0.0,
                "totalForwardSkips": 1,
                "sessionCount": 1,
            },
            ("u", "b"): {"totalWatchTime": 0.0},
        },
    ),
    Scenario(
        name="without repair a drag keeps nothing, and its resume is the skip",
        parameters={"repair_seeks": False},
        events="""
            10:00:00      u  s  v  play      0
            10:00:30      u  s  v  pause   200
            10:00:30.001  u  s  v  seek    200
            10:00:31      u  s  v  resume  200
            10:01:01      u  s  v  pause   230
            10:00:00      w  s  v  play      0
            10:00:30      w  s  v  pause    50
            10:00:30.001  w  s  v  seek     50
            10:00:00      x  s  v  play      0
            10:00:30      x  s  v  seek    200
            10:01:00      x  s  v  pause   230
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 30.0, "clippedSeconds": 0.0, "totalForwardSkips": 1},
            # The pause is that of a drag, which is never watched up to.
            ("w", "v"): {"totalWatchTime": 0.0, "observedSeconds": 0.0},
            ("x", "v"): {"totalWatchTime": 30.0, "clippedSeconds": 0.0, "totalForwardSkips": 1},
        },
    ),
    Scenario(
        name="at most ten points are lost to skips",
        durations={"v": 60},
        events="""
            10:00:00  u  s  v  play       0
            10:01:00  u  s  v  progress  60
            10:01:01  u  s  v  seek       0
            10:01:02  u  s  v  seek      20
            10:01:03  u  s  v  seek       0
            10:01:04  u  s  v  seek      20
            10:01:05  u  s  v  seek       0
            10:01:06  u  s  v  seek      20
            10:01:07  u  s  v  seek       0
            10:01:08  u  s  v  seek      20
            10:01:09  u  s  v  seek       0
            10:01:10  u  s  v  seek      20
            10:01:11  u  s  v  seek       0
            10:01:12  u  s  v  seek      20
            10:01:13  u  s  v  pause     21
        """,
        rows={
            ("u", "v"): {
                "totalForwardSkips": 6,
                "totalBackwardSkips": 6,
                "heartbeatSeconds": 60.0,
                "clippedSeconds": 11.0,
                "observedSeconds": 1.0,
                "totalWatchTime": 72.0,
                "totalUniqueSecondsWatched": 60.0,
                "engagementScore": 72.0,
                "qualityFlags": ["seek_repaired"],
            }
        },
    ),
)
