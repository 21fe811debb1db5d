"""What lies in a source folder and is no proper file: pipes, links, damage, and very many files."""

import gzip
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec, StepName
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.sources.files import InputFile, find_files
from vidagg_dagster.sources.listing import list_source
from vidagg_dagster.sources.text_files import MAX_LINE_BYTES, first_lines
from vidagg_dagster_tests.support.small_site import day, peter, write_site
from vidagg_dagster_tests.support.source_files import delta, event, parquet, typed, values, write


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda path: os.mkfifo(path), "is no regular file, but a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "leads out of the source folder"),
        (lambda path: path.symlink_to("/etc/passwd"), "leads out .*, to /etc/passwd"),
    ],
    ids=["pipe", "device", "other file"],
)
def test_what_never_ends_or_lies_elsewhere_is_refused(
    tmp_path: Path, put: Callable[[Path], object], message: str
) -> None:
    write(tmp_path / "a.jsonl", [event()])
    put(tmp_path / "x.jsonl")
    with pytest.raises(SourceError, match=rf"x\.jsonl.*{message}"):
        find_files(tmp_path, None)


def test_a_folder_that_is_a_link_out_of_the_source_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "b.jsonl", [event()])
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="leads out of the source folder"):
        find_files(tmp_path / "source", None)


def test_links_within_the_source_and_a_source_that_is_a_link_are_fine(tmp_path: Path) -> None:
    write(tmp_path / "real" / "a.jsonl", [event()])
    (tmp_path / "real" / "b.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    (tmp_path / "source").symlink_to(tmp_path / "real")
    assert [file.name for file in find_files(tmp_path / "source", None)] == ["a.jsonl", "b.jsonl"]


def test_an_array_on_one_long_line_is_refused_in_linear_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", b"[" + b"1," * (40 << 20) + b"1]")
    started = time.process_time()
    with pytest.raises(SourceError, match="a line of more than 16 MiB"):
        first_lines(InputFile(path, "a.json", "jsonl"), 10)
    assert time.process_time() - started < 2


def test_a_line_up_to_the_limit_is_read(tmp_path: Path) -> None:
    long = "x" * (MAX_LINE_BYTES - 10)
    path = write(tmp_path / "a.jsonl", ["first", long, "last"])
    found = first_lines(InputFile(path, "a.jsonl", "jsonl"), 10)
    assert found == ["first", long, "last"]


def test_many_small_files_give_the_rows_that_each_gives_alone(
    sail: SparkSession, tmp_path: Path
) -> None:
    """From some number on they are read together, by Python."""
    ends = ["\n", "\r\n", "", "\n\n  \n"]
    for number in range(40):
        text = event(userId=f"ü{number}") + "\n" + event(userId=f"last {number}")
        content = text.encode() + ends[number % 4].encode()
        if number % 5 == 0:
            content += b"\xff no row\n" if number % 4 != 2 else b"\n\xff no row"
        name = f"d={number}/a{number:02}.jsonl{'.gz' if number % 3 == 0 else ''}"
        path = tmp_path / "source" / name
        write(path, gzip.compress(content) if number % 3 == 0 else content)
        if number % 3 == 0:
            path.write_bytes(gzip.compress(content))
    together = values(sail, tmp_path / "source", "sourceFile", "userId", "payload", "malformed")
    alone = []
    for path in sorted((tmp_path / "source").glob("*/*")):
        found = values(sail, path, "userId", "payload", "malformed")
        alone += [(path.relative_to(tmp_path / "source").as_posix(), *row) for row in found]
    assert together == sorted(alone, key=repr)
    assert len(together) == 88


def test_many_small_parquet_files_give_the_rows_that_each_gives_alone(
    sail: SparkSession, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for number in range(30):
        rows = typed(2, userId=[f"u{number}", None], seekFrom=[number % 3, None])
        if number % 4 == 0:
            rows["more"] = [{"a": [number]}, None]
        parquet(source / f"d={number}" / "a.parquet", rows)
    together = values(sail, source, "sourceFile", "userId", "typedSeekFrom", "seekFrom")
    alone = []
    for path in sorted(source.glob("*/*")):
        found = values(sail, path, "userId", "typedSeekFrom", "seekFrom")
        alone += [(path.relative_to(source).as_posix(), *row) for row in found]
    assert together == sorted(alone, key=repr)
    assert len(together) == 60


def damaged_parquet(folder: Path) -> Path:
    """Whole at both ends, so that its footer can be read."""
    path = folder / "bad.parquet"
    rows = [{**row, "userId": f"user {n}"} for n in range(3000) for row in peter(day(0))]
    pq.write_table(pa.Table.from_pylist(rows), path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 2000] = b"\xff" * 2000
    path.write_bytes(content)
    return path


def zeros_behind_gzip(folder: Path) -> Path:
    path = folder / "bad.jsonl.gz"
    lines = "".join(json.dumps(row) + "\n" for _ in range(4000) for row in peter(day(0)))
    path.write_bytes(gzip.compress(lines.encode()) + b"\0" * 1000)
    return path


@pytest.mark.parametrize("damage", [damaged_parquet, zeros_behind_gzip])
def test_a_file_that_the_engine_cannot_read_is_named(
    sail: SparkSession, tmp_path: Path, damage: Callable[[Path], Path]
) -> None:
    site = write_site(tmp_path, 0)
    site.events.mkdir()
    path = damage(site.events)
    with pytest.raises(SourceError, match=rf"Cannot read {path}: .*The engine says"):
        run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))


def test_a_delta_table_that_is_made_anew_has_another_state(tmp_path: Path) -> None:
    """Each night's table is at version 0, like the one before."""
    states: set[object] = set()
    for user in ("a", "b"):
        place = delta(tmp_path / user, typed(userId=[user]))
        target = tmp_path / "table"
        if target.exists():
            target.rename(tmp_path / f"old {user}")
        place.rename(target)
        found = list_source(SourceSpec(location=str(target)))
        assert found is not None
        states.update(found.values())
    assert len(states) == 2
