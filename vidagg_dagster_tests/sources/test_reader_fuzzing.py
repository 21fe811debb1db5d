"""Whatever a file holds, its reader gives lines or one line of refusal, and loses none."""

import bz2
import gzip
import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import orc

from vidagg_dagster.core.contract import EVENT_COLUMNS
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.csv_dialects import dialect_of, plain_lines
from vidagg_dagster.sources.files import InputFile, find_files
from vidagg_dagster.sources.parquet_files import parquet_file
from vidagg_dagster.sources.staging import Staging
from vidagg_dagster.sources.text_files import check_text, first_lines
from vidagg_dagster_tests.sources.test_formats import xlsx, zstd
from vidagg_dagster_tests.support.source_files import HEADER, event, typed

NAMES = ("a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.avro", "a.orc", "a.xlsx", "a.ods", "a.zip",
    "a.jsonl.gz", "a.csv.bz2", "a.jsonl.zst", "part-0")  # fmt: skip
PIECES = st.sampled_from(
    [
        *('"', '""', '\\"', "\\", ",", ";", "\t", "\n", "\r", "\r\n", "#", "sep=;", " ", "a"),
        *("1,5", "{", "}", "[", "]", ":", "null", HEADER, event(), "\ufeff", "ü"),
        *("\0", "'", "|", "^"),
    ]
)  # fmt: skip
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": zstd,
}
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def refusal(name: str, content: bytes) -> str:
    """Read a file up to where an engine would take over; what is said if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        staging = Staging(f"{folder}/copies")
        try:
            for found in find_files(path, None):
                file = staging.readable(found)
                if file.format == "csv":
                    file = staging.plain_csv(file, EVENT_COLUMNS)
                if file.format == "jsonl":
                    file = staging.json_lines(file)
                if file.format == "parquet":
                    parquet_file(file)
                else:
                    check_text(file, b"eventId")
                    first_lines(file, 10)
        except SourceError as error:
            return str(error)
    return ""


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(NAMES), content=st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(name: str, content: bytes) -> None:
    assert "\n" not in refusal(name, content)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(("a.jsonl", "a.csv", "a.tsv", "part-0")), content=TEXTS)
def test_random_text_is_read_or_refused(name: str, content: str) -> None:
    assert "\n" not in refusal(name, content.encode())


def packed(name: str) -> bytes:
    """A whole file of a kind."""
    out = io.BytesIO()
    lines = "".join(f"{event(userId=str(at))}\n" for at in range(50)).encode()
    if name == "a.orc":
        orc.write_table(pa.table(typed(50)), out)
    elif name == "a.zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.jsonl", lines)
    elif name == "a.xlsx":
        return xlsx("")
    else:
        packers: dict[str, Callable[[bytes], bytes]] = {
            "gz": gzip.compress,
            "bz2": bz2.compress,
            "zst": zstd,
        }
        return packers[name.rpartition(".")[2]](lines)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.zst", "a.zip", "a.orc", "a.xlsx"]
)
def test_a_file_that_is_cut_off_is_refused_wherever_it_is_cut(name: str) -> None:
    whole = packed(name)
    for end in range(20, len(whole) - 1, max(1, len(whole) // 15)):
        told = refusal(name, whole[:end])
        assert told
        assert "\n" not in told
    assert refusal(name, whole) == ""


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, max_size=6))
def test_lines_of_csv_are_joined_or_kept_and_none_is_lost(texts: list[str]) -> None:
    """Put together again, the plain lines hold every sign that is no mark of CSV, in order."""
    content = "\n".join(["timestamp,userId", *texts]).replace("\0", "").replace("\r", "")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text(content, encoding="utf-8", newline="")
        file = InputFile(path, "a.csv", "csv")
        dialect = dialect_of(file, EVENT_COLUMNS)
        assert dialect is not None
        found = list(plain_lines(file, dialect))
    assert len(found) <= content.count("\n") + 1
    assert kept("".join(found)) == kept(content)


def kept(text: str) -> str:
    return "".join(c for c in text if c not in '\n "\\')
