# Databricks notebook source
# MAGIC %md
# MAGIC # One row per user and video
# MAGIC
# MAGIC A walk-through on sample data: raw player events, the aggregation, three questions in SQL,
# MAGIC and peter, who watches 130 of 300 seconds. Import this file into a workspace and run all
# MAGIC cells. Two tables are written into the current schema, which the third cell prints.
# MAGIC
# MAGIC `vidagg databricks deploy` puts the wheel into a volume: write the path of yours below.

# COMMAND ----------

# MAGIC %pip install /Volumes/main/video/vidagg/wheels/vidagg_dagster-0.3.0-py3-none-any.whl

# COMMAND ----------

spark.conf.set("spark.sql.session.timeZone", "UTC")
print(spark.catalog.currentDatabase())

# COMMAND ----------

# MAGIC %md
# MAGIC ## Sample data
# MAGIC
# MAGIC Peter pauses, goes on, and goes back ten seconds. Anna watches to the end at double speed.
# MAGIC Ben jumps ahead and leaves. Carla closes the tab. One event was sent twice, one has no user.

# COMMAND ----------

EVENTS = [
    ("2026-01-05T10:00:00Z", "peter", "s1", "video_001", "video_play", 0.0, None),
    ("2026-01-05T10:00:30Z", "peter", "s1", "video_001", "video_pause", 30.0, None),
    ("2026-01-05T10:00:35Z", "peter", "s1", "video_001", "video_resume", 30.0, None),
    ("2026-01-05T10:02:05Z", "peter", "s1", "video_001", "video_pause", 120.0, None),
    ("2026-01-05T10:02:10Z", "peter", "s1", "video_001", "video_resume", 110.0, None),
    ("2026-01-05T10:02:20Z", "peter", "s1", "video_001", "video_pause", 120.0, None),
    ("2026-01-05T10:02:20Z", "peter", "s1", "video_001", "video_pause", 120.0, None),
    ("2026-01-05T11:00:00Z", "anna", "s2", "video_001", "video_play", 0.0, 2.0),
    ("2026-01-05T11:02:30Z", "anna", "s2", "video_001", "video_ended", 300.0, 2.0),
    ("2026-01-05T11:05:00Z", "anna", "s2", "video_002", "video_play", 0.0, 1.0),
    ("2026-01-05T11:06:00Z", "anna", "s2", "video_002", "video_ended", 60.0, 1.0),
    ("2026-01-05T12:00:00Z", "ben", "s3", "video_001", "video_play", 0.0, None),
    ("2026-01-05T12:00:20Z", "ben", "s3", "video_001", "video_seek", 200.0, None),
    ("2026-01-05T12:00:50Z", "ben", "s3", "video_001", "video_pause", 230.0, None),
    ("2026-01-05T13:00:00Z", "carla", "s4", "video_001", "video_play", 0.0, None),
    ("2026-01-05T13:00:10Z", "carla", "s4", "video_001", "video_progress", 10.0, None),
    ("2026-01-05T13:00:20Z", "carla", "s4", "video_001", "video_progress", 20.0, None),
    ("2026-01-05T14:00:00Z", None, "s5", "video_001", "video_play", 0.0, None),
]
COLUMNS = (
    "timestamp string, userId string, sessionId string, videoId string, eventName string, "
    "currentTime double, playbackRate double"
)
VIDEOS = [("video_001", 300.0, "Welcome"), ("video_002", 60.0, "Trailer")]
VIDEO_COLUMNS = "videoId string, duration double, title string"
spark.createDataFrame(EVENTS, COLUMNS).createOrReplaceTempView("raw_video_events")
spark.createDataFrame(VIDEOS, VIDEO_COLUMNS).createOrReplaceTempView("video_metadata")
display(spark.table("raw_video_events"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Aggregate and save

# COMMAND ----------

from vidagg_dagster import VideoEngagementAggregator

aggregator = VideoEngagementAggregator(
    spark,
    "raw_video_events",
    output_table="aggregated_user_video_engagement",
    video_metadata_table="video_metadata",
)
result = aggregator.run_aggregation()
aggregator.save_results(result)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Peter
# MAGIC
# MAGIC 30 + 90 + 10 seconds, ten of them twice: 43.33 % of the video watched, 40 % seen.

# COMMAND ----------

saved = spark.table("aggregated_user_video_engagement")
display(saved.where("userId = 'peter' AND videoId = 'video_001'"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Top videos

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT videoId,
# MAGIC        COUNT(DISTINCT userId) as uniqueViewers,
# MAGIC        AVG(watchPercentage) as avgWatchPercentage
# MAGIC FROM aggregated_user_video_engagement
# MAGIC GROUP BY videoId
# MAGIC ORDER BY uniqueViewers DESC;

# COMMAND ----------

# MAGIC %md
# MAGIC ## Power users

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT userId,
# MAGIC        COUNT(*) as videosWatched,
# MAGIC        AVG(watchPercentage) as avgWatchPercentage
# MAGIC FROM aggregated_user_video_engagement
# MAGIC WHERE engagementTier = 'High'
# MAGIC GROUP BY userId;

# COMMAND ----------

# MAGIC %md
# MAGIC ## Drop-off

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT videoId,
# MAGIC        FLOOR(maxPositionReached / 30) * 30 as position,
# MAGIC        COUNT(*) as dropoffCount
# MAGIC FROM aggregated_user_video_engagement
# MAGIC WHERE completionCount = 0
# MAGIC GROUP BY videoId, position;

# COMMAND ----------

# MAGIC %md
# MAGIC ## Is the data sound?
# MAGIC
# MAGIC These count rows that must not exist. In a job, fail where one of them is above 0.

# COMMAND ----------

stats = aggregator.generate_summary_stats(saved)
for sign in ("negative_watch_time", "null_keys", "duplicate_keys", "not_finite"):
    assert stats[sign] == 0, sign
print(stats)
