"""JSON of other forms than one object a line: arrays, indented, joined and wrapped objects."""

import gzip
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources import json_documents
from vidagg_dagster.sources.files import InputFile
from vidagg_dagster.sources.json_documents import document_lines, is_document
from vidagg_dagster_tests.support.source_files import GOOD, event, read, values, write

TWO = [{**GOOD, "userId": user, "currentTime": 1.5} for user in ("a", "b")]
LINES = [json.dumps(record) for record in TWO]
TABLE = {
    "tables": [
        {
            "name": "PrimaryResult",
            "columns": [{"name": name, "type": "string"} for name in GOOD],
            "rows": [list(record.values()) for record in TWO],
        }
    ]
}

DOCUMENTS = {
    "an array on one line": json.dumps(TWO),
    "an indented array": json.dumps(TWO, indent=2),
    "an array of a line each": "[\n" + ",\n".join(LINES) + "\n]\n",
    "indented objects behind each other": "\n".join(json.dumps(r, indent=1) for r in TWO),
    "objects without line breaks": "".join(LINES),
    "a wrapped list": json.dumps({"data": TWO, "next": None}),
    "an indented wrapped list": json.dumps({"count": 2, "records": TWO}, indent="\t"),
    "an answer of Application Insights": json.dumps(TABLE),
    "a byte order mark": "\ufeff" + json.dumps(TWO),
}


def lines_of(path: Path) -> list[str]:
    file = InputFile(path, path.name, "jsonl")
    assert is_document(file)
    return list(document_lines(file))


@pytest.mark.parametrize("form", DOCUMENTS)
def test_every_form_of_json_gives_its_objects(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "a.json", DOCUMENTS[form])
    found = [json.loads(line) for line in lines_of(path)]
    assert [{**record, "currentTime": float(record["currentTime"])} for record in found] == [
        {**record, "playbackRate": found[0]["playbackRate"], "seekFrom": found[0]["seekFrom"]}
        for record in TWO
    ]


@pytest.mark.parametrize(
    "content",
    [
        *("", "  \n", event(), f"{event()}\n{event()}", "no json", '{"a": 1', '{"a"\n', '"text"'),
        f"{event()}\n[1]",
        '{"a": 1}\n{"a": 1}{"a": 2}',
        json.dumps({**GOOD, "data": [{"x": 1}]}),
        json.dumps({"data": [1, 2]}),
        json.dumps({"data": []}),
    ],
)
def test_lines_are_left_as_they_are(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.jsonl", content)
    assert not is_document(InputFile(path, "a.jsonl", "jsonl"))


def test_the_text_of_a_record_is_kept_and_what_cannot_be_read_is_a_line_of_its_own(
    tmp_path: Path,
) -> None:
    parts = ['{"a": 1.50,\n "b": "x,\\n]"}', "7", '{"a": nonsense},', '{"a":\n2}', '{"cut": ']
    path = write(tmp_path / "a.json", "[" + ",\n".join(parts))
    assert lines_of(path) == [
        *('{"a": 1.50,  "b": "x,\\n]"}', "7", '{"a": nonsense},,', '{"a": 2}', '{"cut":')
    ]


def test_documents_are_read_beside_lines_and_packed_ones_too(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path / "a.json", json.dumps(TWO, indent=2))
    write(tmp_path / "b.jsonl", [event(userId="line")])
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps([*TWO, 5]).encode()))
    assert values(spark, tmp_path, "userId", "sourceFile", "malformed") == [
        ("a", "a.json", False),
        ("a", "c.json.gz", False),
        ("b", "a.json", False),
        ("b", "c.json.gz", False),
        ("line", "b.jsonl", False),
        (None, "c.json.gz", True),
    ]
    payloads = {row.payload for row in read(spark, tmp_path / "a.json").select("payload").collect()}
    assert {json.loads(text)["userId"] for text in payloads} == {"a", "b"}


def test_a_document_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_documents, "MAX_DOCUMENT_BYTES", 1 << 20)
    path = write(tmp_path / "a.json", "[" + " " * (2 << 20) + "]")
    with pytest.raises(SourceError, match="one JSON document of more than 1 MiB"):
        lines_of(path)
