"""The notebook front door, on JVM Spark and on Sail, with Parquet and with Delta tables."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.aggregator import VideoEngagementAggregator
from vidagg_dagster.demo.files import DemoFiles, generate
from vidagg_dagster.engine.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster_tests import peter

DAY = date(2026, 1, 5)
Rows = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return generate(tmp_path_factory.mktemp("demo"), days=4, viewers=25)


@pytest.fixture
def database(spark: SparkSession, tmp_path: Path) -> Iterator[str]:
    """A database of its own, in a folder of its own."""
    name = f"vidagg_{tmp_path.name}".replace("-", "_").replace("[", "_").replace("]", "_").lower()
    spark.sql(f"CREATE DATABASE {name} LOCATION '{(tmp_path / 'tables').as_uri()}'")
    yield name
    spark.sql(f"DROP DATABASE {name} CASCADE")


@pytest.fixture
def aggregator(spark: SparkSession, demo: DemoFiles, database: str) -> VideoEngagementAggregator:
    return VideoEngagementAggregator(
        spark, demo.events, f"{database}.engagement", video_metadata_table=demo.videos
    )


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
        [tuple(row.values()) for row in peter.EVENTS],
        "timestamp string, userId string, sessionId string, videoId string, eventName string, "
        "currentTime double",
    )
    return events.withColumn("timestamp", F.to_timestamp("timestamp"))


def videos_of_peter(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [("video_001", 300.0, "Welcome")], "videoId string, duration double, title string"
    )


def test_the_published_quick_start_gives_peter_his_row(spark: SparkSession, database: str) -> None:
    peter_s_events(spark).createOrReplaceTempView("your_raw_events_table")
    videos_of_peter(spark).createOrReplaceTempView("video_metadata")
    aggregator = VideoEngagementAggregator(
        spark=spark,
        input_table="your_raw_events_table",
        output_table=f"{database}.aggregated_user_video_engagement",
        video_metadata_table="video_metadata",
    )
    result = aggregator.run_aggregation()
    aggregator.save_results(result)
    table = spark.table(f"{database}.aggregated_user_video_engagement")
    (row,) = table.filter(
        (F.col("userId") == "peter") & (F.col("videoId") == "video_001")
    ).collect()
    assert {name: row[name] for name in peter.ROW} == peter.ROW
    assert table.columns == AGGREGATED_ENGAGEMENT.column_names


def test_the_published_daily_job_gives_the_same_rows_as_one_run(
    aggregator: VideoEngagementAggregator, demo: DemoFiles
) -> None:
    for day in demo.days:
        start = datetime(day.year, day.month, day.day)
        result = aggregator.run_aggregation(start_date=start, end_date=start + timedelta(days=1))
        with pytest.warns(UserWarning, match="second row of the same user and video"):
            aggregator.save_results(result, mode="append")
    # Starts that nothing follows may be settled on the day after the last one.
    rest = aggregator.run_aggregation(start_date=demo.days[-1] + timedelta(days=1))
    aggregator.save_results(rest, mode="merge")
    assert saved(aggregator) == rows_of(aggregator.run_aggregation())


def test_days_merged_late_and_twice_count_once(
    aggregator: VideoEngagementAggregator, demo: DemoFiles
) -> None:
    whole = aggregator.run_aggregation()
    aggregator.save_results(whole)
    complete = saved(aggregator)
    for first, end in ((demo.days[2], demo.days[3]), (demo.days[0], demo.days[2])):
        aggregator.save_results(aggregator.run_aggregation(first, end), mode="merge")
        assert saved(aggregator) == complete
    aggregator.save_results(aggregator.run_aggregation(), mode="merge")
    assert saved(aggregator) == complete


def test_a_merged_day_that_became_empty_leaves_no_trace(
    spark: SparkSession, aggregator: VideoEngagementAggregator, demo: DemoFiles
) -> None:
    day = demo.days[1]
    aggregator.save_results(aggregator.run_aggregation(end_date=day + timedelta(days=1)))
    before = rows_of(aggregator.run_aggregation(end_date=day))
    assert saved(aggregator) != before
    emptied = VideoEngagementAggregator(
        spark, demo.events / "2026-01-05.jsonl", aggregator.output_table, demo.videos
    )
    nothing = emptied.run_aggregation(day, day + timedelta(days=1))
    emptied.save_results(nothing, mode="merge")
    # What was open at midnight is settled on that day all the same.
    assert saved(aggregator) == rows_of(emptied.run_aggregation(end_date=day + timedelta(days=1)))


def test_a_range_reads_the_day_before_as_context_and_counts_it_nowhere(
    aggregator: VideoEngagementAggregator, demo: DemoFiles
) -> None:
    day = demo.days[2]
    rows = rows_of(aggregator.run_aggregation(day, day + timedelta(days=1)))
    assert rows
    assert all(row["activeDays"] == [day] for row in rows.values())
    assert any(row["sessionCount"] == 0 and row["totalWatchTime"] > 0 for row in rows.values())


def test_a_day_of_another_zone_is_asked_for_by_its_own_midnight(
    spark: SparkSession, demo: DemoFiles
) -> None:
    aggregator = VideoEngagementAggregator(spark, demo.events, timezone="Europe/Berlin")
    midnight = datetime(2026, 1, 5, 23, tzinfo=UTC)
    by_time = aggregator.run_aggregation(midnight, midnight + timedelta(days=1))
    by_day = aggregator.run_aggregation(date(2026, 1, 6), date(2026, 1, 7))
    assert rows_of(by_time) == rows_of(by_day)


def test_a_range_of_part_days_is_refused(aggregator: VideoEngagementAggregator) -> None:
    with pytest.raises(ValueError, match=r"start_date .* not a midnight of UTC"):
        aggregator.run_aggregation(start_date=datetime(2026, 1, 5, 10))
    with pytest.raises(ValueError, match="end_date"):
        aggregator.run_aggregation(end_date=datetime(2026, 1, 5, 10))
    with pytest.raises(ValueError, match="not before end_date"):
        aggregator.run_aggregation(DAY, DAY)


def test_without_unique_seconds_the_other_columns_stay_the_same(
    aggregator: VideoEngagementAggregator,
) -> None:
    full = rows_of(aggregator.run_aggregation())
    quick = rows_of(aggregator.run_aggregation(calculate_unique_seconds=False))
    assert quick.keys() == full.keys()
    unknown = {
        "totalUniqueSecondsWatched",
        "uniqueWatchPercentage",
        "rewatchedSeconds",
        "watchedIntervals",
        "engagementScore",
        "engagementTier",
    }
    for key, row in quick.items():
        assert {name for name in unknown if row[name] is not None} == set()
        for name in set(row) - unknown - {"qualityFlags", "dataQualityFlag"}:
            assert row[name] == full[key][name], (key, name)


def test_a_pair_with_one_day_without_unique_seconds_has_none_over_all_days(
    aggregator: VideoEngagementAggregator, demo: DemoFiles
) -> None:
    aggregator.save_results(aggregator.run_aggregation())
    complete = saved(aggregator)
    day = demo.days[1]
    quick = aggregator.run_aggregation(day, day + timedelta(days=1), calculate_unique_seconds=False)
    aggregator.save_results(quick, mode="merge")
    for key, row in saved(aggregator).items():
        if day in row["activeDays"]:
            assert row["totalUniqueSecondsWatched"] is None
            assert row["totalWatchTime"] == complete[key]["totalWatchTime"]
        else:
            assert row == complete[key]


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
    good = result.where(F.col("dataQualityFlag") == "ok").withColumn("team", F.lit("a"))
    aggregator.save_results(good)
    assert {row["team"] for row in saved(aggregator).values()} == {"a"}
    with pytest.raises(ValueError, match="saved without its rows per day"):
        aggregator.save_results(result, mode="merge")
    aggregator.save_results(result)
    assert "team" not in aggregator.spark.table(aggregator.output_table).columns


def test_saving_leaves_two_tables_and_nothing_else(
    aggregator: VideoEngagementAggregator, database: str
) -> None:
    result = aggregator.run_aggregation()
    aggregator.save_results(result)
    aggregator.save_results(result, mode="merge")
    aggregator.save_results(result)
    tables = {
        table.name
        for table in aggregator.spark.catalog.listTables(database)
        if not table.isTemporary
    }
    assert tables == {"engagement", "engagement_daily"}


def test_delta_tables_work_where_the_engine_writes_them(
    sail: SparkSession, demo: DemoFiles, tmp_path: Path
) -> None:
    sail.sql(f"CREATE DATABASE vidagg_delta LOCATION '{tmp_path.as_uri()}'")
    try:
        aggregator = VideoEngagementAggregator(
            sail, demo.events, "vidagg_delta.engagement", demo.videos, table_format="delta"
        )
        for mode in ("overwrite", "merge"):
            aggregator.save_results(aggregator.run_aggregation(), mode=mode)  # type: ignore[arg-type]
            assert saved(aggregator) == rows_of(aggregator.run_aggregation())
    finally:
        sail.sql("DROP DATABASE vidagg_delta CASCADE")


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
    one = good.limit(1)
    bad = one.withColumns(
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
    assert stats["duplicate_keys"] >= 1


def test_the_summary_of_no_rows_is_all_zero(aggregator: VideoEngagementAggregator) -> None:
    nobody = aggregator.run_aggregation().where(F.lit(False))
    stats = aggregator.generate_summary_stats(nobody)
    assert stats["total_rows"] == stats["negative_watch_time"] == stats["total_watch_time"] == 0
    assert stats["avg_engagement_score"] is None
