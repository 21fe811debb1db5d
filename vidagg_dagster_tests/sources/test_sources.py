"""Whatever the source is, every input row becomes one row, the same on every engine."""

import gzip
import json
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyspark.sql import DataFrame, Row, SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    SourceSpec,
)
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.metrics.ingestion import classify
from vidagg_dagster.sources.read import read_source
from vidagg_dagster.spark.payload import payload_text

GOOD: dict[str, Any] = {
    "timestamp": "2024-03-05T10:00:00Z",
    "userId": "u",
    "sessionId": "s",
    "videoId": "v",
    "eventName": "video_play",
    "currentTime": 1.5,
    "playbackRate": 1,
    "eventId": "e",
}


def read(spark: SparkSession, location: Path | str, **spec: Any) -> DataFrame:
    rows = read_source(spark, SourceSpec(location=str(location), **spec))
    return rows.withColumn("payload", payload_text(rows.schema))


def values(spark: SparkSession, location: Path | str, *columns: str, **spec: Any) -> list[Any]:
    """Sorted values of columns (of one: bare) of all rows."""
    rows = read(spark, location, **spec).select(*columns).collect()
    found = [tuple(row) if len(columns) > 1 else row[0] for row in rows]
    return sorted(found, key=repr)


def write(path: Path, content: str | bytes | Iterable[str]) -> Path:
    """A file of text, bytes or lines; gzip where its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        data = content
    else:
        whole = content if isinstance(content, str) else "".join(f"{c}\n" for c in content)
        data = whole.encode("utf-8", "surrogatepass")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def event(**changes: Any) -> str:
    """A JSON line like `GOOD` but for the fields given."""
    return json.dumps({**GOOD, **changes}, ensure_ascii=False)


def parquet(path: Path, rows: Mapping[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(rows)), path, **options)
    return path


def typed(number: int = 1, /, **columns: Any) -> dict[str, Any]:
    """Columns of `number` rows like `GOOD` but for those given; None leaves one out."""
    return {
        name: column
        for name, column in {**{n: [v] * number for n, v in GOOD.items()}, **columns}.items()
        if column is not None
    }


# --- JSON lines -----------------------------------------------------------------------------------

SCALARS = [
    *("1.5", "0", "-0", "-0.0", "1e3", "1E+3", "1.50", "1e-7", "0.0001", "0.00012", "1e400"),
    *("-1e400", "12345678901234567890123", "9007199254740993", "18446744073709551616"),
    *("1.00000000000000000001", "0.1234567890123456789", "123456.1234567890", "12345678.5"),
    *("1700000000000", "1700000000.123456", "1" * 400, "1" * 1200, "2e23", "NaN", "Infinity"),
    *("-Infinity", "true", "false", "null", '""', '"null"', '"NaN"', '" 1.5 "', '"a: 5, b"'),
    *('", 7"', '"[1"', '": NaN"', '"a}{b"', r'"a\"}{\"b"', r'"a\\"', r'"\\\""', r'"\u00e4"'),
    *(r'"\ud83d\ude00"', r'"\uD83D\uDE00 \\ud83d"', '"\u00e4\U0001f600\u2028\u0085"', '"\x7f"'),
    *(r'"a\nb\tc\/d\b\f"', r'"\u0000x"', r'"\u0001\u0002\u0003"', '"x' + "y" * 100_000 + '"'),
    '"' + r"\"" * 20_000 + '"',
    # Tokens that are no JSON:
    *("007", ".5", "5.", "+5", "0x10", "1_000", "1 2", "-", "1e", "1e+", "--1", "INF", "-INF"),
    *("nan", "+Infinity", "NaNx", "Infinity5", "TRUE", "None", "undefined", "u", "'u'", ""),
    *("2024-01-01T00:00:00Z", '"a', r'"a\"', '"a\tb"', '"a\x01b"', '"a\x02b"', '"a\x03b"'),
    *('"a\x00b"', '"a\x1fb"', r'"a\qb"', r'"\uZZZZ"', r'"\u00"', r'"\u00', '"a" "b"', '1"x"'),
]
OTHER_VALUES = [
    *("[]", "[1, 2]", "[NaN,1e400,-0,3]", '[{"userId":"no"}]', "[" * 100 + "]" * 100),
    *("{}", '{"userId":"no"}', '{"a":{}}', '{"a":[{"b":NaN}],"c":-0}'),
    *("[1,]", "[1 2]", "[}", "{]", '{"a":}', '{"a"}', '{"a":1,}', "[007]", "[nan]", '["a\tb"]'),
]
LINES = [
    *(f'{{"userId":{scalar},"currentTime":{scalar}}}' for scalar in SCALARS),
    *(f'{{"currentTime":{scalar},"userId":"u"}}' for scalar in SCALARS),
    *(f'{{"userId":"u","x":{value},"currentTime":2}}' for value in [*SCALARS, *OTHER_VALUES]),
    *("{}", "{ }", "[]", "null", "1", '"x"', "true", "nonsense", "{", "}", "{}{}", "[1", "{{}}"),
    *(' {"userId":"u"} ', '\t{"userId" : "u" }\t', '{"userId":\t"u"\r}', '{"userId":"u"}\r\r'),
    *('{"userId":"u"}{"userId":"v"}', '{"userId":"u"} {"userId":"v"}', '{"userId":"u"}}'),
    *('{"userId":"u"},{"userId":"v"}', '{"userId":"u"} x', '{"userId":"u"}]', '{"userId":"u"},'),
    *(r'{"userId":"a\\"}{"userId":"x"}', '{"userId":"u"}//c', '{"userId":"u"}#c', '{"userId":"u"'),
    *('{/*c*/"userId":"u"}', '({"userId":"u"})', ',{"userId":"u"}', '{,"userId":"u"}'),
    *('{"userId":"u",}', '{"userId":"u",,"x":1}', '{"userId":"u" "x":1}', '{"userId" "u"}'),
    *('{"userId":"u";"x":1}', '{"userId":"u"]', '[{"userId":"u"}]', '[{"userId":"u"},{}]'),
    *("{'userId':'u'}", '{userId:"u"}', '{1:2,"userId":"u"}', '{"userId":"u",2:3}', '{"x'),
    *('{"userId":"u",NaN:3}', '{"userId":"u","x":1}{', '{"userId":"u","x":[1}', '{"userId":"x}'),
    *('{"userId":"u","userId":"v"}', '{"userId":null,"userId":"v"}', '{"userId":1,"userId":null}'),
    *('{"USERID":"u"}', '{"userid":"u","userId":"v"}', r'{"user\u0049d":"u"}', '{" userId":"u"}'),
    *('{"":"u","userId":"w"}', '{"user.Id":"u"}', '{"nested":{"userId":"no"}}', '{"user Id":"u"}'),
    *('{"userId":"u"}\x00', '{"userId":"u"}\x0c', '\x0b{"userId":"u"}', '{"userId":\x0c"u"}'),
    *('{"userId":"u"}\u00a0', '\u00a0{"userId":"u"}', '{"userId":\u00a0"u"}', "\u2028{}"),
    *('{"userId":"u"}\ufeff', '{"userId":"\ufeffu"}', '\x01{"userId":"u"}', '{"userId":"u"\x03}'),
    '{"userId":"u","x":"' + "[" * 5000 + '","currentTime":3}',
]


def as_python_reads(line: str) -> tuple[Any, ...]:
    """malformed, userId and currentTime by Python's `json`, bare tokens as written."""
    try:
        found = json.loads(
            line.strip(" \t\r\n"), parse_float=str, parse_int=str, parse_constant=str
        )
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return True, None, None
    words = {True: "true", False: "false"}
    picked = [found.get("userId"), found.get("currentTime")]
    return False, *[words[v] if isinstance(v, bool) else v for v in picked]


