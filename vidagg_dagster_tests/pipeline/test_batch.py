"""The whole computation over files."""

import gc
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.aggregator import VideoEngagementAggregator
from vidagg_dagster.core.contract import SAIL, SPARK, SourceSpec
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.demo.files import DemoFiles, generate
from vidagg_dagster.pipeline import batch
from vidagg_dagster.pipeline.batch import Aggregation, Outcome, aggregate_files
from vidagg_dagster.sources.videos import CatalogueCount, count_catalogue
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support import peter

RUN_TIME = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return generate(tmp_path_factory.mktemp("demo"), days=3, viewers=40)


@pytest.fixture(scope="module", params=["spark", "sail"])
def of_demo(request: pytest.FixtureRequest, demo: DemoFiles) -> Iterator[Aggregation]:
    require(request.param)
    with using(request.param):
        yield of_files(engine_session(request.param), demo.events, demo.videos)


def test_some_days_equal_what_the_notebook_class_says_of_them(
    sail: SparkSession, demo: DemoFiles
) -> None:
    day = demo.days[1]
    found = aggregate_files(
        sail,
        SourceSpec(location=str(demo.events)),
        video_metadata=str(demo.videos),
        run_time=RUN_TIME,
        first_day=day,
        last_day=day,
    )
    expected = (
        VideoEngagementAggregator(sail, demo.events, video_metadata_table=demo.videos)
        .run_aggregation(day, day + timedelta(days=1))
        .toArrow()
        .sort_by([("userId", "ascending"), ("videoId", "ascending")])
    )
    unlike = ["processedAt"]
    assert found.rows.num_rows > 20
    assert found.rows.drop_columns(unlike).to_pylist() == expected.drop_columns(unlike).to_pylist()
    counts = found.counts
    assert 0 < counts["accepted"] < counts["input"]
    ends = ("accepted", "duplicates", "ignored", "rejected")
    assert counts["input"] == sum(counts[name] for name in ends)


def of_files(spark: SparkSession, events: Path, videos: Path | None = None) -> Aggregation:
    return aggregate_files(
        spark,
        SourceSpec(location=str(events)),
        video_metadata=str(videos) if videos else None,
        run_time=RUN_TIME,
    )


def of_rows(spark: SparkSession, folder: Path, *more: dict[str, Any]) -> list[dict[str, Any]]:
    events = peter.write_events(folder / "events.jsonl", *more)
    result = of_files(spark, events, peter.write_videos(folder / "videos.jsonl"))
    rows: list[dict[str, Any]] = result.rows.to_pylist()
    return rows


def test_peter_gets_his_row(spark: SparkSession, tmp_path: Path) -> None:
    (row,) = of_rows(spark, tmp_path)
    assert {name: row[name] for name in peter.ROW} == peter.ROW
    assert row["watchedIntervals"] == [{"startMs": 0, "endMs": 120_000}]
    assert row["activeDays"] == [date(2026, 1, 5)]


@pytest.mark.parametrize("first_day", [None, date(2024, 1, 2)])
def test_users_gathered_in_files_give_the_same_rows_and_counts(
    sail: SparkSession, demo: DemoFiles, first_day: date | None
) -> None:
    stages: dict[int, list[str]] = {1_000_000: [], 500: []}
    in_memory, in_files = (
        aggregate_files(
            sail,
            SourceSpec(location=str(demo.events)),
            video_metadata=str(demo.videos),
            run_time=RUN_TIME,
            events_at_once=at_once,
            first_day=first_day,
            report=said.append,
        )
        for at_once, said in stages.items()
    )
    assert in_memory.rows.num_rows > 0
    assert in_files.rows.to_pylist() == in_memory.rows.to_pylist()
    assert in_files.counts == in_memory.counts
    assert len(stages[500]) == len(stages[1_000_000]) + 1


@pytest.mark.usefixtures("patient")
def test_the_commonest_unknown_names_are_told_whoever_sends_them(
    spark: SparkSession, tmp_path: Path
) -> None:
    sent = ["over"] * 3 + ["Ad "] * 2 + ["ad", "d", "c", "b", "", "  ", None, "video_play"]
    rows = [
        {
            "timestamp": f"2026-01-0{1 + number % 2}T10:00:{number:02}Z",
            "userId": f"user{number}",
            "sessionId": "s",
            "videoId": "v",
            "eventName": name,
            "currentTime": 0,
        }
        for number, name in enumerate([*sent, *sent, "a"])
    ]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    def told(first_day: date | None) -> list[tuple[str, int]]:
        source = SourceSpec(location=str(tmp_path))
        found = aggregate_files(
            spark, source, run_time=RUN_TIME, events_at_once=5, first_day=first_day
        )
        return list(found.unknown_names.items())

    assert told(None) == [("ad", 6), ("over", 6), ("b", 2), ("c", 2), ("d", 2)]
    assert told(date(2026, 1, 2)) == told_of(rows, date(2026, 1, 2))


