"""The forecast on stored tables: the table, the page, the file of viewers, and the join."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from vidagg_dagster.cli.main import main
from vidagg_dagster.core.errors import StepError
from vidagg_dagster.defs.completion import BETTER, CALIBRATED, completion
from vidagg_dagster.insight.completion.cohorts import completion_cohorts
from vidagg_dagster.insight.completion.landmarks import BY_DAYS, History, history
from vidagg_dagster.insight.completion.names import (
    COHORTS_NAME,
    EVALUATION,
    FOLDER,
    PAGE,
    TABLE_NAME,
)
from vidagg_dagster.insight.completion.run import Found, keep, run
from vidagg_dagster.insight.completion.stored import RESTING
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.views import connect
from vidagg_dagster_tests.support.completions import FIRST, THRESHOLD, at, durations_of, site
from vidagg_dagster_tests.support.repository import REPO

DAYS = 100
LIFETIME = """
SELECT userId, videoId, 1000.0 AS videoDuration,
  min(closedAt) AS firstWatchDate, max(closedAt) AS lastWatchDate,
  max(endMs) / 10000 AS uniqueWatchPercentage
FROM intervals GROUP BY ALL
"""
"""Everybody watches from the beginning, so the largest position is what was seen."""


def store(root: Path, intervals: pa.Table, days: int = DAYS) -> None:
    """The tables that a forecast reads, with the columns that it reads."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("intervals", intervals)
        lifetime = connection.sql(LIFETIME).to_arrow_table()
    write_deltalake(str(root / "watch_intervals"), intervals)
    write_deltalake(str(root / "aggregated_user_video_engagement"), lifetime)
    read = pa.table({"event_date": [FIRST.date() + timedelta(days=n) for n in range(days)]})
    write_deltalake(str(root / "ingestion_counts"), read)


@dataclass(frozen=True)
class Project:
    """A folder with settings, its tables and the forecast of them."""

    folder: Path
    found: Found

    @property
    def tables(self) -> Path:
        return self.folder / "tables"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("completion")
    (folder / ".env").write_text(
        "VIDAGG_DATA_ROOT=tables\nVIDAGG_COMPLETION_FORECAST=table\nVIDAGG_START_DATE=2026-01-05\n"
    )
    rows = site(3, 4, 1_500, DAYS).intervals
    # Some later visits end after the last day that was read.
    rows = rows.filter(pa.array([moment < at(DAYS) for moment in rows["closedAt"].to_pylist()]))
    store(folder / "tables", rows)
    found = run(folder / "tables", "UTC", THRESHOLD, try_learning=False)
    keep(folder / "tables", found)
    return Project(folder, found)


def test_the_table_can_be_asked_and_holds_no_person(project: Project) -> None:
    with connect(project.tables) as connection:
        moments = connection.sql(f"SELECT moment, count(*) FROM {TABLE_NAME} GROUP BY 1 ORDER BY 1")
        assert moments.fetchall() == [("reached", 4 * 15), ("resting", 4 * 15 * 5)]
        wrong = f"FROM {TABLE_NAME} WHERE NOT (lower <= probability AND probability <= upper)"
        assert connection.sql(wrong).fetchall() == []
        assert "userId" not in connection.sql(f"FROM {TABLE_NAME}").columns


def test_the_page_s_join_gives_every_viewer_the_probability_of_the_command(
    project: Project,
) -> None:
    page = (REPO / "docs" / "completion.md").read_text(encoding="utf-8")
    [join] = re.findall(r"```sql\n(.*?)```", page, re.S)
    with connect(project.tables) as connection:
        joined = connection.sql(join).fetchall()
    told = {
        (row["userId"], row["videoId"]): row["probability"] for row in project.found.now.to_pylist()
    }
    assert len(told) > 100
    # Two pairs of one user and video are one pair that began earlier.
    assert {(user, video): round(share, 4) for user, video, share, *_ in joined} == told


def test_the_same_join_on_a_spark_engine_gives_the_same(
    project: Project, spark: SparkSession
) -> None:
    page = (REPO / "docs" / "completion.md").read_text(encoding="utf-8")
    [join] = re.findall(r"```sql\n(.*?)```", page, re.S)
    [(theirs, ours)] = re.findall(r"for Spark write `(.*?)` for\s`(.*?)`", page)
    assert (theirs, ours) == ("(unix_timestamp(a) - unix_timestamp(b))", "epoch(a - b)")
    in_spark = re.sub(r"epoch\((\S+) - (\S+)\)", r"(unix_timestamp(\1) - unix_timestamp(\2))", join)
    for name in ("aggregated_user_video_engagement", TABLE_NAME):
        files = DeltaTable(str(project.tables / name)).file_uris()
        spark.read.parquet(*files).createOrReplaceTempView(name)
    found = {(row[0], row[1]): round(row[2], 4) for row in spark.sql(in_spark).collect()}
    told = project.found.now.to_pylist()
    assert found == {(row["userId"], row["videoId"]): row["probability"] for row in told}


def known_of(project: Project) -> History:
    """The pairs of the stored rows, by the way without slices."""
    with connect(project.tables) as connection:
        rows = connection.sql("FROM watch_intervals").to_arrow_table()
    until = int(at(DAYS).timestamp() * 1_000_000)
    return history(rows, durations_of(4), THRESHOLD, until)


