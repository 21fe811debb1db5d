"""The memory that landing needs: that of a slice, however many events a day has."""

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow.parquet as pq

from vidagg_dagster.azure.landing import ROWS_AT_ONCE
from vidagg_dagster_tests.support.fake_azure_logs import FakeLogs, fake_logs
from vidagg_dagster_tests.support.kql_engine import azure

DAY: Final = date(2026, 1, 5)
FEW: Final = 2 * ROWS_AT_ONCE
MANY: Final = 8 * ROWS_AT_ONCE
MORE_MIB: Final = 40
"""What a day may need more than another one with a quarter of its events."""

LAND: Final = """
import re, sys
from datetime import date
from pathlib import Path
from vidagg_dagster.azure.landing import Landing
from vidagg_dagster.azure.logs import LogsClient
from vidagg_dagster.azure.source import parse_log_source
from vidagg_dagster_tests.support.fake_azure_logs import WORKSPACE_ID, Credential

url, certificate, folder, day = sys.argv[1:]
source = parse_log_source(f"loganalytics://{WORKSPACE_ID}")
client = LogsClient(
    source, Credential(), endpoint=url, audience=url, connection_verify=certificate
)
(landed,) = Landing(client, source.columns, Path(folder)).land(
    [date.fromisoformat(day)], date.fromisoformat(day)
)
# Not `ru_maxrss`: that of a new process begins with what its parent has.
most = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(landed.slices, int(most[1]) // 1024)
"""
"""A process of its own, so that what the server needs is not counted."""


class Landed(NamedTuple):
    slices: int
    most_mib: int


def land(logs: FakeLogs, folder: Path) -> Landed:
    done = subprocess.run(
        [sys.executable, "-c", LAND, logs.url, str(logs.certificate), str(folder), str(DAY)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    slices, most_mib = map(int, done.stdout.split())
    return Landed(slices, most_mib)


def test_a_large_day_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    midnight = datetime(DAY.year, DAY.month, DAY.day)
    with azure([]) as tables, fake_logs(tables, tmp_path) as logs:
        tables.add_progress(FEW, midnight)
        small = land(logs, tmp_path / "small")
        tables.add_progress(MANY - FEW, midnight)
        large = land(logs, tmp_path / "large")
    assert large.slices > 3 * small.slices
    assert large.most_mib < small.most_mib + MORE_MIB, (small, large)
    rows = pq.ParquetFile(tmp_path / "large" / f"{DAY}.parquet").metadata.num_rows
    assert rows == MANY
