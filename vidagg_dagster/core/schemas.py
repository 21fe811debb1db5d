"""Every table once: its columns, types and meaning.

Steps cast rows to these declarations, and both kinds of tables are created from them. Dagster shows
them as `dagster/column_schema`, and `docs/metrics.md` is generated from them.
"""

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import types as T

from vidagg_dagster.core.insight_schemas import INSIGHT_TABLES
from vidagg_dagster.core.table_spec import (
    BOOLEAN,
    DATE,
    DAY,
    DOUBLE,
    LONG,
    STRING,
    TIMESTAMP,
    USER,
    VIDEO,
    ColumnSpec,
)
from vidagg_dagster.core.table_spec import EVENT_DATE as EVENT_DATE
from vidagg_dagster.core.table_spec import TableSpec as TableSpec


def _struct(**fields: T.DataType) -> T.StructType:
    return T.StructType([T.StructField(name, kind) for name, kind in fields.items()])


SESSION = ColumnSpec("sessionId", STRING, "The player session as the sender names it, trimmed.")

RAW_EVENTS = TableSpec(
    name="raw_events",
    doc="One row per accepted player event: parsed, trimmed, canonical names, duplicates removed.",
    columns=(
        DAY,
        ColumnSpec("timestamp", TIMESTAMP, "When it happened (UTC, microseconds)."),
        USER,
        SESSION,
        VIDEO,
        ColumnSpec(
            "eventName",
            STRING,
            "One of the canonical names: video_play, video_pause, video_seek, ...",
        ),
        ColumnSpec("positionMs", LONG, "Position in the video in milliseconds, rounded half up."),
        ColumnSpec("playbackRate", DOUBLE, "Speed, 1.0 = normal; null if unknown."),
        ColumnSpec(
            "seekFromMs", LONG, "Of a seek: where it began, milliseconds; null if it does not say."
        ),
        ColumnSpec("eventId", STRING, "The sender's own id of the event; null if it sends none."),
        ColumnSpec("sourceFile", STRING, "The file the row was read from, relative to the source."),
    ),
    key=(EVENT_DATE, "userId", "sessionId", "videoId", "eventName", "timestamp", "positionMs"),
)

REJECTED_EVENTS = TableSpec(
    name="rejected_events",
    doc="One row per input row that is not a usable event, with its payload and every reason.",
    columns=(
        ColumnSpec(
            EVENT_DATE,
            DATE,
            "Day of the timestamp; without a usable one the date in the file's path, else the "
            "start date (partition).",
        ),
        ColumnSpec("reasons", T.ArrayType(STRING), "Why it was rejected, from the closed list."),
        ColumnSpec("payload", STRING, "The row as it was read: the text line, or the row as JSON."),
        ColumnSpec("sourceFile", STRING, "The file the row was read from, relative to the source."),
    ),
)

INGESTION_COUNTS = TableSpec(
    name="ingestion_counts",
    doc="One row per day and outcome of reading: how many input rows became what.",
    columns=(
        DAY,
        ColumnSpec(
            "measure",
            STRING,
            "input, accepted, duplicates, ignored, rejected, or rejected:<reason> (a row with two "
            "reasons counts under both); ignored:erased are those of ignored whose user was "
            "forgotten.",
        ),
        ColumnSpec("value", LONG, "Number of input rows.", additive=True),
    ),
    key=(EVENT_DATE, "measure"),
)

NOTED_READ = ""
"""In place of a file's name in `SOURCE_INVENTORY`: what raw_events has read of the day."""

SOURCE_INVENTORY = TableSpec(
    name="source_inventory",
    doc="One row per source file and day of its rows, and one per day that raw_events holds (with "
    "an empty sourceFile). Tells which days have changed since they were read.",
    columns=(
        ColumnSpec(
            "sourceFile",
            STRING,
            "The file, relative to the source; for a table its location; empty: what raw_events "
            "has read of the day.",
        ),
        ColumnSpec(EVENT_DATE, DATE, "Day of the rows, as for events and rejected rows."),
        ColumnSpec("rows", LONG, "How many rows of the day it has, duplicates included."),
        ColumnSpec(
            "checksum",
            LONG,
            "Sum of the rows' hashes (lower half of xxHash64), whatever their order.",
        ),
        ColumnSpec(
            "state", STRING, "Size and time of change of the file, or version of the table."
        ),
        ColumnSpec(
            "inventory",
            LONG,
            "Number of the inventory in which the rows last changed; with an empty sourceFile, of "
            "the inventory up to which the day has been read.",
        ),
    ),
    key=("sourceFile", EVENT_DATE),
    partitioned=False,
)

INTERVAL = _struct(
    startMs=LONG,
    endMs=LONG,
    clockMs=LONG,
    evidence=STRING,
    openedAt=TIMESTAMP,
    closedAt=TIMESTAMP,
)

