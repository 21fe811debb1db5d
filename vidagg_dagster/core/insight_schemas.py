"""The tables that answer what analysts ask: curves, figures, cohorts, audience, chapters.

They are computed from the tables of `core/schemas.py` and hold nothing that cannot be computed
again from them. `VIDAGG_INSIGHTS=off` leaves them out.
"""

from typing import Final

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
    TableSpec,
)

TITLE: Final = ColumnSpec("videoTitle", STRING, "Title from the metadata; null if unknown.")
DURATION: Final = ColumnSpec(
    "videoDuration",
    DOUBLE,
    "Length of the video (seconds): by the metadata, else as its users' rows have it; null if "
    "unknown.",
)

_SEEN: Final = (
    ColumnSpec("viewers", LONG, "Users who watched any part of it."),
    ColumnSpec(
        "uniqueMs", LONG, "Milliseconds of it that users watched, each part once for each user."
    ),
)
_WATCHED: Final = (
    ColumnSpec(
        "watchMs", LONG, "Milliseconds of it that were watched, replays included.", additive=True
    ),
    ColumnSpec("rewatchMs", LONG, "watchMs - uniqueMs."),
)
_BIN: Final = (
    VIDEO,
    ColumnSpec("binStartMs", LONG, "Where the bin begins, milliseconds; the bin includes it."),
    ColumnSpec(
        "binEndMs",
        LONG,
        "Where it ends, milliseconds; the last bin of a video ends at its duration.",
    ),
    *_SEEN,
    *_WATCHED,
    ColumnSpec(
        "starts",
        LONG,
        "How often watching began in it: after a start, a pause or a jump.",
        additive=True,
    ),
    ColumnSpec(
        "stops",
        LONG,
        "How often watching ended in it: by a pause, a jump, the end, or because nothing followed.",
        additive=True,
    ),
    ColumnSpec(
        "skippedOver",
        LONG,
        "Jumps ahead, between two watched stretches of a session, that passed over a part of it.",
        additive=True,
    ),
    ColumnSpec(
        "jumpedTo",
        LONG,
        "Jumps ahead or back after which watching went on in it.",
        additive=True,
    ),
    ColumnSpec(
        "lastSeenHere", LONG, "Viewers of the video for whom it holds the last part they watched."
    ),
)

BIN_COUNTS: Final = tuple(
    column.name
    for column in _BIN
    if column.name not in (VIDEO.name, "binStartMs", "binEndMs", "rewatchMs")
)
"""What is counted in a bin; rewatchMs follows from it."""

VIDEO_CURVE: Final = TableSpec(
    name="video_curve",
    doc="One row per day, video watched on it, and bin of the video. A bin is as long as a "
    "two-hundredth of the video, at least a second; 10 s where no metadata gives the duration.",
    columns=(DAY, *_BIN),
    key=("event_date", "videoId", "binStartMs"),
)

LIFETIME_VIDEO_CURVE: Final = TableSpec(
    name="lifetime_video_curve",
    doc="One row per video and bin, all days together: a user who watched a part on two days is "
    "one viewer of it.",
    columns=_BIN,
    key=("videoId", "binStartMs"),
    partitioned=False,
)

_FIGURES: Final = (
    VIDEO,
    TITLE,
    DURATION,
    ColumnSpec("users", LONG, "Users with any event of the video."),
    ColumnSpec("viewers", LONG, "Users who watched any part of it."),
    ColumnSpec("plays", LONG, "Sessions whose first event of this video is here.", additive=True),
    ColumnSpec("watchHours", DOUBLE, "Content watched, replays included (hours).", additive=True),
    ColumnSpec("uniqueHours", DOUBLE, "Content watched, each part once for each user (hours)."),
    ColumnSpec("completions", LONG, "How often the video was played to its end.", additive=True),
    ColumnSpec("completedViewers", LONG, "Users who played it to its end at least once."),
    ColumnSpec(
        "meanWatchedPercentage",
        DOUBLE,
        "Mean over the viewers of the share of the video that each saw (percent, two places); "
        "null without a duration or a viewer.",
    ),
    ColumnSpec(
        "medianWatchedPercentage",
        DOUBLE,
        "The median of the same; between the two in the middle where their number is even.",
    ),
    ColumnSpec(
        "averageMinuteAudience",
        DOUBLE,
        "Watch time / duration: how many people watched an average moment, replays included; "
        "null without a duration.",
    ),
    ColumnSpec("rewatchedPercentage", DOUBLE, "100 x rewatched / watched; null if nothing was."),
)

