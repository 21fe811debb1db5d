"""Parquet: values of every type come as text, times and numbers by type too."""

import json
import random
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    SourceSpec,
)
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.metrics.ingestion import classify
from vidagg_dagster.sources.read import read_source
from vidagg_dagster_tests.support.source_files import MOMENT, WALL, parquet, read, typed, values


def test_numbers_of_any_parquet_type_come_as_plain_text(
    spark: SparkSession, tmp_path: Path
) -> None:
    doubles = {
        1.5: "1.5",
        -0.0: "0",
        2.0: "2",
        12345678.0: "12345678",
        12345678.5: "12345678.5",
        0.0001: "0.0001",
        9007199254740993.0: "9.007199254740992",
        float("nan"): "NaN",
        float("inf"): "Infinity",
        float("-inf"): "-Infinity",
        86400.000001: "86400.000001",
    }
    parquet(tmp_path / "double.parquet", typed(len(doubles), eventId=list(doubles)))
    rows = read(spark, tmp_path).select("eventId").collect()
    found = sorted(row.eventId for row in rows)
    del doubles[9007199254740993.0]
    assert [text for text in found if not text.startswith("9")] == sorted(doubles.values())
    assert float(next(text for text in found if text.startswith("9"))) == 9007199254740992.0


def test_a_double_keeps_its_value_whatever_its_size(spark: SparkSession, tmp_path: Path) -> None:
    dice = random.Random(5)
    numbers = [dice.uniform(0, 1) * 10 ** dice.randrange(-9, 25) for _ in range(300)]
    numbers += [1e-7, 1e7, 1e15, 1e16, 1e22, 2e23, 5e-324, 1.7976931348623157e308, 0.1 + 0.2]
    parquet(tmp_path / "a.parquet", typed(len(numbers), eventId=numbers))
    assert sorted(float(text) for text in values(spark, tmp_path, "eventId")) == sorted(numbers)


PARQUET_TYPES: dict[str, tuple[Any, str | None]] = {
    "string": (pa.array(["007"]), "007"),
    "large_string": (pa.array(["x"], pa.large_string()), "x"),
    "category": (pa.array(["x"]).dictionary_encode(), "x"),
    "binary": (pa.array([b"\xc3\xa4"]), "\u00e4"),
    "int8": (pa.array([-7], pa.int8()), "-7"),
    "int64": (pa.array([9007199254740993]), "9007199254740993"),
    "uint8": (pa.array([200], pa.uint8()), "200"),
    "uint32": (pa.array([4294967295], pa.uint32()), "4294967295"),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
    "float": (pa.array([12.3], pa.float32()), "12.3"),
    "double": (pa.array([12.3]), "12.3"),
    "decimal": (pa.array([Decimal("12.50")]), "12.50"),
    "bool": (pa.array([True]), "true"),
    "date": (pa.array([date(2024, 3, 5)]), "2024-03-05"),
    "time": (pa.array([time(1, 2, 3)]), "01:02:03.000000"),
    "null": (pa.array([None]), None),
    "missing": (pa.array([None], pa.string()), None),
    "list": (pa.array([["a", "b"]]), '["a","b"]'),
    "struct": (pa.array([{"a": "x", "b": 1}]), '{"a":"x","b":1}'),
    "wall": (pa.array([WALL], pa.timestamp("us")), "2024-03-05 10:00:00.123456"),
    "instant": (pa.array([MOMENT], pa.timestamp("us", "UTC")), "2024-03-05 10:00:00.123456Z"),
}


def test_every_parquet_type_comes_as_text(spark: SparkSession, tmp_path: Path) -> None:
    for name, (column, _) in PARQUET_TYPES.items():
        parquet(tmp_path / f"{name}.parquet", typed(userId=column))
    found = dict(values(spark, tmp_path, "sourceFile", "userId"))
    assert found == {f"{name}.parquet": text for name, (_, text) in PARQUET_TYPES.items()}


