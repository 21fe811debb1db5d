"""The whole specification as DuckDB SQL (`duckdb.sql`)."""

import re
from datetime import datetime
from pathlib import Path

import duckdb

SQL = Path(__file__).with_name("duckdb.sql")


def aggregate(events: Path, videos: Path, run_time: datetime, output: Path) -> int:
    """Write the rows as Parquet; returns their number."""
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        # DuckDB needs a folder for what exceeds memory, and keeping the order of rows costs time.
        connection.execute(f"SET temp_directory = '{output.parent}/duckdb'")
        connection.execute("SET preserve_insertion_order = false")
        values = {
            "$events": f"'{events}/*.parquet'",
            "$videos": f"'{videos}'",
            "$run_time": f"TIMESTAMPTZ '{run_time.isoformat()}'",
        }
        text = re.sub(r"--.*", "", SQL.read_text(encoding="utf-8"))
        for name, value in values.items():
            text = text.replace(name, value)
        for statement in filter(str.strip, text.split(";")):
            connection.execute(statement)
        connection.execute(f"COPY result TO '{output}' (FORMAT parquet)")
        return int(connection.execute("SELECT count(*) FROM result").fetchall()[0][0])