VIDEO_ENGAGEMENT: Final = TableSpec(
    name="video_engagement",
    doc="One row per video and day: who watched it and how much.",
    columns=(DAY, *_FIGURES),
    key=("event_date", "videoId"),
)

SIMILAR_LENGTHS_S: Final = (60, 180, 360, 600, 1200, 2400, 3600)
"""Videos between two of these durations in seconds are of similar length."""

MIN_SIMILAR_VIDEOS: Final = 20
"""Among fewer videos the place of one of them says nothing."""

LIFETIME_VIDEO_ENGAGEMENT: Final = TableSpec(
    name="lifetime_video_engagement",
    doc="One row per video, all days together.",
    columns=(
        *_FIGURES,
        ColumnSpec(
            "relativeRetention",
            DOUBLE,
            "Place of meanWatchedPercentage among the own videos of similar length: 0 the lowest, "
            f"1 the highest; null where they are fewer than {MIN_SIMILAR_VIDEOS}. Lengths are "
            f"similar between {', '.join(f'{bound // 60}' for bound in SIMILAR_LENGTHS_S)} "
            "minutes.",
        ),
        ColumnSpec(
            "similarVideos",
            LONG,
            "Own watched videos of similar length, this one included; null without a mean.",
        ),
        ColumnSpec("firstDay", DATE, "The first day with an event of the video."),
        ColumnSpec("lastDay", DATE, "The last one."),
    ),
    key=("videoId",),
    partitioned=False,
)

VIEWER_COHORTS: Final = TableSpec(
    name="viewer_cohorts",
    doc="One row per week in which users watched for the first time, and week since. Weeks begin "
    "on Monday. What a week that is not over came to is null, not low.",
    columns=(
        ColumnSpec("cohortWeek", DATE, "The Monday of the week in which the users first watched."),
        ColumnSpec("weekOffset", LONG, "Weeks since then; 0 is that week."),
        ColumnSpec("users", LONG, "Users of the cohort."),
        ColumnSpec("activeUsers", LONG, "Those who watched in the week; all of them at offset 0."),
        ColumnSpec("watchSeconds", DOUBLE, "What they watched in the week (seconds)."),
        ColumnSpec("completions", LONG, "How often they played a video to its end in the week."),
    ),
    key=("cohortWeek", "weekOffset"),
    partitioned=False,
)

ATTRIBUTE_COHORTS: Final = TableSpec(
    name="attribute_cohorts",
    doc="One row per attribute of users (`VIDAGG_COHORT_BY`), value of it, week in which users "
    "watched for the first time, and week since. The values of an attribute add up to "
    "`viewer_cohorts`.",
    columns=(
        ColumnSpec("attribute", STRING, "Name of the column in the table of users."),
        ColumnSpec(
            "value",
            STRING,
            "What the users have there; null: nothing, different values, or no row.",
        ),
        *VIEWER_COHORTS.columns,
    ),
    key=("attribute", "value", *VIEWER_COHORTS.key),
    partitioned=False,
)

REACH_DAYS: Final = (1, 7, 28)
"""Reach is told of so many days after the day of publication."""

VIDEO_REACH: Final = TableSpec(
    name="video_reach",
    doc="One row per video of the catalogue: of the users who could have seen it, how many did "
    "within so many days after the day of its publication.",
    columns=(
        VIDEO,
        TITLE,
        ColumnSpec(
            "publishedDay",
            DATE,
            "Day of publishedAt in the configured time zone; null where that cannot be read.",
        ),
        ColumnSpec(
            "couldSeeBy",
            STRING,
            "audience: who should watch it, by `VIDAGG_AUDIENCE`. visitors: of a video without an "
            "audience, users with any event from publishedDay to "
            f"{REACH_DAYS[-1]} days after it.",
        ),
        ColumnSpec(
            "couldSee",
            LONG,
            "Users who could have seen it; null of visitors while the days are not over.",
        ),
        *(
            ColumnSpec(
                f"reachedByDay{days}",
                LONG,
                f"Those who watched any part of it from publishedDay to {days} days after it; "
                "null while these days are not over, and where one of them was not read.",
            )
            for days in REACH_DAYS
        ),
        *(
            ColumnSpec(
                f"reachPercentageByDay{days}",
                DOUBLE,
                f"100 x reachedByDay{days} / couldSee (percent, two places); null where one of "
                "them is, or nobody could.",
            )
            for days in REACH_DAYS
        ),
    ),
    key=("videoId",),
    partitioned=False,
)

