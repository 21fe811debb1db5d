"""Which columns each column is computed from, one step back; for Dagster's column lineage.

Only the columns that enter a value are named, not those that rows are grouped or ordered by.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from vidagg_dagster.core.insight_schemas import LIFETIME_VIDEO_CURVE, VIDEO_CURVE
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    QUALITY_REPORT,
    RAW_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
)
from vidagg_dagster.core.vocabulary import EVIDENCE

PLAYER_EVENTS: Final = "player_events"
"""The events as the source holds them."""
LANDED_EVENTS: Final = "landed_events"
"""Of a source in Azure: its events as files, which steps can read."""
VIDEO_METADATA: Final = "video_metadata"

Origin = tuple[str, str]
"""A table and one of its columns."""
Origins = Mapping[str, tuple[Origin, ...]]


def _of(table: str, *columns: str) -> tuple[Origin, ...]:
    return tuple((table, column) for column in columns)


def _same(table: str, columns: Iterable[str]) -> dict[str, tuple[Origin, ...]]:
    return {column: _of(table, column) for column in columns}


_DURATION = _of(VIDEO_METADATA, "duration")
_PLAYED = _of(RAW_EVENTS.name, "timestamp", "eventName", "positionMs", "playbackRate", "seekFromMs")
_VISITS = _of(SESSIONS.name, "visits")

_RAW_EVENTS: Origins = {
    EVENT_DATE: _of(PLAYER_EVENTS, "timestamp"),
    **_same(
        PLAYER_EVENTS,
        ("timestamp", "userId", "sessionId", "videoId", "eventName", "playbackRate", "eventId"),
    ),
    "positionMs": _of(PLAYER_EVENTS, "currentTime"),
    "seekFromMs": _of(PLAYER_EVENTS, "seekFrom"),
    "sourceFile": (),
}

_SESSIONS: Origins = {
    **_same(RAW_EVENTS.name, (EVENT_DATE, "userId", "sessionId")),
    **{
        column: _of(RAW_EVENTS.name, "timestamp")
        for column in ("firstEventTime", "lastEventTime", "eventCount")
    },
    # Watched time is not idle time, so the credited time decides where a session is cut.
    **dict.fromkeys(("sessionStart", "continuesFromPreviousDay", "durationMs"), _PLAYED),
    "watchMs": (*_PLAYED, *_DURATION),
    "videoCount": (*_of(RAW_EVENTS.name, "videoId", "positionMs"), *_DURATION),
    "visits": (*_of(RAW_EVENTS.name, "videoId"), *_PLAYED, *_DURATION),
}

_WATCH_INTERVALS: Origins = {
    **dict.fromkeys(WATCH_INTERVALS.column_names, _VISITS),
    **_same(SESSIONS.name, (EVENT_DATE, "userId", "sessionId", "sessionStart")),
}

_NEEDS_DURATION: Final = (
    "watchPercentage",
    "uniqueWatchPercentage",
    "completionPercentage",
    "largestUnseenGap",
    "engagementScore",
    "engagementTier",
    "qualityFlags",
    "dataQualityFlag",
)

_USER_VIDEO_ENGAGEMENT: Origins = {
    **dict.fromkeys(USER_VIDEO_ENGAGEMENT.column_names, _VISITS),
    **dict.fromkeys(_NEEDS_DURATION, (*_VISITS, *_DURATION)),
    # From visits where durations may be estimated.
    **dict.fromkeys(("videoDuration", "videoDurationSource"), (*_DURATION, *_VISITS)),
    **_same(SESSIONS.name, (EVENT_DATE, "userId")),
    "videoTitle": _of(VIDEO_METADATA, "title"),
    "processedAt": (),
}

_DERIVED: Final[Mapping[str, tuple[str, ...]]] = {
    "totalUniqueSecondsWatched": ("watchedIntervals",),
    "watchPercentage": ("totalWatchTime",),
    "uniqueWatchPercentage": ("watchedIntervals",),
    "completionPercentage": ("maxPositionReached",),
    "resumePosition": ("resumePosition", "lastPlayedAt"),
    "largestUnseenGap": ("watchedIntervals",),
    "isReplay": ("sessionCount",),
    "avgWatchTimePerSession": ("totalWatchTime", "sessionCount"),
    "avgSessionDuration": ("totalSessionDuration", "sessionCount"),
    "avgPausesPerSession": ("pauseCount", "sessionCount"),
    "isCompletedAtLeastOnce": ("completionCount",),
    "rewatchedSeconds": ("totalWatchTime", "watchedIntervals"),
    "engagementScore": (
        "totalWatchTime",
        "watchedIntervals",
        "completionCount",
        "totalForwardSkips",
        "totalBackwardSkips",
    ),
    "qualityFlags": (
        "totalWatchTime",
        "watchedIntervals",
        "sessionCount",
        "completionCount",
        "clippedSeconds",
        "openEndedCount",
        "exceedingPositionCount",
        "noStartCount",
    ),
    "activeDays": (EVENT_DATE,),
}
"""Lifetime columns that are computed from merged columns, rather than merged themselves."""


def _lifetime() -> Iterator[tuple[str, tuple[Origin, ...]]]:
    daily = USER_VIDEO_ENGAGEMENT.name
    derived = {
        **_DERIVED,
        "engagementTier": _DERIVED["engagementScore"],
        "dataQualityFlag": _DERIVED["qualityFlags"],
    }
    for column in AGGREGATED_ENGAGEMENT.column_names:
        origins = _of(daily, *derived.get(column, (column,)))
        yield column, (*origins, *_DURATION) if column in _NEEDS_DURATION else origins


_AGGREGATED: Origins = {
    **dict(_lifetime()),
    "videoDuration": (*_DURATION, *_of(USER_VIDEO_ENGAGEMENT.name, "maxPositionReached")),
    "videoDurationSource": (*_DURATION, *_of(USER_VIDEO_ENGAGEMENT.name, "maxPositionReached")),
    "videoTitle": _of(VIDEO_METADATA, "title"),
    "processedAt": (),
}

_QUALITY_REPORT: Origins = {
    EVENT_DATE: _of(RAW_EVENTS.name, EVENT_DATE),
    "measure": (),
    "unit": (),
    "value": (
        *_of(RAW_EVENTS.name, EVENT_DATE),
        *_of(SESSIONS.name, "continuesFromPreviousDay", "eventCount", "visits"),
        *_of(
            USER_VIDEO_ENGAGEMENT.name,
            "totalWatchTime",
            *(f"{evidence}Seconds" for evidence in EVIDENCE),
            "completionCount",
            "totalForwardSkips",
            "totalBackwardSkips",
            "qualityFlags",
            "engagementTier",
            "videoDuration",
        ),
    ),
}

_SEEN: Final = ("viewers", "uniqueMs", "lastSeenHere")
"""What of a curve comes from the union of each viewer, the rest from single visits."""


def _curve(pairs: str, visits: str, *columns: str) -> Origins:
    """A curve whose bins are filled from `pairs` and from `columns` of `visits`, else the same."""

    def again(column: str) -> tuple[Origin, ...]:
        return _of(visits, *(columns or (column,)))

    seen = _of(pairs, "watchedIntervals")
    return {
        "videoId": _of(pairs, "videoId"),
        **dict.fromkeys(("binStartMs", "binEndMs"), (*_DURATION, *seen)),
        **dict.fromkeys(_SEEN, seen),
        **{
            column: again(column)
            for column in ("watchMs", "starts", "stops", "skippedOver", "jumpedTo")
        },
        "rewatchMs": (*seen, *again("watchMs")),
    }


_VIDEO_CURVE: Origins = {
    EVENT_DATE: _of(SESSIONS.name, EVENT_DATE),
    **_curve(USER_VIDEO_ENGAGEMENT.name, SESSIONS.name, "visits"),
}

LINEAGE: Final[Mapping[str, Origins]] = {
    RAW_EVENTS.name: _RAW_EVENTS,
    SESSIONS.name: _SESSIONS,
    WATCH_INTERVALS.name: _WATCH_INTERVALS,
    USER_VIDEO_ENGAGEMENT.name: _USER_VIDEO_ENGAGEMENT,
    AGGREGATED_ENGAGEMENT.name: _AGGREGATED,
    QUALITY_REPORT.name: _QUALITY_REPORT,
    VIDEO_CURVE.name: _VIDEO_CURVE,
    LIFETIME_VIDEO_CURVE.name: _curve(AGGREGATED_ENGAGEMENT.name, VIDEO_CURVE.name),
}
"""Table -> column -> origins. A column without origins comes from the file or the run itself."""
