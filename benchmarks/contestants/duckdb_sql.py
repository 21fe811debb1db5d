"""The whole specification as DuckDB SQL (`duckdb.sql`)."""

import re
from datetime import datetime
from pathlib import Path

import duckdb

SQL = Path(__file__).with_name("duckdb.sql")


def aggregate(events: Path, videos: Path, run_time: datetime, output: Path) -> int:
    """Writes the rows as Parquet and returns how many there are."""
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        # Beyond memory DuckDB needs a place; and it keeps the order of rows only at a price.
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