TIME_TYPES: dict[str, tuple[Any, Any, str | None]] = {
    "us": (pa.array([MOMENT], pa.timestamp("us", "UTC")), WALL, None),
    "ms": (pa.array([MOMENT], pa.timestamp("ms", "UTC")), WALL.replace(microsecond=123_000), None),
    "ns": (
        pa.array([1_709_632_800_123_456_789], pa.timestamp("ns", "UTC")),
        datetime(2024, 3, 5, 10, 0, 0, 123_456),
        None,
    ),
    "berlin": (pa.array([MOMENT], pa.timestamp("us", "Europe/Berlin")), WALL, None),
    "wall_us": (pa.array([WALL], pa.timestamp("us")), None, "2024-03-05 10:00:00.123456"),
    "wall_ms": (pa.array([WALL], pa.timestamp("ms")), None, "2024-03-05 10:00:00.123"),
    "wall_ns": (
        pa.array([1_709_632_800_123_456_789], pa.timestamp("ns")),
        None,
        "2024-03-05 10:00:00.123456",
    ),
    "epoch": (pa.array([1_709_632_800_123]), None, "1709632800123"),
    "epoch_s": (pa.array([1_709_632_800.123]), None, "1709632800.123"),
    "day": (pa.array([date(2024, 3, 5)]), None, "2024-03-05"),
    "text": (pa.array(["2024-03-05T10:00:00Z"]), None, "2024-03-05T10:00:00Z"),
    "none": (pa.array([None], pa.timestamp("us", "UTC")), None, None),
}


def test_a_parquet_instant_is_taken_as_it_is_and_wall_time_as_text_without_zone(
    spark: SparkSession, tmp_path: Path
) -> None:
    for name, (column, _, _) in TIME_TYPES.items():
        parquet(tmp_path / f"{name}.parquet", typed(timestamp=column))
    int96 = typed(timestamp=pa.array([1_709_632_800_123_456_789], pa.timestamp("ns")))
    parquet(tmp_path / "int96.parquet", int96, use_deprecated_int96_timestamps=True)
    rows = read(spark, tmp_path).collect()
    assert {row.sourceFile: (row.typedTimestamp, row.timestamp) for row in rows} == {
        **{f"{name}.parquet": (stamp, text) for name, (_, stamp, text) in TIME_TYPES.items()},
        "int96.parquet": (datetime(2024, 3, 5, 10, 0, 0, 123_456), None),
    }


def test_wall_time_in_a_gap_of_its_zone_is_unparsable_also_by_type(
    spark: SparkSession, tmp_path: Path
) -> None:
    times = [datetime(2024, 3, 31, 2, 30), datetime(2024, 3, 31, 3, 30)]
    parquet(tmp_path / "a.parquet", typed(2, timestamp=pa.array(times, pa.timestamp("us"))))
    spec = SourceSpec(location=str(tmp_path), timezone="Europe/Berlin")
    classified = classify(
        read_source(spark, spec),
        spec=spec,
        start_date=None,
        timezone="UTC",
        run_time=datetime(2024, 6, 1, tzinfo=UTC),
    )
    assert sorted((row.reasons, row.timestamp) for row in classified.collect()) == [
        ([], datetime(2024, 3, 31, 1, 30)),
        (["unparsable_timestamp"], None),
    ]


def test_the_payload_of_a_typed_row_is_json_with_all_its_columns(
    spark: SparkSession, tmp_path: Path
) -> None:
    row = typed(
        timestamp=pa.array([MOMENT], pa.timestamp("us", "UTC")),
        userId=['a"\\\n\u00e4\U0001f600\u2028'],
        currentTime=[12345678.5],
        eventId=pa.array([None], pa.string()),
        extra=pa.array([{"a": 1}]),
        flag=[True],
        count=[7],
        odd=[1e-7],
    )
    parquet(tmp_path / "a.parquet", row)
    payload = values(spark, tmp_path, "payload")[0]
    found = json.loads(payload)
    assert float(found.pop("odd")) == 1e-7
    assert found == {
        "timestamp": "2024-03-05 10:00:00.123456Z",
        "userId": 'a"\\\n\u00e4\U0001f600\u2028',
        "sessionId": "s",
        "videoId": "v",
        "eventName": "video_play",
        "currentTime": "12345678.5",
        "playbackRate": 1,
        "seekFrom": 2,
        "extra": {"a": 1},
        "flag": True,
        "count": 7,
    }


def test_parquet_files_whose_types_changed_are_read_together(
    spark: SparkSession, tmp_path: Path
) -> None:
    parquet(tmp_path / "a.parquet", typed(userId=[1], currentTime=[1]))
    parquet(tmp_path / "b.parquet", typed(userId=["2"], currentTime=[1.5], new=["x"]))
    parquet(tmp_path / "c.parquet", typed(userId=["3"], playbackRate=None, eventId=None))
    columns = ("userId", "currentTime", "typedCurrentTime", "eventId")
    assert values(spark, tmp_path, *columns) == [
        ("1", "1", None, "e"),
        ("2", None, 1.5, "e"),
        ("3", None, 1.5, None),
    ]