def told_of(rows: list[dict[str, Any]], day: date) -> list[tuple[str, int]]:
    """The five commonest of all names but that of a known event."""
    names = Counter(
        row["eventName"].strip().lower()
        for row in rows
        if row["timestamp"].startswith(f"{day}") and (row["eventName"] or "").strip()
    )
    del names["video_play"]
    return sorted(names.items(), key=lambda told: (-told[1], told[0]))[:5]


def test_an_id_that_several_users_share_is_no_duplicate_in_files_neither(
    sail: SparkSession, tmp_path: Path
) -> None:
    rows = [
        {
            "timestamp": f"2026-01-05T10:00:{user % 60:02}Z",
            "userId": f"user{user}",
            "sessionId": "s",
            "videoId": "v",
            "eventName": "video_play",
            "currentTime": 0,
            "eventId": f"e{user % 10}",
        }
        for user in range(40)
    ]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    source = SourceSpec(location=str(tmp_path))
    in_memory, in_files = (
        aggregate_files(sail, source, run_time=RUN_TIME, events_at_once=at_once)
        for at_once in (1000, 5)
    )
    assert in_memory.counts["duplicates"] == 0
    assert in_files.counts == in_memory.counts
    assert in_files.rows.to_pylist() == in_memory.rows.to_pylist()


def test_the_rows_have_every_declared_column_in_order(of_demo: Aggregation) -> None:
    assert of_demo.rows.column_names == AGGREGATED_ENGAGEMENT.column_names


def test_the_rows_are_sorted_and_unique(of_demo: Aggregation) -> None:
    keys = [(row["userId"], row["videoId"]) for row in of_demo.rows.to_pylist()]
    assert keys == sorted(set(keys))
    assert len(keys) > 50


def test_every_input_row_is_accounted_for_with_the_generator_s_own_counts(
    of_demo: Aggregation, demo: DemoFiles
) -> None:
    counts = of_demo.counts
    assert counts["input"] == demo.rows
    assert counts["accepted"] == demo.accepted
    assert counts["duplicates"] == demo.duplicates
    assert counts["rejected"] == demo.rejected
    reasons = {
        name.removeprefix("rejected:"): count
        for name, count in counts.items()
        if name.startswith("rejected:") and count
    }
    assert reasons == demo.reasons


def test_both_engines_give_the_same_rows(
    demo: DemoFiles, jvm: SparkSession, sail: SparkSession
) -> None:
    results = []
    for engine, session in ((SPARK, jvm), (SAIL, sail)):
        with using(engine):
            results.append(of_files(session, demo.events, demo.videos))
    assert results[0].counts == results[1].counts
    assert results[0].rows.to_pylist() == results[1].rows.to_pylist()


@pytest.mark.parametrize(("videos", "compiled"), [(3, "false"), (50_001, "true")])
def test_jvm_spark_generates_no_code_to_read_a_catalogue_of_few_videos(
    jvm: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    videos: int,
    compiled: str,
) -> None:
    catalogue = tmp_path / "videos.parquet"
    pq.write_table(pa.table({"videoId": [f"video{at}" for at in range(videos)]}), catalogue)
    setting, found = "spark.sql.codegen.wholeStage", []

    def counted(*arguments: Any) -> CatalogueCount:
        found.append(jvm.conf.get(setting))
        return count_catalogue(*arguments)

    monkeypatch.setattr(batch, "count_catalogue", counted)
    result = of_files(jvm, peter.write_events(tmp_path / "events.jsonl"), catalogue)
    assert result.catalogue is not None
    assert result.catalogue.rows == videos
    assert found == [compiled]
    assert jvm.conf.get(setting) == "true"


@pytest.mark.usefixtures("patient")
def test_shuffled_files_give_the_same_rows(
    spark: SparkSession, demo: DemoFiles, tmp_path: Path
) -> None:
    lines = [line for file in demo.events.iterdir() for line in file.read_text().splitlines()]
    for number in range(2):
        part = sorted(lines[number::2], key=lambda line: line[::-1])
        (tmp_path / f"{number}.jsonl").write_text("\n".join(part) + "\n")
    straight = of_files(spark, demo.events, demo.videos).rows.to_pylist()
    assert of_files(spark, tmp_path, demo.videos).rows.to_pylist() == straight


DRESSES = {
    "12.5": 12.5,
    '"12.5"': 12.5,
    "1.25e1": 12.5,
    "12": 12.0,
    "null": None,
    '"NaN"': None,
    '"Infinity"': None,
    "NaN": None,
    "Infinity": None,
    "-Infinity": None,
}
"""How a currentTime may be written in JSON -> the seconds it means, None if it is unusable."""


