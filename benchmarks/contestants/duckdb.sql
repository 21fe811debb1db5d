-- Sections 1 to 6 of the definitions as SQL: events of all days to one row per user and video.
-- Every window says one rule, so nothing here shares its shape with the package's own code.
-- Names after a dollar are filled in by duckdb_sql.py, all in the unit that the name says.

CREATE OR REPLACE TEMP MACRO said(text) AS CASE WHEN trim(text) NOT IN (
    '', 'NULL', 'null', 'None', 'nan', 'undefined', 'N/A', '\N', '-',
    '00000000-0000-0000-0000-000000000000') THEN trim(text) END;
CREATE OR REPLACE TEMP MACRO day_of(us) AS $day_of_us;
CREATE OR REPLACE TEMP MACRO ms(seconds) AS floor(seconds * 1000 + 0.5)::BIGINT;
CREATE OR REPLACE TEMP MACRO one_place(one, other) AS abs(one - other) <= $same_place_ms;

-- Section 1. The rank of a name is its place in the order of names. 0 to 2 start (`video_playing`
-- only while the player is stopped), 6 and 7 seek, 8 and 9 stop.
CREATE OR REPLACE TEMP TABLE names AS
SELECT unnest(string_split(names, ' ')) AS name, rank
FROM (VALUES ('video_play play start video_start', 0),
             ('video_resume resume resumed', 1),
             ('video_playing playing buffer_end buffering_end video_buffer_end', 2),
             ('video_progress progress heartbeat video_heartbeat ping timeupdate time_update'
              || ' video_timeupdate', 3),
             ('video_rate ratechange rate_change video_ratechange speed_change', 4),
             ('video_waiting waiting stalled buffering buffer_start buffering_start'
              || ' video_buffer_start', 5),
             ('video_seeking seeking seek_start video_seek_start', 6),
             ('video_seek seek seeked video_seeked seek_end', 7),
             ('video_pause pause paused', 8),
             ('video_ended ended end video_end complete completed video_complete video_completed'
              || ' finish finished', 9)) AS n (names, rank);

CREATE OR REPLACE TEMP TABLE videos AS
SELECT trim(videoId) AS videoId, CASE WHEN duration > 0 THEN ms(duration) END AS duration_ms,
       nullif(trim(title), '') AS title
FROM read_parquet($videos);

-- Columns that a source may lack.
CREATE OR REPLACE TEMP VIEW source AS
FROM read_parquet($events) UNION ALL BY NAME
SELECT NULL::DOUBLE AS seekFrom, NULL::VARCHAR AS eventId WHERE false;

-- Numbers for ids, because windows sort by them several times.
CREATE OR REPLACE TEMP TABLE players AS
WITH named AS MATERIALIZED (
    SELECT DISTINCT trim(userId) AS userId, trim(sessionId) AS sessionId, trim(videoId) AS videoId
    FROM source
)
SELECT row_number() OVER () AS player, dense_rank() OVER (ORDER BY userId, sessionId) AS session,
       dense_rank() OVER (ORDER BY userId, videoId) AS pair, *
FROM named LEFT JOIN videos USING (videoId)
WHERE said(userId) IS NOT NULL AND said(sessionId) IS NOT NULL AND said(videoId) IS NOT NULL;

-- `says` is ordered by what makes one of two equal events the one that says most.
CREATE OR REPLACE TEMP VIEW valid AS
SELECT p.player, n.rank, epoch_us("timestamp") AS us, ms(currentTime) AS sent_ms,
       {'origin': CASE WHEN rank IN (6, 7) AND isfinite(seekFrom)
                            AND seekFrom BETWEEN 0 AND $max_position_s
                       THEN ms(seekFrom) ELSE 1e15::BIGINT END,
        'rate': CASE WHEN playbackRate > 0 AND playbackRate <= 16 THEN playbackRate ELSE 99 END,
        'id': coalesce(said(eventId), chr(1114111))} AS says
FROM source e JOIN names n ON n.name = lower(trim(e.eventName))
JOIN players p ON p.userId = trim(e.userId) AND p.sessionId = trim(e.sessionId)
              AND p.videoId = trim(e.videoId)
