"""The queries of the page. Every number on it is in the answer to one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
)
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.report.scope import Scope

DAYS_SHOWN: Final = 92
VALUES_SHOWN: Final = 30
"""Values of an attribute of users that have a row, those with the most users."""
PUBLISHED_SHOWN: Final = 50
"""Videos whose reach is shown, those published last."""
STRIPS: Final = 14
"""Viewers of a video who have a strip, spread evenly from who saw most to who saw least."""
MAX_USERS_TO_RESAMPLE: Final = 2_000
"""Users of a video who are drawn from when peaks are tested, at most."""
START_SHARE: Final = 0.03
"""Who watched any part of so much of the beginning has begun at the beginning."""


@dataclass(frozen=True)
class Query:
    """One query.

    `key` names the columns that identify a row. `personal` tells that rows name users; what only
    feeds a computation is not in the page's data (`shown`).
    """

    name: str
    tables: tuple[str, ...]
    key: tuple[str, ...]
    sql: str
    personal: bool = False
    shown: bool = True


def queries(scope: Scope, there: frozenset[str]) -> Mapping[str, Query]:
    """The queries by their names. `there` are the tables that exist; questions depend on it."""
    pairs: str = _PAIRS
    of: tuple[str, ...] = (AGGREGATED_ENGAGEMENT.name,)
    if AUDIENCE_STATUS.name in there:
        pairs, of = _PAIRS_WITH_AUDIENCE, (*of, AUDIENCE_STATUS.name)
    found = (
        *_OVERALL,
        *_of_videos(_most_watched(scope.videos)),
        *_matrix(scope, pairs, of),
    )
    return {query.name: query for query in found}


def _most_watched(videos: int) -> str:
    return (
        "(SELECT videoId FROM aggregated_user_video_engagement\n"
        f" GROUP BY videoId ORDER BY sum(totalWatchTime) DESC, videoId LIMIT {videos})"
    )


_OVERALL: Final = (
    Query(
        "overview",
        (AGGREGATED_ENGAGEMENT.name,),
        (),
        """\
SELECT count(DISTINCT userId) FILTER (totalWatchTime > 0) AS viewers,
       count(DISTINCT userId) AS users,
       count(DISTINCT videoId) AS videos,
       count(*) AS pairs,
       sum(sessionCount) AS plays,
       round(sum(totalWatchTime) / 3600, 2) AS watchHours,
       sum(completionCount) AS completions,
       round(avg(uniqueWatchPercentage) FILTER (totalWatchTime > 0), 2) AS meanSeen,
       round(100 * sum(rewatchedSeconds) / nullif(sum(totalWatchTime), 0), 2) AS rewatched,
       CAST(min(firstWatchDate) AS DATE) AS firstDay,
       CAST(max(lastWatchDate) AS DATE) AS lastDay,
       max(processedAt) AS computedAt
FROM aggregated_user_video_engagement""",
    ),
    Query(
        "days",
        (USER_VIDEO_ENGAGEMENT.name,),
        ("event_date",),
        f"""\
SELECT event_date,
       count(DISTINCT userId) FILTER (totalWatchTime > 0) AS viewers,
       sum(sessionCount) AS plays,
       round(sum(totalWatchTime) / 3600, 2) AS watchHours,
       sum(completionCount) AS completions
FROM user_video_engagement
GROUP BY event_date
ORDER BY event_date DESC
LIMIT {DAYS_SHOWN}""",
    ),
    Query(
        "input",
        (INGESTION_COUNTS.name,),
        ("event_date",),
        f"""\
SELECT event_date,
       sum(value) FILTER (measure = 'input') AS input,
       sum(value) FILTER (measure = 'accepted') AS accepted,
       sum(value) FILTER (measure = 'duplicates') AS duplicates,
       sum(value) FILTER (measure = 'ignored') AS ignored,
       sum(value) FILTER (measure = 'rejected') AS rejected
FROM ingestion_counts
GROUP BY event_date
ORDER BY event_date DESC
LIMIT {DAYS_SHOWN}""",
    ),
    Query(
        "outcomes",
        (INGESTION_COUNTS.name,),
        ("outcome",),
        """\
SELECT measure AS outcome, sum(value) AS eventRows,
       round(100 * sum(value) / nullif((SELECT sum(value) FROM ingestion_counts
                                        WHERE measure = 'input'), 0), 2) AS percentage
FROM ingestion_counts
WHERE measure IN ('input', 'accepted', 'duplicates', 'ignored', 'rejected')
GROUP BY measure
ORDER BY eventRows DESC, outcome""",
    ),
    Query(
        "reasons",
        (INGESTION_COUNTS.name,),
        ("reason",),
        """\
SELECT substr(measure, 10) AS reason, sum(value) AS eventRows
FROM ingestion_counts
WHERE measure LIKE 'rejected:%'
GROUP BY reason
HAVING eventRows > 0
ORDER BY eventRows DESC, reason""",
    ),
    Query(
        "evidence",
        (AGGREGATED_ENGAGEMENT.name,),
        ("evidence",),
        f"""\