AUDIENCE_STATUSES: Final = ("not_started", "in_progress", "completed", "unknown")

AUDIENCE_STATUS: Final = TableSpec(
    name="audience_status",
    doc="One row per user and video of the audience (`VIDAGG_AUDIENCE`), whether or not the user "
    "watched.",
    columns=(
        USER,
        VIDEO,
        TITLE,
        ColumnSpec("dueDate", DATE, "The last day for it; null if there is none."),
        ColumnSpec(
            "status",
            STRING,
            "not_started (nothing watched), in_progress, completed (as much seen as a completion "
            "needs, 75 % by default) or unknown (watched, but the duration is not known).",
        ),
        ColumnSpec(
            "overdue",
            BOOLEAN,
            "Not completed, and the last day that was read is after dueDate; null without one.",
        ),
        ColumnSpec(
            "watchedPercentage",
            DOUBLE,
            "Share of the video that was seen (percent); 0 for those who never watched, null where "
            "the duration is unknown.",
        ),
        ColumnSpec("totalWatchTime", DOUBLE, "Content watched, replays included (seconds)."),
        ColumnSpec(
            "totalUniqueSecondsWatched", DOUBLE, "Content watched, each part once (seconds)."
        ),
        ColumnSpec("completionCount", LONG, "How often the video was played to its end."),
        ColumnSpec("lastWatchDate", TIMESTAMP, "Last event (UTC); null if there is none."),
    ),
    key=("userId", "videoId"),
    partitioned=False,
)

CHAPTER_ENGAGEMENT: Final = TableSpec(
    name="chapter_engagement",
    doc="One row per chapter of a video (`VIDAGG_CHAPTERS`), all days together.",
    columns=(
        VIDEO,
        TITLE,
        ColumnSpec("chapter", LONG, "Number of the chapter in its video, from 1 on."),
        ColumnSpec("chapterTitle", STRING, "Title of the chapter; null if it has none."),
        ColumnSpec("startMs", LONG, "Where it begins, milliseconds."),
        ColumnSpec(
            "endMs",
            LONG,
            "Where the next one begins, or the video ends; null of the last one without a "
            "duration.",
        ),
        ColumnSpec("reached", LONG, "Users who watched a part of this chapter or of a later one."),
        *_SEEN,
        *_WATCHED,
        ColumnSpec(
            "leftHere", LONG, "Viewers of the video for whom it holds the last part they watched."
        ),
    ),
    key=("videoId", "chapter"),
    partitioned=False,
)

INSIGHT_TABLES: Final[dict[str, TableSpec]] = {
    table.name: table
    for table in (
        VIDEO_CURVE,
        LIFETIME_VIDEO_CURVE,
        VIDEO_ENGAGEMENT,
        LIFETIME_VIDEO_ENGAGEMENT,
        VIEWER_COHORTS,
        ATTRIBUTE_COHORTS,
        VIDEO_REACH,
        AUDIENCE_STATUS,
        CHAPTER_ENGAGEMENT,
    )
}

WRITTEN_WITH: Final[dict[str, str]] = {
    VIDEO_ENGAGEMENT.name: VIDEO_CURVE.name,
    **dict.fromkeys(
        (
            LIFETIME_VIDEO_ENGAGEMENT.name,
            VIEWER_COHORTS.name,
            ATTRIBUTE_COHORTS.name,
            VIDEO_REACH.name,
            AUDIENCE_STATUS.name,
            CHAPTER_ENGAGEMENT.name,
        ),
        LIFETIME_VIDEO_CURVE.name,
    ),
}
"""Table -> the asset whose step writes it beside its own."""
