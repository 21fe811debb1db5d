"""`vidagg query` and `vidagg export`, over Delta tables as the steps leave them."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from vidagg_dagster.cli.main import main

DAYS = pa.table(
    {
        "event_date": [date(2026, 1, 5), date(2026, 1, 6)],
        "userId": ["peter", "anna"],
        "spans": [[{"startMs": 0}], []],
    }
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of two tables; one has replaced rows whose files are still there, one no row."""
    tables = tmp_path / "tables"
    (tmp_path / ".env").write_text("VIDAGG_DATA_ROOT=tables\n")
    for _ in range(2):
        write_deltalake(str(tables / "by_day"), DAYS, partition_by=["event_date"], mode="overwrite")
    write_deltalake(str(tables / "empty"), DAYS.slice(0, 0))
    return tmp_path


def ask(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_without_a_query_the_tables_are_listed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(capsys, "query", "--folder", project).splitlines() == ["name", "by_day", "empty"]


def test_rows_come_once_with_their_day_as_csv(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(list((project / "tables" / "by_day").rglob("*.parquet"))) == 4
    said = ask(capsys, "query", "--folder", project, "from by_day order by 1")
    assert said.splitlines()[:2] == [
        "event_date,userId,spans",
        "2026-01-05,peter,[{'startMs': 0}]",
    ]
    assert len(said.splitlines()) == 3
    day = "select userId from by_day where event_date = date '2026-01-06'"
    assert ask(capsys, "query", "--folder", project, day) == "userId\nanna\n"


def test_a_reader_that_has_gone_is_no_traceback(project: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "vidagg_dagster.cli.main", "query", "--folder", str(project)]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


def test_a_table_without_rows_has_its_columns(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ask(capsys, "query", "--folder", project, "from empty")
    assert said == "event_date,userId,spans\n"


def test_a_result_can_be_written_to_a_file(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = project / "rows.parquet"
    ask(capsys, "query", "--folder", project, "from by_day", "--output", output)
    assert pq.read_table(output).num_rows == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["query", "--folder", "{folder}", "selec 1"], "syntax error"),
        (["query", "--folder", "{folder}", "from nowhere"], "nowhere"),
        (["query", "--folder", "{folder}", "from empty", "--output", "rows.xlsx"], "extension"),
        (["query", "--folder", "{folder}/none"], "no folder"),
        (["query", "--folder", "{folder}/tables/empty"], "no tables"),
        (["export", "--folder", "{folder}", "nothing", "--output", "{folder}/x"], "no table"),
        (["export", "--folder", "{folder}", "--output", "{folder}/a/b"], "no folder"),
        (["export", "--folder", "{folder}", "--output", "{folder}/x.csv"], "2 tables: name one"),
        (
            ["export", "--folder", "{folder}", "empty", "--output", "x.csv", "--format", "jsonl"],
            "does not fit",
        ),
    ],
)
def test_what_cannot_be_answered_is_one_clear_line(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    assert main([text.format(folder=project) for text in arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert complaint in said


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_tables_are_exported_as_files(
    project: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    output = project / "exported"
    ask(capsys, "export", "--folder", project, "--output", output, "--format", form)
    assert sorted(file.name for file in output.iterdir()) == [f"by_day.{form}", f"empty.{form}"]
    rows = duckdb.connect().execute(f"from '{output}/by_day.{form}'").fetchall()
    assert {row[1] for row in rows} == {"peter", "anna"}


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_one_table_is_exported_as_the_file_that_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    output = project / f"rows.{form}"
    ask(capsys, "export", "--folder", project, "by_day", "--output", output)
    assert output.is_file()
    rows = duckdb.connect().execute(f"from '{output}'").fetchall()
    assert {row[1] for row in rows} == {"peter", "anna"}


def test_tables_are_exported_as_one_database(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = project / "all.duckdb"
    for _ in range(2):
        ask(capsys, "export", "--folder", project, "--output", output)
    with duckdb.connect(str(output), read_only=True) as database:
        assert database.execute("select count(*) from by_day").fetchall() == [(2,)]
        assert database.execute("select count(*) from empty").fetchall() == [(0,)]
    assert DeltaTable(str(project / "tables" / "by_day")).version() == 1
