"""Tables for the page: few rows with a plot, and names that would break out of a careless page."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema

from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    VIDEO_REACH,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.core.vocabulary import EVIDENCE

Row = Mapping[str, Any]

DAY: Final = date(2026, 1, 5)
NOW: Final = datetime(2026, 1, 7, 3, 0, tzinfo=UTC)

PLAIN: Final = "video_001"
AGAIN: Final = "video_002"
"""Twenty of its viewers watch seconds 100 to 120 of 200 twice."""
HOSTILE: Final = "</script><script>document.title='broken out'</script>"
HOSTILE_TITLE: Final = "\"><img src=x onerror=\"document.title='broken out'\">{{7*7}}'"
UNKNOWN: Final = "video_of_unknown_length"

FORMULA: Final = "=cmd|' /C calc'!A0"
MARKUP: Final = '<b>anna</b>, "the first"\u2028&amp;'
VIEWERS: Final = [FORMULA, MARKUP, *(f"user-{n:02d}" for n in range(20))]
IDLE: Final = "nobody-yet"
"""Is in the audience and has never watched."""

LENGTHS_MS: Final[Mapping[str, int | None]] = {
    PLAIN: 300_000,
    AGAIN: 200_000,
    HOSTILE: 60_000,
    UNKNOWN: None,
}
TITLES: Final = {PLAIN: "Welcome", AGAIN: "Window functions", HOSTILE: HOSTILE_TITLE, UNKNOWN: None}

Spans = list[tuple[int, int]]


def watched(user: int, video: str) -> Spans:
    """What a viewer watched of a video, in the order of the positions, in milliseconds."""
    length = LENGTHS_MS[video]
    if video == AGAIN:
        return [(0, 120_000), (100_000, 200_000)] if user < 20 else [(0, 150_000)]
    if video == PLAIN and user < 12:
        return [(0, 30_000 + 500 * user)]
    if length is None or (video == HOSTILE and user > 3):
        return [] if user else [(0, 5_000)]
    return [(0, length)]


def write_tables(folder: Path, *, without: Iterable[str] = ()) -> Path:
    """All tables that the page asks, but for those named."""
    for table, rows in _tables().items():
        if table.name not in without:
            write(folder, table, rows)
    return folder


def write(folder: Path, table: TableSpec, rows: Iterable[Row]) -> None:
    """One table; what a row does not say is null."""
    schema = to_arrow_schema(table.struct, timezone="UTC")
    full = [dict.fromkeys(schema.names) | dict(row) for row in rows]
    write_deltalake(
        str(folder / table.name),
        pa.Table.from_pylist(full, schema=schema),
        mode="overwrite",
        partition_by=["event_date"] if table.partitioned else None,
    )


def _tables() -> Mapping[TableSpec, Sequence[Row]]:
    pairs = [_pair(n, video) for video in LENGTHS_MS for n in range(len(VIEWERS))]
    seen = [pair for pair in pairs if pair["totalWatchTime"]]
    return {
        AGGREGATED_ENGAGEMENT: seen,
        USER_VIDEO_ENGAGEMENT: [pair | {"event_date": DAY} for pair in seen],
        WATCH_INTERVALS: [
            {
                "event_date": DAY,
                "userId": VIEWERS[n],
                "videoId": video,
                "startMs": start,
                "endMs": end,
                "watchMs": end - start,
            }
            for video in LENGTHS_MS
            for n in range(len(VIEWERS))
            for start, end in watched(n, video)
        ],
        INGESTION_COUNTS: [
            {"event_date": DAY + timedelta(days=n), "measure": measure, "value": value}
            for n in range(2)
            for measure, value in _counts(n).items()
        ],
        LIFETIME_VIDEO_ENGAGEMENT: [_figures(video, seen) for video in LENGTHS_MS],
        LIFETIME_VIDEO_CURVE: [row for video in LENGTHS_MS for row in _curve(video)],
        VIEWER_COHORTS: _cohorts(),
        ATTRIBUTE_COHORTS: _attribute_cohorts(),
        VIDEO_REACH: _reach(),
        AUDIENCE_STATUS: _audience(),
        CHAPTER_ENGAGEMENT: _chapters(),
    }


def _pair(n: int, video: str) -> dict[str, Any]:
    spans, length = watched(n, video), LENGTHS_MS[video]
    watch = sum(end - start for start, end in spans) / 1000
    end = max((end for _, end in spans), default=0)
    unique = end / 1000
    return {
        "userId": VIEWERS[n],
        "videoId": video,
        "videoTitle": TITLES[video],
        "videoDuration": length / 1000 if length else None,
        "totalWatchTime": watch,
        "totalUniqueSecondsWatched": unique,
        "uniqueWatchPercentage": round(100_000 * unique / length, 2) if length else None,
        "sessionCount": 1 + n % 2,
        "completionCount": int(end == length),
        "rewatchedSeconds": watch - unique,
        **{f"{evidence}Seconds": 0.0 for evidence in EVIDENCE},
        "observedSeconds": watch,
        "watchedIntervals": [{"startMs": 0, "endMs": end}] if end else [],
        "qualityFlags": [] if length else ["unknown_duration"],
        "firstWatchDate": NOW - timedelta(days=2),
        "lastWatchDate": NOW - timedelta(days=1),
        "processedAt": NOW,
    }


def _figures(video: str, seen: list[dict[str, Any]]) -> Row:
    rows = [row for row in seen if row["videoId"] == video]
    shares = sorted(row["uniqueWatchPercentage"] or 0 for row in rows)
    watch, length = sum(row["totalWatchTime"] for row in rows), LENGTHS_MS[video]
    unique = sum(row["totalUniqueSecondsWatched"] for row in rows)
    return {
        "videoId": video,
        "videoTitle": TITLES[video],
        "videoDuration": length / 1000 if length else None,
        "users": len(rows),
        "viewers": len(rows),
        "plays": sum(row["sessionCount"] for row in rows),
        "watchHours": watch / 3600,
        "uniqueHours": unique / 3600,
        "completions": sum(row["completionCount"] for row in rows),
        "completedViewers": sum(row["completionCount"] for row in rows),
        "meanWatchedPercentage": round(sum(shares) / len(shares), 2) if length else None,
        "medianWatchedPercentage": shares[len(shares) // 2] if length else None,
        "averageMinuteAudience": watch / length * 1000 if length else None,
        "rewatchedPercentage": 100 * (watch - unique) / watch,
        "relativeRetention": 0.25 if video == PLAIN else None,
        "similarVideos": 24 if video == PLAIN else 3,
    }


def _curve(video: str) -> list[Row]:
    length = LENGTHS_MS[video]
    if length is None:
        return []
    width = max(1000, length // 200)
    everybody = [watched(n, video) for n in range(len(VIEWERS))]
    return [
        _bin(video, start, min(start + width, length), everybody)
        for start in range(0, length, width)
    ]


def _bin(video: str, start: int, end: int, everybody: list[Spans]) -> Row:
    inside = [sum(_overlap(span, start, end) for span in spans) for spans in everybody]
    unique = [min(ms, end - start) for ms in inside]
    last = [max((until for _, until in spans), default=0) for spans in everybody]
    return {
        "videoId": video,
        "binStartMs": start,
        "binEndMs": end,
        "viewers": sum(ms > 0 for ms in unique),
        "uniqueMs": sum(unique),
        "watchMs": sum(inside),
        "rewatchMs": sum(inside) - sum(unique),
        "starts": 0,
        "stops": 0,
        "skippedOver": 15 if video == PLAIN and 60_000 <= start < 90_000 else 0,
        "jumpedTo": 0,
        "lastSeenHere": sum(start < until <= end for until in last),
    }


def _overlap(span: tuple[int, int], start: int, end: int) -> int:
    return max(0, min(span[1], end) - max(span[0], start))


def _counts(n: int) -> dict[str, int]:
    return {
        "input": 1_234 + n,
        "accepted": 1_200,
        "duplicates": 20 + n,
        "ignored": 4,
        "rejected": 10,
        "rejected:missing_user": 7,
        "rejected:unknown_event": 5,
    }


def _cohorts() -> list[Row]:
    first = date(2025, 12, 29)
    active = {(0, 0): 12, (0, 1): 7, (0, 2): None, (1, 0): 10, (1, 1): None}
    return [
        {
            "cohortWeek": first + timedelta(weeks=week),
            "weekOffset": offset,
            "users": (12, 10)[week],
            "activeUsers": users,
            "watchSeconds": None if users is None else 3_000.0 * users,
            "completions": users,
        }
        for (week, offset), users in active.items()
    ]


def _attribute_cohorts() -> list[Row]:
    return [
        {**row, "attribute": "plan", "value": value, "users": users, "activeUsers": active}
        for row in _cohorts()
        for value, users, active in (("<b>gold</b>", 7, 3), (None, 2, 1))
        if row["activeUsers"] is not None
    ]


def _reach() -> list[Row]:
    return [
        {
            "videoId": video,
            "videoTitle": TITLES[video],
            "publishedDay": DAY,
            "couldSeeBy": by,
            "couldSee": could,
            "reachedByDay1": 6,
            "reachPercentageByDay1": share,
        }
        for video, by, could, share in (
            (PLAIN, "audience", 24, 25.0),
            (HOSTILE, "visitors", None, None),
        )
    ]


def _audience() -> list[Row]:
    status = {
        FORMULA: ("in_progress", True, 10.0),
        VIEWERS[15]: ("completed", False, 100.0),
        IDLE: ("not_started", True, 0.0),
    }
    return [
        {
            "userId": user,
            "videoId": PLAIN,
            "videoTitle": TITLES[PLAIN],
            "dueDate": DAY,
            "status": state,
            "overdue": overdue,
            "watchedPercentage": share,
        }
        for user, (state, overdue, share) in status.items()
    ]


def _chapters() -> list[Row]:
    return [
        {
            "videoId": PLAIN,
            "videoTitle": TITLES[PLAIN],
            "chapter": number,
            "chapterTitle": title,
            "startMs": start,
            "endMs": end,
            "reached": reached,
            "viewers": reached,
            "uniqueMs": 1_000,
            "watchMs": 2_000,
            "rewatchMs": 1_000,
            "leftHere": left,
        }
        for number, title, start, end, reached, left in (
            (1, "<i>Intro</i>", 0, 100_000, 22, 12),
            (2, None, 100_000, None, 10, 10),
        )
    ]
