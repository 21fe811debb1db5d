-- The whole specification in one query: events of all days to one row per user and video.
-- One pass over the timeline instead of days; a comment tells where a day sees less than this.
-- Parameters: $events, $videos (Parquet), $run_time (timestamp with time zone).
CREATE OR REPLACE TEMP TABLE videos AS
SELECT trim(videoId) AS videoId,
       CASE WHEN duration > 0 THEN floor(duration * 1000 + 0.5)::BIGINT END AS duration_ms,
       nullif(trim(title), '') AS title
FROM read_parquet($videos);

CREATE OR REPLACE TEMP TABLE names AS
FROM (VALUES ('video_play', 1, 0), ('play', 1, 0), ('video_resume', 1, 1), ('resume', 1, 1),
             ('video_progress', 0, 2), ('video_heartbeat', 0, 2), ('video_seek', 0, 3),
             ('video_seeked', 0, 3), ('video_pause', -1, 4), ('pause', -1, 4),
             ('video_ended', -1, 5), ('video_end', -1, 5), ('end', -1, 5), ('ended', -1, 5))
     AS n (name, kind, rank);

-- Valid rows, each event once, with numbers for ids, because windows sort by them several times.
CREATE OR REPLACE TEMP TABLE players AS
SELECT row_number() OVER () AS player, dense_rank() OVER (ORDER BY userId, sessionId) AS session, *
FROM (SELECT DISTINCT trim(userId) AS userId, trim(sessionId) AS sessionId,
                      trim(videoId) AS videoId
      FROM read_parquet($events)
      WHERE trim(userId) <> '' AND trim(sessionId) <> '' AND trim(videoId) <> '')
LEFT JOIN videos USING (videoId);

CREATE OR REPLACE TEMP TABLE events AS
WITH valid AS (
    SELECT p.player, p.session, n.kind, n.rank, epoch_us("timestamp") AS us,
           floor(currentTime * 1000 + 0.5)::BIGINT AS sent_ms,
           CASE WHEN playbackRate > 0 AND playbackRate <= 16 THEN playbackRate END AS rate
    FROM read_parquet($events) e
    JOIN names n ON n.name = lower(trim(e.eventName))
    JOIN players p ON p.userId = trim(e.userId) AND p.sessionId = trim(e.sessionId)
                  AND p.videoId = trim(e.videoId)
    WHERE isfinite(currentTime) AND currentTime BETWEEN 0 AND 86400
      AND "timestamp" BETWEEN '2000-01-01 00:00:00+00' AND $run_time + INTERVAL 1 DAY
)
SELECT player, any_value(session) AS session, any_value(kind) AS kind, rank, us, sent_ms,
       min(rate) AS rate
FROM valid GROUP BY player, us, rank, sent_ms;