def test_a_current_time_may_come_in_any_dress(spark: SparkSession, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    lines = []
    for number, written in enumerate(DRESSES):
        line = json.dumps(peter.EVENTS[0] | {"userId": f"u{number}", "currentTime": "HERE"})
        lines.append(line.replace('"HERE"', written) + "\n")
    events.write_text("".join(lines))
    result = of_files(spark, events)
    assert {row["userId"]: row["maxPositionReached"] for row in result.rows.to_pylist()} == {
        f"u{number}": seconds
        for number, seconds in enumerate(DRESSES.values())
        if seconds is not None
    }
    assert result.counts["rejected"] == sum(seconds is None for seconds in DRESSES.values())


def test_without_metadata_there_is_no_duration_and_no_score(
    spark: SparkSession, tmp_path: Path
) -> None:
    result = of_files(spark, peter.write_events(tmp_path / "events.jsonl"))
    (row,) = result.rows.to_pylist()
    assert row["totalWatchTime"] == 130.0
    assert row["videoDuration"] is None
    assert row["engagementScore"] is None
    assert row["qualityFlags"] == ["unknown_duration"]


def test_a_missing_duration_can_be_estimated(spark: SparkSession, tmp_path: Path) -> None:
    result = aggregate_files(
        spark,
        SourceSpec(location=str(peter.write_events(tmp_path / "events.jsonl"))),
        run_time=RUN_TIME,
        estimate_missing_durations=True,
    )
    (row,) = result.rows.to_pylist()
    assert (row["videoDuration"], row["videoDurationSource"]) == (120.0, "estimated")


def test_rules_can_differ_from_the_published_ones(spark: SparkSession, tmp_path: Path) -> None:
    result = aggregate_files(
        spark,
        SourceSpec(location=str(peter.write_events(tmp_path / "events.jsonl"))),
        run_time=RUN_TIME,
        parameters=EngagementParameters(backward_skip_ms=60_000),
    )
    assert result.rows.to_pylist()[0]["totalBackwardSkips"] == 0


def test_an_input_without_a_needed_column_names_those_it_has(
    spark: SparkSession, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text('{"timestamp": "2026-01-05T10:00:00Z", "user": "peter"}\n')
    with pytest.raises(SourceError, match=r"userId(.|\n)*user"):
        of_files(spark, events)


def test_no_events_at_all_give_no_rows(spark: SparkSession, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("timestamp,userId,sessionId,videoId,eventName,currentTime\n")
    result = of_files(spark, events)
    assert result.rows.num_rows == 0
    assert result.counts["input"] == 0


def test_the_rows_lie_in_files_until_they_are_read_or_nobody_wants_them(
    sail: SparkSession, demo: DemoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def found() -> Aggregation:
        return of_files(sail, demo.events, demo.videos)

    def folders() -> int:
        return len(list(tmp_path.glob("vidagg-*")))

    kept = found()
    in_tables = pa.concat_tables(kept.tables())
    assert folders() == 1
    assert kept.rows.num_rows == kept.num_rows > 0
    assert folders() == 0
    assert in_tables == kept.rows == pa.concat_tables(kept.tables())
    # Whoever asks for rows only has no name for what they come from.
    assert sum(table.num_rows for table in found().tables()) == kept.num_rows
    gc.collect()
    assert folders() == 0


def test_after_an_error_no_file_is_left(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SourceError) as error:
        of_files(spark, tmp_path / "absent")
    assert error.tb, "which refers to all that was there"
    assert not list(tmp_path.glob("vidagg-*"))


def test_videos_without_a_duration_are_counted_once_each(
    sail: SparkSession, tmp_path: Path
) -> None:
    seen = [("anna", "v"), ("anna", "w"), ("berta", "v"), ("berta", "x"), ("", "y")]
    rows = [
        {
            "timestamp": "2026-01-05T10:00:00Z",
            "userId": user,
            "sessionId": "s",
            "videoId": video,
            "eventName": "video_play",
            "currentTime": 0,
        }
        for user, video in seen
    ]
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "videos.csv").write_text("videoId,duration,title\nw,60,W\n")
    found = of_files(sail, tmp_path / "events.jsonl", tmp_path / "videos.csv")
    assert (found.num_rows, found.without_duration) == (4, 2)
    assert "2 videos of events have no duration" in found.summary()


def test_the_summary_adds_up_in_one_line() -> None:
    counts = {
        "input": 1_234_567,
        "accepted": 1_234_560,
        "duplicates": 4,
        "ignored": 0,
        "rejected": 3,
        "rejected:missing_user": 2,
        "rejected:malformed_row": 1,
        "rejected:missing_video": 0,
    }
    assert Outcome(1, counts).summary() == (
        "1 row; input 1 234 567 = accepted 1 234 560 + duplicates 4 + rejected 3 "
        "(malformed_row 1, missing_user 2)"
    )


def test_the_summary_tells_what_is_wrong_with_the_catalogue_and_nothing_if_it_is_right() -> None:
    counts = dict.fromkeys(("input", "accepted", "duplicates", "ignored", "rejected"), 0)
    faulty = CatalogueCount(rows=1234, unusable=1, unreadable=2, example="300,0")
    assert (
        Outcome(3, counts, catalogue=faulty, without_duration=1)
        .summary()
        .endswith(
            "; video catalogue of 1 234 rows: 1 rows name no video, 2 durations cannot be read, "
            "such as '300,0', 1 videos of events have no duration"
        )
    )
    sound = CatalogueCount(rows=2, unusable=0, unreadable=0, example=None)
    assert "catalogue" not in Outcome(3, counts, catalogue=sound).summary()
    assert "catalogue" not in Outcome(3, counts, without_duration=1).summary()