def test_a_number_or_time_without_any_text_is_void(spark: SparkSession, tmp_path: Path) -> None:
    def void() -> set[str]:
        types = dict(read(spark, tmp_path).dtypes)
        return {name for name in EVENT_COLUMNS if types.get(name) == "void"}

    parquet(tmp_path / "a.parquet", typed(timestamp=[MOMENT], currentTime=[1.5]))
    assert void() == {"timestamp", "currentTime"}
    # One file with texts is enough for all: what it says must be parsed.
    parquet(tmp_path / "b.parquet", typed(timestamp=["2026-01-05T10:00:00Z"], currentTime=["2"]))
    assert void() == set()
    spec = SourceSpec(location=str(tmp_path))
    found = classify(
        read(spark, tmp_path), spec=spec, start_date=None, timezone="UTC", run_time=MOMENT
    )
    assert sorted(row["positionMs"] for row in found.collect()) == [1500, 2000]


def test_parquet_columns_are_found_in_any_case_and_must_differ_in_more(
    spark: SparkSession, tmp_path: Path
) -> None:
    one = parquet(tmp_path / "one" / "a.parquet", typed(userId=None, USERID=["u"]))
    for columns in ({}, {"userId": "USERID"}, {"userId": "userid"}):
        assert values(spark, one, "userId", columns=columns) == ["u"]
    both = parquet(tmp_path / "both" / "a.parquet", typed(USERID=["u"]))
    with pytest.raises(SourceError, match="columns userId and USERID"):
        read(spark, both)


def test_fields_of_structs_are_reached_with_dots_and_awkward_names_as_they_are(
    spark: SparkSession, tmp_path: Path
) -> None:
    row = typed(userId=None, who=[{"id": {"n": 5}}], **{"the `video`.id": ["w"]}, videoId=None)
    parquet(tmp_path / "a.parquet", row)
    columns = {"userId": "who.id.n", "videoId": "the `video`.id"}
    assert values(spark, tmp_path, "userId", "videoId", columns=columns) == [("5", "w")]
    with pytest.raises(SourceError, match=r"who\.id\.m \(for userId\)"):
        read(spark, tmp_path, columns={**columns, "userId": "who.id.m"})


def test_a_parquet_file_without_rows_is_fine(spark: SparkSession, tmp_path: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in EVENT_COLUMNS])
    pq.write_table(schema.empty_table(), tmp_path / "a.parquet")
    assert read(spark, tmp_path).collect() == []


def test_ids_of_any_type_come_as_text_and_unused_columns_never_matter(
    spark: SparkSession, tmp_path: Path
) -> None:
    one = UUID("12345678-1234-5678-1234-567812345678")
    exotic = {
        # As DuckDB writes an interval, which Arrow does not.
        "interval": pa.array([bytes(12)], pa.binary(12)),
        "nested": pa.array([{"id": one.bytes}], pa.struct({"id": pa.binary(16)})),
        "long": pa.array([Decimal("1" * 40)], pa.decimal256(40, 0)),
        "day": pa.array([WALL], pa.date64()),
        "view": pa.array(["x"], pa.string_view()),
    }
    ids = {
        "eventId": pa.array([one.bytes], pa.uuid()),
        "userId": pa.array([one.bytes], pa.binary(16)),
    }
    file = parquet(tmp_path / "a.parquet", {**typed(**ids), **exotic})
    (found,) = read(spark, file).select("eventId", "userId", "sessionId", "payload").collect()
    assert found[:3] == (str(one), one.hex, "s")
    payload = json.loads(found.payload)
    assert payload["long"] == "1" * 40
    assert one.hex in payload["nested"]


def test_a_nested_int96_with_dots_around_it_is_an_instant_by_its_whole_name(
    spark: SparkSession, tmp_path: Path
) -> None:
    times = {"event.time": pa.array([MOMENT], pa.timestamp("ns")), "event": ["x"]}
    rows = {**typed(timestamp=None), **times}
    file = parquet(tmp_path / "a.parquet", rows, use_deprecated_int96_timestamps=True)
    spec = {"columns": {"timestamp": "event.time"}, "timezone": "Europe/Berlin"}
    (row,) = read(spark, file, **spec).select("typedTimestamp").collect()
    assert row[0].replace(tzinfo=None) == MOMENT.replace(tzinfo=None)
