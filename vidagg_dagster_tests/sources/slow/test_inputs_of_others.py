"""The worked example as other tools write it: each way gives the same six events."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.event_mapping import EventMapping
from vidagg_dagster.metrics.ingestion import classify
from vidagg_dagster.sources.read import read_source
from vidagg_dagster_tests.support import peter

EVENTS = [dict(event) for event in peter.EVENTS]
NAMES = tuple(EVENTS[0])
EXPECTED = sorted(
    (event["timestamp"], event["eventName"], event["currentTime"] * 1000) for event in EVENTS
)
WORDS = ("NULL", r"\N", "nan", "null", "None", "undefined")
POSITION = "https://w3id.org/xapi/video/extensions/time"


@dataclass(frozen=True)
class Way:
    """A file, and how it is to be understood."""

    name: str
    content: bytes | Callable[[Path], object]
    spec: Mapping[str, Any] = field(default_factory=dict)


def lines(change: Callable[[dict[str, Any], int], dict[str, Any]], **spec: Any) -> Way:
    changed = [json.dumps(change(dict(event), at)) for at, event in enumerate(EVENTS)]
    return Way("a.jsonl", "\n".join(changed).encode(), spec)


def text(whole: str, **spec: Any) -> Way:
    return Way("a.json", whole.encode(), spec)


def csv(row: Callable[[dict[str, Any]], list[Any]], delimiter: str = ",", **options: Any) -> Way:
    """Rows of text; `header`, `above` and `end` of lines may differ."""
    header = options.pop("header", NAMES)
    above, end = options.pop("above", ""), options.pop("end", "\n")
    encoding = options.pop("encoding", "utf-8")
    rows = [header, *(row(dict(event)) for event in EVENTS)]
    content = above + end.join(delimiter.join(map(str, cells)) for cells in rows) + end
    return Way("a.csv", content.encode(encoding), options)


def values(event: dict[str, Any], **changes: Any) -> list[Any]:
    return list({**event, **changes}.values())


def times(change: Callable[[str], str], **spec: Any) -> Way:
    return lines(lambda event, _: {**event, "timestamp": change(event["timestamp"])}, **spec)


def parquet(columns: Callable[[pa.Table], Mapping[str, Any]], **spec: Any) -> Way:
    def write(path: Path) -> None:
        table = pa.Table.from_pylist(EVENTS)
        for name, column in columns(table).items():
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        pq.write_table(table, path)

    return Way("a.parquet", write, spec)


def mapped(**changes: Any) -> dict[str, Any]:
    """A mapping whose columns are ours but for `columns`."""
    columns = {name: name for name in NAMES} | changes.pop("columns", {})
    return {"mapping": EventMapping.model_validate({"name": "own", "columns": columns, **changes})}


def moment(told: str) -> datetime:
    return datetime.fromisoformat(told.replace("Z", "+00:00"))


def nested(event: dict[str, Any], _: int) -> dict[str, Any]:
    return {**event, "currentTime": None, "ext": {"video.time": event["currentTime"]}}


NULL_IDS = {
    f"the id of all events is {word}": lines(lambda e, _, word=word: {**e, "eventId": word})  # type: ignore[misc]
    for word in (*WORDS, "N/A", "-", str(uuid.UUID(int=0)))
}
COLUMNS = {
    "the name of the event is called its id": lines(
        lambda e, _: {"eventId": e.pop("eventName"), **e}, columns={"eventName": "eventId"}
    ),
    "names of Adobe": lines(
        lambda e, _: {**e, "eventName": e["eventName"].replace("video_pause", "pauseStart")},
        event_names={"pausestart": "video_pause"},
    ),
    "short names": lines(
        lambda e, _: {**e, "eventName": e["eventName"].removeprefix("video_").title()}
    ),
    "a name with a dot inside an object": lines(nested, columns={"currentTime": "ext.video.time"}),
    "an address as a name": lines(
        lambda e, _: {**e, "result": {"extensions": {POSITION: e.pop("currentTime")}}},
        columns={"currentTime": f"result.extensions.{POSITION}"},
    ),
    "capitals": lines(lambda e, _: {name.upper(): value for name, value in e.items()}),
}
JSON = {
    "an array": text(json.dumps(EVENTS)),
    "an array of DuckDB": text("[\n\t" + ",\n\t".join(map(json.dumps, EVENTS)) + "\n]\n"),
    "indented": text(json.dumps(EVENTS, indent=2)),
    "in data": text(json.dumps({"data": EVENTS})),
    "of Firehose": text("".join(map(json.dumps, EVENTS))),
    "UTF-16 without a mark": Way("a.json", json.dumps(EVENTS).encode("utf-16-le")),
}
CSV = {
    "plain": csv(values),
    "line breaks in quotes": csv(
        lambda e: [*e.values(), '"a\r\ntitle, of\n\ntwo lines"'], header=[*NAMES, "title"]
    ),
    "quotes of Hive": csv(lambda e: [*e.values(), r'"say \"hi\""'], header=[*NAMES, "title"]),
    "a decimal comma": csv(lambda e: values(e, currentTime=f"{e['currentTime']},00"), ";"),
    "sep=": csv(values, ";", above="sep=;\r\n", end="\r\n"),
    "comments": csv(values, above="# export of today\n# 6 rows\n"),
    "blanks": csv(lambda e: [f" {v} " for v in e.values()], header=[f" {n}" for n in NAMES]),
    "another case": csv(values, header=[name.lower() for name in NAMES]),
    "old Macintosh": csv(values, end="\r"),
    "a spreadsheet's Unicode text": csv(values, "\t", encoding="utf-16"),
    "Hive": csv(values, "\x01"),
}  # fmt: skip
TIMES = {
    "BigQuery": times(lambda t: t.replace("T", " ").replace("Z", " UTC")),
    "Snowflake": times(lambda t: t.replace("T", " ").replace("Z", ".000 +0000")),
    "git": times(lambda t: t.replace("T", " ").replace("Z", " +00:00")),
    "Python's logging": times(lambda t: t.replace("T", " ").replace("Z", ",000")),
    "ISO 8601, basic form": times(lambda t: t.replace("-", "").replace(":", "")),
    "small letters": times(str.lower),
    "Java": times(lambda t: f"{t}[UTC]"),
    "RFC 2822": times(lambda t: f"{moment(t):%a, %d %b %Y %H:%M:%S %z}"),
    "Europe": times(lambda t: f"{moment(t):%d.%m.%Y %H:%M:%S}", time_formats=["%d.%m.%Y %H:%M:%S"]),
    "America": times(
        lambda t: f"{moment(t):%m/%d/%Y, %I:%M:%S %p}", time_formats=["%m/%d/%Y, %I:%M:%S %p"]
    ),
    "Apache": times(
        lambda t: f"{moment(t):%d/%b/%Y:%H:%M:%S %z}", time_formats=["%d/%b/%Y:%H:%M:%S %z"]
    ),
}
UNITS = {
    "positions in milliseconds": lines(
        lambda e, _: {**e, "currentTime": e["currentTime"] * 1000},
        **mapped(columns={"currentTime": {"path": "currentTime", "unit": "ms"}}),
    ),
    "positions of a clock": lines(
        lambda e, _: {**e, "currentTime": str(timedelta(seconds=e["currentTime"]))},
        **mapped(columns={"currentTime": {"path": "currentTime", "unit": "clock"}}),
    ),
    "values inside text": lines(
        lambda e, _: {**e, "event": json.dumps({"currentTime": e.pop("currentTime")})},
        **mapped(columns={"currentTime": "event.currentTime"}),
    ),
    "values in a list of keys": lines(
        lambda e, _: {**e, "params": [{"key": "at", "value": {"int": e.pop("currentTime")}}]},
        **mapped(columns={"currentTime": "params[key=at].value.int"}),
    ),
    "values in a map": parquet(
        lambda t: {
            "m": pa.array(
                [[("at", str(v.as_py()))] for v in t["currentTime"]],
                pa.map_(pa.string(), pa.string()),
            )
        },
        **mapped(columns={"currentTime": "m.at"}),
    ),
}
TYPES = {
    "an id of the type UUID": parquet(
        lambda t: {
            "eventId": pa.ExtensionArray.from_storage(
                pa.uuid(), pa.array([uuid.uuid4().bytes for _ in range(t.num_rows)], pa.binary(16))
            )
        }
    ),
    "columns that are not used": parquet(
        lambda t: {
            "a": pa.array([Decimal(10) ** 50] * t.num_rows, pa.decimal256(60, 2)),
            "b": pa.array([uuid.uuid4().bytes] * t.num_rows, pa.binary(16)),
            "c": pa.array([86_400_000] * t.num_rows, pa.date64()),
            "d": pa.array([timedelta(1)] * t.num_rows, pa.duration("ns")),
            "e": pa.array([[b"x"]] * t.num_rows, pa.list_(pa.binary(1))),
        }
    ),
}
WAYS = {**NULL_IDS, **COLUMNS, **JSON, **CSV, **TIMES, **UNITS, **TYPES}


@pytest.mark.parametrize("way", WAYS)
def test_the_worked_example_is_read_as_others_write_it(
    sail: SparkSession, tmp_path: Path, way: str
) -> None:
    given = WAYS[way]
    path = tmp_path / given.name
    if callable(given.content):
        given.content(path)
    else:
        path.write_bytes(given.content)
    source = SourceSpec(location=str(path), **given.spec)
    rows = classify(
        read_source(sail, source), spec=source, start_date=None, timezone="UTC", run_time=None
    ).collect()
    assert [reason for row in rows for reason in row.reasons] == []
    found = [(f"{row.timestamp:%Y-%m-%dT%H:%M:%SZ}", row.eventName, row.positionMs) for row in rows]
    assert sorted(found) == EXPECTED
    assert {(row.userId, row.sessionId, row.videoId) for row in rows} == {
        ("peter", "s1", "video_001")
    }


def test_viewers_without_an_id_are_not_one_viewer(sail: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({**EVENTS[0], "userId": w}) + "\n" for w in WORDS))
    source = SourceSpec(location=str(path))
    rows = classify(
        read_source(sail, source), spec=source, start_date=None, timezone="UTC", run_time=None
    ).collect()
    assert [row.reasons for row in rows] == [["missing_user"]] * len(WORDS)
