"""Watched intervals: pairs of events, playback rates, and a stop that was lost."""

from vidagg_dagster_tests.support.scenarios.scenario import ExpectedSession, Scenario

SCENARIOS: tuple[Scenario, ...] = (
    # --- watching --------------------------------------------------------------------------------
    Scenario(
        name="the example of the definitions: peter",
        durations={"video_001": 300},
        events="""
            10:00:00  peter  s1  video_001  play      0
            10:00:30  peter  s1  video_001  pause    30
            10:00:35  peter  s1  video_001  resume   30
            10:02:05  peter  s1  video_001  pause   120
            10:02:10  peter  s1  video_001  resume  110
            10:02:20  peter  s1  video_001  pause   120
        """,
        rows={
            ("peter", "video_001"): {
                "videoDuration": 300.0,
                "totalWatchTime": 130.0,
                "totalUniqueSecondsWatched": 120.0,
                "totalClockTime": 130.0,
                "maxPositionReached": 120.0,
                "watchPercentage": 43.33,
                "uniqueWatchPercentage": 40.0,
                "completionPercentage": 40.0,
                "sessionCount": 1,
                "isReplay": False,
                "avgWatchTimePerSession": 130.0,
                "avgSessionDuration": 140.0,
                "avgPausesPerSession": 3.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 1,
                "completionCount": 0,
                "isCompletedAtLeastOnce": False,
                "rewatchedSeconds": 10.0,
                "observedSeconds": 130.0,
                "heartbeatSeconds": 0.0,
                "bridgedSeconds": 0.0,
                "clippedSeconds": 0.0,
                "estimatedTailSeconds": 0.0,
                "watchedIntervals": [(0, 120_000)],
                "engagementScore": 31.33,
                "engagementTier": "Low",
                "qualityFlags": [],
                "dataQualityFlag": "ok",
            }
        },
        sessions=[ExpectedSession("01-12", "peter", "s1", False, 6, 140.0, 1)],
    ),
    Scenario(
        name="play straight to the end",
        events="""
            10:00:00  u  s  v  play     0
            10:05:00  u  s  v  ended  300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 300.0,
                "totalUniqueSecondsWatched": 300.0,
                "watchPercentage": 100.0,
                "uniqueWatchPercentage": 100.0,
                "completionPercentage": 100.0,
                "observedSeconds": 300.0,
                "sessionCount": 1,
                "completionCount": 1,
                "isCompletedAtLeastOnce": True,
                "avgPausesPerSession": 0.0,
                "engagementScore": 90.0,
                "engagementTier": "High",
                "qualityFlags": [],
            }
        },
    ),
    Scenario(
        name="pause, fetch a coffee, resume, finish",
        events="""
            10:00:00  u  s  v  play      0
            10:01:00  u  s  v  pause    60
            10:05:00  u  s  v  resume   60
            10:09:00  u  s  v  ended   300
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 300.0,
                "totalUniqueSecondsWatched": 300.0,
                "totalClockTime": 300.0,
                "avgSessionDuration": 540.0,
                "avgPausesPerSession": 1.0,
                "totalForwardSkips": 0,
                "totalBackwardSkips": 0,
                "completionCount": 1,
                "engagementScore": 90.0,
                "watchedIntervals": [(0, 300_000)],
            }
        },
    ),
    Scenario(
        name="heartbeats carry the watch time, also when the tab is closed after one",
        events="""
            10:00:00  u  s  v  play       0
            10:00:10  u  s  v  progress  10
            10:00:20  u  s  v  progress  20
            10:00:30  u  s  v  progress  30
            10:00:35  u  s  v  pause     35
            10:00:00  w  s  v  play       0
            10:00:10  w  s  v  progress  10
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 35.0,
                "heartbeatSeconds": 30.0,
                "observedSeconds": 5.0,
                "avgPausesPerSession": 1.0,
                "watchedIntervals": [(0, 35_000)],
            },
            ("w", "v"): {
                "totalWatchTime": 10.0,
                "heartbeatSeconds": 10.0,
                # Any event after which the player plays can be the last one, not only a start.
                "estimatedTailSeconds": 290.0,
                "openEndedCount": 1,
                "qualityFlags": ["open_ended"],
            },
        },
    ),
    Scenario(
        name="heartbeats without a start make no watch time",
        events="""
            10:00:00  u  s  v  progress   0
            10:00:10  u  s  v  progress  10
            10:00:20  u  s  v  pause     20
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 0.0,
                "maxPositionReached": 20.0,
                "completionPercentage": 6.67,
                "sessionCount": 1,
                "avgSessionDuration": 20.0,
                "avgPausesPerSession": 1.0,
                "watchedIntervals": [],
                "engagementScore": 0.0,
                "engagementTier": "Minimal",
                "qualityFlags": ["very_short_watch"],
            }
        },
    ),
    Scenario(
        name="a film of three hours without a click is one session",
        durations={"v": 10_800},
        events="""
            10:00:00  u  s  v  play       0
            13:00:00  u  s  v  ended  10800
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 10_800.0,
                "sessionCount": 1,
                "completionCount": 1,
                "estimatedTailSeconds": 0.0,
                "engagementScore": 90.0,
                "qualityFlags": [],
            }
        },
        sessions=[ExpectedSession("01-12", "u", "s", False, 2, 10_800.0, 1)],
    ),
    Scenario(
        name="the player stalls: less video than clock is still watched",
        events="""
            10:00:00  u  s  v  play    0
            10:10:00  u  s  v  pause  60
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 60.0, "totalClockTime": 600.0, "observedSeconds": 60.0}
        },
    ),
    # --- speed -----------------------------------------------------------------------------------
    Scenario(
        name="double speed without a rate is believed up to the tolerance, triple speed is not",
        events="""
            10:00:00  u  s  v  play      0
            10:01:00  u  s  v  pause   120
            10:00:00  w  s  v  play      0
            10:01:00  w  s  v  pause   121
            10:00:00  x  s  v  play      0
            10:01:00  x  s  v  pause   121.001
        """,
        rows={
            ("u", "v"): {
                "totalWatchTime": 120.0,
                "totalClockTime": 60.0,
                "observedSeconds": 120.0,
            },
            ("w", "v"): {"totalWatchTime": 121.0, "observedSeconds": 121.0},
            ("x", "v"): {
                "totalWatchTime": 60.0,
                "totalClockTime": 60.0,
                "clippedSeconds": 60.0,
                "observedSeconds": 0.0,
                "totalForwardSkips": 0,
                "qualityFlags": ["seek_repaired"],
            },
        },
    ),
    Scenario(
        name="a known rate replaces the assumed one, upwards and downwards",
        events="""
            10:00:00  fast  s  v  play      0  x3
            10:01:00  fast  s  v  pause   180  x3
            10:00:00  calm  s  v  play      0  x1
            10:01:00  calm  s  v  pause   120  x1
            10:00:00  edge  s  v  play      0  x1
            10:01:00  edge  s  v  pause    61  x1
        """,
        rows={
            ("fast", "v"): {"totalWatchTime": 180.0, "totalClockTime": 60.0, "qualityFlags": []},
            ("calm", "v"): {"totalWatchTime": 60.0, "clippedSeconds": 60.0},
            ("edge", "v"): {"totalWatchTime": 61.0, "observedSeconds": 61.0},
        },
    ),
    Scenario(
        name="of two known rates the greater one counts, one known rate is enough",
        events="""
            10:00:00  u  s  v  play      0  x1
            10:01:00  u  s  v  pause   120  x2
            10:00:00  w  s  v  play      0
            10:01:00  w  s  v  pause   120  x1
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 120.0, "observedSeconds": 120.0},
            ("w", "v"): {"totalWatchTime": 60.0, "clippedSeconds": 60.0},
        },
    ),
    Scenario(
        name="the assumed rate and the tolerance are settings",
        parameters={"max_playback_rate": 1.0, "tolerance_ms": 0},
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  pause   60
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  pause   60.001
        """,
        rows={
            ("u", "v"): {"totalWatchTime": 60.0, "observedSeconds": 60.0},
            ("w", "v"): {"totalWatchTime": 60.0, "clippedSeconds": 60.0},
        },
    ),
    Scenario(
        name="a jump of a slow viewer is credited at the viewer's speed",
        events="""
            10:00:00  u  s  v  play      0  x0.5
            10:01:00  u  s  v  progress 40  x0.5
            10:01:20  u  s  v  pause    50  x0.5
        """,
        rows={
            ("u", "v"): {
                # 40 s of video in a minute at half speed: more than 0.5 * 60 + 1. The clock goes
                # at the rate of the first event, so 30 s were watched and 10 s skipped.
                "clippedSeconds": 30.0,
                "observedSeconds": 10.0,
                "totalWatchTime": 40.0,
                "totalClockTime": 80.0,
                "totalForwardSkips": 1,
                "qualityFlags": ["seek_repaired"],
            }
        },
    ),
    Scenario(
        name="a jump ahead is not credited past its destination",
        parameters={"max_playback_rate": 0.5},
        events="""
            10:00:00  u  s  v  play      0
            10:01:00  u  s  v  progress 40   # more than 0.5 * 60 + 1
            10:01:20  u  s  v  pause    50
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 40.0,
                "observedSeconds": 10.0,
                "totalClockTime": 60.0,
                "totalForwardSkips": 0,
            }
        },
    ),
    Scenario(
        name="a rate told once holds until another one is told, also over midnight",
        events="""
            10:00:00        fast   s  v  play       0  x3
            10:00:30        fast   s  v  progress  90
            10:01:00        fast   s  v  pause    180
            10:00:00        calm   s  v  play       0  x1
            10:00:30        calm   s  v  progress  30
            10:01:00        calm   s  v  pause     90   # 60 s in 30: more than 1 * 30 + 1
            10:00:00        other  s  v  play       0  x3
            10:00:30        other  t  v  play       0   # another session was told nothing
            10:01:00        other  t  v  pause     90
            01-12 23:59:00  night  s  v  play       0  x3
            01-13 00:00:00  night  s  v  progress 180
            01-13 00:01:00  night  s  v  pause    300
            10:00:00        later  s  v  play       0
            10:00:30        later  s  v  rate      30  x4
            10:01:00        later  s  v  pause    150
        """,
        rows={
            ("fast", "v"): {"heartbeatSeconds": 90.0, "observedSeconds": 90.0},
            ("calm", "v"): {"heartbeatSeconds": 30.0, "clippedSeconds": 30.0},
            ("other", "v"): {"clippedSeconds": 30.0, "observedSeconds": 0.0},
            ("night", "v"): {"heartbeatSeconds": 180.0, "observedSeconds": 120.0},
            ("later", "v"): {"heartbeatSeconds": 30.0, "observedSeconds": 120.0},
        },
    ),
    Scenario(
        name="a seek is credited by the clock at the rate before it, in whole milliseconds",
        events="""
            10:00:00      u  s  v  play     0  x2
            10:00:30      u  s  v  seek   200
            10:00:40      u  s  v  pause  220
            10:00:00      w  s  v  play     0  x1.5
            10:00:01.001  w  s  v  seek   200   # 1501.5 ms of video
            10:00:02.001  w  s  v  pause  201
            10:00:00      x  s  v  play     0
            10:00:30      x  s  v  seek   200  x2   # the rate after it counts from there on
            10:00:40      x  s  v  pause  220
        """,
        rows={
            ("u", "v"): {
                "clippedSeconds": 60.0,
                "observedSeconds": 20.0,
                "totalClockTime": 40.0,
                "totalForwardSkips": 1,
            },
            ("w", "v"): {
                "clippedSeconds": 1.501,
                "totalWatchTime": 2.501,
                "totalClockTime": 2.0,  # 1501 / 1.5 = 1000.67 and 1000
            },
            ("x", "v"): {"clippedSeconds": 30.0, "observedSeconds": 20.0, "totalClockTime": 40.0},
        },
    ),
    # --- a lost stop -----------------------------------------------------------------------------
    Scenario(
        name="a lost pause is bridged down to half speed",
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  play    60
            10:01:30  u  s  v  pause   90
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  resume  29
            10:01:30  w  s  v  pause   59
        """,
        rows={
            ("u", "v"): {
                "bridgedSeconds": 60.0,
                "observedSeconds": 30.0,
                "totalWatchTime": 90.0,
                "totalClockTime": 90.0,
                "totalForwardSkips": 0,
                "qualityFlags": [],
            },
            ("w", "v"): {"bridgedSeconds": 29.0, "observedSeconds": 30.0, "totalForwardSkips": 0},
        },
    ),
    Scenario(
        name="a start far too early is not bridged and counts the way between as a skip",
        events="""
            10:00:00  u  s  v  play     0
            10:01:00  u  s  v  resume  28.999
            10:01:30  u  s  v  pause   58.999
            10:00:00  w  s  v  play     0
            10:01:00  w  s  v  resume   0
            10:01:30  w  s  v  pause   30
        """,
        rows={
            ("u", "v"): {
                "bridgedSeconds": 0.0,
                "observedSeconds": 30.0,
                "totalWatchTime": 30.0,
                "totalForwardSkips": 1,
            },
            ("w", "v"): {"totalWatchTime": 30.0, "totalForwardSkips": 0},
        },
    ),
)