SELECT evidence, round(sum(seconds) / 3600, 2) AS watchHours,
       round(100 * sum(seconds) / nullif(sum(sum(seconds)) OVER (), 0), 2) AS percentage
FROM (SELECT {", ".join(f"{name}Seconds AS {name}" for name in EVIDENCE)}
      FROM aggregated_user_video_engagement)
UNPIVOT (seconds FOR evidence IN ({", ".join(EVIDENCE)}))
WHERE evidence <> 'reported' OR seconds > 0
GROUP BY evidence
ORDER BY watchHours DESC, evidence""",
    ),
    Query(
        "flags",
        (AGGREGATED_ENGAGEMENT.name,),
        ("flag",),
        """\
SELECT flag, count(*) AS pairs,
       round(100 * count(*) / (SELECT count(*) FROM aggregated_user_video_engagement), 2)
         AS percentage
FROM (SELECT unnest(qualityFlags) AS flag FROM aggregated_user_video_engagement)
GROUP BY flag
ORDER BY pairs DESC, flag""",
    ),
    Query(
        "cohorts",
        (VIEWER_COHORTS.name,),
        ("cohortWeek", "weekOffset"),
        """\
SELECT cohortWeek, weekOffset, users, activeUsers,
       round(100 * activeUsers / nullif(users, 0), 1) AS percentage,
       round(watchSeconds / 3600, 2) AS watchHours, completions
FROM viewer_cohorts
ORDER BY cohortWeek, weekOffset""",
    ),
    Query(
        "attribute_cohorts",
        (ATTRIBUTE_COHORTS.name,),
        ("attribute", "value", "weekOffset"),
        f"""\
WITH largest AS (
  SELECT attribute, value, sum(users) AS size
  FROM attribute_cohorts
  WHERE weekOffset = 0
  GROUP BY attribute, value
  QUALIFY row_number() OVER (PARTITION BY attribute ORDER BY size DESC, value) <= {VALUES_SHOWN})
SELECT a.attribute, a.value, weekOffset, sum(users) AS users, sum(activeUsers) AS activeUsers,
       round(100 * sum(activeUsers) / sum(users), 1) AS percentage,
       round(sum(watchSeconds) / 3600, 2) AS watchHours
FROM attribute_cohorts a
JOIN largest l ON l.attribute = a.attribute AND l.value IS NOT DISTINCT FROM a.value
WHERE activeUsers IS NOT NULL
GROUP BY a.attribute, a.value, weekOffset, size
ORDER BY a.attribute, size DESC, a.value, weekOffset""",
    ),
    Query(
        "reach",
        (VIDEO_REACH.name,),
        ("videoId",),
        f"""\
SELECT videoId, videoTitle AS title, publishedDay, couldSeeBy, couldSee,
       reachedByDay1, reachedByDay7, reachedByDay28,
       reachPercentageByDay1 AS day1, reachPercentageByDay7 AS day7,
       reachPercentageByDay28 AS day28
FROM video_reach
WHERE publishedDay IS NOT NULL
ORDER BY publishedDay DESC, videoId
LIMIT {PUBLISHED_SHOWN}""",
    ),
    Query(
        "audience",
        (AUDIENCE_STATUS.name,),
        ("videoId",),
        """\
SELECT videoId, max(videoTitle) AS title, max(dueDate) AS dueDate, count(*) AS expected,
       count(*) FILTER (status = 'completed') AS completed,
       count(*) FILTER (status = 'in_progress') AS inProgress,
       count(*) FILTER (status = 'not_started') AS notStarted,
       count(*) FILTER (status = 'unknown') AS unknown,
       count(*) FILTER (overdue) AS overdue
FROM audience_status
GROUP BY videoId
ORDER BY overdue DESC, notStarted DESC, videoId""",
    ),
)


def _of_videos(chosen: str) -> tuple[Query, ...]:
    return (
        Query(
            "videos",
            (LIFETIME_VIDEO_ENGAGEMENT.name, AGGREGATED_ENGAGEMENT.name),
            ("videoId",),
            f"""\
SELECT videoId, videoTitle AS title, videoDuration AS duration, viewers, plays,
       round(watchHours, 2) AS watchHours, completedViewers,
       round(100 * completedViewers / nullif(viewers, 0), 2) AS completed,
       meanWatchedPercentage AS meanSeen, medianWatchedPercentage AS medianSeen,
       round(averageMinuteAudience, 2) AS averageMinuteAudience,
       round(rewatchedPercentage, 2) AS rewatched,
       round(watchHours / nullif(uniqueHours, 0), 2) AS timesWatched,
       relativeRetention, similarVideos
FROM lifetime_video_engagement
WHERE videoId IN {chosen}
ORDER BY watchHours DESC, videoId""",
        ),
        Query(
            "starters",
            (AGGREGATED_ENGAGEMENT.name,),
            ("videoId",),
            f"""\
SELECT videoId, count(*) FILTER (totalWatchTime > 0) AS viewers,
       count(*) FILTER (watchedIntervals[1].startMs < {START_SHARE} * 1000 * videoDuration)
         AS fromTheStart
