-- Views for BI tools: flat columns, one question each. Spark SQL and Databricks SQL; DuckDB takes
-- them as they are. Run them in the schema of the tables, for example after `USE main.video`.
-- docs/dashboards.md says what they are for. `bi_viewing` and
-- `bi_audience` have people in them: grant them to few.

-- One row per user and video who has a row: how much was watched, without lists.
CREATE OR REPLACE VIEW bi_viewing AS
SELECT userId, videoId, coalesce(videoTitle, videoId) AS title, videoDuration AS durationSeconds,
       totalWatchTime AS watchedSeconds, totalUniqueSecondsWatched AS seenSeconds,
       uniqueWatchPercentage AS seenPercentage, completionPercentage AS furthestPercentage,
       sessionCount AS sessions, completionCount AS completions,
       totalForwardSkips AS forwardSkips, totalBackwardSkips AS backwardSkips,
       engagementScore AS score, engagementTier AS tier, dataQualityFlag AS qualityFlag,
       CAST(firstWatchDate AS DATE) AS firstDay, CAST(lastWatchDate AS DATE) AS lastDay
FROM aggregated_user_video_engagement;

-- One row per video, all days together.
CREATE OR REPLACE VIEW bi_videos AS
SELECT videoId, coalesce(videoTitle, videoId) AS title, videoDuration AS durationSeconds, viewers,
       plays, watchHours, uniqueHours, meanWatchedPercentage, medianWatchedPercentage,
       CASE WHEN viewers > 0 THEN 100 * completedViewers / viewers END AS completedPercentage,
       averageMinuteAudience, rewatchedPercentage, relativeRetention, firstDay, lastDay
FROM lifetime_video_engagement;

-- One row per day: what was watched, and how much of the input could be used.
CREATE OR REPLACE VIEW bi_days AS
SELECT w.event_date AS day, w.viewers, w.plays, w.watchHours, w.completions, i.inputRows,
       i.rejectedRows, i.duplicateRows
FROM (SELECT event_date,
             count(DISTINCT CASE WHEN totalWatchTime > 0 THEN userId END) AS viewers,
             sum(sessionCount) AS plays, sum(totalWatchTime) / 3600 AS watchHours,
             sum(completionCount) AS completions
      FROM user_video_engagement
      GROUP BY event_date) w
LEFT JOIN (SELECT event_date,
                  sum(CASE WHEN measure = 'input' THEN value ELSE 0 END) AS inputRows,
                  sum(CASE WHEN measure = 'rejected' THEN value ELSE 0 END) AS rejectedRows,
                  sum(CASE WHEN measure = 'duplicates' THEN value ELSE 0 END) AS duplicateRows
           FROM ingestion_counts
           GROUP BY event_date) i ON i.event_date = w.event_date;

-- One row per video and bin: who was there, how often it was watched, where viewers left for good.
-- Percentages are of the viewers of the video, and of the bin with most viewers.
CREATE OR REPLACE VIEW bi_curve AS
SELECT c.videoId, coalesce(v.videoTitle, c.videoId) AS title, c.binStartMs / 1000 AS atSeconds,
       c.viewers,
       CASE WHEN v.viewers > 0 THEN 100 * c.viewers / v.viewers END AS percentOfViewers,
       CASE WHEN p.peak > 0 THEN 100 * c.viewers / p.peak END AS percentOfPeak,
       c.watchMs / (c.binEndMs - c.binStartMs) AS timesWatched,
       c.lastSeenHere AS leftHere, c.skippedOver, c.jumpedTo
FROM lifetime_video_curve c
JOIN lifetime_video_engagement v ON v.videoId = c.videoId
JOIN (SELECT videoId, max(viewers) AS peak
      FROM lifetime_video_curve
      GROUP BY videoId) p ON p.videoId = c.videoId;

-- One row per week of the first view and week since. What a week that is not over came to is null.
CREATE OR REPLACE VIEW bi_cohorts AS
SELECT cohortWeek, weekOffset, users, activeUsers,
       CASE WHEN users > 0 THEN 100 * activeUsers / users END AS activePercentage
FROM viewer_cohorts;

-- One row per user and video of the audience (VIDAGG_AUDIENCE), whether or not the user watched.
CREATE OR REPLACE VIEW bi_audience AS
SELECT userId, videoId, coalesce(videoTitle, videoId) AS title, dueDate, status, overdue,
       watchedPercentage, totalWatchTime AS watchedSeconds, CAST(lastWatchDate AS DATE) AS lastDay
FROM audience_status;

-- One row per video and chapter (VIDAGG_CHAPTERS).
CREATE OR REPLACE VIEW bi_chapters AS
SELECT videoId, coalesce(videoTitle, videoId) AS title, chapter, chapterTitle,
       startMs / 1000 AS atSeconds, reached, viewers, watchMs / 3600000 AS watchHours, leftHere
FROM chapter_engagement;
