"""The worked example of docs/metrics.md, and the row that it must become everywhere."""

import json
from pathlib import Path
from typing import Any

DURATION = 300
EVENTS: tuple[dict[str, Any], ...] = tuple(
    {
        "timestamp": f"2026-01-05T10:{time}Z",
        "userId": "peter",
        "sessionId": "s1",
        "videoId": "video_001",
        "eventName": name,
        "currentTime": position,
    }
    for time, name, position in (
        ("00:00", "video_play", 0),
        ("00:30", "video_pause", 30),
        ("00:35", "video_resume", 30),
        ("02:05", "video_pause", 120),
        ("02:10", "video_resume", 110),
        ("02:20", "video_pause", 120),
    )
)

ROW: dict[str, Any] = {
    "userId": "peter",
    "videoId": "video_001",
    "videoDuration": 300.0,
    "videoDurationSource": "metadata",
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
    "engagementScore": 31.33,
    "engagementTier": "Low",
    "qualityFlags": [],
    "dataQualityFlag": "ok",
}
"""His row, which every entry point must compute."""


def write_events(path: Path, *more: dict[str, Any]) -> Path:
    """Write his events, and `more` if given, as JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in (*EVENTS, *more)), encoding="utf-8")
    return path


def write_videos(path: Path) -> Path:
    """Write the metadata of his video."""
    video = {"videoId": "video_001", "title": "Welcome", "duration": DURATION}
    path.write_text(json.dumps(video) + "\n", encoding="utf-8")
    return path
