"""Result rows as files."""

import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vidagg_dagster.cli.main import main
from vidagg_dagster.cli.output import WRITERS, check_output, write_output, write_tables
from vidagg_dagster.core.errors import OutputError


def rows_to_write() -> pa.Table:
    span = pa.struct([("startMs", pa.int64()), ("endMs", pa.int64())])
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    return pa.table(
        {
            "userId": ["peter", 'p,"2"', "ärger"],
            "isReplay": [True, False, None],
            "score": [31.33, None, 0.0],
            "watchedIntervals": pa.array(
                [[{"startMs": 0, "endMs": 5}, {"startMs": 7, "endMs": 9}], None, []],
                pa.list_(span),
            ),
            "qualityFlags": [["open_ended"], [], None],
            "firstWatchDate": pa.array(
                [noon, noon.replace(microsecond=1500), None], pa.timestamp("us", tz="UTC")
            ),
            "activeDays": pa.array([[date(2026, 1, 5)], [], None], pa.list_(pa.date32())),
        }
    )


def test_json_lines_keep_types_and_say_utc(tmp_path: Path) -> None:
    write_output(rows_to_write(), tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert rows[0] == {
        "userId": "peter",
        "isReplay": True,
        "score": 31.33,
        "watchedIntervals": [[0, 5], [7, 9]],
        "qualityFlags": ["open_ended"],
        "firstWatchDate": "2026-01-05T12:00:00Z",
        "activeDays": ["2026-01-05"],
    }
    assert rows[1]["watchedIntervals"] is None
    assert rows[1]["firstWatchDate"] == "2026-01-05T12:00:00.001500Z"
    assert rows[2]["watchedIntervals"] == []


@pytest.mark.parametrize("extension", WRITERS)
def test_rows_in_several_tables_make_the_same_file(tmp_path: Path, extension: str) -> None:
    rows = rows_to_write()
    whole, parts = tmp_path / f"whole{extension}", tmp_path / f"parts{extension}"
    write_output(rows, whole)
    write_tables(rows.schema, iter([rows[:2], rows[:0], rows[2:]]), parts)
    if extension == ".parquet":
        assert pq.read_table(parts) == pq.read_table(whole)
    else:
        assert parts.read_bytes() == whole.read_bytes()
    write_tables(rows.schema, [], parts)
    assert parts.exists()


def test_csv_holds_lists_as_json_and_null_as_nothing(tmp_path: Path) -> None:
    write_output(rows_to_write(), tmp_path / "out.CSV")
    with (tmp_path / "out.CSV").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["watchedIntervals"] == "[[0, 5], [7, 9]]"
    assert rows[0]["isReplay"] == "true"
    assert rows[1] == {
        "userId": 'p,"2"',
        "isReplay": "false",
        "score": "",
        "watchedIntervals": "",
        "qualityFlags": "[]",
        "firstWatchDate": "2026-01-05T12:00:00.001500Z",
        "activeDays": "[]",
    }


def test_parquet_holds_intervals_as_lists_of_integers(tmp_path: Path) -> None:
    write_output(rows_to_write(), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.field("watchedIntervals").type == pa.list_(pa.list_(pa.int64()))
    assert table.column("watchedIntervals").to_pylist() == [[[0, 5], [7, 9]], None, []]
    query = f"SELECT watchedIntervals[2][1] FROM '{tmp_path / 'out.parquet'}' LIMIT 1"
    assert duckdb.connect().execute(query).fetchall() == [(7,)]


def test_parquet_intervals_of_a_slice_and_of_several_chunks_stay_with_their_rows(
    tmp_path: Path,
) -> None:
    rows = pa.concat_tables([rows_to_write().slice(1), rows_to_write().slice(0, 1)])
    write_output(rows, tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet").column("watchedIntervals").to_pylist()
    assert written == [None, [], [[0, 5], [7, 9]]]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("old\n")
    not_a_number = pa.table({"score": [float("nan")]})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_output(not_a_number, output)
    assert output.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [output]


def test_the_output_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    write_output(rows_to_write(), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("out.xlsx", "extension"),
        ("out", "extension"),
        ("missing/out.csv", "no folder"),
        ("folder.csv", "is a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, name: str, complaint: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError, match=complaint):
        check_output(tmp_path / name)


FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", " =1+1", "\t=1", "\uff1d1+1")
PLAIN = ("peter", "a=b", "1+1", "", "'quoted'", "a@b")


def in_csv(folder: Path, *, for_spreadsheet: bool) -> list[str]:
    path = folder / "out.csv"
    rows = pa.table({"userId": [*FORMULAS, *PLAIN], "score": [-1.5] * 13})
    write_output(rows, path, for_spreadsheet=for_spreadsheet)
    with path.open(encoding="utf-8-sig" if for_spreadsheet else "utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    assert {row["score"] for row in read} == {"-1.5"}, "numbers stay numbers"
    return [row["userId"] for row in read]


def test_for_a_spreadsheet_no_text_is_a_formula(tmp_path: Path) -> None:
    users = in_csv(tmp_path, for_spreadsheet=True)
    assert users == [*(f"'{text}" for text in FORMULAS), *PLAIN]


def test_csv_for_programs_has_texts_as_they_are(tmp_path: Path) -> None:
    assert in_csv(tmp_path, for_spreadsheet=False) == [*FORMULAS, *PLAIN]


def test_the_option_for_spreadsheets_is_for_csv_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "out.jsonl")
    assert main(["aggregate", str(tmp_path), "--output", output, "--for-spreadsheet"]) == 2
    assert "--for-spreadsheet is for .csv" in capsys.readouterr().err