CREATE OR REPLACE TEMP TABLE visits AS
WITH placed AS (
    SELECT e.*, p.duration_ms, least(sent_ms, coalesce(p.duration_ms, sent_ms)) AS pos,
           coalesce(sent_ms * 100 > p.duration_ms * 110, false) AS beyond
    FROM events e JOIN players p USING (player)
), instants AS (
    SELECT *, CASE WHEN starts AND NOT stops THEN 1 WHEN stops AND NOT starts THEN -1 END AS only_kind
    FROM (SELECT *, max(kind = 1) OVER same AS starts, max(kind = -1) OVER same AS stops
          FROM placed
          WINDOW same AS (PARTITION BY player, beyond ORDER BY us
                          RANGE BETWEEN CURRENT ROW AND CURRENT ROW))
), ordered AS (
    SELECT *, kind * coalesce(last_value(only_kind IGNORE NULLS) OVER (
        PARTITION BY player, beyond ORDER BY us
        RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), -1) AS tie
    FROM instants
), neighbours AS (
    SELECT *, lag(us) OVER o AS us0, lag(pos) OVER o AS pos0, lag(rate) OVER o AS rate0,
           lead(us) OVER o AS us2, lead(pos) OVER o AS pos2, lead(rank) OVER o AS rank2,
           coalesce(last_value(CASE WHEN kind <> 0 THEN kind END IGNORE NULLS) OVER (
               PARTITION BY player, beyond ORDER BY us, tie, rank, pos, sent_ms
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) = 1, false) AS playing
    FROM ordered
    WINDOW o AS (PARTITION BY player, beyond ORDER BY us, tie, rank, pos, sent_ms)
), pairs AS (
    SELECT *, (us - us0) // 1000 AS dt, pos - pos0 AS dp,
           coalesce(greatest(rate, rate0), 2.0) AS speed,
           playing AND us0 IS NOT NULL AS pair
    FROM neighbours
), judged AS (
    SELECT *, dp <= speed * dt + 1000 AS plausible, pair AND dt <= 1800000 AS repairable
    FROM pairs
), told AS (
    SELECT *, repairable AND kind = -1
              AND coalesce(rank2 = 3 AND us2 // 86400000000 = us // 86400000000
                  AND (us2 - us) // 1000 <= 250 AND abs(pos2 - pos) <= 250, false) AS drag,
           pair AND dp >= 0 AND plausible AS watched,
           repairable AND (NOT plausible OR dp < -2000) AS seek,
           least(pos0 + dt, coalesce(duration_ms, pos0 + dt)) AS played_on
    FROM judged
), credited AS (
    SELECT *, CASE WHEN drag THEN 'clipped' WHEN watched AND kind = -1 THEN 'observed'
                   WHEN watched AND kind = 0 THEN 'heartbeat'
                   WHEN watched AND dp * 2 >= dt - 2000 THEN 'bridged'
                   WHEN seek THEN 'clipped' END AS evidence,
           CASE WHEN drag THEN played_on
                WHEN watched AND (kind <> 1 OR dp * 2 >= dt - 2000) THEN pos
                WHEN seek THEN CASE WHEN dp > 0 AND played_on > pos THEN pos ELSE played_on END
           END AS end_ms
    FROM told
), idle AS (
    SELECT *, (us - max(us) OVER (PARTITION BY session ORDER BY us
                   RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) // 1000
              - coalesce(max(CASE WHEN evidence <> 'clipped' THEN end_ms - pos0 END) OVER (
                   PARTITION BY session ORDER BY us
                   RANGE BETWEEN CURRENT ROW AND CURRENT ROW), 0) AS idle_ms
    FROM credited
), cut AS (
    SELECT *, max(CASE WHEN coalesce(idle_ms > 1800000, true) THEN us END) OVER (
        PARTITION BY session ORDER BY us
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS session_us
    FROM idle
), whole AS (
    SELECT * REPLACE (CASE WHEN us0 >= session_us THEN evidence END AS evidence,
                      CASE WHEN us0 >= session_us THEN end_ms END AS end_ms)
    FROM cut
), seen AS (
    SELECT *, lag(kind) OVER o AS kind0,
           lead(us) OVER o AS visit_us2,
           last_value(CASE WHEN kind = -1 THEN CASE WHEN evidence = 'clipped' THEN end_ms
                      ELSE pos END END IGNORE NULLS) OVER earlier AS stop_ms,
           last_value(CASE WHEN kind = -1 THEN rank = 5 END IGNORE NULLS) OVER earlier AS stop_ended,
           sum((kind = 1)::INT) OVER (
               PARTITION BY player, beyond, session_us ORDER BY us, tie, rank, pos, sent_ms
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS starts_so_far,
           min(us) OVER (PARTITION BY session, session_us ORDER BY us
               RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS session_us2
    FROM whole
    WINDOW o AS (PARTITION BY player, beyond, session_us ORDER BY us, tie, rank, pos, sent_ms),
           earlier AS (PARTITION BY player, beyond, session_us
                       ORDER BY us, tie, rank, pos, sent_ms
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), counted AS (
    SELECT *, max(CASE WHEN rank = 5 THEN starts_so_far END) OVER (
                  PARTITION BY player, beyond, session_us ORDER BY us, tie, rank, pos, sent_ms
                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS starts_at_end,
           us // 86400000000 AS day, (us + 1800000000) // 86400000000 AS timeout_day,
           CASE WHEN kind0 IS NOT NULL THEN pos - CASE
               WHEN kind = 1 AND NOT playing THEN stop_ms
               WHEN kind <> -1 AND playing THEN
                   CASE WHEN evidence = 'clipped' THEN end_ms WHEN evidence IS NULL THEN pos0 END
           END END AS jump
    FROM seen
), facts AS (
    SELECT *,
           -- A day does not see the next one, so what it has settled stays.
           kind = 1 AND (visit_us2 IS NULL OR (visit_us2 // 86400000000 > day
               AND (timeout_day = day OR coalesce(session_us2 // 86400000000 = day, false))))
               AS open_end,
           least(session_us2, us + 1800000000) // 86400000000 AS settled_day
    FROM counted
)
SELECT player, session_us, beyond,
       CASE WHEN beyond THEN list(day) ELSE list_distinct(list(day)) END AS days,
       list_distinct(list(settled_day) FILTER (open_end)) AS tail_days,
       min(us) AS first_us, max(us) AS last_us, max(pos) AS max_ms,
       count(*) FILTER (rank = 4 AND coalesce(kind0 <> -1, true)) AS pauses,
       count(*) FILTER (rank = 5 AND coalesce(starts_so_far > starts_at_end, true)) AS completions,
       count(*) FILTER (jump > 5000) AS forward,
       count(*) FILTER (jump < -2000 AND NOT (kind = 1 AND NOT playing
                        AND coalesce(stop_ended, false))) AS backward,
       count(*) FILTER (open_end) AS open_ends,
       coalesce(sum(least(1800000, duration_ms - pos, (session_us2 - us) // 1000))
                FILTER (open_end), 0)::BIGINT AS tail_ms,
       list({s: pos0, e: end_ms, c: CASE WHEN evidence = 'clipped' THEN end_ms - pos0 ELSE dt END,
             k: evidence}) FILTER (end_ms > pos0) AS spans
FROM facts GROUP BY player, session_us, beyond;

CREATE OR REPLACE TEMP TABLE result AS
WITH named AS (
    SELECT v.*, p.userId, p.videoId, p.duration_ms, p.title
    FROM visits v JOIN players p USING (player)
), exceeding AS (
    SELECT userId, videoId, count(*) AS n
    FROM (SELECT userId, videoId, unnest(days) AS day FROM named WHERE beyond)
    SEMI JOIN (SELECT userId, videoId, unnest(list_concat(days, tail_days)) AS day
               FROM named WHERE NOT beyond) USING (userId, videoId, day)
    GROUP BY ALL
), pairs AS (
    SELECT userId, videoId, any_value(duration_ms) AS d, any_value(title) AS title,
           list_sort(list_distinct(flatten(list(list_concat(days, tail_days))))) AS days,
           count(*) AS sessions, min(first_us) AS first_us, max(last_us) AS last_us,
           max(max_ms) AS max_ms, sum((last_us - first_us) // 1000)::BIGINT AS session_ms,
           sum(pauses)::BIGINT AS pauses, sum(completions)::BIGINT AS completions,
           sum(forward)::BIGINT AS forward, sum(backward)::BIGINT AS backward,
           sum(open_ends)::BIGINT AS open_ends, sum(tail_ms)::BIGINT AS tail_ms
    FROM named WHERE NOT beyond GROUP BY userId, videoId
), spans AS (
    SELECT userId, videoId, x.s AS s, x.e AS e, x.c AS c, x.k AS k
    FROM (SELECT userId, videoId, unnest(spans) AS x FROM named WHERE NOT beyond)
), islands AS (
    SELECT *, sum(new::INT) OVER (PARTITION BY userId, videoId ORDER BY s, e
                                  ROWS UNBOUNDED PRECEDING) AS island
    FROM (SELECT *, coalesce(s > max(e) OVER (PARTITION BY userId, videoId ORDER BY s, e
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS new FROM spans)
), united AS (
    SELECT userId, videoId, min(s) AS s, max(e) AS e, sum(e - s)::BIGINT AS watch,
           sum(c)::BIGINT AS clock, coalesce(sum(e - s) FILTER (k = 'observed'), 0) AS observed,
           coalesce(sum(e - s) FILTER (k = 'heartbeat'), 0) AS heartbeat,
           coalesce(sum(e - s) FILTER (k = 'bridged'), 0) AS bridged,
           coalesce(sum(e - s) FILTER (k = 'clipped'), 0) AS clipped
    FROM islands GROUP BY userId, videoId, island
), watched AS (
    SELECT userId, videoId, list({startMs: s, endMs: e} ORDER BY s) AS intervals,
           sum(e - s)::BIGINT AS u, sum(watch)::BIGINT AS t, sum(clock)::BIGINT AS clock,
           sum(observed)::BIGINT AS observed, sum(heartbeat)::BIGINT AS heartbeat,
           sum(bridged)::BIGINT AS bridged, sum(clipped)::BIGINT AS clipped
    FROM united GROUP BY userId, videoId
), merged AS (
    SELECT p.*, coalesce(w.intervals, []) AS intervals, coalesce(w.u, 0) AS u,
           coalesce(w.t, 0) AS t, coalesce(w.clock, 0) AS clock,
           coalesce(w.observed, 0) AS observed, coalesce(w.heartbeat, 0) AS heartbeat,
           coalesce(w.bridged, 0) AS bridged, coalesce(w.clipped, 0) AS clipped,
           coalesce(x.n, 0) AS exceeding
    FROM pairs p LEFT JOIN watched w USING (userId, videoId)
    LEFT JOIN exceeding x USING (userId, videoId)
), scored AS (
    SELECT *, CASE WHEN d IS NOT NULL THEN least(10000, (greatest(0, least(u, d) * 8000 + least(t - u, d) * 1000
               + CASE WHEN completions > 0 AND u * 100 >= d * 75 THEN d * 1000 ELSE 0 END
               - d * least(10, forward + backward) * 100) * 2 + d) // (d * 2)) / 100.0 END AS score,
           list_filter([
               CASE WHEN exceeding > 0 THEN 'position_exceeds_duration' END,
               CASE WHEN t * 100 > d * 120 * greatest(1, sessions) THEN 'excessive_watch_time' END,
               CASE WHEN completions > 0 AND u * 100 < d * 75
                    THEN 'completed_without_sufficient_watch' END,
               CASE WHEN t < 5000 THEN 'very_short_watch' END,
               CASE WHEN clipped > 0 THEN 'seek_repaired' END,
               CASE WHEN open_ends > 0 THEN 'open_ended' END,
               CASE WHEN d IS NULL THEN 'unknown_duration' END], lambda f: f IS NOT NULL) AS flags
    FROM merged
)
SELECT userId, videoId, title AS videoTitle, d / 1000.0 AS videoDuration,
       CASE WHEN d IS NOT NULL THEN 'metadata' END AS videoDurationSource,
       t / 1000.0 AS totalWatchTime, u / 1000.0 AS totalUniqueSecondsWatched,
       clock / 1000.0 AS totalClockTime, max_ms / 1000.0 AS maxPositionReached,
       (t * 20000 + d) // (d * 2) / 100.0 AS watchPercentage,
       (u * 20000 + d) // (d * 2) / 100.0 AS uniqueWatchPercentage,
       (max_ms * 20000 + d) // (d * 2) / 100.0 AS completionPercentage,
       sessions AS sessionCount, sessions > 1 AS isReplay,
       t / 1000.0 / sessions AS avgWatchTimePerSession,
       session_ms / 1000.0 / sessions AS avgSessionDuration,
       pauses / sessions AS avgPausesPerSession,
       forward AS totalForwardSkips, backward AS totalBackwardSkips,
       completions AS completionCount, completions > 0 AS isCompletedAtLeastOnce,
       (t - u) / 1000.0 AS rewatchedSeconds, observed / 1000.0 AS observedSeconds,
       heartbeat / 1000.0 AS heartbeatSeconds, bridged / 1000.0 AS bridgedSeconds,
       clipped / 1000.0 AS clippedSeconds, tail_ms / 1000.0 AS estimatedTailSeconds,
       intervals AS watchedIntervals, score AS engagementScore,
       CASE WHEN score >= 75 THEN 'High' WHEN score >= 50 THEN 'Medium' WHEN score >= 25 THEN 'Low'
            WHEN score IS NOT NULL THEN 'Minimal' END AS engagementTier,
       flags AS qualityFlags,
       coalesce(list_filter(flags, lambda f: f IN ('position_exceeds_duration',
           'excessive_watch_time', 'completed_without_sufficient_watch', 'very_short_watch'))[1],
           'ok') AS dataQualityFlag,
       make_timestamp(first_us) AT TIME ZONE 'UTC' AS firstWatchDate,
       make_timestamp(last_us) AT TIME ZONE 'UTC' AS lastWatchDate,
       pauses AS pauseCount, session_ms / 1000.0 AS totalSessionDuration,
       open_ends AS openEndedCount, exceeding AS exceedingPositionCount,
       list_transform(days, lambda x: DATE '1970-01-01' + x::INT) AS activeDays
FROM scored;
