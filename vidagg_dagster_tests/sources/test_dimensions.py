"""Dimensions out of files of every format, and out of records of a vocabulary."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.dimensions import carried
from vidagg_dagster.core.event_mapping import EventMapping
from vidagg_dagster.metrics.ingestion import accepted, classify
from vidagg_dagster.sources.dimensions import absent_dimensions
from vidagg_dagster.sources.mappings.vocabularies import find_mapping
from vidagg_dagster.sources.read import read_source
from vidagg_dagster_tests.support.source_files import GOOD, event, parquet, typed, write

DIMENSIONS = {"device": None, "country": "geo.country"}

OWN = """
columns:
  timestamp: sentAt
  userId: user
  sessionId: session
  videoId: clip
  eventName: action
  currentTime: {path: at, unit: ms}
events: {begin: video_play}
dimensions:
  device: [context.device.type, context.device.model]
  course: {paths: [school, number], separator: "/"}
"""
RECORD = {
    "sentAt": "2024-03-05T10:00:00Z",
    "user": "u",
    "session": "s",
    "clip": "v",
    "action": "begin",
    "at": 1500,
}


def found(
    spark: SparkSession, location: Path, *names: str, mapping: EventMapping | None = None, **of: Any
) -> list[tuple[Any, ...]]:
    """The dimensions of accepted events, sorted."""
    source = SourceSpec(location=str(location), mapping=mapping)
    rows = read_source(spark, source, dimensions=dict.fromkeys(names) | of)
    judged = classify(rows, spec=source, start_date=None, timezone="UTC", run_time=None)
    return sorted(map(tuple, accepted(judged).select(*names).collect()), key=repr)


def test_values_are_trimmed_and_words_for_nothing_are_none(
    spark: SparkSession, tmp_path: Path
) -> None:
    told = [" tv ", "", "null", "N/A", 7, True, None, {"a": 1}]
    lines = [event(eventId=at, currentTime=at, device=v) for at, v in enumerate(told)]
    lines += [event(eventId="a", currentTime=90, Device="phone")]
    lines += [event(eventId="b", currentTime=91, geo={"country": "DE"})]
    file = write(tmp_path / "a.jsonl", lines)
    assert found(spark, file, "device", "country", country="geo.country") == [
        *[("7", None), ("true", None), ("tv", None), ('{"a":1}', None)],
        (None, "DE"),
        *[(None, None)] * 5,
    ]


def test_columns_of_csv_and_parquet_and_names_of_folders(
    spark: SparkSession, tmp_path: Path
) -> None:
    header = ",".join([*GOOD, "DEVICE"])
    row = ",".join([*map(str, GOOD.values()), '"a ""b"", c"'])
    csv = write(tmp_path / "csv" / "country=D%C3%BC" / "a.csv", [header, row]).parents[1]
    assert found(spark, csv, "device", "country") == [('a "b", c', "Dü")]
    rows = typed(
        2, eventId=["a", "b"], currentTime=[1.0, 2.0], device=[1.5, None], live=[True, False]
    )
    file = parquet(tmp_path / "b.parquet", rows)
    assert found(spark, file, "device", "live") == [("1.5", "true"), (None, "false")]


def test_a_column_may_be_a_dimension_and_ours_too(spark: SparkSession, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [event()])
    assert found(spark, file, "page", page="videoId") == [("v",)]


def test_a_mapping_says_where_dimensions_are_and_a_path_of_the_settings_goes_before(
    spark: SparkSession, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(OWN)
    own = find_mapping(str(tmp_path / "own.yaml"))
    records: list[Mapping[str, Any]] = [
        {"context": {"device": {"type": "null", "model": "P1"}}, "school": "x", "number": 4},
        {"context": json.dumps({"device": {"type": "tv", "model": "P2"}}), "lang": " de "},
    ]
    lines = [json.dumps({**RECORD, **more, "at": at}) for at, more in enumerate(records)]
    file = write(tmp_path / "a.jsonl", lines)
    assert found(spark, file, "device", "course", "lang", mapping=own) == [
        ("P1", "x/4", None),
        ("tv", None, "de"),
    ]
    path = {"device": "context.device.model"}
    assert found(spark, file, "device", mapping=own, **path) == [("P1",), ("P2",)]


def test_vocabularies_know_places(sail: SparkSession, tmp_path: Path) -> None:
    record = {
        **{"event": "Video Playback Started", "timestamp": "2024-03-05T10:00:00Z"},
        **{"userId": "u", "context": {"device": {"type": "ios"}, "os": {"name": "iOS"}}},
        "properties": {"session_id": "s", "content_asset_id": "v", "position": 0},
    }
    file = write(tmp_path / "a.jsonl", [json.dumps(record)])
    segment = find_mapping("segment")
    assert found(sail, file, "device", "os", "country", mapping=segment) == [("ios", "iOS", None)]


def test_duplicates_and_rejected_rows_tell_no_dimension(sail: SparkSession, tmp_path: Path) -> None:
    lines = [event(device=None), event(device="tv"), event(device="phone", userId="")]
    file = write(tmp_path / "a.jsonl", lines)
    assert found(sail, file, "device") == [("tv",)]


def test_without_dimensions_a_source_has_no_further_column(
    sail: SparkSession, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.jsonl", [event(device="tv")])
    with_device = read_source(sail, SourceSpec(location=str(file)), dimensions={"device": None})
    without = read_source(sail, SourceSpec(location=str(file)))
    assert set(with_device.columns) - set(without.columns) == {carried("device")}


SEEN = {"geo", "geo.country", "Device", "userId", "payload"}


@pytest.mark.parametrize(
    ("dimensions", "told"),
    [
        ({"device": None, "land": "GEO.Country"}, {}),
        ({"devices": None}, {"devices": "there is no column devices; nearest: Device"}),
        ({"c": "geo.county"}, {"c": "there is no column geo.county; nearest: geo.country"}),
        ({"zzz": None}, {"zzz": "there is no column zzz"}),
    ],
)
def test_what_is_in_no_column_is_told_with_the_nearest(
    dimensions: dict[str, str | None], told: dict[str, str]
) -> None:
    assert absent_dimensions(dimensions, None, SEEN) == told


@pytest.mark.parametrize(
    ("path", "is_there"),
    [
        ("geo.country", True),
        ("geo.city", False),
        ("payload.device.type", True),
        ("payload[0].x", True),
        ("geo[key=a].value", True),
        ("nothing[0]", False),
        ("each.whatever", True),
    ],
)
def test_a_path_may_lead_into_a_column_whose_inside_is_text(path: str, is_there: bool) -> None:
    mapping = find_mapping("segment")
    assert (not absent_dimensions({"d": path}, mapping, SEEN)) is is_there
