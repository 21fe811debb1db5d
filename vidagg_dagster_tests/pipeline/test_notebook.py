"""The notebook front door, with Parquet and with Delta tables.

What touches the engine's ways (tables, types, the published examples) runs on JVM Spark and on
Sail; bookkeeping that is the same on both runs on Sail, which starts sooner.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.aggregator import VideoEngagementAggregator
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster_tests.support import peter

DAYS = tuple(date(2026, 1, 5) + timedelta(days=number) for number in range(4))
Rows = dict[tuple[str, str], dict[str, Any]]

OTHERS = """
    2026-01-05T23:50:00  owl   video_play    0      # over midnight
    2026-01-06T00:10:00  owl   video_pause   1200
    2026-01-05T09:00:00  fan   video_play    0      # the same part on two days, more on a third
    2026-01-05T09:01:00  fan   video_pause   60
    2026-01-06T09:00:00  fan   video_play    0
    2026-01-06T09:01:00  fan   video_pause   60
    2026-01-07T09:00:00  fan   video_play    30
    2026-01-07T09:02:00  fan   video_ended   150
    2026-01-07T23:50:00  ghost video_play    0      # nothing follows: settled on the day after
"""
DURATIONS = {"video_001": 300.0, "video_002": 1500.0}


def other_events() -> list[dict[str, Any]]:
    rows = []
    for line in OTHERS.strip().splitlines():
        time, user, name, position = line.split("#")[0].split()
        rows.append(
            {
                "timestamp": f"{time}Z",
                "userId": user,
                "sessionId": f"s-{user}-{time[:10] if user == 'fan' else ''}",
                "videoId": "video_002" if user == "owl" else "video_001",
                "eventName": name,
                "currentTime": float(position),
            }
        )
    return rows


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peter.write_events(tmp_path_factory.mktemp("site") / "events.jsonl", *other_events())


@pytest.fixture(scope="module")
def videos(events: Path) -> Path:
    lines = [
        json.dumps({"videoId": video, "duration": seconds, "title": video})
        for video, seconds in DURATIONS.items()
    ]
    path = events.with_name("videos.jsonl")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_range_may_be_text_and_include_its_end(
    sail: SparkSession, events: Path, videos: Path
) -> None:
    aggregator = VideoEngagementAggregator(sail, events, video_metadata_table=videos)
    days = {
        "text": aggregator.run_aggregation("2026-01-05", "2026-01-07"),
        "dates": aggregator.run_aggregation(DAYS[0], DAYS[2]),
        "included": aggregator.run_aggregation("2026-01-05", DAYS[1], include_end=True),
    }
    found = {
        name: sorted(result.select("userId", "totalWatchTime").collect())
        for name, result in days.items()
    }
    assert found["text"] == found["dates"] == found["included"]
    with pytest.raises(ValueError, match="write YYYY-MM-DD"):
        aggregator.run_aggregation("5.1.2026")


def test_a_result_that_is_kept_is_computed_once_and_outlives_the_aggregator(
    sail: SparkSession, tmp_path: Path
) -> None:
    events = peter.write_events(tmp_path / "events.jsonl")
    aggregator = VideoEngagementAggregator.local(events, engine="sail")
    result = aggregator.run_aggregation()
    events.unlink()
    del aggregator
    assert [row["totalWatchTime"] for row in result.collect()] == [130.0]
    assert result.sparkSession is sail


@contextmanager
def database(spark: SparkSession, folder: Path) -> Iterator[str]:
    """A database in a folder of its own."""
    spark.sql(f"CREATE DATABASE vidagg_test LOCATION '{folder.as_uri()}'")
    try:
        yield "vidagg_test"
    finally:
        spark.sql("DROP DATABASE vidagg_test CASCADE")


@pytest.fixture
def aggregator(
    sail: SparkSession, events: Path, videos: Path, tmp_path: Path
) -> Iterator[VideoEngagementAggregator]:
    with database(sail, tmp_path / "tables") as name:
        yield VideoEngagementAggregator(sail, events, f"{name}.engagement", videos)


def rows_of(frame: DataFrame) -> Rows:
    """Rows by key, without the time of the run."""
    rows = [row.asDict(recursive=True) for row in frame.drop("processedAt").collect()]
    keyed = {(row["userId"], row["videoId"]): row for row in rows}
    assert len(keyed) == len(rows), "one row per user and video"
    return keyed


def saved(aggregator: VideoEngagementAggregator) -> Rows:
    return rows_of(aggregator.spark.table(aggregator.output_table))


def peter_s_events(spark: SparkSession) -> DataFrame:
    events = spark.createDataFrame(
        [
            tuple(row.values())
            for row in (dict(row, currentTime=float(row["currentTime"])) for row in peter.EVENTS)
        ],
        "timestamp string, userId string, sessionId string, videoId string, eventName string, "
        "currentTime double",
    )
    return events.withColumn("timestamp", F.to_timestamp("timestamp"))


def videos_of_peter(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [("video_001", 300.0, "Welcome")], "videoId string, duration double, title string"
    )


def test_the_published_quick_start_gives_peter_his_row(spark: SparkSession, tmp_path: Path) -> None:
    peter_s_events(spark).createOrReplaceTempView("your_raw_events_table")
    videos_of_peter(spark).createOrReplaceTempView("video_metadata")
    with database(spark, tmp_path / "tables") as name:
        aggregator = VideoEngagementAggregator(
            spark=spark,
            input_table="your_raw_events_table",
            output_table=f"{name}.aggregated_user_video_engagement",
            video_metadata_table="video_metadata",
        )
        result = aggregator.run_aggregation()
        aggregator.save_results(result)
        table = spark.table(f"{name}.aggregated_user_video_engagement")
        (row,) = table.filter(
            (F.col("userId") == "peter") & (F.col("videoId") == "video_001")
        ).collect()
        assert {name: row[name] for name in peter.ROW} == peter.ROW
        assert table.columns == AGGREGATED_ENGAGEMENT.column_names


@pytest.mark.usefixtures("patient")
def test_the_published_daily_job_gives_the_same_rows_as_one_run(
    spark: SparkSession, events: Path, videos: Path, tmp_path: Path
) -> None:
    with database(spark, tmp_path / "tables") as name:
        aggregator = VideoEngagementAggregator(spark, events, f"{name}.engagement", videos)
        for day in DAYS:
            start_date = datetime(day.year, day.month, day.day)
            end_date = start_date + timedelta(days=1)
            result = aggregator.run_aggregation(start_date=start_date, end_date=end_date)
            with pytest.warns(UserWarning, match="second row of the same user and video"):
                aggregator.save_results(result, mode="append")
        assert saved(aggregator) == rows_of(aggregator.run_aggregation())
        assert {
            table.name for table in spark.catalog.listTables(name) if not table.isTemporary
        } == {
            "engagement",
            "engagement_daily",
        }


def test_days_merged_late_and_twice_count_once(aggregator: VideoEngagementAggregator) -> None:
    aggregator.save_results(aggregator.run_aggregation(DAYS[1], DAYS[2]), mode="merge")
    aggregator.save_results(aggregator.run_aggregation(end_date=DAYS[1]), mode="merge")
    aggregator.save_results(aggregator.run_aggregation(start_date=DAYS[1]), mode="merge")
    complete = rows_of(aggregator.run_aggregation())
    assert saved(aggregator) == complete
    assert complete["fan", "video_001"]["activeDays"] == list(DAYS[:3])
    assert complete["fan", "video_001"]["totalWatchTime"] == 240.0
    assert complete["fan", "video_001"]["totalUniqueSecondsWatched"] == 150.0
    assert complete["ghost", "video_001"]["activeDays"] == [DAYS[2], DAYS[3]]


def test_a_merged_day_that_became_empty_leaves_no_trace(
    aggregator: VideoEngagementAggregator, events: Path, videos: Path
) -> None:
    aggregator.save_results(aggregator.run_aggregation())
    kept = [line for line in events.read_text().splitlines() if '"2026-01-07' not in line]
    without = aggregator.spark.createDataFrame(
        [tuple(json.loads(line).values()) for line in kept],
        "timestamp string, userId string, sessionId string, videoId string, eventName string, "
        "currentTime double",
    )
    emptied = VideoEngagementAggregator(aggregator.spark, without, aggregator.output_table, videos)
    emptied.save_results(emptied.run_aggregation(DAYS[2], DAYS[3]), mode="merge")
    emptied.save_results(emptied.run_aggregation(DAYS[3], DAYS[3] + timedelta(1)), mode="merge")
    assert saved(aggregator) == rows_of(emptied.run_aggregation())
    assert ("ghost", "video_001") not in saved(aggregator)


def test_a_range_reads_the_day_before_as_context_and_counts_it_nowhere(
    aggregator: VideoEngagementAggregator,
) -> None:
    rows = rows_of(aggregator.run_aggregation(DAYS[1], DAYS[2]))
    assert rows.keys() == {("owl", "video_002"), ("fan", "video_001")}
    owl = rows["owl", "video_002"]
    assert (owl["totalWatchTime"], owl["sessionCount"]) == (1200.0, 0)
    assert owl["activeDays"] == [DAYS[1]]


def test_a_day_of_another_zone_is_asked_for_by_its_own_midnight(
    sail: SparkSession, events: Path
) -> None:
    aggregator = VideoEngagementAggregator(sail, events, timezone="Europe/Berlin")
    midnight = datetime(2026, 1, 5, 23, tzinfo=UTC)
    rows = rows_of(aggregator.run_aggregation(midnight, midnight + timedelta(days=1)))
    # In Berlin the owl's session is on the 6th as a whole.
    assert rows["owl", "video_002"]["sessionCount"] == 1
    assert rows["owl", "video_002"]["activeDays"] == [DAYS[1]]


def test_a_range_of_part_days_is_refused(aggregator: VideoEngagementAggregator) -> None:
    with pytest.raises(ValueError, match=r"start_date .* not a midnight of UTC"):
        aggregator.run_aggregation(start_date=datetime(2026, 1, 5, 10))
    with pytest.raises(ValueError, match="end_date"):
        aggregator.run_aggregation(end_date=datetime(2026, 1, 5, 10))
    with pytest.raises(ValueError, match="not before end_date"):
        aggregator.run_aggregation(DAYS[0], DAYS[0])


def test_a_session_of_another_zone_is_refused(jvm: SparkSession) -> None:
    session = jvm.newSession()
    session.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
    aggregator = VideoEngagementAggregator(session, "events")
    with pytest.raises(ValueError, match=r"Europe/Berlin.*spark\.conf\.set"):
        aggregator.run_aggregation()


@pytest.mark.usefixtures("patient")
def test_without_unique_seconds_the_other_columns_stay_the_same(
    spark: SparkSession, events: Path, videos: Path
) -> None:
    aggregator = VideoEngagementAggregator(spark, events, video_metadata_table=videos)
    full = rows_of(aggregator.run_aggregation())
    quick = rows_of(aggregator.run_aggregation(calculate_unique_seconds=False))
    assert quick.keys() == full.keys()
    unknown = {
        "totalUniqueSecondsWatched",
        "uniqueWatchPercentage",
        "rewatchedSeconds",
        "watchedIntervals",
        "largestUnseenGap",
        "engagementScore",
        "engagementTier",
    }
    for key, row in quick.items():
        assert {name for name in unknown if row[name] is not None} == set()
        for name in set(row) - unknown - {"qualityFlags", "dataQualityFlag"}:
            assert row[name] == full[key][name], (key, name)


def test_a_pair_with_one_day_without_unique_seconds_has_none_over_all_days(
    aggregator: VideoEngagementAggregator,
) -> None:
    aggregator.save_results(aggregator.run_aggregation())
    complete = saved(aggregator)
    quick = aggregator.run_aggregation(DAYS[1], DAYS[2], calculate_unique_seconds=False)
    aggregator.save_results(quick, mode="merge")
    rows = saved(aggregator)
    for user, video in (("owl", "video_002"), ("fan", "video_001")):
        assert rows[user, video]["totalUniqueSecondsWatched"] is None
        assert rows[user, video]["totalWatchTime"] == complete[user, video]["totalWatchTime"]
    assert rows["peter", "video_001"] == complete["peter", "video_001"]


def test_only_a_result_itself_can_be_merged(aggregator: VideoEngagementAggregator) -> None:
    result = aggregator.run_aggregation()
    with pytest.raises(ValueError, match="run_aggregation returned"):
        aggregator.save_results(result.where(F.col("dataQualityFlag") == "ok"), mode="merge")
    with pytest.raises(ValueError, match="unknown mode 'upsert'"):
        aggregator.save_results(result, mode="upsert")  # type: ignore[arg-type]


def test_an_edited_result_can_be_saved_but_not_merged_into(
    aggregator: VideoEngagementAggregator,
) -> None:
    result = aggregator.run_aggregation()
    aggregator.save_results(result)
    edited = aggregator.spark.table(aggregator.output_table).withColumn("team", F.lit("a"))
    aggregator.save_results(edited)
    assert {row["team"] for row in saved(aggregator).values()} == {"a"}
    with pytest.raises(ValueError, match="saved without its rows per day"):
        aggregator.save_results(result, mode="merge")
    aggregator.save_results(result)
    assert "team" not in aggregator.spark.table(aggregator.output_table).columns


def test_delta_tables_work_where_the_engine_writes_them(
    sail: SparkSession, events: Path, videos: Path, tmp_path: Path
) -> None:
    with database(sail, tmp_path / "tables") as name:
        aggregator = VideoEngagementAggregator(
            sail, events, f"{name}.engagement", videos, table_format="delta"
        )
        aggregator.save_results(aggregator.run_aggregation())
        aggregator.save_results(aggregator.run_aggregation(DAYS[1], DAYS[2]), mode="merge")
        assert saved(aggregator) == rows_of(aggregator.run_aggregation())


@pytest.mark.usefixtures("patient")
def test_the_summary_of_peter_says_what_he_did(spark: SparkSession) -> None:
    aggregator = VideoEngagementAggregator(
        spark, peter_s_events(spark), video_metadata_table=videos_of_peter(spark)
    )
    stats = aggregator.generate_summary_stats(aggregator.run_aggregation())
    assert stats["negative_watch_time"] == 0
    assert stats["total_rows"] == stats["unique_users"] == stats["unique_videos"] == 1
    assert stats["total_watch_time"] == 130.0
    assert stats["total_unique_seconds_watched"] == 120.0
    assert stats["avg_watch_percentage"] == 43.33
    assert stats["tiers"] == {"High": 0, "Medium": 0, "Low": 1, "Minimal": 0}
    assert set(stats["quality_flags"].values()) == {0}


def test_the_summary_counts_what_must_not_be(aggregator: VideoEngagementAggregator) -> None:
    good = aggregator.run_aggregation()
    bad = good.where(F.col("userId") == "peter").withColumns(
        {
            "userId": F.lit(None).cast("string"),
            "totalWatchTime": F.lit(-1.0),
            "engagementScore": F.lit(float("nan")),
        }
    )
    stats = aggregator.generate_summary_stats(good.unionByName(bad).unionByName(bad))
    assert stats["negative_watch_time"] == 2
    assert stats["null_keys"] == 2
    assert stats["not_finite"] == 2
    assert stats["duplicate_keys"] == 1
    assert stats["total_rows"] == 6


def test_the_summary_of_no_rows_is_all_zero(aggregator: VideoEngagementAggregator) -> None:
    nobody = aggregator.run_aggregation().where(F.lit(False))
    stats = aggregator.generate_summary_stats(nobody)
    assert stats["total_rows"] == stats["negative_watch_time"] == stats["total_watch_time"] == 0
    assert stats["avg_engagement_score"] is None


@pytest.mark.usefixtures("patient")
def test_a_table_of_typed_times_is_read_by_name_and_by_range(
    spark: SparkSession, tmp_path: Path
) -> None:
    with database(spark, tmp_path / "tables") as name:
        peter_s_events(spark).write.saveAsTable(f"{name}.events")
        aggregator = VideoEngagementAggregator(spark, f"{name}.events")
        assert rows_of(aggregator.run_aggregation(DAYS[0], DAYS[1])).keys() == {
            ("peter", "video_001")
        }
        assert rows_of(aggregator.run_aggregation(date(2026, 3, 1), date(2026, 3, 2))) == {}


def test_foreign_names_of_events_and_far_positions_can_be_told(sail: SparkSession) -> None:
    renamed = F.regexp_replace("eventName", "video_play", "Begin")
    events = peter_s_events(sail).withColumn("eventName", renamed)
    far = F.col("currentTime") + 100_000
    events = events.withColumn("currentTime", far)
    told = VideoEngagementAggregator(
        sail, events, event_names={"BEGIN": "play", "share": "ignore"}, max_position=200_000
    )
    (row,) = rows_of(told.run_aggregation()).values()
    assert (row["totalWatchTime"], row["maxPositionReached"]) == (130.0, 100_120.0)
    assert rows_of(VideoEngagementAggregator(sail, events).run_aggregation()) == {}


def test_an_event_can_only_be_told_to_be_one_of_ours(sail: SparkSession) -> None:
    with pytest.raises(ValueError, match="no name of an event: video_plai"):
        VideoEngagementAggregator(sail, "events", event_names={"begin": "video_plai"})
