"""Folders of tables are for their owner alone."""

import stat
from pathlib import Path

from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import INGESTION_COUNTS
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.disk import require_writable
from vidagg_dagster_tests.support.table_store import DAY_1


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_folders_that_we_make_are_private(sail: SparkSession, tmp_path: Path) -> None:
    tables = LocalTables(sail, tmp_path)
    rows = sail.createDataFrame([(DAY_1, "input", 1)], INGESTION_COUNTS.struct)
    tables.replace_days(INGESTION_COUNTS, rows, [DAY_1])
    assert mode(tmp_path / INGESTION_COUNTS.name) == 0o700


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o750)
    require_writable(shared)
    assert mode(shared) == 0o750
