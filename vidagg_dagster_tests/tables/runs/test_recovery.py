"""Full, read-only, unreachable: a table keeps its old rows, and one is told."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.schemas import RAW_EVENTS, TABLES
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.maintenance import maintain
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.byte_search import files_that_hold
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, day, write_site
from vidagg_dagster_tests.support.stored_rows import rows

DAYS = [day(0), day(1)]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(path: Path) -> None:
    """Write until there is no space left."""
    with suppress(OSError), path.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 1024)


def failed_run(site: Site, data_root: Path, **variables: str) -> str:
    """What a run of raw_events through Dagster's command line says when it fails."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize", "--select", "raw_events"),
            *("--partition", day(0).isoformat(), "-m", "vidagg_dagster.definitions"),
        ],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("VIDAGG_", "DAGSTER_"))},
            "PYTHONPATH": str(REPO),
            "DAGSTER_HOME": str(site.folder),
            "VIDAGG_SOURCE": str(site.events),
            "VIDAGG_DATA_ROOT": str(data_root),
            "VIDAGG_START_DATE": day(0).isoformat(),
            "VIDAGG_ENGINE": "sail",
            **variables,
        },
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return re.sub(r"\x1b\[\d+m", "", done.stdout + done.stderr)


@pytest.mark.parametrize("left", [0, 24_000], ids=["before it starts", "while it writes"])
def test_a_full_disk_is_said_plainly_and_leaves_the_old_rows(
    sail: SparkSession, tmp_path: Path, full_disk: Path, left: int
) -> None:
    site = write_site(tmp_path / "site", 1)
    small = Site(full_disk)
    request = site.request(StepName.RAW_EVENTS, [day(0)])
    store = request.store.model_copy(update={"location": str(small.tables)})
    run_step(sail, request.model_copy(update={"store": store}))
    before = rows(sail, small, RAW_EVENTS)
    filler = full_disk / "filler"
    fill(filler)
    os.truncate(filler, filler.stat().st_size - left)
    said = failed_run(site, small.tables)
    assert f"There is no space left in {small.tables} (VIDAGG_DATA_ROOT)" in said
    assert ("engine: sail" in said.lower()) == bool(left)
    assert rows(sail, small, RAW_EVENTS) == before
    filler.unlink()
    run_step(sail, request.model_copy(update={"store": store}))
    assert rows(sail, small, RAW_EVENTS) == before


def test_a_root_that_cannot_be_written_is_said_before_the_engine_starts(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 1)
    # Root may write anywhere but where there is nothing to write to.
    said = failed_run(site, Path("/proc/vidagg/tables"))
    assert "/proc/vidagg/tables (VIDAGG_DATA_ROOT) cannot be written" in said
    assert "engine: sail" not in said.lower()


def test_a_source_that_is_not_there_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 1)
    said = failed_run(site, site.tables, VIDAGG_SOURCE=str(tmp_path / "elsewhere"))
    assert f"there is no file or folder {tmp_path / 'elsewhere'}" in said
    assert not (site.tables / "raw_events").exists()


def test_a_truncated_file_is_named_and_nothing_is_written(
    sail: SparkSession, tmp_path: Path
) -> None:
    import gzip

    site = write_site(tmp_path / "site", 1)
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    before = rows(sail, site, RAW_EVENTS)
    whole = gzip.compress((site.events / f"{day(0)}.jsonl").read_bytes())
    (site.events / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    said = failed_run(site, site.tables)
    assert "cut.jsonl.gz" in said
    assert "Restore the file or take it away" in said
    assert rows(sail, site, RAW_EVENTS) == before


def rewritten(site: Site, spark: SparkSession, times: int) -> None:
    for _ in range(times):
        run_step(spark, site.request(StepName.RAW_EVENTS, [day(0)]))


def command(site: Site, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "maintain", *arguments],
        env={"PATH": os.environ["PATH"], "VIDAGG_DATA_ROOT": str(site.tables)},
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_maintain_removes_what_is_old_and_refuses_what_may_be_needed(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path / "site", 1)
    assert command(site)[1].startswith("There are no tables in ")
    rewritten(site, sail, 3)
    before = rows(sail, site, RAW_EVENTS)

    def files() -> int:
        return len(list((site.tables / "raw_events").glob("event_date=*/*.parquet")))

    assert files() == 3
    code, said = command(site, "--retention-hours", "24")
    assert (code, files()) == (2, 3)
    assert "under 168 (a week)" in said
    assert "--accept-risk" in said
    code, said = command(site)
    assert (code, files()) == (0, 3), "all of it is younger than a week"
    code, said = command(site, "--retention-hours", "0", "--accept-risk", "--dry-run")
    assert (code, files()) == (0, 3)
    assert re.search(r"raw_events: version \d+, 2 files would be removed", said)
    code, said = command(site, "--retention-hours", "0", "--accept-risk")
    assert (code, files()) == (0, 1)
    assert re.search(r"raw_events: version \d+, 2 files removed", said)
    assert rows(sail, site, RAW_EVENTS) == before


@pytest.mark.usefixtures("patient")
def test_maintain_compacts_a_day_of_many_small_files_and_changes_no_row(
    spark: SparkSession, tmp_path: Path
) -> None:
    site = write_site(tmp_path / "site", 2)
    for step in (StepName.RAW_EVENTS, StepName.SESSIONS, StepName.WATCH_INTERVALS):
        run_step(spark, site.request(step, DAYS))
    tables = open_tables(spark, site.request(StepName.SESSIONS, []).store)
    place = str(site.tables / RAW_EVENTS.name)
    stored = DeltaTable(place).to_pyarrow_table(filters=[("event_date", "=", day(0))])
    tables.replace_days(RAW_EVENTS, tables.read(RAW_EVENTS).where(F.lit(False)), [day(0)])
    for at in range(stored.num_rows):  # as another program might
        write_deltalake(place, stored.slice(at, 1), mode="append")
    before = {name: rows(spark, site, TABLES[name]) for name in ("raw_events", "sessions")}
    version = tables.version(RAW_EVENTS)
    done = {result.table: result for result in maintain(site.tables, retention_hours=0)}
    assert done["raw_events"].compacted == {day(0).isoformat(): 13}
    assert done["sessions"].compacted == {}
    assert {name: rows(spark, site, TABLES[name]) for name in before} == before
    assert tables.day_counts(RAW_EVENTS, DAYS) == {day(0): 13, day(1): 13}
    # Rows that lie in other files are no reason for the lifetime table to take the day in again.
    assert tables.days_replaced_since(RAW_EVENTS, version).days == frozenset()
    again = {result.table: result for result in maintain(site.tables, retention_hours=0)}
    assert again["raw_events"].compacted == {}
    # Smallest and largest values of a file would outlive an erased user in the log.
    assert not [name for name in files_that_hold(site.tables, "peter") if "_delta_log" in name]


def test_the_command_line_knows_the_retention_without_an_engine() -> None:
    """`vidagg --help` shows it, and must not wait for Spark or need deltalake."""
    code = (
        "import sys, vidagg_dagster.tables.maintenance as m\n"
        "assert m.SAFE_RETENTION_HOURS == 168\n"
        "assert not {'pyspark', 'deltalake', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