VISIT = _struct(
    videoId=STRING,
    startsHere=BOOLEAN,
    eventCount=LONG,
    exceedingCount=LONG,
    firstEventTime=TIMESTAMP,
    lastEventTime=TIMESTAMP,
    durationMs=LONG,
    maxPositionMs=LONG,
    pauseCount=LONG,
    completionCount=LONG,
    forwardSkipCount=LONG,
    backwardSkipCount=LONG,
    openEndedCount=LONG,
    tailMs=LONG,
    noStart=BOOLEAN,
    intervals=T.ArrayType(INTERVAL),
)

SESSIONS = TableSpec(
    name="sessions",
    doc="One row per session and day. A session is one (userId, sessionId), cut by idle time.",
    columns=(
        DAY,
        USER,
        SESSION,
        ColumnSpec("sessionStart", TIMESTAMP, "First event of the session; tells its parts apart."),
        ColumnSpec(
            "continuesFromPreviousDay",
            BOOLEAN,
            "True where the session began the day before; such a row counts no session.",
        ),
        ColumnSpec("firstEventTime", TIMESTAMP, "First event on this day; null if it has none."),
        ColumnSpec("lastEventTime", TIMESTAMP, "Last event on this day; null if it has none."),
        ColumnSpec("eventCount", LONG, "Accepted events on this day.", additive=True),
        ColumnSpec("videoCount", LONG, "Videos with a believable event on this day."),
        ColumnSpec(
            "durationMs",
            LONG,
            "This day's share of the time from the session's first to its last event.",
            additive=True,
        ),
        ColumnSpec(
            "watchMs",
            LONG,
            "Content watched of all its videos, replays included, milliseconds.",
            additive=True,
        ),
        ColumnSpec(
            "visits",
            T.ArrayType(VISIT),
            "What happened to each video of the session on this day, sorted by videoId: counts, "
            "skips, estimated tail and the credited intervals.",
        ),
    ),
    key=(EVENT_DATE, "userId", "sessionId", "sessionStart"),
)

WATCH_INTERVALS = TableSpec(
    name="watch_intervals",
    doc="One row per credited stretch of a video: it was watched from startMs to endMs.",
    columns=(
        DAY,
        USER,
        SESSION,
        VIDEO,
        ColumnSpec("sessionStart", TIMESTAMP, "First event of the session it belongs to."),
        ColumnSpec("startMs", LONG, "Position where watching began, milliseconds."),
        ColumnSpec("endMs", LONG, "Position where it ended, milliseconds; always after startMs."),
        ColumnSpec("watchMs", LONG, "endMs - startMs.", additive=True),
        ColumnSpec(
            "clockMs", LONG, "Time on the clock while it was watched, milliseconds.", additive=True
        ),
        ColumnSpec(
            "evidence",
            STRING,
            "observed (to a stop, or to where a seek says it began), heartbeat (to a neutral "
            "event), bridged (a stop was lost), clipped (by the clock, before a seek) or reported "
            "(somebody says so).",
        ),
        ColumnSpec("openedAt", TIMESTAMP, "Time of the event that opens it."),
        ColumnSpec("closedAt", TIMESTAMP, "Time of the event that closes, and so settles, it."),
    ),
    key=(EVENT_DATE, "userId", "sessionId", "videoId", "openedAt", "startMs", "closedAt", "endMs"),
)

SPAN = _struct(startMs=LONG, endMs=LONG)


def _seconds(name: str, doc: str, *, additive: bool = False) -> ColumnSpec:
    return ColumnSpec(name, DOUBLE, f"{doc} (seconds).", additive)


def _percent(name: str, doc: str) -> ColumnSpec:
    return ColumnSpec(
        name, DOUBLE, f"100 x {doc} / duration, rounded half up to 2 places; null without one."
    )