WHERE isfinite(currentTime) AND currentTime BETWEEN 0 AND $max_position_s
  AND "timestamp" BETWEEN '2000-01-01 00:00:00+00' AND $run_time + INTERVAL 1 DAY;

-- Each event once: neither a row of the same place and time nor one of the same id says more.
CREATE OR REPLACE TEMP TABLE accepted AS
WITH once AS (
    SELECT player, us, rank, sent_ms, min(says) AS says, day_of(us) AS day
    FROM valid GROUP BY player, us, rank, sent_ms
), first_of_id AS (
    SELECT player, rank, says.id AS id, day_of(us) AS day,
           min({'origin': says.origin, 'rate': says.rate, 'us': us, 'sent': sent_ms}) AS first
    FROM valid WHERE says.id <> chr(1114111) GROUP BY ALL
)
SELECT o.player, o.us, o.rank, o.sent_ms, o.day, nullif(o.says.rate, 99) AS rate,
       nullif(o.says.origin, 1e15::BIGINT) AS origin_ms
FROM once o LEFT JOIN first_of_id i
  ON i.player = o.player AND i.rank = o.rank AND i.id = o.says.id AND i.day = o.day
WHERE i.first IS NULL
   OR i.first = {'origin': o.says.origin, 'rate': o.says.rate, 'us': o.us, 'sent': o.sent_ms};

-- Section 5. A day sees its own events and those of the day before. What one day sees of a player
-- is a `view`, of a session a `visible`: the number of the player or session, then that of the day.
CREATE OR REPLACE TEMP TABLE events AS
WITH placed AS (
    SELECT e.*, p.session, p.duration_ms,
           coalesce(sent_ms * 100 > p.duration_ms * $position_limit_percent, false) AS beyond,
           least(sent_ms, p.duration_ms) AS pos,
           CASE WHEN origin_ms * 100 <= coalesce(p.duration_ms * $position_limit_percent,
                                                 origin_ms * 100)
                THEN least(origin_ms, p.duration_ms) END AS origin
    FROM accepted e JOIN players p USING (player)
), days AS (
    SELECT session, day, max(us) AS last_us FROM placed GROUP BY session, day
), seen_again AS (
    SELECT session, day FROM days d
    WHERE day_of(last_us + $session_timeout_ms * 1000) > day
       OR (session, day + 1) IN (SELECT (session, day) FROM days)
), seen AS (
    SELECT *, day AS seen_on FROM placed
    UNION ALL SELECT *, day + 1 AS seen_on FROM placed SEMI JOIN seen_again USING (session, day)
)
SELECT (player << 17) + seen_on AS view, (session << 17) + seen_on AS visible, us, rank, sent_ms, pos,
       origin, rate, day, duration_ms, beyond
FROM seen;
DROP TABLE accepted;

