"""The engine of mappings: places, units, arrays, maps, JSON in text, and events before an event."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.event_mapping import EventMapping
from vidagg_dagster.metrics.ingestion import classify, unknown_names
from vidagg_dagster.sources.mappings.vocabularies import find_mapping
from vidagg_dagster.sources.read import read_source
from vidagg_dagster_tests.sources.mappings.test_vocabularies import RUN_TIME, classified, told
from vidagg_dagster_tests.support.source_files import parquet, typed, values, write

FLAT = {
    "timestamp": "time",
    "userId": "user",
    "sessionId": "session",
    "videoId": "video",
    "eventName": "what",
    "currentTime": "at",
}
BASE = {"time": "2024-03-05T10:00:00Z", "user": "u", "session": "s", "video": "v", "what": "go"}


def mapping(**changes: Any) -> EventMapping:
    columns = {**FLAT, **changes.pop("columns", {})}
    events = changes.pop("events", {"go": "video_play"})
    return EventMapping.model_validate(
        {"name": "own", "columns": columns, "events": events, **changes}
    )


def read(spark: SparkSession, file: Path, wanted: list[str], **changes: Any) -> list[Any]:
    rows = read_source(spark, SourceSpec(location=str(file), mapping=mapping(**changes)))
    return sorted(map(tuple, rows.select(*wanted).collect()), key=repr)


def test_positions_are_read_in_every_unit(spark: SparkSession, tmp_path: Path) -> None:
    units = {
        "s": ("1.5", 1.5),
        "ms": (1500, 1.5),
        "us": (1_500_000, 1.5),
        "ticks": (15_000_000, 1.5),
        "iso8601": ("PT1H2M3.5S", 3723.5),
        "clock": ("1:02:03.5", 3723.5),
        "seconds_text": ("12.25s", 12.25),
    }
    lines = [json.dumps({**BASE, unit: text}) for unit, (text, _) in units.items()]
    lines += [json.dumps({**BASE, unit: "soon"}) for unit in units]
    lines += [json.dumps({**BASE, "iso8601": text}) for text in ("P1D", "PT0S", "P1M", "PT1,5S")]
    lines += [json.dumps({**BASE, "clock": text}) for text in ("90", "01:30", "1:2:3:4", "00:01,5")]
    file = write(tmp_path / "a.jsonl", lines)
    places = [{"path": unit, "unit": unit} for unit in units]
    found = read(spark, file, ["typedCurrentTime"], columns={"currentTime": places})
    numbers = sorted(number for (number,) in found if number is not None)
    expected = [number for _, number in units.values()]
    assert numbers == sorted([*expected, 86400.0, 0.0, 1.5, 90.0, 90.0, 1.5])
    assert len(found) - len(numbers) == len(units) + 2


def test_values_are_found_wherever_a_record_has_them(spark: SparkSession, tmp_path: Path) -> None:
    record = {
        **BASE,
        "at": 1,
        "user": "null",
        "guest": "g",
        "outer": {"a.b": {"c": "quoted"}},
        "text": json.dumps({"in": {"deep": "text"}}),
        "list": ["first", {"k": "second"}],
        "params": [
            {"key": "x", "value": {"int": 7, "text": None}},
            {"key": "y", "value": {"text": "why"}},
        ],
        "big": {"id": 12345678901234567890},
        "many": {"one": "1", "two": None, "three": "3"},
    }
    file = write(tmp_path / "a.jsonl", [json.dumps(record), json.dumps({"time": 1, "at": 2})])

    file = write(tmp_path / "a.jsonl", [json.dumps(record)])
    nowhere = ["nowhere.at.all", "list[9]", "params[key=z].value", "list.k", "text[0]"]
    places: list[dict[str, Any]] = [
        {
            "userId": ["user", "guest"],
            "sessionId": [*nowhere, 'outer."a.b".c'],
            "videoId": "text.in.deep",
            "eventId": "list[1].k",
        },
        {
            "userId": "params[key=x].value.int",
            "sessionId": "params[key=y].value.text",
            "videoId": {"paths": ["many.one", "many.two", "many.three"], "separator": "-"},
            "eventId": "big.id",
        },
        {"userId": "list[0]", "sessionId": nowhere, "videoId": "outer", "eventId": "many.two"},
    ]
    found = [read(spark, file, list(columns), columns=columns) for columns in places]
    assert found == [
        [("g", "quoted", "text", "second")],
        [("7", "why", "1-3", "12345678901234567890")],
        [("first", None, '{"a.b":{"c":"quoted"}}', None)],
    ]


def test_tables_are_read_like_their_json(spark: SparkSession, tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "a.parquet",
        {
            "time": ["2024-03-05T10:00:00Z"],
            "what": ["go"],
            "at": [1.5],
            "who": [{"ids": ["a", "b"], "name": {"x.y": "deep"}}],
            "tags": pa.array([[("k", "v"), ("l", "w")]], pa.map_(pa.string(), pa.string())),
            "params": [[{"key": "n", "value": {"i": 5, "s": None}}]],
        },
    )
    columns = {
        "userId": "who.ids[1]",
        "sessionId": 'who.name."x.y"',
        "videoId": "tags.l",
        "eventId": "params[key=n].value.i",
    }
    assert read(spark, file, list(columns), columns=columns) == [("b", "deep", "w", "5")]


def test_an_event_has_its_own_places_and_no_other_name_is_known(
    spark: SparkSession, tmp_path: Path
) -> None:
    events = {
        "go": "video_play",
        "jump": {"to": "video_seek", "currentTime": "target", "seekFrom": "at"},
        "AD *": "ignore",
        "*_100%": "reject",
        "ad_x": "video_pause",
    }
    names = ["Go", "jump", "ad started", "AD_x", "ad", "play", "video_play", "adx", "at_100%"]
    lines = [json.dumps({**BASE, "what": name, "at": 3, "target": 9}) for name in names]
    file = write(tmp_path / "a.jsonl", lines)
    source = SourceSpec(location=str(file), mapping=mapping(events=events))
    rows = classify(
        read_source(spark, source), spec=source, start_date=None, timezone="UTC", run_time=RUN_TIME
    )
    assert told(rows) == [
        "10:00:00.000 u s v video_pause 3 - -",
        "10:00:00.000 u s v video_play 3 - -",
        "10:00:00.000 u s v video_seek 9 - 3",
        "ignored 1",
        "rejected unknown_event 5",
    ]
    assert unknown_names(rows) == {"ad": 1, "adx": 1, "at_100%": 1, "play": 1, "video_play": 1}


def test_names_of_the_settings_go_before_those_of_the_vocabulary(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = [json.dumps({**BASE, "at": 3, "what": name}) for name in ("go", "stop", "like")]
    file = write(tmp_path / "a.jsonl", lines)
    source = SourceSpec(
        location=str(file),
        mapping=mapping(),
        event_names={"go": "video_pause", "stop": "video_ended", "like": "ignore"},
        columns={"userId": "what", "seekFrom": "nowhere.else"},
    )
    rows = classify(
        read_source(spark, source), spec=source, start_date=None, timezone="UTC", run_time=RUN_TIME
    )
    assert told(rows) == [
        "10:00:00.000 go s v video_pause 3 - -",
        "10:00:00.000 stop s v video_ended 3 - -",
        "ignored 1",
    ]


def test_what_only_some_events_tell_is_filled_down_inside_their_session(
    spark: SparkSession, tmp_path: Path
) -> None:
    def line(second: int, session: str | None, video: str | None) -> str:
        time = f"2024-03-05T10:00:{second:02}Z"
        record = {**BASE, "time": time, "session": session, "video": video, "at": second}
        return json.dumps(record)

    lines = [
        *(line(1, "s", None), line(2, "s", "a"), line(2, "s", None), line(4, "s", None)),
        *(line(5, "s", "b"), line(6, "s", None), line(3, "t", "c"), line(9, "t", None)),
        *(line(7, None, "d"), line(8, None, None)),
    ]
    file = write(tmp_path / "a.jsonl", reversed(lines))
    found = read(spark, file, ["currentTime", "sessionId", "videoId"], fill_down=["videoId"])
    assert found == [
        *[("1", "s", None), ("2", "s", "a"), ("2", "s", "a"), ("3", "t", "c"), ("4", "s", "a")],
        *[("5", "s", "b"), ("6", "s", "b"), ("7", None, "d"), ("8", None, None), ("9", "t", "c")],
    ]


def test_a_start_takes_the_place_of_a_seek_only_where_it_names_the_place_before(
    spark: SparkSession, tmp_path: Path
) -> None:
    seek = {"to": "video_seek", "currentTime": "at", "seekFrom": "from"}
    events = {"go": "video_play", "jump": seek, "halt": "video_pause"}

    def pair(session: str, *after: Any) -> list[str]:
        base = {**BASE, "session": session, "time": "2024-03-05T10:00:00Z"}
        jump = {**base, "what": "jump", "from": 20, "at": 90}
        return [json.dumps(row) for row in (jump, {**base, **dict(after)})]

    lines = [
        *pair("stale", ("time", "2024-03-05T10:00:01Z"), ("at", 20.4)),
        *pair("tie", ("at", 19.5)),
        *pair("fresh", ("time", "2024-03-05T10:00:01Z"), ("at", 89.5)),
        *pair("elsewhere", ("time", "2024-03-05T10:00:01Z"), ("at", 50)),
        *pair("no start", ("time", "2024-03-05T10:00:01Z"), ("at", 20), ("what", "halt")),
    ]
    file = write(tmp_path / "a.jsonl", lines)
    columns = {"seekFrom": "from"}
    rows = read(
        spark,
        file,
        ["sessionId", "eventName", "typedCurrentTime"],
        columns=columns,
        events=events,
        stale_play=True,
    )
    assert [row[::2] for row in rows if row[1] != "jump"] == [
        *[("elsewhere", 50.0), ("fresh", 89.5), ("no start", 20.0), ("stale", 90.0)],
        ("tie", 90.0),
    ]


def test_the_elements_of_an_array_are_events_of_their_own(
    spark: SparkSession, tmp_path: Path
) -> None:
    batch = {**BASE, "list": [{"what": "go", "at": 1}, {"what": "go", "at": 2}, {"what": "x"}]}
    lines = [json.dumps(batch), json.dumps({**BASE, "at": 4}), json.dumps({**batch, "list": []})]
    file = write(tmp_path / "a.jsonl", [*lines, "no json"])
    columns = {"eventName": ["each.what", "what"], "currentTime": ["each.at", "at"]}
    found = read(
        spark,
        file,
        ["userId", "eventName", "currentTime", "malformed"],
        columns=columns,
        each="list",
    )
    assert found == [
        *[("u", "go", "1", False), ("u", "go", "2", False), ("u", "go", "4", False)],
        *[("u", "go", None, False), ("u", "x", None, False), (None, None, None, True)],
    ]


def test_a_source_without_the_columns_of_its_vocabulary_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.jsonl", [json.dumps({"timestamp": 1, "name": "x"})])
    message = r"Missing columns: verb \(for eventName\), result or context \(for currentTime\)"
    with pytest.raises(SourceError, match=message):
        classified(spark, file, "xapi")


def test_a_column_that_is_given_away_is_not_used_again(spark: SparkSession, tmp_path: Path) -> None:
    """The source calls the event's name `eventId`, and has no ids of events."""
    columns = {"eventId": ["video_play", "video_pause"], "eventName": None, "seekFrom": [7, 8]}
    file = parquet(tmp_path / "a.parquet", typed(2, **columns, playbackRate=None))
    spec = {"columns": {"eventName": "eventId", "playbackRate": "seekFrom"}}
    names = ("eventName", "playbackRate", "seekFrom")
    assert values(spark, file, *names, **spec) == [
        ("video_pause", "8", None),
        ("video_play", "7", None),
    ]
    assert (
        "eventId"
        not in read_source(
            spark, SourceSpec.model_validate({"location": str(file), **spec})
        ).columns
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("columns: [", "is not YAML"),
        ("- a", "is not a YAML object"),
        ("columns: {timestamp: t}", "is wrong: columns: places are missing for userId"),
        ("events: {go: nowhere}", "'nowhere' is no event of ours"),
    ],
)
def test_a_wrong_file_of_a_mapping_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    file = write(tmp_path / "own.yaml", content)
    with pytest.raises(SourceError, match=message) as error:
        find_mapping(str(file))
    assert "\n" not in str(error.value)


def test_a_mapping_that_is_nowhere_is_told_with_those_that_are_known() -> None:
    with pytest.raises(SourceError, match=r"no vocabulary .segmnt..*segment"):
        find_mapping("segmnt")
    with pytest.raises(SourceError, match="No such file"):
        find_mapping("nowhere.yaml")
