"""A site whose tables are all computed, ways to spoil what is stored, and what heals it."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path

from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.insight_schemas import VIDEO_CURVE, VIEWER_COHORTS
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    LIVE_TABLES,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    SOURCE_INVENTORY,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.pipeline.verify import Materialized
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.delta_log import day_counts, live_files
from vidagg_dagster_tests.support.small_site import Site, day, peter, write_site

DAYS = [day(0), day(1)]

Spoil = Callable[[SparkSession, Site], object]


def computed_site(sail: SparkSession, folder: Path) -> Site:
    """All steps over two days; a row of one day is rejected."""
    site = write_site(folder, 2)
    site.write_day(day(1), [*peter(day(1)), "no row"])
    for step in StepName:
        run_step(sail, site.request(step, DAYS))
    return site


def told(site: Site) -> Materialized:
    """What Dagster's history would have of the site as it is."""
    tables = [table for name, table in TABLES.items() if name not in LIVE_TABLES]
    daily = [table for table in tables if table.partitioned]
    return {table.name: {**day_counts(site.tables, table, DAYS)} for table in daily}


def file_of(site: Site, table: TableSpec) -> Path:
    """A data file of the table."""
    folder = site.tables / table.name
    return live_files(DeltaTable(str(folder)), folder)[0].path


def last_entry(site: Site, table: TableSpec) -> Path:
    """The last entry of the table's log."""
    return max((site.tables / table.name / "_delta_log").glob("*.json"))


def heal(sail: SparkSession, site: Site, command: str) -> None:
    """Do what the command of a finding does; what Dagster would run runs here."""
    for part in command.split(" && "):
        if part.startswith(("mv ", "rm ")):
            subprocess.run(part, shell=True, check=True)
        elif "dagster asset materialize" in part:
            named = [date.fromisoformat(text) for text in re.findall(r"\d{4}-\d\d-\d\d", part)]
            every = "--select '*'" in part
            steps = list(StepName) if every else [StepName(part.split("--select ")[1].split()[0])]
            span = (named[-1] - named[0]).days + 1 if named else 0
            for step in steps:
                days = [named[0] + timedelta(days=n) for n in range(span)]
                run_step(sail, site.request(step, days))
        else:
            assert part.startswith("vidagg verify"), part


def _emptied(table: TableSpec) -> Spoil:
    """The rows of a day taken away, as by another program."""

    def spoil(sail: SparkSession, site: Site) -> None:
        tables = LocalTables(sail, site.tables)
        rows = tables.read(table, [day(1)]).where(F.lit(False))
        tables.replace_days(table, rows, [day(1)])

    return spoil


def _restored(sail: SparkSession, site: Site) -> None:
    """The daily table as before the last run of a day, and then run once more."""
    place, backup = site.tables / USER_VIDEO_ENGAGEMENT.name, site.folder / "backup"
    shutil.copytree(place, backup)
    run_step(sail, site.request(StepName.USER_VIDEO_ENGAGEMENT, [day(0)]))
    run_step(sail, site.request(StepName.AGGREGATED_ENGAGEMENT, []))
    shutil.rmtree(place)
    shutil.copytree(backup, place)
    run_step(sail, site.request(StepName.USER_VIDEO_ENGAGEMENT, [day(1)]))


def _source_changed(sail: SparkSession, site: Site) -> None:
    site.write_day(day(0), peter(day(0)))
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(1)]))


def _other_sums(sail: SparkSession, site: Site) -> None:
    tables = LocalTables(sail, site.tables)
    rows = tables.read(AGGREGATED_ENGAGEMENT).withColumn("totalWatchTime", F.lit(1.0))
    note = tables.note(AGGREGATED_ENGAGEMENT)
    tables.upsert(AGGREGATED_ENGAGEMENT, rows, None, note)


SPOILS: Mapping[str, tuple[TableSpec, Spoil]] = {
    "events missing": (RAW_EVENTS, lambda _, site: file_of(site, RAW_EVENTS).unlink()),
    "sessions cut": (
        SESSIONS,
        lambda _, site: os.truncate(file_of(site, SESSIONS), 100),
    ),
    "lifetime empty": (
        AGGREGATED_ENGAGEMENT,
        lambda _, site: file_of(site, AGGREGATED_ENGAGEMENT).write_bytes(b""),
    ),
    "inventory missing": (
        SOURCE_INVENTORY,
        lambda _, site: file_of(site, SOURCE_INVENTORY).unlink(),
    ),
    "log gone": (
        RAW_EVENTS,
        lambda _, site: shutil.rmtree(site.tables / RAW_EVENTS.name / "_delta_log"),
    ),
    "entry empty": (SESSIONS, lambda _, site: last_entry(site, SESSIONS).write_bytes(b"")),
    "entry gone": (QUALITY_REPORT, lambda _, site: last_entry(site, QUALITY_REPORT).unlink()),
    "log broken": (
        SESSIONS,
        lambda _, site: os.truncate(min(last_entry(site, SESSIONS).parent.glob("*.json")), 9),
    ),
    "events emptied": (RAW_EVENTS, _emptied(RAW_EVENTS)),
    "rejected emptied": (REJECTED_EVENTS, _emptied(REJECTED_EVENTS)),
    "intervals emptied": (TABLES["watch_intervals"], _emptied(TABLES["watch_intervals"])),
    "curve cut": (VIDEO_CURVE, lambda _, site: os.truncate(file_of(site, VIDEO_CURVE), 100)),
    "cohorts missing": (VIEWER_COHORTS, lambda _, site: file_of(site, VIEWER_COHORTS).unlink()),
    "inventory gone": (
        SOURCE_INVENTORY,
        lambda _, site: shutil.rmtree(site.tables / SOURCE_INVENTORY.name),
    ),
    "lifetime gone": (
        AGGREGATED_ENGAGEMENT,
        lambda _, site: shutil.rmtree(site.tables / AGGREGATED_ENGAGEMENT.name),
    ),
    "daily restored": (AGGREGATED_ENGAGEMENT, _restored),
    "source changed": (SOURCE_INVENTORY, _source_changed),
    "events run alone": (
        SESSIONS,
        lambda sail, site: run_step(sail, site.request(StepName.RAW_EVENTS, [day(1)])),
    ),
    "sums differ": (AGGREGATED_ENGAGEMENT, _other_sums),
}
"""Name -> the table that is told, and how to spoil it."""
