"""Tables that pages ask: computed once for all of them."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SAIL, StepName
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.views import table_names
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.small_site import (
    Row,
    Site,
    anna,
    day,
    event,
    peter,
    write_site,
)


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    require(SAIL)
    site = write_site(tmp_path_factory.mktemp("site"), days=0)
    for when in (day(0), day(1)):
        site.write_day(when, [*_on("tv", peter(when)), *_on("phone", anna(when))])
    more: list[Row | str] = [event(day(2), "09:00:00", "anna", "video_play", 0), "{broken"]
    more += [event(day(2), f"09:0{n}:00", "anna", "video_pause", 60 * n) for n in (1, 2)]
    site.write_day(day(2), more)
    audience, chapters = site.folder / "audience.csv", site.folder / "chapters.csv"
    audience.write_text("userId,videoId,dueDate\npeter,video_002,2026-01-06\nanna,video_001,\n")
    chapters.write_text("videoId,start,title\nvideo_001,0,Hello\nvideo_001,115,More\n")
    users = site.folder / "users.csv"
    users.write_text("userId,plan\nanna,free\n")
    site.videos.write_text(
        '{"videoId": "video_001", "duration": 300, "title": "Welcome", "released": "2026-01-05"}\n'
        '{"videoId": "video_002", "duration": 60, "title": "Trailer", "released": "2026-01-06"}\n'
    )
    told: dict[str, Any] = {
        "audience": str(audience),
        "chapters": str(chapters),
        "users": str(users),
        "cohort_by": ("plan",),
        "video_columns": {"publishedAt": "released"},
        "dimensions": {"device": None},
    }
    with using(SAIL):
        for step in StepName:
            request = site.request(step, [day(n) for n in range(3)])
            run_step(engine_session(SAIL), request.model_copy(update=told))
    return site


def _on(device: str, rows: list[Row]) -> list[Row]:
    return [{**row, "device": device} for row in rows]


@pytest.fixture(scope="module")
def tables_in_spark(site: Site) -> Iterator[SparkSession]:
    with using(SAIL):
        spark = engine_session(SAIL)
        for name in table_names(site.tables):
            table = DeltaTable(str(site.tables / name))
            rows = ds.dataset(
                table.file_uris(),
                pa.schema(table.schema()),
                format="parquet",
                partitioning="hive",
            ).to_table()
            spark.createDataFrame(rows).createOrReplaceTempView(name)
        yield spark
        for name in table_names(site.tables):
            spark.catalog.dropTempView(name)
