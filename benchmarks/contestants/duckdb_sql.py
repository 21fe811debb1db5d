"""The definitions of the metrics as DuckDB SQL (`duckdb.sql`)."""

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb

SQL: Final = Path(__file__).with_name("duckdb.sql")
PARAMETERS: Final[Mapping[str, int | float | bool]] = {
    "max_position_s": 86_400,
    "session_timeout_ms": 1_800_000,
    "max_playback_rate": 2.0,
    "tolerance_ms": 1_000,
    "repair_seeks": True,
    "seek_back_ms": 2_000,
    "drag_window_ms": 10_000,
    "same_place_ms": 250,
    "opening_ms": 1_000,
    "forward_skip_ms": 5_000,
    "backward_skip_ms": 2_000,
    "coverage_weight_hundredths": 8_000,
    "completion_weight_hundredths": 1_000,
    "rewatch_weight_hundredths": 1_000,
    "skip_penalty_limit": 10,
    "completion_coverage_percent": 75,
    "high_tier_hundredths": 7_500,
    "medium_tier_hundredths": 5_000,
    "low_tier_hundredths": 2_500,
    "excessive_watch_percent": 120,
    "very_short_watch_ms": 5_000,
    "position_limit_percent": 110,
}
"""The published thresholds, by the names that `duckdb.sql` uses."""


def aggregate(
    events: Path,
    videos: Path,
    run_time: datetime,
    output: Path,
    *,
    parameters: Mapping[str, int | float | bool] | None = None,
    timezone: str = "UTC",
) -> int:
    """Write the rows as Parquet; returns their number. `parameters` change some thresholds."""
    values = {name: str(value) for name, value in {**PARAMETERS, **(parameters or {})}.items()}
    values |= {
        "events": f"'{events}/*.parquet'",
        "videos": f"'{videos}'",
        "run_time": f"TIMESTAMPTZ '{run_time.isoformat()}'",
        "day_of_us": _day_of_us(timezone),
    }
    text = re.sub(r"--.*", "", SQL.read_text(encoding="utf-8"))
    text = re.sub(r"\$(\w+)", lambda match: values[match[1]], text)
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        # DuckDB needs a folder for what exceeds memory, and keeping the order of rows costs time.
        connection.execute(f"SET temp_directory = '{output.parent}/duckdb'")
        connection.execute("SET preserve_insertion_order = false")
        for statement in filter(str.strip, text.split(";")):
            connection.execute(statement)
        connection.execute(f"COPY result TO '{output}' (FORMAT parquet)")
        return int(connection.execute("SELECT count(*) FROM result").fetchall()[0][0])


def _day_of_us(timezone: str) -> str:
    """The calendar day of an instant `us` as days since 1970. Years before 1970 do not occur."""
    if timezone == "UTC":
        return "us // 86400000000"
    wall = f"make_timestamp(us) AT TIME ZONE 'UTC' AT TIME ZONE '{timezone}'"
    return f"(({wall})::DATE - DATE '1970-01-01')"
