"""The published queries of the lifetime table, word for word."""

TOP_VIDEOS = """
-- Top Videos by Engagement
SELECT videoId, 
       COUNT(DISTINCT userId) as uniqueViewers,
       AVG(watchPercentage) as avgWatchPercentage
FROM aggregated_user_video_engagement
GROUP BY videoId
ORDER BY uniqueViewers DESC;
"""

POWER_USERS = """
-- Power Users (High Engagement)
SELECT userId, 
       COUNT(*) as videosWatched,
       AVG(watchPercentage) as avgWatchPercentage
FROM aggregated_user_video_engagement
WHERE engagementTier = 'High'
GROUP BY userId;
"""

DROP_OFF = """
-- Drop-off Analysis
SELECT videoId,
       FLOOR(maxPositionReached / 30) * 30 as position,
       COUNT(*) as dropoffCount
FROM aggregated_user_video_engagement
WHERE completionCount = 0
GROUP BY videoId, position;
"""

QUERIES = {"top videos": TOP_VIDEOS, "power users": POWER_USERS, "drop-off": DROP_OFF}
