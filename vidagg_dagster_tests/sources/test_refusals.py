"""Sources that are refused, and the columns of those that are not."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
)
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster_tests.support.source_files import (
    GOOD,
    HEADER,
    delta,
    event,
    parquet,
    read,
    typed,
    values,
    write,
)


def _truncated_gzip(folder: Path) -> None:
    write(folder / "a.jsonl.gz", [event(userId=str(n)) for n in range(5000)])
    whole = (folder / "a.jsonl.gz").read_bytes()
    (folder / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])


def _delta_without_users(folder: Path) -> None:
    folder.rmdir()
    delta(folder, typed(userId=None))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing there": (lambda d: d.rmdir(), "there is no file or folder .*source"),
    "unknown extension": (
        lambda d: [write(d / "a.jsonl", [event()]), write(d / "notes.txt", "x")],
        "Unknown kind of file: .*notes.txt",
    ),
    "no extension": (lambda d: write(d / "events", "x"), "Unknown kind of file: .*events"),
    "mixed formats": (
        lambda d: [write(d / "a.jsonl", [event()]), write(d / "b.csv", [HEADER])],
        r"Mixed formats in .*source: csv \(b\.csv\), jsonl \(a\.jsonl\)",
    ),
    "truncated gzip": (_truncated_gzip, r"Cannot read .*a\.jsonl\.gz"),
    "no gzip": (lambda d: (d / "a.jsonl.gz").write_bytes(b"plain"), r"Cannot read .*a\.jsonl\.gz"),
    "garbage parquet": (
        lambda d: write(d / "a.parquet", b"garbage" * 10),
        r"Cannot read .*a\.parquet as Parquet",
    ),
    "empty parquet": (lambda d: write(d / "a.parquet", b""), r"Cannot read .*a\.parquet as"),
    "zipped parquet": (lambda d: write(d / "a.parquet.gz", b"x"), "Parquet inside gzip"),
    "csv without a column": (
        lambda d: write(d / "a.csv", ["timestamp,user,sessionId,videoId,eventName", "t,u,s,v,e"]),
        r"Missing columns: userId, currentTime\. Found in the header of .*a\.csv: eventName, "
        "sessionId, timestamp, user, videoId",
    ),
    "one csv of two without a column": (
        lambda d: [write(d / "a.csv", [HEADER]), write(d / "b.csv", ["a,b"])],
        r"Missing columns: .* header of .*b\.csv: a, b",
    ),
    "parquet without a column": (
        lambda d: parquet(d / "a.parquet", typed(videoId=None, vid=["v"])),
        r"Missing columns: videoId\. Found in .*a\.parquet: .*vid",
    ),
    "json without a column": (
        lambda d: write(d / "a.jsonl", [json.dumps({"ts": 1, "userId": None})] * 5),
        "Missing columns: timestamp, sessionId, videoId, eventName, currentTime. Found in the "
        r"first lines of .*a\.jsonl: ts, userId",
    ),
    "a header without end": (
        lambda d: write(d / "a.csv", "x" * 200_000),
        r"The first line of .*a\.csv is no header of CSV: field larger than field limit",
    ),
    "no json": (lambda d: write(d / "a.jsonl", ["[", "x"]), "Found in the first lines .*: none"),
    "delta without a column": (
        _delta_without_users,
        "Missing columns: userId",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_that_cannot_be_read_is_refused_before_anything_is_computed(
    spark: SparkSession, tmp_path: Path, case: str
) -> None:
    make, message = REFUSED[case]
    folder = tmp_path / "source"
    folder.mkdir()
    make(folder)
    with pytest.raises(SourceError, match=message) as refusal:
        read(spark, folder)
    assert "\n" not in str(refusal.value)


def test_a_required_column_may_appear_late_or_be_null(spark: SparkSession, tmp_path: Path) -> None:
    few = {"timestamp": None, "userId": None, "sessionId": None, "videoId": None}
    write(tmp_path / "a.jsonl", [json.dumps(few)] * 10)
    write(tmp_path / "b.jsonl", ["{bad", json.dumps({"eventName": None, "currentTime": None})])
    assert values(spark, tmp_path, "malformed") == [False] * 11 + [True]


def test_names_are_mapped_and_a_mapping_of_unknown_names_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    columns = {"userId": "viewer", "currentTime": "pos", "timestamp": "ts"}
    row = {columns.get(name, name): value for name, value in GOOD.items()} | {"userId": "other"}
    write(tmp_path / "a.jsonl", [json.dumps(row)])
    found = values(spark, tmp_path, "userId", "currentTime", "timestamp", columns=columns)
    assert found == [("u", "1.5", GOOD["timestamp"])]
    with pytest.raises(SourceError, match=r"gone \(for videoId\)"):
        read(spark, tmp_path, columns={**columns, "videoId": "gone"})
    with pytest.raises(
        SourceError, match=r"no column of an event: user; ours are .*userId, sessionId"
    ):
        read(spark, tmp_path, columns={"user": "viewer"})


def test_two_of_our_columns_may_come_from_one_of_the_source(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [event()])
    assert values(spark, tmp_path, "userId", "sessionId", columns={"sessionId": "userId"}) == [
        ("u", "u")
    ]


@pytest.mark.parametrize("location", ["", "  ", "s3://bucket/events", "https://x.example/e.jsonl"])
def test_a_location_that_no_file_can_have_is_refused(spark: SparkSession, location: str) -> None:
    with pytest.raises(SourceError, match=r"is empty|is an address of another|address of a page"):
        read(spark, location)


def test_an_unreadable_file_is_named(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [event()])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(SourceError, match=r"Cannot read .*a\.jsonl: Permission denied"):
        read(spark, tmp_path)


def test_frames_have_the_documented_columns(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event()])
    expected = {
        **dict.fromkeys(EVENT_COLUMNS, "string"),
        "typedTimestamp": "timestamp",
        "typedCurrentTime": "double",
        "typedPlaybackRate": "double",
        "typedSeekFrom": "double",
        "payload": "string",
        "sourceFile": "string",
        "malformed": "boolean",
    }
    frame = read(spark, tmp_path)
    assert dict(frame.dtypes) == expected
    assert frame.collect() == [
        Row(
            **{name: str(value) for name, value in GOOD.items()},
            typedTimestamp=None,
            typedCurrentTime=None,
            typedPlaybackRate=None,
            typedSeekFrom=None,
            payload=event(),
            sourceFile="a.jsonl",
            malformed=False,
        )
    ]
