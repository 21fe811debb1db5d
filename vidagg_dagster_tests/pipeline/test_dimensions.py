"""Dimensions from the source to the lifetime table: by steps, over files and in a notebook."""

import json
import random
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from vidagg_dagster.aggregator import VideoEngagementAggregator
from vidagg_dagster.core.contract import (
    ABSENT_DIMENSIONS,
    SAIL,
    SourceSpec,
    StepName,
    StepRequest,
    StepResult,
)
from vidagg_dagster.core.mentions import Mentions
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    RAW_EVENTS,
    SESSIONS,
    TABLES_WITH_DIMENSIONS,
    USER_VIDEO_ENGAGEMENT,
    TableSpec,
)
from vidagg_dagster.pipeline.batch import Aggregation, aggregate_files
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster.spark.session import engine_session, using
from vidagg_dagster.tables.erasure import erase
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.conftest import require
from vidagg_dagster_tests.support.arrow import rows_of
from vidagg_dagster_tests.support.small_site import RUN_TIME, Site, anna, day, peter, write_site

STEPS_OF_DAYS = (StepName.RAW_EVENTS, StepName.SESSIONS, StepName.USER_VIDEO_ENGAGEMENT)
DIMENSIONS: dict[str, str | None] = {"device": None, "country": "geo.country"}
ON = {0: "tv", 1: "phone", 2: "tv"}
DAYS = [day(number) for number in ON]
REPEATED = 1
"""The day of which an event is there twice."""


def write(folder: Path) -> Site:
    """Peter tells his device late in his session; anna's is nothing on the first day.

    On the second day the first event of each is there twice, and only the device differs: that of
    the one that must stay is the session's.
    """
    site = write_site(folder, days=0)
    for number, device in ON.items():
        at_first, *later = peter(day(number))
        by_anna = anna(day(number))
        again = [{**at_first, "device": device}, {**by_anna[0], "device": "watch"}]
        then = "radio" if number == REPEATED else device
        rows = [
            *(again if number == REPEATED else []),
            {**at_first, "device": " null "},
            *({**row, "device": f" {then} ", "geo": {"country": "DE"}} for row in later),
            *({**row, "device": "" if number == 0 else "desktop"} for row in by_anna),
        ]
        random.Random(number).shuffle(rows)
        site.write_day(day(number), rows)
    return site


def request(site: Site, step: StepName, days: Sequence[date], **changed: Any) -> StepRequest:
    return site.request(step, days).model_copy(update={"dimensions": DIMENSIONS, **changed})


def run_days(spark: SparkSession, site: Site, days: Sequence[date], **changed: Any) -> StepResult:
    for step in STEPS_OF_DAYS:
        run_step(spark, request(site, step, days, **changed))
    return run_step(spark, request(site, StepName.AGGREGATED_ENGAGEMENT, [], **changed))


def told(
    spark: SparkSession, site: Site, table: TableSpec, *names: str, **of: Any
) -> list[tuple[Any, ...]]:
    tables = open_tables(
        spark, site.request(StepName.SESSIONS, []).store, None, ("device", "country")
    )
    rows = [row for row in rows_of(tables.read(table)) if all(row[n] == v for n, v in of.items())]
    return sorted((tuple(row[name] for name in names) for row in rows), key=repr)