def test_the_rests_of_the_table_are_those_of_the_pairs(project: Project) -> None:
    rows = project.found.rows
    resting = rows.filter(pa.array([moment == RESTING for moment in rows["moment"].to_pylist()]))
    known = known_of(project)
    marks = known.pairs.known[known.landmarks.pair]
    assert sum(resting["observed"].to_pylist()) == int(marks.sum())


TWIN = """
SELECT CAST(date_trunc('week', begun) AS DATE) AS cohortWeek, count(*) AS started,
  count_if(day1 >= 750000), count_if(day7 >= 750000), count_if(day28 >= 750000)
FROM (
  SELECT any_value(begun) AS begun,
    max(endMs) FILTER (closedAt < begun + INTERVAL 1 DAY) AS day1,
    max(endMs) FILTER (closedAt < begun + INTERVAL 7 DAY) AS day7,
    max(endMs) FILTER (closedAt < begun + INTERVAL 28 DAY) AS day28
  FROM (SELECT *, min(closedAt) OVER (PARTITION BY userId, videoId) AS begun FROM watch_intervals)
  GROUP BY userId, videoId
)
GROUP BY ALL ORDER BY 1
"""
"""The cohorts by their definition: everybody watches from the beginning, to 750 s of 1000."""


def test_the_cohorts_are_those_of_their_definition_or_not_known(project: Project) -> None:
    with connect(project.tables) as connection:
        expected = connection.sql(TWIN).fetchall()
        found = connection.sql(f"FROM {COHORTS_NAME} ORDER BY 1").fetchall()
    end = at(DAYS).date()
    assert found == [
        (
            week,
            started,
            *[
                count if week + timedelta(days=7 + days) <= end else None
                for days, count in zip(BY_DAYS, counts, strict=True)
            ],
        )
        for week, started, *counts in expected
    ]
    assert found[0][-1] is not None
    assert found[-1][-1] is None
    assert sum(row[1] for row in found) == len(known_of(project).pairs.user)
    for _, started, *counts in found:
        told = [count for count in counts if count is not None]
        assert told == sorted(told)
        assert all(count <= started for count in told)


def test_weeks_begin_on_mondays_of_the_zone(project: Project) -> None:
    known, until = known_of(project), project.found.evaluation.complete_until
    elsewhere = completion_cohorts(known, until, "Pacific/Auckland")
    weeks = elsewhere["cohortWeek"].to_pylist()
    assert {week.weekday() for week in weeks} == {0}
    assert sum(elsewhere["started"].to_pylist()) == len(known.pairs.user)
    assert elsewhere["started"] != project.found.cohorts["started"]


def test_later_weeks_are_told_with_the_page(project: Project) -> None:
    found = project.found.evaluation
    assert [one.name for one in found.scores] == ["base_rate", "table"]
    assert found.scores[1].brier < found.scores[0].brier
    folder = project.tables / FOLDER
    assert (folder / EVALUATION).is_file()
    text = (folder / PAGE).read_text(encoding="utf-8")
    assert "Not for judging persons" in text
    assert not re.search(r"(src|href)=|@import|url\(|<script", text)
    assert "<circle" in text


def test_the_command_writes_the_viewers(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "viewers.parquet"
    assert main(["completion", "--folder", str(project.folder), "--output", str(output)]) == 0
    assert "in force: table" in capsys.readouterr().out
    assert pq.read_table(output).num_rows == project.found.now.num_rows


def test_the_asset_keeps_the_table_and_checks_it(project: Project) -> None:
    settings = Settings(
        start_date=FIRST.date(), data_root=project.tables, completion_forecast="table"
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = completion(settings).resolve_job_def("completion")
        result = job.execute_in_process(instance=instance)
        checks = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    assert checks == {BETTER: True, CALIBRATED: True}


def test_slices_of_users_give_the_same_cohorts_and_everybody(project: Project) -> None:
    found = run(project.tables, "UTC", THRESHOLD, try_learning=False, intervals_at_once=700)
    assert found.evaluation.share_of_users < 0.5
    assert found.cohorts == project.found.cohorts
    keys = [("userId", "ascending"), ("videoId", "ascending")]
    known = ["userId", "videoId", "coverage", "idleDays"]
    assert found.now.sort_by(keys).select(known) == project.found.now.sort_by(keys).select(known)


def test_switched_off_nothing_is_there() -> None:
    nothing = completion(Settings(start_date=FIRST.date()))
    assert not nothing.assets
    assert not nothing.jobs


def test_few_days_are_a_table_that_is_not_tested(tmp_path: Path) -> None:
    store(tmp_path, site(3, 2, 30, 20).intervals, days=40)
    found = run(tmp_path, "UTC", THRESHOLD, try_learning=False).evaluation
    assert (found.scores, found.in_force) == ((), "table")
    assert "too few later" in found.why


def test_tables_that_are_not_there_are_named(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "watch_intervals"), pa.table({"x": [1]}))
    with pytest.raises(StepError, match="no table ingestion_counts"):
        run(tmp_path, "UTC", THRESHOLD, try_learning=False)
