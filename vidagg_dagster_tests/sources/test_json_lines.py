"""JSON lines are read as Python reads them, on every engine."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
)
from vidagg_dagster_tests.support.source_files import GOOD, event, read, values, write

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
        out.writelines(f"t,u{n % 7},s,v,e,{n},,,\u00e4{'x' * (n % 31)}\r\n" for n in range(60_000))
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


def test_fields_whose_names_have_dots_are_found_inside_objects(
    spark: SparkSession, tmp_path: Path
) -> None:
    """As in xAPI; a name that is written alike at the top goes before."""
    lines = [
        event(currentTime=None, ext={"video.time": 30, "a": {"b.c": "deep"}}, **{"x.y": "top"}),
        event(currentTime=None, ext={"video.time": 31, "a": {"b.c": "er"}}, x={"y": "in"}),
    ]
    write(tmp_path / "a.jsonl", lines)
    columns = {"currentTime": "ext.video.time", "userId": "ext.a.b.c", "videoId": "x.y"}
    found = values(spark, tmp_path, "currentTime", "userId", "videoId", columns=columns)
    assert found == [("30", "deep", "top"), ("31", "er", None)]
