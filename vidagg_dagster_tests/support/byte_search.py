"""Every file of a folder that holds a text: raw, in Parquet values, in rows of SQLite."""

import json
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq


def files_that_hold(root: Path, text: str) -> list[str]:
    """The paths below `root`, hidden files included. Knows nothing of the package."""
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and _holds(path, text)
    )


def _holds(path: Path, text: str) -> bool:
    content = path.read_bytes()
    escaped = json.dumps(text)[1:-1]
    twice = json.dumps(escaped)[1:-1]
    if any(form.encode() in content for form in (text, escaped, twice)):
        return True
    if path.suffix == ".parquet":
        return text in repr_of(pq.read_table(path).to_pylist())
    if content.startswith(b"SQLite format 3"):
        with sqlite3.connect(path) as connection:
            dump = "\n".join(connection.iterdump())
        return any(form in dump for form in (text, escaped, twice))
    return False


def repr_of(value: object) -> str:
    """All texts of nested rows, unquoted and one after the other."""
    if isinstance(value, dict):
        return "\n".join(repr_of(item) for item in value.values())
    if isinstance(value, list):
        return "\n".join(map(repr_of, value))
    return str(value)
