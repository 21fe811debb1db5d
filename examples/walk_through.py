import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="One row per user and video")


@app.cell
def _():
    import marimo as mo

    return (mo,)


@app.cell
def _(mo):
    mo.md("""
    # One row per user and video

    A walk-through on sample data: raw player events, the aggregation, three questions in SQL,
    and peter, who watches 130 of 300 seconds. It needs no Java and no server.

    Peter pauses, goes on, and goes back ten seconds. Anna watches to the end at double speed.
    Ben jumps ahead and leaves. Carla closes the tab. One event was sent twice, one has no user.
    """)
    return


@app.cell
def _(mo):
    sample = mo.notebook_dir() / "sample"
    return (sample,)


@app.cell
def _(sample):
    from vidagg_dagster import VideoEngagementAggregator

    aggregator = VideoEngagementAggregator.local(sample / "events.jsonl", sample / "videos.jsonl")
    result = aggregator.run_aggregation()
    engagement = result.toPandas()
    engagement
    return aggregator, engagement, result


@app.cell
def _(mo):
    mo.md("""
    ## Peter

    30 + 90 + 10 seconds, ten of them twice: 43.33 % of the video watched, 40 % seen.
    """)
    return


@app.cell
def _(engagement):
    peter = engagement[(engagement.userId == "peter") & (engagement.videoId == "video_001")].T
    peter
    return (peter,)


@app.cell
def _(engagement):
    import duckdb

    questions = duckdb.connect()
    questions.register("aggregated_user_video_engagement", engagement)
    return (questions,)


@app.cell
def _(mo):
    mo.md("""
    ## Top videos
    """)
    return


@app.cell
def _(questions):
    top_videos = questions.sql("""
        SELECT videoId,
               COUNT(DISTINCT userId) as uniqueViewers,
               AVG(watchPercentage) as avgWatchPercentage
        FROM aggregated_user_video_engagement
        GROUP BY videoId
        ORDER BY uniqueViewers DESC;
    """).df()
    top_videos
    return (top_videos,)


@app.cell
def _(mo):
    mo.md("""
    ## Power users
    """)
    return


@app.cell
def _(questions):
    power_users = questions.sql("""
        SELECT userId,
               COUNT(*) as videosWatched,
               AVG(watchPercentage) as avgWatchPercentage
        FROM aggregated_user_video_engagement
        WHERE engagementTier = 'High'
        GROUP BY userId;
    """).df()
    power_users
    return (power_users,)


@app.cell
def _(mo):
    mo.md("""
    ## Drop-off
    """)
    return


@app.cell
def _(questions):
    drop_off = questions.sql("""
        SELECT videoId,
               FLOOR(maxPositionReached / 30) * 30 as position,
               COUNT(*) as dropoffCount
        FROM aggregated_user_video_engagement
        WHERE completionCount = 0
        GROUP BY videoId, position;
    """).df()
    drop_off
    return (drop_off,)


@app.cell
def _(mo):
    mo.md("""
    ## Is the data sound?

    These count rows that must not exist.
    """)
    return


@app.cell
def _(aggregator, result):
    signs = ("negative_watch_time", "null_keys", "duplicate_keys", "not_finite")
    summary = aggregator.generate_summary_stats(result)
    wrong = {sign: summary[sign] for sign in signs}
    wrong
    return (wrong,)


if __name__ == "__main__":
    app.run()
