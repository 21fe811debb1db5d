"""Which files of a folder are read, and what a row knows of its file."""

import errno
import json
import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import (
    REQUIRED_COLUMNS,
)
from vidagg_dagster.spark.session import spills
from vidagg_dagster_tests.support.source_files import (
    GOOD,
    event,
    parquet,
    read,
    typed,
    values,
    write,
)


def test_a_folder_is_read_with_all_its_folders_and_hidden_files_are_not(
    spark: SparkSession, tmp_path: Path
) -> None:
    names = [
        *("a.jsonl", "b.json", "c.ndjson", "d.JSONL", "sub/deep/e.jsonl", "sub/f.jsonl.gz"),
        *("folder.json/g.jsonl", "day=2024-03-05/h.jsonl"),
    ]
    for name in names:
        write(tmp_path / name, [event(userId=name)])
    for name in ("_SUCCESS", ".a.jsonl.crc", "_tmp/x.jsonl", ".git/x.jsonl", "sub/_x.jsonl"):
        write(tmp_path / name, "hidden")
    found = values(spark, tmp_path, "userId", "sourceFile")
    assert found == sorted(((name, name) for name in names), key=repr)


AWKWARD = [
    *("a b.jsonl", "\u00e4\u00df\u6f22.jsonl", "a+b%20c%.jsonl", "a[1].jsonl", "{x,y}*.jsonl"),
    *("q?#&=;.jsonl", "it's.jsonl", "k=1 \u00e4/x.jsonl", "e\u0301.jsonl", "d[0]/x.jsonl"),
    *("a,b.jsonl", "$HOME~.jsonl", "back\\slash.jsonl", "[z].jsonl.gz"),
]


def test_source_files_are_named_relative_to_the_source_however_they_are_called(
    spark: SparkSession, tmp_path: Path
) -> None:
    root = tmp_path / "so+urce %20 [1] \u00e4"
    for name in AWKWARD:
        write(root / name, [event(userId=name)])
    found = values(spark, root, "userId", "sourceFile")
    assert found == sorted(((name, name) for name in AWKWARD), key=repr)


@pytest.mark.parametrize("name", ["2024-03-05.jsonl", "_hidden.jsonl", "a [b].jsonl"])
def test_a_source_of_one_file_is_named_as_the_file(
    spark: SparkSession, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / name, [event()])
    monkeypatch.chdir(tmp_path)
    for location in (str(path), name, path.as_uri(), f" {path} "):
        assert values(spark, location, "sourceFile") == [name]


@pytest.mark.parametrize("name", ["_hidden.jsonl", "a [b].jsonl.gz"])
def test_a_file_of_such_a_name_is_copied_where_no_links_can_be_made(
    spark: SparkSession, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    def no_links(source: str, link: str, *_: object, **__: object) -> None:
        refused.append(str(source))
        raise OSError(errno.EOPNOTSUPP, "Operation not supported", link)

    path = write(tmp_path / name, [event()])
    monkeypatch.setattr(os, "symlink", no_links)
    for _ in range(2):
        assert values(spark, path, "sourceFile") == [name]
    # JVM Spark reads a name with characters of patterns under that name, and needs no other.
    as_it_is = "[" in name and spills(spark)
    assert refused == ([] if as_it_is else [str(path)])


def test_many_files_are_read_in_one_go(spark: SparkSession, tmp_path: Path) -> None:
    for n in range(150):
        write(tmp_path / f"{n}.jsonl", [event(userId=str(n))])
    frame = read(spark, tmp_path)
    assert frame.where("userId || '.jsonl' = sourceFile").count() == 150


def test_values_in_folder_names_are_columns(spark: SparkSession, tmp_path: Path) -> None:
    for kind in ("parquet", "jsonl", "csv"):
        for video in ("007", "a b", "x%2Fy+z", "__HIVE_DEFAULT_PARTITION__"):
            path = tmp_path / kind / f"videoId={video}" / f"a.{kind}"
            if kind == "parquet":
                parquet(path, typed(videoId=None))
            elif kind == "jsonl":
                write(path, [json.dumps({k: v for k, v in GOOD.items() if k != "videoId"})])
            else:
                write(path, ["timestamp,userId,sessionId,eventName,currentTime", "t,u,s,e,1"])
        found = values(spark, tmp_path / kind, "videoId")
        assert set(found) == {"007", "a b", "x/y+z", None}
        assert len(found) == 4


def test_the_format_may_be_said_instead_of_told_by_the_extension(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "events.log", [event()])
    write(tmp_path / "more", [event()])
    write(tmp_path / "zipped.gz", [event()])
    assert values(spark, tmp_path, "userId", format="jsonl") == ["u"] * 3


def test_an_empty_folder_has_no_events(spark: SparkSession, tmp_path: Path) -> None:
    frame = read(spark, tmp_path)
    assert frame.collect() == []
    write(tmp_path / "a.jsonl", [event()])
    filled = dict(read(spark, tmp_path).drop("eventId").dtypes)
    assert dict(frame.drop("eventId").dtypes) == filled


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.json.gz"])
def test_a_file_without_lines_has_no_events(spark: SparkSession, tmp_path: Path, name: str) -> None:
    write(tmp_path / name, "")
    assert read(spark, tmp_path).collect() == []


def test_the_column_of_ids_is_left_out_only_where_none_can_be(
    spark: SparkSession, tmp_path: Path
) -> None:
    without = {k: v for k, v in GOOD.items() if k != "eventId"}
    write(tmp_path / "none" / "a.jsonl", [json.dumps(without)])
    write(tmp_path / "late" / "a.jsonl", [*[json.dumps(without)] * 3000, event()])
    write(tmp_path / "escaped" / "a.jsonl", [event().replace("eventId", r"event\u0049d")])
    write(tmp_path / "other" / "a.jsonl", [json.dumps({**without, "nr": 5})])
    write(tmp_path / "csv" / "a.csv", [",".join(REQUIRED_COLUMNS), "t,u,s,v,e,1"])
    parquet(tmp_path / "parquet" / "a.parquet", typed(eventId=None))
    has = {
        name: "eventId" in read(spark, tmp_path / name).columns
        for name in ("none", "late", "escaped", "other", "csv", "parquet")
    }
    assert has == {
        **dict.fromkeys(has, False),
        "late": True,
        "escaped": True,
    }
    assert values(spark, tmp_path / "escaped", "eventId") == ["e"]
    assert values(spark, tmp_path / "other", "eventId", columns={"eventId": "nr"}) == ["5"]
