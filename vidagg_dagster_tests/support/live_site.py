"""A site whose events arrive in pieces, and its live tables."""

import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec, StepName, TableStore
from vidagg_dagster.core.schemas import LIVE_EVENTS, LIVE_USER_VIDEO, LIVE_VIDEOS, TableSpec
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.nights import whole_day
from vidagg_dagster_tests.support.small_site import FIRST_DAY, Site, anna, day, event

DAYS = 3
NOW = datetime(2026, 1, 7, 23, 59, 59, tzinfo=UTC)
"""On the last of the days."""

LINES_OF_NO_EVENT = ['{"cut', json.dumps({"userId": "nobody", "eventName": "video_play"})]


def all_lines() -> list[str]:
    """Viewers of three days, who watch across midnight; rows sent twice, rows of no event."""
    rows = [row for number in range(DAYS) for row in (*whole_day(day(number)), *anna(day(number)))]
    twice = rows[3]
    strange = event(day(2), "12:00:00", "peter", "video_teleport", 3)
    return [json.dumps(row) for row in (*rows, twice, strange)] + LINES_OF_NO_EVENT


def live_site(folder: Path) -> Site:
    """The site without events."""
    site = Site(folder)
    site.events.mkdir(parents=True)
    site.videos.write_text(
        '{"videoId": "video_001", "duration": 300, "title": "Welcome"}\n'
        '{"videoId": "video_002", "duration": 60, "title": "Trailer"}\n'
    )
    return site


def request_of(site: Site, **more: Any) -> LiveRequest:
    given: dict[str, Any] = {"days": DAYS, **more}
    return LiveRequest(
        source=SourceSpec(location=str(site.events)),
        store=TableStore(kind="local", location=str(site.tables)),
        timezone="UTC",
        start_date=FIRST_DAY,
        video_metadata=str(site.videos),
        **given,
    )


def deliver(site: Site, name: str, lines: Sequence[str]) -> str:
    """A whole file appears in the folder; gives its name there."""
    draft = site.folder / f"{name}.draft"
    draft.write_text("".join(f"{line}\n" for line in lines))
    draft.replace(site.events / name)
    return name


def cut(lines: Sequence[str], dice: random.Random) -> Iterator[list[str]]:
    """The lines shuffled and cut anywhere, some of them in two pieces."""
    shuffled = [*lines, *dice.sample(lines, len(lines) // 4)]
    dice.shuffle(shuffled)
    while shuffled:
        size = dice.randint(1, len(lines) // 2)
        yield shuffled[:size]
        shuffled = shuffled[size:]


def live_rows(spark: SparkSession, site: Site) -> dict[str, list[str]]:
    """What follows from all events, row by row; and the events, each once."""
    found = {table.name: _texts(spark, site, table) for table in (LIVE_USER_VIDEO, LIVE_VIDEOS)}
    events = [row | {"sourceFile": None} for row in table_rows(spark, site, LIVE_EVENTS)]
    return {**found, LIVE_EVENTS.name: sorted({repr(row) for row in events})}


def table_rows(spark: SparkSession, site: Site, table: TableSpec) -> list[dict[str, Any]]:
    return rows_of(open_tables(spark, request_of(site).store).read(table))


def run_nights(spark: SparkSession, site: Site) -> None:
    """The daily run of all days."""
    for step in (StepName.RAW_EVENTS, StepName.SESSIONS, StepName.USER_VIDEO_ENGAGEMENT):
        run_step(spark, site.request(step, [day(number) for number in range(DAYS)]))
    run_step(spark, site.request(StepName.QUALITY_REPORT, [day(number) for number in range(DAYS)]))


def _texts(spark: SparkSession, site: Site, table: TableSpec) -> list[str]:
    return sorted(map(repr, table_rows(spark, site, table)))
