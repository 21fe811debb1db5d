"""Rows in files, in whatever order, are read in the order of users and videos."""

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from vidagg_dagster.pipeline.sorted_rows import SortedRows

SCHEMA = pa.schema([("watchMs", pa.int64()), ("userId", pa.string()), ("videoId", pa.string())])
"""In another order than in the files, and without what only counts."""

Row = tuple[str | None, str | None, int]


def write(path: Path, batches: Sequence[Sequence[Row]]) -> Path:
    names = {"userId": pa.string(), "counts": pa.int64(), "videoId": pa.string()}
    schema = pa.schema({**names, "watchMs": pa.int64()})
    with pa.ipc.new_file(path, schema) as file:
        for batch in batches:
            columns = [[row[0] for row in batch], [None if row[0] else 1 for row in batch]]
            columns += [[row[1] for row in batch], [row[2] for row in batch]]
            arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            file.write_batch(pa.record_batch(arrays, schema=schema))
    return path


def some_rows(count: int, seed: int = 7) -> list[Row]:
    """Users of one to a few videos; not all letters of their ids are ASCII."""
    chance = random.Random(seed)
    users = [f"{chance.choice('äzZé🎬a')}{number}" for number in range(count // 3)]
    pairs = {(chance.choice(users), f"v{chance.randrange(9)}") for _ in range(count)}
    return [(user, video, number) for number, (user, video) in enumerate(sorted(pairs))]


def in_order(rows: Sequence[Row]) -> list[tuple[int, str | None, str | None]]:
    """By the bytes of UTF-8, which is the order of code points."""
    kept = sorted(row for row in rows if row[0] is not None)
    return [(watch, user, video) for user, video, watch in kept]


def read(rows: pa.Table) -> list[tuple[int, str | None, str | None]]:
    return [(row["watchMs"], row["userId"], row["videoId"]) for row in rows.to_pylist()]


def batched(rows: list[Row], size: int) -> list[list[Row]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def files_of(rows: list[Row], folder: Path, order: str) -> list[Path]:
    """Two files: of runs of ascending users, as calls of the fold leave them, or of any order."""
    runs = [sorted(rows[at::5]) for at in range(5)]
    if order == "descending":
        runs = [sorted(run, reverse=True) for run in runs]
    if order == "any":
        runs = [random.Random(at).sample(run, len(run)) for at, run in enumerate(runs)]
    with_counts: list[list[Row]] = [[*run, (None, None, 0)] for run in runs]
    together = [row for run in with_counts[:3] for row in run]
    return [
        # Of the first, batches go across the ends of runs.
        write(folder / "a.arrow", batched(together, 37)),
        write(folder / "b.arrow", [*batched(with_counts[3], 20), [], *batched(with_counts[4], 20)]),
    ]


@pytest.mark.parametrize("order", ["ascending", "descending", "any"])
@pytest.mark.parametrize("rows_at_once", [1, 700, 1_000_000])
def test_rows_come_in_order_whatever_order_they_lie_in(
    tmp_path: Path, order: str, rows_at_once: int
) -> None:
    rows = some_rows(3_000)
    found = SortedRows.of(files_of(rows, tmp_path, order), SCHEMA, rows_at_once)
    assert found.num_rows == len(rows)
    assert found.to_table().schema == SCHEMA
    assert read(found.to_table()) == in_order(rows)
    assert [row for table in found.tables() for row in read(table)] == in_order(rows)


def test_rows_are_handed_over_in_tables_of_about_so_many(tmp_path: Path) -> None:
    rows = some_rows(30_000)
    files = files_of(rows, tmp_path, "ascending")
    found = SortedRows.of(files, SCHEMA, 2_000)
    tables = list(found.tables())
    assert len(tables) > 3
    assert max(table.num_rows for table in tables) < 6_000
    assert [table["userId"][0].as_py() for table in tables[1:]] == found.cuts


def test_a_user_is_in_one_table(tmp_path: Path) -> None:
    rows: list[Row] = [("one", f"v{number:04}", number) for number in range(2_000)]
    files = files_of([*rows, ("other", "v", 0)], tmp_path, "ascending")
    tables = list(SortedRows.of(files, SCHEMA, 200).tables())
    assert sorted(table.num_rows for table in tables if table.num_rows) in ([1, 2_000], [2_001])


def test_without_files_there_is_no_row() -> None:
    found = SortedRows.of([], SCHEMA)
    assert (found.num_rows, found.to_table()) == (0, SCHEMA.empty_table())


def test_of_files_with_counts_only_there_is_no_row(tmp_path: Path) -> None:
    file = write(tmp_path / "a.arrow", [[(None, None, 0)], []])
    found = SortedRows.of([file], SCHEMA)
    assert (found.num_rows, found.to_table().num_rows) == (0, 0)


def test_of_a_long_run_one_batch_is_in_memory(tmp_path: Path) -> None:
    rows: list[Row] = [(f"u{number:05}", "v", number) for number in range(20_000)]
    file = write(tmp_path / "a.arrow", batched(rows, 100))
    found = SortedRows.of([file], SCHEMA, 1_000)
    assert len(found.runs) == 1
    sizes = [table.num_rows for table in found.tables()]
    assert max(sizes) <= 1_200
    assert sum(sizes) == 20_000
