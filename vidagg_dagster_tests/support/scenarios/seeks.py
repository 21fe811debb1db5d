"""Seeks while playing: what was watched before them, and how it is known."""

from vidagg_dagster_tests.support.scenarios.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    # --- seeks while playing ---------------------------------------------------------------------
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
        # Its seek may follow up to 10 s later (a slow line), but within 0.25 s of video.
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
        name="a seek to where the last event was is credited by the clock, like any seek",
        events="""
            10:00:00  u  s  v  play    0
            10:01:00  u  s  v  seek    0
            10:01:10  u  s  v  pause  10
        """,
        rows={
            ("u", "v"): {
                # A destination says nothing of how far the player had come.
                "totalWatchTime": 70.0,
                "totalUniqueSecondsWatched": 60.0,
                "clippedSeconds": 60.0,
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
                "openEndedCount": 0,
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
            10:00:00  w  s  v  play      9000
            10:20:00  w  s  b  progress     0
            10:40:00  w  s  v  progress   100
            10:40:10  w  s  v  pause      110
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10.0,
                "clippedSeconds": 0.0,
                "totalForwardSkips": 1,
                "sessionCount": 1,
            },
            ("u", "b"): {"totalWatchTime": 0.0},
            ("w", "v"): {"totalWatchTime": 10.0, "totalBackwardSkips": 1, "sessionCount": 1},
            ("w", "b"): {"totalWatchTime": 0.0},
        },
    ),
    Scenario(
        name="without repair a seek keeps nothing unless it tells where it began",
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
            10:00:00      y  s  v  play      0
            10:00:30      y  s  v  seek    200  from=12
            10:01:00      y  s  v  pause   230
            10:00:00      z  s  v  play      0
            10:00:30      z  s  v  pause   200
            10:00:31      z  s  v  resume  200
            10:01:01      z  s  v  pause   230
        """,
        rows={
            # The stop of a drag stands where playing is known to have been: at the event before it.
            ("u", "v"): {"totalWatchTime": 30.0, "clippedSeconds": 0.0, "totalForwardSkips": 1},
            # The destination of a drag is never taken for watched, however near it is.
            ("w", "v"): {"totalWatchTime": 0.0, "observedSeconds": 0.0},
            ("x", "v"): {"totalWatchTime": 30.0, "clippedSeconds": 0.0, "totalForwardSkips": 1},
            ("y", "v"): {"totalWatchTime": 42.0, "observedSeconds": 42.0, "totalForwardSkips": 1},
            # A stop that no seek explains counts as it says.
            ("z", "v"): {"totalWatchTime": 30.0, "totalForwardSkips": 0},
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
    # --- what a seek tells, and where it lands ---------------------------------------------------
    Scenario(
        name="a seek that tells where it began is credited up to there",
        events="""
            10:00:00      u       s  v  play      0
            10:00:20      u       s  v  seek    100  from=12
            10:00:30      u       s  v  pause   110
            10:00:00      drag    s  v  play      0
            10:00:30      drag    s  v  pause   200
            10:00:30.001  drag    s  v  seek    200  from=25
            10:00:31      drag    s  v  resume  200
            10:01:01      drag    s  v  pause   230
            10:00:00      most    s  v  play      0
            10:00:20      most    s  v  seek    200  from=41   # 2 * 20 + 1
            10:00:30      most    s  v  pause   210
            10:00:00      more    s  v  play      0
            10:00:20      more    s  v  seek    200  from=41.001
            10:00:30      more    s  v  pause   210
            10:00:00      behind  s  v  play     10
            10:00:20      behind  s  v  seek    200  from=9.999
            10:00:30      behind  s  v  pause   210
            10:00:00      none    s  v  play     10
            10:00:20      none    s  v  seek    200  from=10
            10:00:30      none    s  v  pause   210
        """,
        rows={
            ("u", "v"): {
                "observedSeconds": 22.0,
                "clippedSeconds": 0.0,
                "totalClockTime": 22.0,
                "totalForwardSkips": 1,
                "watchedIntervals": [(0, 12_000), (100_000, 110_000)],
                "qualityFlags": [],
            },
            ("drag", "v"): {
                "observedSeconds": 55.0,
                "clippedSeconds": 0.0,
                "totalClockTime": 55.0,
                "totalForwardSkips": 1,
            },
            ("most", "v"): {"observedSeconds": 51.0, "totalClockTime": 30.0},
            ("more", "v"): {"observedSeconds": 10.0, "clippedSeconds": 20.0},
            ("behind", "v"): {
                "clippedSeconds": 20.0,
                "watchedIntervals": [(10_000, 30_000), (200_000, 210_000)],
            },
            ("none", "v"): {"totalWatchTime": 10.0, "totalForwardSkips": 1, "qualityFlags": []},
        },
    ),
    Scenario(
        name="a skip is measured from where a told seek began",
        events="""
            10:00:00  u  s  v  play      0
            10:00:20  u  s  v  seek     17  from=12
            10:00:30  u  s  v  pause    27
            10:00:00  w  s  v  play      0
            10:00:20  w  s  v  seek     10  from=12.001
            10:00:30  w  s  v  pause    20
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 22.0, "totalForwardSkips": 0},
            ("w", "v"): {"totalWatchTime": 22.001, "totalBackwardSkips": 1},
        },
    ),
    Scenario(
        name="a wait where a seek lands is that seek, any other wait is buffering",
        events="""
            10:00:00  u      s  v  play       0
            10:00:30  u      s  v  waiting  200
            10:00:31  u      s  v  seek     200
            10:01:01  u      s  v  pause    230
            10:00:00  still  s  v  play       0
            10:00:30  still  s  v  waiting   30
            10:00:50  still  s  v  playing   30
            10:01:20  still  s  v  pause     60
            10:00:00  near   s  v  play       0
            10:00:30  near   s  v  waiting   50
            10:00:32  near   s  v  seek      50
            10:00:42  near   s  v  pause     60
            10:00:00  away   s  v  play       0
            10:00:30  away   s  v  waiting  200   # a seek that nothing else tells
            10:01:00  away   s  v  pause    230
        """,
        rows={
            ("u", "v"): {"clippedSeconds": 30.0, "observedSeconds": 30.0, "totalForwardSkips": 1},
            ("still", "v"): {
                "totalWatchTime": 60.0,
                "heartbeatSeconds": 30.0,
                "observedSeconds": 30.0,
                "totalClockTime": 60.0,
                "pauseCount": 1,
                "qualityFlags": [],
            },
            ("near", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 10.0,
                "heartbeatSeconds": 0.0,
            },
            ("away", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 30.0,
                "totalForwardSkips": 1,
            },
        },
    ),
    Scenario(
        name="a seek lands only where every event between is at its place",
        events="""
            10:00:00  u  s  v  play       0
            10:00:30  u  s  v  pause     50
            10:00:31  u  s  v  progress  50.25
            10:00:32  u  s  v  seek      50
            10:00:00  w  s  v  play       0
            10:00:30  w  s  v  pause     50
            10:00:31  w  s  v  progress  50.251
            10:00:32  w  s  v  seek      50
        """,
        rows={
            ("u", "v"): {"clippedSeconds": 30.0, "observedSeconds": 0.0},
            ("w", "v"): {"clippedSeconds": 0.0, "observedSeconds": 50.0},
        },
    ),
    Scenario(
        name="a drag to the very end, as Firefox sends it",
        events="""
            10:00:00      u  s  v  play       0
            10:00:30      u  s  v  pause    299.9
            10:00:30.100  u  s  v  play     299.9
            10:00:30.200  u  s  v  waiting  299.9
            10:00:30.300  u  s  v  seek     299.9
            10:00:30.300  u  s  v  playing  299.9
            10:00:30.400  u  s  v  pause    300
            10:00:30.401  u  s  v  ended    300
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 30.0,
                "observedSeconds": 0.1,
                "totalWatchTime": 30.1,
                "totalForwardSkips": 1,
                "pauseCount": 2,
                "completionCount": 1,
            }
        },
    ),
    Scenario(
        name="nothing plays while a seek is under way",
        events="""
            10:00:00  both   s  v  play       0
            10:00:05  both   s  v  seeking   60
            10:00:12  both   s  v  seek      60.25
            10:00:20  both   s  v  pause     68.25
            10:00:00  apart  s  v  play       0
            10:00:05  apart  s  v  seeking   60
            10:00:12  apart  s  v  seek      60.251   # not that seek: 7 s were played
            10:00:20  apart  s  v  pause     68.251
            10:00:00  moved  s  v  play       0
            10:00:20  moved  s  v  pause     20
            10:00:30  moved  s  v  play      20.251
            10:00:35  moved  s  v  seek      20.251
            10:00:45  moved  s  v  pause     30.251
            10:00:00  stood  s  v  play       0
            10:00:20  stood  s  v  pause     20
            10:00:30  stood  s  v  play      20.25
            10:00:35  stood  s  v  seek      20.25   # the same section again
            10:00:45  stood  s  v  pause     30.25
            10:00:00  first  s  v  play     100      # takes up an earlier place
            10:00:05  first  s  v  seek     100
            10:00:15  first  s  v  pause    110
        """,
        rows={
            ("both", "v"): {"totalWatchTime": 13.0, "totalForwardSkips": 1},
            ("apart", "v"): {"totalWatchTime": 20.0, "totalForwardSkips": 1},
            ("moved", "v"): {"totalWatchTime": 30.0, "totalBackwardSkips": 0},
            ("stood", "v"): {"totalWatchTime": 35.0, "totalBackwardSkips": 1},
            ("first", "v"): {"totalWatchTime": 10.0, "totalForwardSkips": 0},
        },
    ),
    Scenario(
        name="a landed seek moves a stopped player, a begun one does not",
        events="""
            10:00:00  landed  s  v  play       0
            10:00:20  landed  s  v  pause     20
            10:00:25  landed  s  v  seek     100
            10:00:30  landed  s  v  play     100
            10:00:35  landed  s  v  seek     100   # the same section again
            10:00:45  landed  s  v  pause    110
            10:00:00  begun   s  v  play       0
            10:00:20  begun   s  v  pause     20
            10:00:25  begun   s  v  seeking  100
            10:00:30  begun   s  v  play     100
            10:00:35  begun   s  v  seek     100
            10:00:45  begun   s  v  pause    110
        """,
        rows={
            ("landed", "v"): {
                "totalWatchTime": 35.0,
                "clippedSeconds": 5.0,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 1,
            },
            ("begun", "v"): {
                "totalWatchTime": 30.0,
                "totalForwardSkips": 1,
                "totalBackwardSkips": 0,
            },
        },
    ),
    Scenario(
        name="after more than the session timeout a seek is credited only in step",
        durations={"v": 3600},
        events="""
            10:00:00  step   s  v  play     0
            10:45:00  step   s  v  seek  2400
            10:45:10  step   s  v  pause 2410
            10:00:00  out    s  v  play     0
            10:45:00  out    s  v  seek  1000
            10:45:10  out    s  v  pause 1010
            10:00:00  told   s  v  play     0
            10:45:00  told   s  v  seek  3000  from=900   # 45 minutes less 15 watched: 30 idle
            10:45:10  told   s  v  pause 3010
        """,
        rows={
            ("step", "v"): {"totalWatchTime": 2710.0, "sessionCount": 1, "openEndedCount": 0},
            ("out", "v"): {"totalWatchTime": 10.0, "sessionCount": 2, "openEndedCount": 1},
            ("told", "v"): {"totalWatchTime": 910.0, "sessionCount": 1, "totalForwardSkips": 1},
        },
    ),
)