FROM aggregated_user_video_engagement
WHERE videoId IN {chosen}
GROUP BY videoId
ORDER BY videoId""",
        ),
        Query(
            "curve",
            (LIFETIME_VIDEO_CURVE.name, AGGREGATED_ENGAGEMENT.name),
            ("videoId",),
            f"""\
SELECT videoId,
       max(binEndMs - binStartMs) AS binMs,
       max(binEndMs) AS endMs,
       list(viewers ORDER BY binStartMs) AS viewers,
       round(max(watchMs / (binEndMs - binStartMs)), 1) AS mostWatched,
       list(coalesce(round(rewatchMs / nullif(uniqueMs, 0), 2), 0) ORDER BY binStartMs) AS again,
       list(lastSeenHere ORDER BY binStartMs) AS lastSeenHere,
       list(skippedOver ORDER BY binStartMs) AS skippedOver
FROM lifetime_video_curve
WHERE videoId IN {chosen}
GROUP BY videoId
ORDER BY videoId""",
        ),
        Query(
            "chapters",
            (CHAPTER_ENGAGEMENT.name, AGGREGATED_ENGAGEMENT.name),
            ("videoId", "chapter"),
            f"""\
SELECT videoId, chapter, chapterTitle AS title, startMs, endMs, reached, viewers,
       round(100 * rewatchMs / nullif(watchMs, 0), 2) AS rewatched, leftHere
FROM chapter_engagement
WHERE videoId IN {chosen}
ORDER BY videoId, chapter""",
        ),
        Query(
            "strips",
            (AGGREGATED_ENGAGEMENT.name,),
            ("videoId", "userId"),
            f"""\
SELECT videoId, userId, totalUniqueSecondsWatched AS uniqueSeconds,
       uniqueWatchPercentage AS seen,
       [[round(i.startMs / 1000, 1), round(i.endMs / 1000, 1)] FOR i IN watchedIntervals]
         AS intervals
FROM (SELECT *, row_number() OVER ordered AS place, count(*) OVER (PARTITION BY videoId) AS viewers
      FROM aggregated_user_video_engagement
      WHERE totalWatchTime > 0 AND videoId IN {chosen}
      WINDOW ordered AS (PARTITION BY videoId ORDER BY totalUniqueSecondsWatched DESC, userId))
WHERE place * {STRIPS} // viewers > (place - 1) * {STRIPS} // viewers
ORDER BY videoId, place""",
            personal=True,
        ),
        Query(
            "rewatching",
            (WATCH_INTERVALS.name, AGGREGATED_ENGAGEMENT.name),
            ("videoId", "userId", "startMs", "endMs"),
            f"""\
SELECT videoId, userId, startMs, endMs
FROM watch_intervals
SEMI JOIN (SELECT videoId, userId FROM aggregated_user_video_engagement
           WHERE videoId IN {chosen}
           QUALIFY row_number() OVER (PARTITION BY videoId ORDER BY md5(userId))
             <= {MAX_USERS_TO_RESAMPLE}) USING (videoId, userId)
ORDER BY videoId, userId, startMs, endMs""",
            personal=True,
            shown=False,
        ),
    )


def _matrix(scope: Scope, rows: str, tables: tuple[str, ...]) -> tuple[Query, Query]:
    """The columns and the lines of the table of users and videos, over `rows` of pairs."""
    shown = f"""\
shown AS (
  SELECT row_number() OVER (ORDER BY sum(watched) DESC, videoId) AS place, videoId,
         max(title) AS title
  FROM pairs
  GROUP BY videoId
  QUALIFY place <= {scope.videos})"""
    return (
        Query(
            "columns",
            tables,
            ("place",),
            f"WITH pairs AS (\n{rows}),\n{shown}\nFROM shown ORDER BY place",
        ),
        Query(
            "matrix",
            tables,
            ("userId",),
            f"""\
WITH pairs AS (
{rows}),
{shown}
SELECT userId, count(*) OVER () AS ofUsers, round(sum(watched) / 3600, 2) AS watchHours,
       list(place ORDER BY place) AS places,
       list(seen ORDER BY place) AS seen,
       list(status ORDER BY place) FILTER (status IS NOT NULL) AS status
FROM pairs
JOIN shown USING (videoId)
GROUP BY userId
ORDER BY count(*) FILTER (status = 'overdue') DESC, sum(watched) DESC, userId
LIMIT {scope.users}""",
            personal=True,
        ),
    )


_PAIRS: Final = """\
  SELECT userId, videoId, videoTitle AS title, totalWatchTime AS watched,
         uniqueWatchPercentage AS seen, NULL::VARCHAR AS status
  FROM aggregated_user_video_engagement"""

_PAIRS_WITH_AUDIENCE: Final = """\
  SELECT userId, videoId, coalesce(e.videoTitle, a.videoTitle) AS title,
         coalesce(e.totalWatchTime, 0) AS watched,
         CASE WHEN e.totalWatchTime IS NULL THEN 0 ELSE uniqueWatchPercentage END AS seen,
         CASE WHEN overdue THEN 'overdue' ELSE coalesce(status, '') END AS status
  FROM aggregated_user_video_engagement e
  FULL JOIN audience_status a USING (userId, videoId)"""
