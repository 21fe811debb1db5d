"""A file of a table that is missing or cut is never read as no rows, and what is told heals it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.core.errors import DamagedTableError, TableError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    RAW_EVENTS,
    SESSIONS,
    SOURCE_INVENTORY,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session, use
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.delta_log import live_files
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.small_site import Site, day, write_site
from vidagg_dagster_tests.support.stored_rows import rows
from vidagg_dagster_tests.support.writers import files

DAYS = [day(0), day(1)]

Spoil = Callable[[Path], object]

SPOILS: list[Spoil] = [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b""),
    lambda path: os.truncate(path, path.stat().st_size - 1),
]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Site:
    require(SAIL)
    use(SAIL)
    site = write_site(tmp_path_factory.mktemp("site"), 2)
    for step in StepName:
        run_step(engine_session(SAIL), site.request(step, DAYS))
    return site


@pytest.fixture
def site(computed: Site, tmp_path: Path) -> Site:
    shutil.copytree(computed.folder, tmp_path / "site")
    return Site(tmp_path / "site")


def file_of(site: Site, table: TableSpec) -> Path:
    folder = site.tables / table.name
    return live_files(DeltaTable(str(folder)), folder)[0].path


@pytest.mark.parametrize("spoil", SPOILS, ids=["missing", "empty", "cut"])
def test_a_damaged_day_stops_what_reads_it_and_its_run_heals_it(
    sail: SparkSession, site: Site, spoil: Spoil
) -> None:
    before = rows(sail, site, RAW_EVENTS)
    spoil(file_of(site, RAW_EVENTS))
    with pytest.raises(DamagedTableError, match=f"Run raw_events of {day(0)} again"):
        run_step(sail, site.request(StepName.SESSIONS, [day(0)]))
    tables = LocalTables(sail, site.tables)
    with pytest.raises(DamagedTableError, match=f"Run raw_events of {day(0)} again"):
        tables.rows(RAW_EVENTS, [day(0)])
    assert tables.read(RAW_EVENTS, [day(1)]).count() == 13, "other days are there"
    assert len(tables.rows(RAW_EVENTS, [day(1)])) == 13
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    assert rows(sail, site, RAW_EVENTS) == before


def test_a_damaged_day_that_follows_the_one_that_runs_is_written_anew(
    sail: SparkSession, site: Site
) -> None:
    """A run also settles the next day, and compares it with what is stored of it."""
    before = rows(sail, site, SESSIONS)
    [path] = [file for file in files(site.tables, SESSIONS) if str(day(1)) in file.parent.name]
    path.unlink()
    run_step(sail, site.request(StepName.SESSIONS, [day(0)]))
    assert rows(sail, site, SESSIONS) == before


@pytest.mark.parametrize("spoil", SPOILS[:2], ids=["missing", "empty"])
def test_the_lifetime_table_is_written_anew_from_all_days(
    sail: SparkSession, site: Site, spoil: Spoil
) -> None:
    before = rows(sail, site, AGGREGATED_ENGAGEMENT)
    spoil(file_of(site, AGGREGATED_ENGAGEMENT))
    with pytest.raises(DamagedTableError, match=f"Run {AGGREGATED_ENGAGEMENT.name} again"):
        rows(sail, site, AGGREGATED_ENGAGEMENT)
    result = run_step(sail, site.request(StepName.AGGREGATED_ENGAGEMENT, []))
    assert result.metrics["days_taken_in"] == "all"
    assert all(outcome.passed for outcome in result.outcomes)
    assert rows(sail, site, AGGREGATED_ENGAGEMENT) == before


@pytest.mark.parametrize("lost", ["a file", "the table"])
def test_a_lost_inventory_makes_every_day_late_until_it_is_read_again(
    sail: SparkSession, site: Site, lost: str
) -> None:
    if lost == "a file":
        file_of(site, SOURCE_INVENTORY).unlink()
    else:
        shutil.rmtree(site.tables / SOURCE_INVENTORY.name)
    result = run_step(sail, site.request(StepName.RAW_EVENTS, [day(1)]))
    assert result.late is not None
    assert [(late.day, late.rows) for late in result.late.days] == [(day(0), 0)]
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    result = run_step(sail, site.request(StepName.RAW_EVENTS, [day(1)]))
    assert result.late is not None
    assert result.late.days == ()


def test_a_daily_table_that_was_restored_is_taken_in_whole(
    sail: SparkSession, site: Site, tmp_path: Path
) -> None:
    """Versions of a restored table count on from the backup, past those that were taken in."""
    daily = site.tables / USER_VIDEO_ENGAGEMENT.name
    shutil.copytree(daily, tmp_path / "backup")
    site.write_day(day(0), [])
    steps = [StepName.RAW_EVENTS, StepName.SESSIONS, StepName.USER_VIDEO_ENGAGEMENT]
    for step in [*steps, StepName.AGGREGATED_ENGAGEMENT]:
        run_step(sail, site.request(step, [day(0)]))
    shutil.rmtree(daily)
    shutil.copytree(tmp_path / "backup", daily)
    run_step(sail, site.request(StepName.USER_VIDEO_ENGAGEMENT, [day(1)]))
    result = run_step(sail, site.request(StepName.AGGREGATED_ENGAGEMENT, []))
    assert result.metrics["days_taken_in"] == "all"
    assert all(outcome.passed for outcome in result.outcomes)


def test_a_log_whose_last_entry_is_empty_is_not_taken_for_the_version_before(
    sail: SparkSession, site: Site
) -> None:
    entries = sorted((site.tables / SESSIONS.name / "_delta_log").glob("*.json"))
    entries[-1].write_bytes(b"")
    with pytest.raises(DamagedTableError, match=rf"{entries[-1].name} is empty"):
        rows(sail, site, SESSIONS)
    entries[-1].unlink()
    run_step(sail, site.request(StepName.SESSIONS, DAYS))


def test_a_log_is_read_anew_where_it_was_changed(sail: SparkSession, site: Site) -> None:
    """Its table is kept open in this process, and a commit moves what is kept on."""
    folder = site.tables / AGGREGATED_ENGAGEMENT.name
    tables = LocalTables(sail, site.tables)
    version, whole = tables.version(AGGREGATED_ENGAGEMENT), tables.read(AGGREGATED_ENGAGEMENT)
    kept = whole.count()
    tables.upsert(AGGREGATED_ENGAGEMENT, whole.limit(0), whole.limit(1), {})
    assert tables.version(AGGREGATED_ENGAGEMENT) == version + 1
    assert tables.read(AGGREGATED_ENGAGEMENT).count() == kept - 1
    entry = folder / "_delta_log" / f"{version + 1:020d}.json"
    written = entry.read_bytes()
    entry.unlink()
    assert tables.version(AGGREGATED_ENGAGEMENT) == version
    assert tables.read(AGGREGATED_ENGAGEMENT).count() == kept
    entry.write_bytes(written)
    assert tables.read(AGGREGATED_ENGAGEMENT).count() == kept - 1
    lines = written.decode().splitlines(keepends=True)
    entry.write_text("".join(line for line in lines if '"remove"' not in line), encoding="utf-8")
    assert tables.read(AGGREGATED_ENGAGEMENT).count() == 2 * kept - 1
    os.truncate(min(entry.parent.glob("*.json")), 9)
    with pytest.raises(TableError, match="cannot be read"):
        tables.version(AGGREGATED_ENGAGEMENT)


def test_a_log_that_cannot_be_read_is_named(sail: SparkSession, site: Site) -> None:
    [*_, last] = sorted((site.tables / SESSIONS.name / "_delta_log").glob("*.json"))
    os.truncate(last, last.stat().st_size // 2)
    with pytest.raises(TableError, match=r"sessions cannot be read: .* Restore its _delta_log"):
        rows(sail, site, SESSIONS)


def test_files_and_log_are_on_the_disk_in_this_order(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    frame = sail.createDataFrame([(day(0), "a", 1)], INGESTION_COUNTS.struct)
    LocalTables(sail, tmp_path).replace_days(INGESTION_COUNTS, frame, [day(0)])
    folder = tmp_path / INGESTION_COUNTS.name
    staged, *others = synced
    assert staged.endswith(".parquet")
    log = folder / "_delta_log"
    entry = log / "00000000000000000001.json"
    assert [Path(path) for path in others] == [folder, folder / f"event_date={day(0)}", entry, log]