def columns(site: Site) -> dict[str, list[str]]:
    return {
        folder.name: [field.name for field in DeltaTable(str(folder)).schema().fields]
        for folder in site.tables.iterdir()
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The days, run in another order than theirs. Tests only read."""
    require(SAIL)
    site = write(tmp_path_factory.mktemp("dimensions"))
    with using(SAIL):
        run_days(engine_session(SAIL), site, [DAYS[2]])
        run_days(engine_session(SAIL), site, DAYS[:2])
    return site


PETER: tuple[list[str], list[str]] = (["phone", "tv"], ["DE"])
ANNA: tuple[list[str], list[str]] = (["desktop"], [])


def test_days_run_one_by_one_in_any_order_give_sessions_a_value_and_a_lifetime_the_set(
    sail: SparkSession, ran: Site
) -> None:
    site = ran
    assert told(sail, site, SESSIONS, "event_date", "device", "country", userId="peter") == [
        (day(number), device, "DE") for number, device in ON.items()
    ]
    assert [row[0] for row in told(sail, site, SESSIONS, "device", userId="anna")] == [
        "desktop",
        "desktop",
        None,
    ]
    daily = told(
        sail, site, USER_VIDEO_ENGAGEMENT, "event_date", "device", "country", userId="peter"
    )
    assert daily == [(day(number), [device], ["DE"]) for number, device in ON.items()]
    assert told(sail, site, AGGREGATED_ENGAGEMENT, "userId", "videoId", "device", "country") == [
        ("anna", "video_001", *ANNA),
        ("anna", "video_002", *ANNA),
        ("peter", "video_001", *PETER),
    ]
    assert verify(site.tables) == []


def of_files(spark: SparkSession, site: Site, **options: Any) -> Aggregation:
    return aggregate_files(
        spark,
        SourceSpec(location=str(site.events)),
        video_metadata=str(site.videos),
        run_time=RUN_TIME,
        **{"dimensions": DIMENSIONS, **options},
    )


def sets(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((row["userId"], row["videoId"], row["device"], row["country"]) for row in rows)


def test_files_in_one_go_some_days_and_a_notebook_give_the_same_sets(
    sail: SparkSession, ran: Site
) -> None:
    site = ran
    whole = of_files(sail, site)
    expected = [
        ("anna", "video_001", *ANNA),
        ("anna", "video_002", *ANNA),
        ("peter", "video_001", *PETER),
    ]
    assert sets(whole.rows.to_pylist()) == expected
    assert "dimension" not in whole.summary()
    of_days = of_files(sail, site, first_day=day(0), last_day=day(2))
    assert sets(of_days.rows.to_pylist()) == expected
    notebook = VideoEngagementAggregator(sail, site.events, dimensions=DIMENSIONS)
    assert sets(rows_of(notebook.run_aggregation())) == expected
    of_one_day = of_files(sail, site, first_day=day(1), last_day=day(1))
    assert sets(of_one_day.rows.to_pylist())[-1] == ("peter", "video_001", ["phone"], ["DE"])


def test_where_only_a_dimension_differs_days_and_files_keep_the_same_of_two_events(
    sail: SparkSession, ran: Site
) -> None:
    """Known before unknown, then the smaller text, wherever in the file."""
    daily = told(sail, ran, USER_VIDEO_ENGAGEMENT, "userId", "device", event_date=DAYS[REPEATED])
    expected = [("anna", ["desktop"]), ("anna", ["desktop"]), ("peter", ["phone"])]
    assert daily == expected
    of_one_day = of_files(sail, ran, first_day=DAYS[REPEATED], last_day=DAYS[REPEATED])
    assert of_one_day.counts["duplicates"] == 2
    assert [(user, devices) for user, _, devices, _ in sets(of_one_day.rows.to_pylist())] == daily


def test_tables_are_as_ever_until_a_dimension_comes_which_days_of_before_do_not_know(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = write(tmp_path)
    run_days(sail, site, DAYS, dimensions={})
    for table in TABLES_WITH_DIMENSIONS:
        assert columns(site)[table.name] == table.column_names
        for file in (site.tables / table.name).glob("**/rows-*.parquet"):
            assert set(pq.read_schema(file).names) == set(table.column_names)
    for step in STEPS_OF_DAYS:
        run_step(sail, request(site, step, DAYS[2:], dimensions={"device": None}))
    last = run_days(sail, site, DAYS[:1])
    assert last.metrics["days_taken_in"] == "all"
    assert told(sail, site, SESSIONS, "device", "country", userId="peter") == [
        ("tv", "DE"),
        ("tv", None),
        (None, None),
    ]
    assert told(sail, site, AGGREGATED_ENGAGEMENT, "device", "country", userId="peter") == [
        (["tv"], ["DE"])
    ]
    with connect(site.tables) as connection:
        asked = "SELECT device, count(*) FROM sessions GROUP BY device ORDER BY device"
        assert connection.execute(asked).fetchall() == [
            ("desktop", 1),
            ("tv", 2),
            (None, 3),
        ]
    DeltaTable(str(site.tables / SESSIONS.name)).optimize.compact()
    assert len(told(sail, site, SESSIONS, "device", "country", userId="peter")) == 3
    assert verify(site.tables) == []


def test_a_dimension_that_the_source_does_not_have_is_told_with_the_nearest_column(
    sail: SparkSession, tmp_path: Path, ran: Site
) -> None:
    site = Site(tmp_path)
    shutil.copytree(ran.events, site.events)
    shutil.copy(ran.videos, site.videos)
    wrong = {"devise": None, "land": "geo.contry", "device": None}
    result = run_step(sail, request(site, StepName.RAW_EVENTS, DAYS[:1], dimensions=wrong))
    why = result.metrics[ABSENT_DIMENSIONS]
    assert why == (
        "devise: there is no column devise; nearest: device; "
        "land: there is no column geo.contry; nearest: geo.country"
    )
    assert str(why) in of_files(sail, site, dimensions=wrong).summary()
    notebook = VideoEngagementAggregator(sail, site.events, dimensions=["devise"])
    with pytest.warns(UserWarning, match="devise: there is no column devise; nearest: device"):
        notebook.run_aggregation()
    right = run_step(sail, request(site, StepName.RAW_EVENTS, DAYS[:1], dimensions={}))
    assert ABSENT_DIMENSIONS not in right.metrics


def test_who_is_forgotten_is_gone_with_the_dimensions(
    sail: SparkSession, tmp_path: Path, ran: Site
) -> None:
    site = Site(tmp_path / "site")
    shutil.copytree(ran.folder, site.folder)
    assert sum(table.rows for table in erase(site.tables, Mentions("peter"), dry_run=False))
    for table in TABLES_WITH_DIMENSIONS:
        assert {row[0] for row in told(sail, site, table, "userId")} == {"anna"}
    assert told(sail, site, RAW_EVENTS, "device", country="DE") == []
    found = told(sail, site, AGGREGATED_ENGAGEMENT, "videoId", "device", "country")
    assert found == [("video_001", *ANNA), ("video_002", *ANNA)]


def test_rows_are_saved_from_a_notebook_and_merged(sail: SparkSession, tmp_path: Path) -> None:
    site = write(tmp_path)
    output = f"pairs_{tmp_path.name.replace('-', '_')}"
    notebook = VideoEngagementAggregator(
        sail, site.events, output, dimensions=["device"], table_format="parquet"
    )
    notebook.save_results(notebook.run_aggregation(DAYS[0], DAYS[1]))
    notebook.save_results(notebook.run_aggregation(DAYS[1], DAYS[2]), mode="merge")
    rows = {row["userId"]: row["device"] for row in rows_of(sail.table(output))}
    assert rows == {"anna": ["desktop"], "peter": ["phone", "tv"]}
    for name in (output, f"{output}_daily"):
        sail.sql(f"DROP TABLE {name}")


def test_the_request_of_a_step_carries_dimensions_as_json() -> None:
    site = Site(Path("/nowhere"))
    asked = request(site, StepName.SESSIONS, DAYS)
    again = StepRequest.model_validate_json(asked.model_dump_json())
    assert again == asked
    assert list(again.dimensions) == ["device", "country"]
    assert json.loads(asked.model_dump_json())["dimensions"] == DIMENSIONS
