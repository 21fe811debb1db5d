"""Processes that write to a table in a folder, and the files and rows they leave."""

import subprocess
import sys
from pathlib import Path

from deltalake import DeltaTable

from vidagg_dagster.core.schemas import INGESTION_COUNTS, TableSpec


def files(root: Path, table: TableSpec = INGESTION_COUNTS) -> list[Path]:
    """All files in a table's folder except those of its log."""
    found = (root / table.name).rglob("*")
    return sorted(p for p in found if p.is_file() and "_delta_log" not in p.parts)


def delta(root: Path, table: TableSpec = INGESTION_COUNTS) -> DeltaTable:
    return DeltaTable(str(root / table.name))


WRITER = """
import sys
from datetime import date
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.core.schemas import INGESTION_COUNTS
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster.core.errors import TableConflictError

root, name, rows, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
spark = engine_session("sail")
tables = LocalTables(spark, root)
values = [(date(2024, 1, 1), name, number) for number in range(rows)]
frame = spark.createDataFrame(values, INGESTION_COUNTS.struct)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(rounds):
    try:
        tables.replace_days(INGESTION_COUNTS, frame, [date(2024, 1, 1)])
    except TableConflictError as error:
        assert "2024-01-01" in str(error) and "version" in str(error), error
"""


def start_writer(root: Path, name: str, rows: int, rounds: int) -> "subprocess.Popen[str]":
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(rows), str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "ready"
    return writer


def go(writer: "subprocess.Popen[str]") -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def owner_and_rows(root: Path, version: int) -> tuple[str, int] | None:
    """The writer of a version's rows and their number; None for a version without rows."""
    stored = DeltaTable(str(root / "ingestion_counts"), version=version).to_pyarrow_table()
    owners = set(stored["measure"].to_pylist())
    assert len(owners) <= 1, f"version {version} mixes the rows of {owners}"
    return (owners.pop(), stored.num_rows) if owners else None