def by_payload(frame: DataFrame) -> dict[str, tuple[Any, ...]]:
    rows = frame.select("payload", "malformed", "userId", "currentTime").collect()
    found = {row.payload: tuple(row)[1:] for row in rows}
    assert len(found) == len(rows)
    return found


def mutated(lines: Sequence[str], count: int) -> list[str]:
    """Lines with a few characters added, taken away or changed."""
    dice = random.Random(3)
    pieces = [
        *"{}[]:,\"\\ \t0123456789.eE+-NaInfityrue'/u\x02\x0b",
        *(r"\u00e4", "NaN", "Infinity", "null", "true", "1e400", "-0", r"\"", r"\\", '{"a":1}'),
    ]
    short = [line for line in lines if len(line) < 200]
    result = []
    for _ in range(count):
        line = list(dice.choice(short))
        for _ in range(dice.choice([1, 1, 2, 3])):
            at = dice.randrange(len(line) + 1)
            line[at : at + dice.randrange(2)] = [dice.choice(pieces)] if dice.random() < 0.7 else []
        result.append("".join(line))
    return result


def test_hostile_json_lines_are_read_as_python_reads_them(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = dict.fromkeys([*LINES, *mutated(LINES, 3000)])
    lines = {line: None for line in lines if line.strip() and "\n" not in line}
    # Half a surrogate pair is text to Python, but to no engine.
    whole = [line for line in lines if not _has_lone_surrogate(line)]
    write(tmp_path / "a.jsonl", [event(), *whole])
    found = by_payload(read(spark, tmp_path))
    del found[event()]
    assert set(found) == {line.rstrip("\r") for line in whole}
    wrong = {
        line: (row, as_python_reads(line))
        for line, row in found.items()
        if row != as_python_reads(line)
    }
    assert wrong == {}


def _has_lone_surrogate(line: str) -> bool:
    try:
        json.dumps(json.loads(line.strip(" \t\r\n")), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except ValueError:
        return False
    return False


def test_what_no_engine_can_hold_is_malformed(spark: SparkSession, tmp_path: Path) -> None:
    hopeless = [
        *(r'{"userId":"\ud83d"}', r'{"userId":"\ude00\ud83d"}', r'{"x":"a\ud83d\u0041"}'),
        *(r'{"\udfff":1}', '{"x":' + "[" * 200 + "]" * 200 + "}"),
    ]
    write(tmp_path / "a.jsonl", [event(), *hopeless])
    found = by_payload(read(spark, tmp_path))
    assert [found[line] for line in hopeless] == [(True, None, None)] * len(hopeless)


def test_values_that_are_objects_or_arrays_come_as_their_json(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(
        tmp_path / "a.jsonl",
        [event(userId={"a": "x", "b": None}), event(userId=["p", "q"]), event(userId=True)],
    )
    assert set(values(spark, tmp_path, "userId")) == {'["p","q"]', '{"a":"x","b":null}', "true"}


def test_blank_lines_are_no_rows_and_carriage_returns_and_byte_order_marks_no_content(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = [event(userId=name) for name in "abc"]
    write(tmp_path / "bom.jsonl", "\ufeff" + "\r\n".join(lines) + "\r\n\r\n  \t\r\n\u3000\n")
    write(tmp_path / "no_last_newline.jsonl", "\n\n" + "\n".join(lines))
    write(tmp_path / "empty.jsonl", "")
    write(tmp_path / "blank.jsonl", "\n  \n\r\n")
    assert values(spark, tmp_path, "userId", "payload", "malformed") == sorted(
        [(name, line, False) for name, line in zip("abc", lines, strict=True)] * 2, key=repr
    )


def test_crlf_makes_no_blank_rows_in_a_large_file(spark: SparkSession, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "")
    header = ",".join(EVENT_COLUMNS)
    with path.open("w", newline="") as out:
        out.write(f"{header}\r\n")
        out.writelines(f"t,u{n % 7},s,v,e,{n},,\u00e4{'x' * (n % 31)}\r\n" for n in range(60_000))
    rows = read(spark, path).groupBy("malformed").count().collect()
    assert [tuple(row) for row in rows] == [(False, 60_000)]


def test_bytes_that_are_no_utf_8_cost_their_row_nothing_but_those_bytes(
    spark: SparkSession, tmp_path: Path
) -> None:
    line = event(userId="<>").encode().replace(b"<>", b"a\xff\xc3(\xe2\x82z")
    write(tmp_path / "a.jsonl", line + b"\n" + event(userId="ok").encode() + b"\n")
    write(tmp_path / "b.jsonl.gz", line + b"\n")
    bad = "a\ufffd\ufffd(\ufffdz"
    assert values(spark, tmp_path, "userId", "malformed", "sourceFile") == sorted(
        [(bad, False, "a.jsonl"), (bad, False, "b.jsonl.gz"), ("ok", False, "a.jsonl")], key=repr
    )


def test_a_line_of_many_megabytes_is_one_row(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [event(), event(userId="x" * 11_000_000), event()])
    lengths = sorted(len(user) for user in values(spark, tmp_path, "userId"))
    assert lengths == [1, 1, 11_000_000]


def test_fields_of_nested_objects_are_reached_with_dots(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = [
        event(user={"id": 5, "x": {"mail": "a@b"}}),
        event(user={"id": "6"}),
        event(user="none"),
        event(user=[{"id": 7}]),
        event(),
    ]
    write(tmp_path / "a.jsonl", lines)
    columns = {"userId": "user.id", "videoId": "user.x.mail"}
    found = values(spark, tmp_path, "userId", "videoId", "malformed", columns=columns)
    assert found == sorted(
        [("5", "a@b", False), ("6", None, False), *[(None, None, False)] * 3], key=repr
    )


def test_a_column_that_is_called_with_a_dot_goes_before_a_nested_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.jsonl", [json.dumps({**GOOD, "user.id": "flat", "user": {"id": "deep"}})])
    assert values(spark, tmp_path, "userId", columns={"userId": "user.id"}) == ["flat"]


# --- CSV ------------------------------------------------------------------------------------------

HEADER = ",".join(EVENT_COLUMNS)


def test_csv_fields_keep_their_text_and_wrong_rows_are_malformed(
    spark: SparkSession, tmp_path: Path
) -> None:
    good = {
        "t,u,s,v,e,1,2,i": ("u", "1", "2", "i"),
        't,"u","s",v,e,"1",,': ("u", "1", "", ""),
        't,"a,b",s,v,e,1.50,,': ("a,b", "1.50", "", ""),
        't,"a ""b"" c",s,v,e,1,,"x"': ('a "b" c', "1", "", "x"),
        't,"""",s,v,e,1,,""': ('"', "1", "", ""),
        't,",""",s,v,e,1,,': (',"', "1", "", ""),
        't,"""u",s,v,e,1,,': ('"u', "1", "", ""),
        "t, u ,s,v,e,1,,": (" u ", "1", "", ""),
        "t,\u00e4\U0001f600\u2028,s,v,e,1,,": ("\u00e4\U0001f600\u2028", "1", "", ""),
        "t,a\\nb\\,s,v,e,1,,": ("a\\nb\\", "1", "", ""),
        "t,it's,s,v,e,NaN,,": ("it's", "NaN", "", ""),
        ",,,,,,,": ("", "", "", ""),
        "t;x,u,s,v,e,1,,": ("u", "1", "", ""),
    }
    bad = [
        *("t,u,s,v,e,1,2", "t,u,s,v,e,1,2,i,extra", "x", "t,u,s,v,e,1,2,i,"),
        *('t,"u,s,v,e,1,2,i', 't,u",s,v,e,1,2,i', 't,a"b,s,v,e,1,2,i', 't,"a"b,s,v,e,1,2,i'),
        *('t, "u",s,v,e,1,2,i', 't,"a"b"c",s,v,e,1,2,i', 't,"""u,s,v,e,1,2,i', '"', '"x'),
        't,"u" ,s,v,e,1,2,i',
    ]
    write(tmp_path / "a.csv", [HEADER, *good, "", *bad])
    rows = read(spark, tmp_path).collect()
    found = {row.payload: row for row in rows}
    assert len(rows) == len(found)
    assert {p: row.malformed for p, row in found.items()} == {
        **dict.fromkeys(good, False),
        **dict.fromkeys(bad, True),
    }
    assert {
        payload: tuple(found[payload][c] for c in ("userId", "currentTime", *OPTIONAL_COLUMNS))
        for payload in good
    } == good
    assert all(found[payload].userId is None for payload in bad)


def test_a_line_break_in_a_quoted_csv_field_makes_malformed_rows_and_none_is_lost(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", f'{HEADER}\nt,"u\nv",s,v,e,1,,\nt,u,s,v,e,1,,\n')
    assert values(spark, tmp_path, "malformed", "userId") == [
        (False, "u"),
        (True, None),
        (True, None),
    ]


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("a.csv", ","), ("a.csv", ";"), ("a.csv", "\t"), ("a.csv", "|"), ("a.tsv", "\t")],
)
def test_the_csv_delimiter_is_found_by_the_header(
    spark: SparkSession, tmp_path: Path, name: str, delimiter: str
) -> None:
    row = ["t", f'"x{delimiter}y"', "s", "v", "e", "1,5", "", ""]
    if delimiter == ",":
        row[5] = '"1,5"'
    header = delimiter.join(['"the user"' if c == "userId" else c for c in EVENT_COLUMNS])
    write(tmp_path / name, "\ufeff" + header + "\r\n" + delimiter.join(row) + "\r\n")
    found = values(
        spark, tmp_path, "userId", "currentTime", "malformed", columns={"userId": "the user"}
    )
    assert found == [(f"x{delimiter}y", "1,5", False)]


def test_csv_files_of_one_folder_may_order_their_columns_differently(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", [HEADER, "t,u1,s,v,e,1,,"])
    write(tmp_path / "b.csv", ["extra;" + ";".join(reversed(REQUIRED_COLUMNS)), "x;2;e;v;s;u2;t"])
    write(tmp_path / "c.csv.gz", [HEADER, "t,u3,s,v,e,3,,", HEADER, "t,u4,s,v,e,4,,"])
    write(tmp_path / "empty.csv", "")
    write(tmp_path / "header.csv", [HEADER])
    assert values(spark, tmp_path, "userId", "currentTime", "malformed") == [
        (f"u{n}", str(n), False) for n in range(1, 5)
    ]


def test_a_csv_header_that_names_a_column_twice_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", [HEADER + ",userId", "t,u,s,v,e,1,,,w"])
    with pytest.raises(SourceError, match=f"header of {path} has the column userId 2 times"):
        read(spark, tmp_path)


# --- Parquet --------------------------------------------------------------------------------------

MOMENT = datetime(2024, 3, 5, 10, 0, 0, 123_456, tzinfo=UTC)
WALL = MOMENT.replace(tzinfo=None)


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


def test_parquet_columns_are_matched_by_case_and_must_differ_in_more(
    spark: SparkSession, tmp_path: Path
) -> None:
    one = parquet(tmp_path / "one" / "a.parquet", typed(userId=None, USERID=["u"]))
    with pytest.raises(SourceError, match=r"Missing columns: userId\. .* USERID"):
        read(spark, one)
    assert values(spark, one, "userId", columns={"userId": "USERID"}) == ["u"]
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


# --- Delta and tables -----------------------------------------------------------------------------


def delta(path: Path, rows: Mapping[str, Any], **options: Any) -> Path:
    write_deltalake(path, pa.table(dict(rows)), **options)
    return path


def test_a_delta_folder_is_read_at_its_latest_version_with_its_partition_columns(
    spark: SparkSession, tmp_path: Path
) -> None:
    table = tmp_path / "events"
    stamps = pa.array([MOMENT] * 3, pa.timestamp("us", "UTC"))
    rows = typed(3, timestamp=stamps, userId=["007", "\u00e4 b", "x=y/z"], videoId=["1", "01", "2"])
    delta(table, typed(userId=["gone"], timestamp=stamps[:1]), partition_by=["userId"])
    delta(table, rows, partition_by=["userId"], mode="overwrite")
    delta(table, typed(userId=["late"], timestamp=stamps[:1]), mode="append")
    for form in ("auto", "delta"):
        found = read(spark, table, format=form).collect()
        assert sorted((r.userId, r.videoId, r.typedTimestamp, r.sourceFile) for r in found) == [
            ("007", "1", WALL, None),
            ("late", "v", WALL, None),
            ("x=y/z", "2", WALL, None),
            ("\u00e4 b", "01", WALL, None),
        ]
        assert {json.loads(row.payload)["userId"] for row in found} == {
            *("007", "late", "x=y/z", "\u00e4 b")
        }


def test_a_delta_table_without_rows_is_fine(spark: SparkSession, tmp_path: Path) -> None:
    schema = pa.schema([(name, pa.string()) for name in EVENT_COLUMNS])
    write_deltalake(tmp_path / "events", schema.empty_table())
    assert read(spark, tmp_path / "events").collect() == []


def test_a_folder_that_is_no_delta_table_is_refused_as_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="no Delta table: it has no _delta_log"):
        read(spark, tmp_path, format="delta")


def test_a_damaged_delta_table_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "events" / "_delta_log").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"Delta table .*events cannot be read"):
        read(spark, tmp_path / "events").collect()


def test_a_delta_table_within_a_folder_of_files_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    delta(tmp_path / "all" / "table", typed())
    parquet(tmp_path / "all" / "a.parquet", typed())
    with pytest.raises(SourceError, match="is a Delta table inside the source folder"):
        read(spark, tmp_path / "all")


def test_a_table_is_read_by_its_name(spark: SparkSession, tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", typed(2, userId=["1", "2"]))
    spark.read.parquet(str(tmp_path / "a.parquet")).createOrReplaceTempView("some_events")
    try:
        for form in ("auto", "table"):
            assert values(spark, "some_events", "userId", "sourceFile", format=form) == [
                ("1", None),
                ("2", None),
            ]
    finally:
        spark.catalog.dropTempView("some_events")


@pytest.mark.parametrize(
    "name",
    [
        *("text.`/etc/passwd`", "json.events", "parquet.x", "a.b.c.d", "a b", "a;b", "a--", "1a"),
        *("../events", "/etc/passwd", "events where 1=1", "", "t\u00e4ble", "a.", "`a`"),
    ],
)
def test_what_is_no_plain_table_name_is_never_looked_up(spark: SparkSession, name: str) -> None:
    with pytest.raises(SourceError, match=r"is no table name|is empty"):
        read(spark, name, format="table")


def test_a_table_that_is_not_there_is_named(spark: SparkSession) -> None:
    with pytest.raises(SourceError, match=r"Table nowhere\.events cannot be read"):
        read(spark, "nowhere.events", format="table")


# --- Folders and files ----------------------------------------------------------------------------


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


# --- Refusals -------------------------------------------------------------------------------------


def _truncated_gzip(folder: Path) -> None:
    write(folder / "a.jsonl.gz", [event(userId=str(n)) for n in range(5000)])
    whole = (folder / "a.jsonl.gz").read_bytes()
    (folder / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])


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
    "utf-16": (
        lambda d: write(d / "a.jsonl", event().encode("utf-16")),
        r"a\.jsonl is UTF-16 text",
    ),
    "csv without a column": (
        lambda d: write(d / "a.csv", ["timestamp,userid,sessionId,videoId,eventName", "t,u,s,v,e"]),
        r"Missing columns: userId, currentTime\. Found in the header of .*a\.csv: eventName, "
        "sessionId, timestamp, userid, videoId",
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
    "no json": (lambda d: write(d / "a.jsonl", ["[", "x"]), "Found in the first lines .*: none"),
    "delta without a column": (
        lambda d: [d.rmdir(), delta(d, typed(userId=None))],
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
    with pytest.raises(SourceError, match=r"is empty|address of another file system"):
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
            payload=event(),
            sourceFile="a.jsonl",
            malformed=False,
        )
    ]
