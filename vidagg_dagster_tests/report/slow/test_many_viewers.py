"""The budget of the page: 50 videos and a million pairs of user and video."""

from pathlib import Path
from time import process_time

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from vidagg_dagster.core.insight_schemas import LIFETIME_VIDEO_CURVE, LIFETIME_VIDEO_ENGAGEMENT
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
)
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster.report.page import write_page
from vidagg_dagster.report.scope import DEFAULT_SCOPE

VIDEOS, USERS, BINS = 50, 20_000, 200
MAX_BYTES = 1_000_000
MAX_CPU_S = 20
"""Time of all processors together, which does not depend on what else the machine does."""

MAKE = f"""
SELECT setseed(0.25);
CREATE TABLE parts AS
  SELECT userId, videoId, d, part,
         CASE WHEN part = 0 THEN 0 ELSE ((part + 0.9 * a) * d / 3)::BIGINT END AS startMs,
         ((part + 0.9 * a + 0.1 + (0.9 - 0.9 * a) * b) * d / 3)::BIGINT AS endMs,
         random() < 0.3 AS twice
  FROM (SELECT 'user_' || lpad(u::VARCHAR, 5, '0') AS userId,
               'video_' || lpad(v::VARCHAR, 3, '0') AS videoId,
               600000 + v * 37000 AS d, part, random() AS a, random() AS b,
               part = 0 OR random() < 1.0 - 0.3 * part AS there
        FROM range({USERS}) users(u), range({VIDEOS}) videos(v), range(3) parts(part))
  WHERE there;
CREATE TABLE pairs AS
  SELECT userId, videoId, 'A lecture with a title of usual length: ' || videoId AS videoTitle,
         max(d) / 1000 AS videoDuration,
         sum((endMs - startMs) * (1 + twice::INT)) / 1000 AS totalWatchTime,
         sum(endMs - startMs) / 1000 AS totalUniqueSecondsWatched,
         round(100 * sum(endMs - startMs) / max(d), 2) AS uniqueWatchPercentage,
         1::BIGINT AS sessionCount, (max(part) // 2)::BIGINT AS completionCount,
         sum((endMs - startMs) * twice::INT) / 1000 AS rewatchedSeconds,
         {", ".join(f"totalWatchTime / 5 AS {name}Seconds" for name in EVIDENCE)},
         list({{'startMs': startMs, 'endMs': endMs}} ORDER BY startMs) AS watchedIntervals,
         ['seek_repaired'] AS qualityFlags, TIMESTAMP '2026-01-01' AS firstWatchDate,
         TIMESTAMP '2026-01-31' AS lastWatchDate, TIMESTAMP '2026-02-01' AS processedAt
  FROM parts GROUP BY userId, videoId;
"""

TABLES = {
    AGGREGATED_ENGAGEMENT.name: "FROM pairs",
    USER_VIDEO_ENGAGEMENT.name: """
        SELECT DATE '2026-01-01' + (hash(userId, videoId) % 31)::INT AS event_date, userId, videoId,
               totalWatchTime, sessionCount, completionCount
        FROM pairs""",
    WATCH_INTERVALS.name: """
        SELECT userId, videoId, startMs, endMs
        FROM parts CROSS JOIN range(2) again(n) WHERE n = 0 OR twice""",
    LIFETIME_VIDEO_ENGAGEMENT.name: f"""
        SELECT videoId, max(videoTitle) AS videoTitle, max(videoDuration) AS videoDuration,
               count(*) AS viewers, count(*) AS plays, sum(totalWatchTime) / 3600 AS watchHours,
               sum(totalUniqueSecondsWatched) / 3600 AS uniqueHours,
               sum(completionCount)::BIGINT AS completedViewers,
               avg(uniqueWatchPercentage) AS meanWatchedPercentage,
               median(uniqueWatchPercentage) AS medianWatchedPercentage,
               sum(totalWatchTime) / max(videoDuration) AS averageMinuteAudience,
               100 * sum(rewatchedSeconds) / sum(totalWatchTime) AS rewatchedPercentage,
               0.25::DOUBLE AS relativeRetention, {VIDEOS}::BIGINT AS similarVideos
        FROM pairs GROUP BY videoId""",
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    with duckdb.connect() as connection:
        connection.execute(MAKE)
        for name, sql in TABLES.items():
            write_deltalake(str(folder / name), connection.sql(sql).to_arrow_table())
        parts = connection.sql("FROM parts ORDER BY videoId").to_arrow_table()
    write_deltalake(str(folder / LIFETIME_VIDEO_CURVE.name), curves(parts))
    return folder


def curves(parts: pa.Table) -> pa.Table:
    """Bins of each video: who is inside at its beginning or comes in it."""
    found = []
    ids = parts["videoId"].to_numpy(zero_copy_only=False)
    for video in np.unique(ids):
        rows = parts.filter(pa.array(ids == video))
        starts, ends = (np.sort(rows[name].to_numpy()) for name in ("startMs", "endMs"))
        twice = rows.filter(rows["twice"])
        began, ended = (np.sort(twice[name].to_numpy()) for name in ("startMs", "endMs"))
        length = rows["d"][0].as_py()
        edges = np.arange(BINS + 1) * (length // BINS)
        edges[-1] = length
        width = np.diff(edges)
        viewers = np.minimum(inside(starts, ends, edges), USERS)
        rewatch = inside(began, ended, edges) * width
        jumps = np.clip(np.diff(np.searchsorted(ends, edges)) * 3, 0, 4_000)
        found.append(
            pa.table(
                {
                    "videoId": [video] * BINS,
                    "binStartMs": edges[:-1],
                    "binEndMs": edges[1:],
                    "viewers": viewers,
                    "uniqueMs": viewers * width,
                    "watchMs": viewers * width + rewatch,
                    "rewatchMs": rewatch,
                    "skippedOver": jumps,
                    "lastSeenHere": jumps // 9,
                }
            )
        )
    return pa.concat_tables(found)


def inside(starts: np.ndarray, ends: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many intervals overlap each bin."""
    return np.searchsorted(starts, edges[1:]) - np.searchsorted(ends, edges[:-1], side="right")


def test_the_page_of_a_million_pairs_is_small_and_quick(tables: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    started = process_time()
    page = write_page(tables, file)
    spent = process_time() - started
    size = file.stat().st_size
    assert (len(page.videos), page.overview["pairs"]) == (VIDEOS, VIDEOS * USERS)
    assert len(page.rows("matrix")) == DEFAULT_SCOPE.users
    assert all(len(row["places"]) == VIDEOS for row in page.rows("matrix"))
    assert size <= MAX_BYTES, f"{size} bytes"
    assert spent <= MAX_CPU_S, f"{spent:.1f} s"
    print(f"\n{size} bytes in {spent:.1f} s of processor time")