_ENGAGEMENT = (
    USER,
    VIDEO,
    ColumnSpec("videoTitle", STRING, "Title from the metadata; null if unknown."),
    _seconds("videoDuration", "Length of the video; null if unknown or not above 0"),
    ColumnSpec(
        "videoDurationSource",
        STRING,
        "metadata, or estimated (largest position ever seen); null without a duration.",
    ),
    _seconds("totalWatchTime", "Content watched, replays included", additive=True),
    _seconds("totalUniqueSecondsWatched", "Length of the union of all watched intervals"),
    _seconds("totalClockTime", "Time on the clock during the watched intervals", additive=True),
    _seconds("maxPositionReached", "Largest believable position of any event"),
    _percent("watchPercentage", "totalWatchTime"),
    _percent("uniqueWatchPercentage", "totalUniqueSecondsWatched"),
    _percent("completionPercentage", "maxPositionReached"),
    ColumnSpec(
        "sessionCount", LONG, "Sessions whose first event of this video is here.", additive=True
    ),
    ColumnSpec("isReplay", BOOLEAN, "sessionCount > 1."),
    _seconds("avgWatchTimePerSession", "totalWatchTime / sessionCount; null without a session"),
    _seconds(
        "avgSessionDuration",
        "totalSessionDuration / sessionCount; null without a session",
    ),
    ColumnSpec("avgPausesPerSession", DOUBLE, "pauseCount / sessionCount; null without a session."),
    ColumnSpec("totalForwardSkips", LONG, "Jumps ahead of more than 5 s.", additive=True),
    ColumnSpec("totalBackwardSkips", LONG, "Jumps back of more than 2 s.", additive=True),
    ColumnSpec(
        "completionCount", LONG, "How often the video was played to its end.", additive=True
    ),
    ColumnSpec("isCompletedAtLeastOnce", BOOLEAN, "completionCount > 0."),
    _seconds("rewatchedSeconds", "totalWatchTime - totalUniqueSecondsWatched"),
    _seconds(
        "observedSeconds", "Watched up to a stop, or to where a seek says it began", additive=True
    ),
    _seconds("heartbeatSeconds", "Watched up to a neutral event", additive=True),
    _seconds("bridgedSeconds", "Watched up to a start, the stop between was lost", additive=True),
    _seconds("clippedSeconds", "Watched before a seek while playing", additive=True),
    _seconds("reportedSeconds", "Watched as somebody reports, with no clock", additive=True),
    _seconds(
        "estimatedTailSeconds",
        "Upper bound of what was watched after events left open; in no total",
        additive=True,
    ),
    ColumnSpec(
        "watchedIntervals",
        T.ArrayType(SPAN),
        "The union of the watched intervals in milliseconds: sorted, disjoint, not touching.",
    ),
    ColumnSpec(
        "lastPlayedAt",
        TIMESTAMP,
        "When the last watched interval ended (UTC); null if nothing was watched.",
    ),
    _seconds("resumePosition", "Where it ended: where the user would go on; null likewise"),
    _seconds("largestUnseenGap", "The longest stretch never watched; null without a duration"),
    ColumnSpec("engagementScore", DOUBLE, "0 to 100, two places; null without a duration."),
    ColumnSpec("engagementTier", STRING, "High, Medium, Low or Minimal; null without a score."),
    ColumnSpec(
        "qualityFlags", T.ArrayType(STRING), "All flags that apply, in the documented order."
    ),
    ColumnSpec(
        "dataQualityFlag", STRING, "The first of the first four flags that applies, else ok."
    ),
    ColumnSpec(
        "firstWatchDate", TIMESTAMP, "First event (UTC); null if only a tail is settled here."
    ),
    ColumnSpec(
        "lastWatchDate", TIMESTAMP, "Last event (UTC); null if only a tail is settled here."
    ),
    ColumnSpec("pauseCount", LONG, "Pauses that interrupted playing.", additive=True),
    _seconds(
        "totalSessionDuration", "From first to last event of the video per session", additive=True
    ),
    ColumnSpec(
        "openEndedCount",
        LONG,
        "Events left open: the player played, and nothing followed.",
        additive=True,
    ),
    ColumnSpec(
        "exceedingPositionCount",
        LONG,
        "Events whose position is beyond 1.1 x the duration.",
        additive=True,
    ),
    ColumnSpec(
        "noStartCount",
        LONG,
        "Visits of players that send neither starts nor stops, taken to play throughout.",
        additive=True,
    ),
)
PROCESSED_AT = "processedAt"
"""The only column that differs between two runs that compute the same."""

_PROCESSED = ColumnSpec(PROCESSED_AT, TIMESTAMP, "Time of the run that wrote the row (UTC).")

USER_VIDEO_ENGAGEMENT = TableSpec(
    name="user_video_engagement",
    doc="One row per user, video and day.",
    columns=(DAY, *_ENGAGEMENT, _PROCESSED),
    key=(EVENT_DATE, "userId", "videoId"),
)

AGGREGATED_ENGAGEMENT = TableSpec(
    name="aggregated_user_video_engagement",
    doc="One row per user and video: the daily rows merged over all days.",
    columns=(
        *_ENGAGEMENT,
        ColumnSpec("activeDays", T.ArrayType(DATE), "The days merged into this row, sorted."),
        _PROCESSED,
    ),
    key=("userId", "videoId"),
    partitioned=False,
)