-- The order of events at one instant depends on how the player came to it, which takes two passes
-- over what a day sees of the players that start or stop at the instant of another event. Then
-- what each event finds: whether the player plays, the rate told last, and whether it is a replay.
CREATE OR REPLACE TEMP TABLE moments AS
WITH believed AS (
    SELECT * EXCLUDE (beyond),
           CASE WHEN rank <= 2 THEN 1 WHEN rank >= 8 THEN -1 ELSE 0 END AS side
    FROM events WHERE NOT beyond
), tied AS (
    SELECT DISTINCT view FROM believed GROUP BY view, us HAVING count(*) > 1 AND max(side <> 0)
), instants AS (
    SELECT *, max(side = 1) OVER same AS starts, max(side = -1) OVER same AS stops,
           max(side <> 0) OVER (PARTITION BY view ORDER BY us
               RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS takes_sides
    FROM believed SEMI JOIN tied USING (view)
    WINDOW same AS (PARTITION BY view ORDER BY us RANGE BETWEEN CURRENT ROW AND CURRENT ROW)
), ordered AS (
    SELECT *, 0 AS tie FROM believed ANTI JOIN tied USING (view)
    UNION ALL
    SELECT * EXCLUDE (starts, stops, takes_sides), side * coalesce(last_value(
               CASE WHEN starts AND NOT stops THEN 1 WHEN stops AND NOT starts THEN -1 END
               IGNORE NULLS) OVER (PARTITION BY view ORDER BY us
                                   RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
               CASE WHEN takes_sides THEN -1 ELSE 1 END) AS tie
    FROM instants
), numbered AS (
    SELECT * EXCLUDE (rate), row_number() OVER o AS n,
           last_value(rate IGNORE NULLS) OVER (o ROWS UNBOUNDED PRECEDING) AS rate,
           last_value(CASE WHEN side <> 0 THEN pos * 16 + rank END IGNORE NULLS) OVER (
               o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS turn,
           lead(CASE WHEN rank IN (6, 7) THEN pos END) OVER o AS destination,
           NOT max(side <> 0) OVER (o ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
               AS throughout
    FROM ordered WINDOW o AS (PARTITION BY view ORDER BY us, tie, rank, sent_ms)
), turned AS (
    SELECT *, coalesce(turn % 16 <= 2, throughout) AS playing, turn % 16 = 9 AS after_end FROM numbered
), started AS (
    SELECT *, rank <= 1 OR (rank = 2 AND NOT playing) AS starts FROM turned
)
SELECT view, visible, n, us, day, rank, rate, origin, duration_ms, throughout, playing, starts,
       coalesce(after_end, false) AS after_end,
       CASE WHEN starts AND after_end AND abs(turn // 16 - pos) <= $tolerance_ms
            THEN CASE WHEN abs(destination - pos) > $tolerance_ms THEN destination ELSE 0 END
            ELSE pos END AS pos
FROM started;

CREATE OR REPLACE TEMP TABLE unbelieved AS SELECT view, visible, us, day FROM events WHERE beyond;
DROP TABLE events;

-- Section 2. Each event with the one before it, `a`, whose columns end in 0.
CREATE OR REPLACE TEMP TABLE paired AS
SELECT *, lag(us) OVER o AS us0, lag(pos) OVER o AS pos0, lag(rate) OVER o AS rate0,
       lag(rank) OVER o AS rank0, lag(starts) OVER o AS starts0,
       min(CASE WHEN rank IN (6, 7) THEN n END) OVER (
           o ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS seek_n
FROM moments WINDOW o AS (PARTITION BY view ORDER BY n);
DROP TABLE moments;

-- Stops and waits where a seek lands.
CREATE OR REPLACE TEMP TABLE landings AS
WITH followed AS (
    SELECT b.view, b.n, b.seek_n, s.origin
    FROM paired b JOIN paired s ON s.view = b.view AND s.n = b.seek_n
    WHERE (b.rank = 5 OR b.rank >= 8) AND s.rank IN (6, 7) AND s.day = b.day
      AND (s.us - b.us) // 1000 <= $drag_window_ms AND one_place(s.pos, b.pos)
), between_them AS (
    SELECT view, n, max(pos) OVER later - pos <= $same_place_ms
                    AND pos - min(pos) OVER later <= $same_place_ms AS near
    FROM paired SEMI JOIN followed USING (view, seek_n)
    WINDOW later AS (PARTITION BY view, seek_n ORDER BY n
                     ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
SELECT view, n, origin AS landing_origin, true AS lands
FROM followed JOIN between_them USING (view, n) WHERE near;

-- The table of watched intervals. `doubtful` are seeks right after a start at the same place: they
-- credit nothing if that start moved, which the next statements find out.
CREATE OR REPLACE TEMP TABLE judged AS
WITH measured AS (
    SELECT p.*, coalesce(lands, false) AS lands, landing_origin, pos - pos0 AS dp,
           (us - us0) // 1000 AS dt, playing AND us0 IS NOT NULL AS pair, rank IN (6, 7) AS seeks
    FROM paired p LEFT JOIN landings USING (view, n)
), bounded AS (
    SELECT *, floor(coalesce(greatest(rate, rate0), $max_playback_rate) * dt)::BIGINT
              + $tolerance_ms AS bound,
           least(pos0 + floor(dt * coalesce(rate0, 1))::BIGINT, duration_ms) AS clock_ms,
           CASE WHEN seeks THEN origin ELSE landing_origin END AS told
    FROM measured
), sorted AS (
    SELECT *, CASE
        WHEN NOT pair THEN NULL
        WHEN seeks OR lands THEN CASE
            WHEN told BETWEEN pos0 AND pos0 + bound THEN 'told'
            WHEN NOT $repair_seeks OR (one_place(pos, pos0) AND rank0 IN (5, 6)) THEN NULL
            WHEN dt <= $session_timeout_ms
                 OR (dp <= bound AND 2 * dp >= dt - 2 * $tolerance_ms) THEN 'clipped' END
        WHEN dp BETWEEN 0 AND bound AND rank >= 8 THEN 'observed'
        WHEN dp BETWEEN 0 AND bound AND NOT starts THEN 'heartbeat'
        WHEN dp BETWEEN 0 AND bound AND 2 * dp >= dt - 2 * $tolerance_ms THEN 'bridged'
        WHEN dt <= $session_timeout_ms AND $repair_seeks
             AND (dp > bound OR dp < -$seek_back_ms) THEN 'clipped' END AS found
    FROM bounded
)
SELECT view, visible, n, us, day, rank, throughout, playing, starts, after_end, pos, us0, pos0,
       lands,
       coalesce(found = 'clipped' AND (seeks OR lands) AND starts0 AND one_place(pos, pos0), false)
           AS doubtful,
       CASE found WHEN 'told' THEN 'observed' ELSE found END AS evidence,
       CASE found WHEN 'told' THEN told
                  WHEN 'clipped' THEN CASE WHEN seeks OR lands OR dp < 0 THEN clock_ms
                                           ELSE least(clock_ms, pos) END
                  ELSE CASE WHEN found IS NOT NULL THEN pos END END AS end_ms,
       CASE WHEN found IN ('told', 'clipped') THEN rate0 END AS rate0,
       found IN ('told', 'clipped') AS cut_short, dt
FROM sorted;
DROP TABLE paired;

-- Where the player stood can depend on whether an earlier start moved, so on the answer to the
-- same question. A doubt whose answer is the same either way is settled; any other one repeats the
-- answer of the one before it, or turns it round, so counting the turns since a settled one tells.
CREATE OR REPLACE TEMP TABLE moved AS
WITH doubts AS (
    SELECT view, n, pos0, rank >= 8 AS stops FROM judged WHERE doubtful
), places AS (
    SELECT view, n, CASE WHEN doubtful THEN pos0 ELSE place END AS if_moved, place AS if_not
    FROM (SELECT *, CASE WHEN lands OR evidence = 'clipped' THEN coalesce(end_ms, pos0, pos)
                         ELSE pos END AS place
          FROM judged SEMI JOIN doubts USING (view)
          WHERE rank >= 8 OR (rank = 7 AND NOT playing))
), asked AS (
    SELECT d.*, NOT one_place(pos0, coalesce(if_moved, 0)) AS if_moved,
           NOT one_place(pos0, coalesce(if_not, 0)) AS if_not
    FROM doubts d ASOF LEFT JOIN places p ON p.view = d.view AND p.n < d.n
), counted AS (
    SELECT *, sum((stops AND if_not AND NOT if_moved)::INT) OVER (
                  PARTITION BY view ORDER BY n ROWS UNBOUNDED PRECEDING) AS turns
    FROM asked
), chained AS (
    SELECT *, (turns + last_value(CASE WHEN stops AND if_moved = if_not
                                       THEN if_moved::INT + turns END IGNORE NULLS) OVER (
                  PARTITION BY view ORDER BY n ROWS UNBOUNDED PRECEDING)) % 2 = 1 AS last_moved
    FROM counted
)
SELECT view, n, true AS moved FROM chained
WHERE CASE WHEN if_moved = if_not THEN if_moved WHEN stops THEN last_moved
           ELSE last_moved = if_moved END;

CREATE OR REPLACE TEMP TABLE credited AS
SELECT * EXCLUDE (moved, doubtful, evidence, end_ms, cut_short, rate0, dt),
       CASE WHEN moved IS NULL THEN evidence END AS evidence,
       CASE WHEN moved IS NULL THEN end_ms END AS end_ms,
       CASE WHEN cut_short THEN least(floor((end_ms - pos0) / coalesce(rate0, 1))::BIGINT, dt)
            ELSE dt END AS clock_ms
FROM judged LEFT JOIN moved USING (view, n);
DROP TABLE judged;

-- Section 4. The instants of a session, and where it is cut. Of the events at one instant the one
-- with the largest credit comes first; only it can have time before it.
CREATE OR REPLACE TEMP TABLE instants AS
SELECT visible, us, us - lag(us) OVER o AS since_us, credit_ms, lead(us) OVER o AS next_us
FROM (SELECT visible, us, coalesce(end_ms - pos0, 0) AS credit_ms FROM credited
      UNION ALL SELECT visible, us, 0 FROM unbelieved)
WINDOW o AS (PARTITION BY visible ORDER BY us, credit_ms DESC);

CREATE OR REPLACE TEMP TABLE cuts AS
SELECT visible, list(us) AS cuts FROM instants
WHERE since_us // 1000 - credit_ms > $session_timeout_ms GROUP BY visible;

-- Section 3, inside of a visit: what a session sees of one video.
CREATE OR REPLACE TEMP TABLE facts AS
WITH cut AS (
    SELECT c.*, coalesce(list_max(list_filter(cuts, lambda cut: cut <= us)), 0) AS session_us
    FROM credited c LEFT JOIN cuts USING (visible)
), whole AS (
    SELECT * REPLACE (CASE WHEN us0 >= session_us THEN pos0 END AS pos0,
                      CASE WHEN us0 >= session_us THEN evidence END AS evidence,
                      CASE WHEN us0 >= session_us THEN end_ms END AS end_ms)
    FROM cut
), reached AS (
    SELECT * EXCLUDE (lands, us0),
           CASE WHEN rank >= 8 AND playing
                THEN CASE WHEN lands OR evidence = 'clipped' THEN reached ELSE pos END END AS place
    FROM (SELECT *, coalesce(end_ms, pos0, pos) AS reached FROM whole)
), seen AS (
    SELECT *, first_value(us) OVER o AS first_us, lag(rank) OVER o AS rank0,
           last_value(place IGNORE NULLS) OVER (
               o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS stopped_at,
           sum(starts::INT) OVER (o ROWS UNBOUNDED PRECEDING) AS starts_so_far,
           lead(us) OVER o AS us2, lead(rank <= 1 AND evidence IS NULL) OVER o AS reloads
    FROM reached WINDOW o AS (PARTITION BY view, session_us ORDER BY n)
)
SELECT view, visible, session_us, n, us, rank, pos, pos0, evidence, end_ms, clock_ms, throughout,
       starts_so_far, us2, rank0, day = view & 131071 AS own,
       CASE WHEN rank >= 8 THEN false WHEN starts THEN true ELSE playing END
           AND coalesce(reloads, true) AS open_end,
       CASE WHEN rank0 IS NULL OR (rank IN (6, 7) AND (us - first_us) // 1000 <= $opening_ms) THEN 0
            WHEN rank >= 8 THEN 0
            WHEN playing THEN pos - reached
            WHEN starts THEN CASE WHEN after_end THEN greatest(0, pos - stopped_at)
                                  ELSE pos - stopped_at END END AS jump
FROM seen;
DROP TABLE credited;

CREATE OR REPLACE TEMP TABLE tails AS
WITH open_ends AS (
    SELECT f.view, f.visible, f.session_us, f.n, f.us, any_value(f.pos) AS pos,
           any_value(f.us2) AS us2, nullif(max(i.next_us), f.us) AS next_us
    FROM facts f JOIN instants i USING (visible, us) WHERE open_end
    GROUP BY f.view, f.visible, f.session_us, f.n, f.us
), followed AS (
    SELECT *, CASE WHEN us2 = us THEN us
                   WHEN NOT coalesce(list_contains(cuts, next_us), false) THEN next_us END AS end_us
    FROM open_ends LEFT JOIN cuts USING (visible)
)
SELECT view, session_us, count(*) AS open_ends,
       sum(least($session_timeout_ms, duration_ms - pos, (end_us - us) // 1000)) AS tail_ms
FROM followed JOIN players ON player = view >> 17
WHERE day_of(least(end_us, us + $session_timeout_ms * 1000)) = view & 131071
GROUP BY view, session_us;

-- A row per visit and day. Of the ends each one counts that follows a start since the last one
-- that counted, and by more than a second: a fold over the few ends of a visit.
CREATE OR REPLACE TEMP TABLE visits AS
WITH folded AS (
    SELECT view, session_us, any_value(throughout) AS throughout,
           min(us) AS first_us, min(us) FILTER (own) AS own_first_us,
           max(us) FILTER (own) AS own_last_us, max(us) FILTER (NOT own) AS before_us,
           max(pos) FILTER (own) AS max_ms,
           count(*) FILTER (own AND rank = 8 AND coalesce(rank0 < 8, true)) AS pauses,
           count(*) FILTER (own AND jump > $forward_skip_ms) AS forward,
           count(*) FILTER (own AND jump < -$backward_skip_ms) AS backward,
           list({'us': us, 'starts': starts_so_far::BIGINT, 'own': own::BIGINT} ORDER BY n)
               FILTER (rank = 9) AS ends
    FROM facts GROUP BY view, session_us
)
SELECT view >> 17 AS player, view & 131071 AS day, own_first_us, own_last_us, max_ms, pauses,
       forward, backward, throughout, coalesce(open_ends, 0) AS open_ends,
       coalesce(tail_ms, 0) AS tail_ms,
       (own_last_us IS NOT NULL AND before_us IS NULL)::INT AS sessions,
       coalesce((own_last_us - first_us) // 1000 - coalesce((before_us - first_us) // 1000, 0), 0)
           AS session_ms,
       coalesce(list_reduce(ends, lambda last, e:
           CASE WHEN e.starts > last.starts AND (e.us - last.us) // 1000 > $opening_ms
                THEN {'us': e.us, 'starts': e.starts, 'own': last.own + e.own} ELSE last END).own,
           0) AS completions
FROM folded LEFT JOIN tails USING (view, session_us)
WHERE own_last_us IS NOT NULL OR open_ends > 0;

-- Section 6.
CREATE OR REPLACE TEMP TABLE result AS
WITH spans AS (
    SELECT pair, pos0 AS s, end_ms AS e, clock_ms AS c, evidence AS k, {'us': us, 'ms': end_ms} AS p
    FROM facts JOIN players ON player = view >> 17 WHERE own AND end_ms > pos0
), islands AS (
    -- Of equal spans the new one comes first, because only the first of them was compared.
    SELECT *, sum(new::INT) OVER (PARTITION BY pair ORDER BY s, e, new DESC
                                  ROWS UNBOUNDED PRECEDING) AS island
    FROM (SELECT *, coalesce(s > max(e) OVER (PARTITION BY pair ORDER BY s, e
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS new FROM spans)
), united AS (
    SELECT pair, min(s) AS s, max(e) AS e, sum(e - s)::BIGINT AS watch, sum(c)::BIGINT AS clock,
           coalesce(sum(e - s) FILTER (k = 'observed'), 0) AS observed,
           coalesce(sum(e - s) FILTER (k = 'heartbeat'), 0) AS heartbeat,
           coalesce(sum(e - s) FILTER (k = 'bridged'), 0) AS bridged,
           coalesce(sum(e - s) FILTER (k = 'clipped'), 0) AS clipped, max(p) AS played
    FROM islands GROUP BY pair, island
), gaps AS (
    SELECT *, s - coalesce(lag(e) OVER (PARTITION BY pair ORDER BY s), 0) AS gap FROM united
), watched AS (
    SELECT pair, max(gap) AS gap, max(e) AS seen_to, max(played) AS played, list({startMs: s, endMs: e} ORDER BY s) AS intervals,
           sum(e - s)::BIGINT AS u, sum(watch)::BIGINT AS t, sum(clock)::BIGINT AS clock,
           sum(observed)::BIGINT AS observed, sum(heartbeat)::BIGINT AS heartbeat,
           sum(bridged)::BIGINT AS bridged, sum(clipped)::BIGINT AS clipped
    FROM gaps GROUP BY pair
), pairs AS (
    SELECT pair, any_value(userId) AS userId, any_value(videoId) AS videoId,
           any_value(duration_ms) AS d, any_value(title) AS title,
           list_sort(list(DISTINCT day)) AS days, sum(sessions)::BIGINT AS sessions,
           min(own_first_us) AS first_us, max(own_last_us) AS last_us,
           coalesce(max(max_ms), 0) AS max_ms, sum(session_ms)::BIGINT AS session_ms,
           sum(pauses)::BIGINT AS pauses, sum(completions)::BIGINT AS completions,
           sum(forward)::BIGINT AS forward, sum(backward)::BIGINT AS backward,
           sum(open_ends)::BIGINT AS open_ends, sum(tail_ms)::BIGINT AS tail_ms,
           sum(throughout::INT)::BIGINT AS no_start
    FROM visits JOIN players USING (player) GROUP BY pair
), exceeding AS (
    SELECT pair, count(*) AS n
    FROM (SELECT pair, day FROM unbelieved JOIN players ON player = view >> 17
          WHERE day = view & 131071)
    SEMI JOIN (SELECT pair, day FROM visits JOIN players USING (player)) USING (pair, day)
    GROUP BY pair
), merged AS (
    SELECT p.*, coalesce(w.intervals, []) AS intervals, coalesce(w.u, 0) AS u,
           coalesce(w.t, 0) AS t, coalesce(w.clock, 0) AS clock,
           coalesce(w.observed, 0) AS observed, coalesce(w.heartbeat, 0) AS heartbeat,
           coalesce(w.bridged, 0) AS bridged, coalesce(w.clipped, 0) AS clipped, w.played,
           greatest(coalesce(w.gap, 0), d - coalesce(w.seen_to, 0)) AS gap,
           coalesce(x.n, 0) AS exceeding
    FROM pairs p LEFT JOIN watched w USING (pair) LEFT JOIN exceeding x USING (pair)
), scored AS (
    SELECT *, CASE WHEN d IS NOT NULL THEN least(10000, (greatest(0,
                  least(u, d) * $coverage_weight_hundredths
                  + least(t - u, d) * $rewatch_weight_hundredths
                  + CASE WHEN completions > 0 AND u * 100 >= d * $completion_coverage_percent
                         THEN d * $completion_weight_hundredths ELSE 0 END
                  - d * least($skip_penalty_limit, forward + backward) * 100) * 2 + d)
                  // (d * 2)) END AS hundredths,
           list_filter([
               CASE WHEN exceeding > 0 THEN 'position_exceeds_duration' END,
               CASE WHEN t * 100 > d * $excessive_watch_percent * greatest(1, sessions)
                    THEN 'excessive_watch_time' END,
               CASE WHEN completions > 0 AND u * 100 < d * $completion_coverage_percent
                    THEN 'completed_without_sufficient_watch' END,
               CASE WHEN t < $very_short_watch_ms THEN 'very_short_watch' END,
               CASE WHEN clipped > 0 THEN 'seek_repaired' END,
               CASE WHEN open_ends > 0 THEN 'open_ended' END,
               CASE WHEN d IS NULL THEN 'unknown_duration' END,
               CASE WHEN no_start > 0 THEN 'no_start' END], lambda f: f IS NOT NULL) AS flags
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
       clipped / 1000.0 AS clippedSeconds, 0.0::DOUBLE AS reportedSeconds, tail_ms / 1000.0 AS estimatedTailSeconds,
       intervals AS watchedIntervals,
       make_timestamp(played.us) AT TIME ZONE 'UTC' AS lastPlayedAt,
       played.ms / 1000.0 AS resumePosition,
       CASE WHEN d IS NOT NULL THEN gap / 1000.0 END AS largestUnseenGap, hundredths / 100.0 AS engagementScore,
       CASE WHEN hundredths >= $high_tier_hundredths THEN 'High'
            WHEN hundredths >= $medium_tier_hundredths THEN 'Medium'
            WHEN hundredths >= $low_tier_hundredths THEN 'Low'
            WHEN hundredths IS NOT NULL THEN 'Minimal' END AS engagementTier,
       flags AS qualityFlags,
       coalesce(list_filter(flags, lambda f: f IN ('position_exceeds_duration',
           'excessive_watch_time', 'completed_without_sufficient_watch', 'very_short_watch'))[1],
           'ok') AS dataQualityFlag,
       make_timestamp(first_us) AT TIME ZONE 'UTC' AS firstWatchDate,
       make_timestamp(last_us) AT TIME ZONE 'UTC' AS lastWatchDate,
       pauses AS pauseCount, session_ms / 1000.0 AS totalSessionDuration,
       open_ends AS openEndedCount, exceeding AS exceedingPositionCount,
       no_start AS noStartCount,
       list_transform(days, lambda x: DATE '1970-01-01' + x::INT) AS activeDays
FROM scored;
