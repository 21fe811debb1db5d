"""`vidagg demo` over a few days, and the tables that it leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

from vidagg_dagster.core.contract import SAIL

DAYS = 3
FIRST_DAY = "2026-01-05"


def demo(folder: Path, *size: str) -> str:
    """What `vidagg demo` prints, of a few days or of the `size` that options say."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIDAGG_", "DAGSTER_"))
    }
    result = subprocess.run(
        [
            *(sys.executable, "-m", "vidagg_dagster.cli.main", "demo", "--folder", str(folder)),
            *("--engine", SAIL),
            *(size or ("--days", str(DAYS), "--viewers", "20", "--first-day", FIRST_DAY)),
        ],
        capture_output=True,
        text=True,
        # Settings for a developer's own data must not reach the demo.
        env=environment | {"VIDAGG_SOURCE": "/nowhere", "VIDAGG_TIMEZONE": "Asia/Tokyo"},
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == "", "people should see nothing but the demo"
    return result.stdout


def table(folder: Path, name: str) -> pa.Table:
    rows = DeltaTable(str(folder / "tables" / name)).to_pyarrow_table()
    return rows.drop_columns(["processedAt"] if "processedAt" in rows.column_names else [])