QUALITY_REPORT = TableSpec(
    name="quality_report",
    doc="One row per day and measure.",
    columns=(
        DAY,
        ColumnSpec("measure", STRING, "Name of the measure, for example `rejected:missing_user`."),
        ColumnSpec("value", DOUBLE, "Its value."),
        ColumnSpec("unit", STRING, "rows, seconds or share."),
    ),
    key=(EVENT_DATE, "measure"),
)

LIVE_EVENTS = TableSpec(
    name="live_events",
    doc="One row per input row of the last few days, as it arrived: an event, an ignored row or a "
    "rejected one. What was delivered twice is there twice.",
    columns=(
        *RAW_EVENTS.columns,
        ColumnSpec("ignored", BOOLEAN, "Whether a mapping of names says that it is no event."),
        ColumnSpec(
            "reasons", T.ArrayType(STRING), "Why it is rejected, as in `rejected_events`; or empty."
        ),
    ),
)

MINUTE = _struct(minute=TIMESTAMP, watching=LONG, starts=LONG, stops=LONG, watchMs=LONG)

LIVE_USER_VIDEO = TableSpec(
    name="live_user_video",
    doc="One row per user, video and day, of the events that have arrived: what "
    "`user_video_engagement` would have if nothing came after them.",
    columns=(
        DAY,
        *_ENGAGEMENT,
        ColumnSpec(
            "minutes",
            T.ArrayType(MINUTE),
            "The minutes of the day in which something happened, sorted; see `live_videos`.",
        ),
        ColumnSpec("asOf", TIMESTAMP, "The newest event of the user that the row knows of."),
    ),
    key=(EVENT_DATE, "userId", "videoId"),
)

LIVE_VIDEOS = TableSpec(
    name="live_videos",
    doc="One row per video and minute in which something happened, of the events that have "
    "arrived.",
    columns=(
        DAY,
        VIDEO,
        ColumnSpec("minute", TIMESTAMP, "Where the minute begins (UTC)."),
        ColumnSpec("videoTitle", STRING, "Title from the metadata; null if unknown."),
        ColumnSpec(
            "watching",
            LONG,
            "Users who watched in the minute: a credited stretch touches it, or the last event of "
            "their player is in it and is no pause or end.",
        ),
        ColumnSpec(
            "starts",
            LONG,
            "Sessions whose first event of this video is in the minute.",
            additive=True,
        ),
        ColumnSpec(
            "stops",
            LONG,
            "Players whose last event of this video on the day is in the minute, and is a pause or "
            "an end.",
            additive=True,
        ),
        ColumnSpec(
            "watchMs",
            LONG,
            "Content watched in the minute, replays included, milliseconds. The minutes add up to "
            "totalWatchTime.",
            additive=True,
        ),
    ),
    key=(EVENT_DATE, "videoId", "minute"),
)

LIVE_TABLES: dict[str, TableSpec] = {
    table.name: table for table in (LIVE_EVENTS, LIVE_USER_VIDEO, LIVE_VIDEOS)
}

TABLES: dict[str, TableSpec] = {
    table.name: table
    for table in (
        RAW_EVENTS,
        REJECTED_EVENTS,
        INGESTION_COUNTS,
        SOURCE_INVENTORY,
        SESSIONS,
        WATCH_INTERVALS,
        USER_VIDEO_ENGAGEMENT,
        AGGREGATED_ENGAGEMENT,
        QUALITY_REPORT,
    )
} | {**INSIGHT_TABLES, **LIVE_TABLES}

TABLES_WITH_DIMENSIONS = (RAW_EVENTS, SESSIONS, USER_VIDEO_ENGAGEMENT, AGGREGATED_ENGAGEMENT)
"""The tables that carry the dimensions which the settings ask for."""


DIMENSION_DOC = "Dimension of"
"""How the comment of a dimension's column begins: so it is known in a stored table."""


def with_dimensions(table: TableSpec, names: Sequence[str]) -> TableSpec:
    """`table` with a column for each dimension behind its own columns, where it carries them.

    A table that has dimensions already keeps those.
    """
    carries = table.name in {carrying.name for carrying in TABLES_WITH_DIMENSIONS}
    if not names or not carries or table.dimensions:
        return table
    added = tuple(_dimension(table, name) for name in names)
    return replace(table, columns=(*table.columns, *added), dimensions=tuple(names))


def _dimension(table: TableSpec, name: str) -> ColumnSpec:
    if table.name == RAW_EVENTS.name:
        doc = f"{DIMENSION_DOC} the event, trimmed; null if it says none."
        return ColumnSpec(name, STRING, doc)
    if table.name == SESSIONS.name:
        doc = f"{DIMENSION_DOC} the session: its first known value; null without one."
        return ColumnSpec(name, STRING, doc)
    doc = f"{DIMENSION_DOC} the sessions merged into this row: all known values, sorted."
    return ColumnSpec(name, T.ArrayType(STRING), doc)
