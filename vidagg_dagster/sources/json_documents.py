"""JSON that is not one object a line -> lines: arrays, indented or joined objects, wrapped lists.

Engines read lines. A file of another form is copied once, each object on a line of its own, with
its text unchanged. What cannot be read stays a line as well, so that it is counted.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.files import InputFile
from vidagg_dagster.sources.text_files import read_head, read_whole

WRAPPERS: Final = ("data", "records", "rows", "items", "results", "value", "statements")
"""Fields in which exporters and services wrap the list of their records."""

MAX_DOCUMENT_BYTES: Final = 512 << 20
"""A document is read as a whole. What is larger has to come as lines."""

_MAX_WRAPPER_FIELDS: Final = 6
_HEAD_BYTES: Final = 1 << 16
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")
_DECODER: Final = json.JSONDecoder()
_TEXT_DECODER: Final = json.JSONDecoder(parse_float=str, parse_int=str)
"""Numbers keep their digits."""


def is_document(file: InputFile) -> bool:
    """Whether the file is a document, by how it begins."""
    raw = read_head(file, _HEAD_BYTES)
    head = raw.decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    if not head.startswith("{"):
        return head.startswith("[")
    first, ended, rest = head.partition("\n")
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return _goes_on_behind_a_line(head)
    only = not rest.strip() and (ended != "" or len(raw) < _HEAD_BYTES)
    return only and _wrapped(value) is not None


def document_lines(file: InputFile) -> Iterator[str]:
    """The objects of a document, each as the text of one line.

    Raises:
        SourceError: The file cannot be read, or is too large to be read as a whole.
    """
    content = read_whole(file, MAX_DOCUMENT_BYTES)
    if content is None:
        raise SourceError(
            f"{file.path} is one JSON document of more than {MAX_DOCUMENT_BYTES >> 20} MiB. "
            "Convert it to JSON lines, one object a line."
        )
    text = content.decode("utf-8", errors="replace").removeprefix("\ufeff").strip()
    if text.startswith("["):
        yield from _objects(text, 1, closed=True)
        return
    whole = _whole(text)
    inside = _wrapped(whole) if isinstance(whole, dict) else None
    if inside is None:
        yield from _objects(text, 0, closed=False)
        return
    yield from (json.dumps(record, ensure_ascii=False) for record in inside)


def _goes_on_behind_a_line(head: str) -> bool:
    """Whether the first object is whole, and does not end where its line ends."""
    try:
        _, end = _DECODER.raw_decode(head)
    except (ValueError, RecursionError):
        return False
    behind = head[end:].partition("\n")[0].strip()
    return "\n" in head[:end] or behind.startswith("{")


def _whole(text: str) -> Any:
    try:
        return _TEXT_DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _wrapped(value: Any) -> list[Any] | None:
    """The records that one object wraps; None if it is a record itself."""
    if not isinstance(value, dict) or len(value) > _MAX_WRAPPER_FIELDS:
        return None
    tables = value.get("tables")
    if isinstance(tables, list) and tables and all(map(_is_table, tables)):
        return [record for table in tables for record in _table_records(table)]
    for name in WRAPPERS:
        records = value.get(name)
        if isinstance(records, list) and records and all(isinstance(r, dict) for r in records):
            return records
    return None


def _is_table(table: Any) -> bool:
    """Whether it is a table of an answer of Application Insights or Log Analytics."""
    return isinstance(table, dict) and {"columns", "rows"} <= table.keys()


def _table_records(table: dict[str, Any]) -> Iterator[dict[str, Any]]:
    names = [column["name"] for column in table["columns"]]
    for row in table["rows"]:
        yield dict(zip(names, row, strict=False))


def _objects(text: str, start: int, *, closed: bool) -> Iterator[str]:
    """The values of an array, or values behind each other, with blanks and commas between."""
    at = _skipped(_BETWEEN, text, start)
    while at < len(text):
        if closed and text[at] == "]" and _skipped(_BLANKS, text, at + 1) == len(text):
            return
        try:
            _, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            # The rest of the line is one thing that cannot be read; what is behind it may be.
            end = text.find("\n", at)
            end = end if end >= 0 else len(text)
        yield re.sub(r"[\r\n]+", " ", text[at:end])
        at = _skipped(_BETWEEN, text, end)


def _skipped(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found is not None else at
