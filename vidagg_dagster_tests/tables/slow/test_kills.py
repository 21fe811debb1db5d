"""A step is killed at every point of writing a table: it holds its old or its new rows."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.core.insight_schemas import (
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    VIDEO_CURVE,
    VIDEO_ENGAGEMENT,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    SOURCE_INVENTORY,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session
from vidagg_dagster.tables.delta_log import live_files
from vidagg_dagster.tables.maintenance import maintain
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.killed_step import POINTS
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Site, anna, day, event, peter, write_site
from vidagg_dagster_tests.support.stored_rows import rows

DAYS = [day(0), day(1)]


RUN_OF = {
    INGESTION_COUNTS: StepName.RAW_EVENTS,
    REJECTED_EVENTS: StepName.RAW_EVENTS,
    RAW_EVENTS: StepName.RAW_EVENTS,
    SOURCE_INVENTORY: StepName.RAW_EVENTS,
    SESSIONS: StepName.SESSIONS,
    WATCH_INTERVALS: StepName.WATCH_INTERVALS,
    USER_VIDEO_ENGAGEMENT: StepName.USER_VIDEO_ENGAGEMENT,
    AGGREGATED_ENGAGEMENT: StepName.AGGREGATED_ENGAGEMENT,
    QUALITY_REPORT: StepName.QUALITY_REPORT,
    VIDEO_CURVE: StepName.VIDEO_CURVE,
    VIDEO_ENGAGEMENT: StepName.VIDEO_CURVE,
    LIFETIME_VIDEO_CURVE: StepName.LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT: StepName.LIFETIME_VIDEO_CURVE,
    VIEWER_COHORTS: StepName.LIFETIME_VIDEO_CURVE,
}
TABLES = {table.name: table for table in RUN_OF}
"""All that are written where nobody tells of an audience or of chapters."""


@dataclass(frozen=True)
class Stages:
    """A site before and after its events changed, with its tables after each step."""

    folder: Path
    old: Mapping[str, list[str]]
    new: Mapping[str, list[str]]

    def before(self, step: StepName, target: Path) -> Site:
        """The site as it is when `step` starts on the changed events."""
        shutil.copytree(self.folder / step.value, target)
        return Site(target)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    require(SAIL)
    sail = engine_session(SAIL)
    folder = tmp_path_factory.mktemp("stages")
    site = write_site(folder / "site", 2)
    for step in StepName:
        run_step(sail, site.request(step, DAYS))
    old = {name: rows(sail, site, table) for name, table in TABLES.items()}
    zoe: list[dict[str, Any] | str] = [
        event(day(1), "09:00:00", "zoe", "video_play", 0),
        event(day(1), "09:01:00", "zoe", "video_pause", 60),
        "no row at all",
    ]
    site.write_day(day(0), peter(day(0)))
    site.write_day(day(1), [*peter(day(1)), *anna(day(1)), *zoe])
    for step in StepName:
        shutil.copytree(site.folder, folder / step.value)
        run_step(sail, site.request(step, DAYS))
    new = {name: rows(sail, site, table) for name, table in TABLES.items()}
    assert all(old[name] != new[name] for name in TABLES)
    return Stages(folder, old, new)


def killed(site: Site, step: StepName, point: str, table: TableSpec) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster_tests.support.killed_step", point, table.name],
        input=site.request(step, DAYS).model_dump_json(),
        cwd=REPO,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0, f"{point} of {table.name} was never reached"
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.returncode


def check_kill(
    sail: SparkSession, stages: Stages, folder: Path, point: str, table: TableSpec
) -> None:
    step = RUN_OF[table]
    site = stages.before(step, folder)
    killed(site, step, point, table)
    expected = stages.new if point == "after_commit" else stages.old
    assert rows(sail, site, table) == expected[table.name]
    run_step(sail, site.request(step, DAYS))
    for name, other in TABLES.items():
        if RUN_OF[other] is step:
            assert rows(sail, site, other) == stages.new[name], name
    # Nothing is left that no version needs, once it is old enough.
    assert len(list(maintain(site.tables, retention_hours=0))) == len(TABLES)
    for name in TABLES:
        left = set((site.tables / name).glob("**/[!_]*.parquet"))
        delta = DeltaTable(str(site.tables / name))
        needed = {file.path for file in live_files(delta, site.tables / name)}
        assert {path for path in left if "_delta_log" not in path.parts} == needed
        assert not list((site.tables / name).glob("staging-*"))
        assert rows(sail, site, TABLES[name]) in (stages.old[name], stages.new[name])


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("table", RUN_OF, ids=lambda table: table.name)
def test_every_table_survives_a_kill_at_every_point_of_its_writing(
    sail: SparkSession, stages: Stages, tmp_path: Path, table: TableSpec, point: str
) -> None:
    check_kill(sail, stages, tmp_path / "site", point, table)
