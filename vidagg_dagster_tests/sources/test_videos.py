"""The video catalogue: how durations may be written, and what is counted."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.videos import CatalogueCount, count_catalogue, read_videos
from vidagg_dagster_tests.support.source_files import write

DURATIONS = {
    "300": 300_000,
    "300.25": 300_250,
    "PT5M": 300_000,
    "PT1H0M1.5S": 3_601_500,
    "5:00": 300_000,
    "1:00:01.5": 3_601_500,
    "300 s": 300_000,
    "12.5s": 12_500,
    "": None,
    "0": None,
    "-5": None,
    "PT0S": None,
    "five": None,
    "5:00:00:00": None,
    "P1M": None,
    "300 m": None,
}


def test_durations_are_read_in_every_notation_that_has_one_meaning(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = [f"{at},{text}" for at, text in enumerate(DURATIONS)]
    file = write(tmp_path / "videos.csv", ["videoId,duration", *lines, ",7", "a,b,c"])
    rows = read_videos(spark, str(file)).collect()
    found = {int(row.videoId): row.durationMs for row in rows}
    assert found == dict(enumerate(DURATIONS.values()))
    assert count_catalogue(spark, str(file)) == CatalogueCount(
        rows=len(DURATIONS) + 2, unusable=2, unreadable=7, example="-5"
    )


def test_a_catalogue_may_be_one_array_of_json(spark: SparkSession, tmp_path: Path) -> None:
    file = write(
        tmp_path / "videos.json", '[{"videoId": "a", "duration": "2:00"},\n {"videoId": 7}]'
    )
    rows = sorted(map(tuple, read_videos(spark, str(file)).collect()))
    assert rows == [("7", None, None), ("a", 120_000, None)]
    assert count_catalogue(spark, str(file)) == CatalogueCount(2, 0, 0, None)


def test_a_catalogue_may_have_names_and_a_unit_of_its_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = ["id;LENGTH;name", "a;300000;A", "b;0,5;B", "c;1:30;C", "d;PT2S;D", "e;;E"]
    file = write(tmp_path / "videos.csv", lines)
    columns = {"videoId": "id", "durationMs": "length", "title": "name"}
    rows = {tuple(row) for row in read_videos(spark, str(file), columns=columns).collect()}
    assert rows == {
        *{("a", 300_000, "A"), ("b", None, "B"), ("c", 90_000, "C")},
        *{("d", 2_000, "D"), ("e", None, "E")},
    }
    assert count_catalogue(spark, str(file), columns) == CatalogueCount(5, 0, 1, "0,5")
    with pytest.raises(SourceError, match=r"Missing columns: len \(for durationMs\)"):
        read_videos(spark, str(file), columns={"videoId": "id", "durationMs": "len"})
