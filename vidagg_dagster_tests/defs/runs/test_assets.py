"""The assets, run by a real Dagster instance on a real engine, over real tables."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import CronFreshnessPolicy
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import (
    ABSENT_DIMENSIONS,
    INSIGHT_STEPS,
    DayResult,
    StepName,
    StepResult,
)
from vidagg_dagster.core.insight_schemas import INSIGHT_TABLES
from vidagg_dagster.core.lineage import PLAYER_EVENTS, VIDEO_METADATA
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    TABLES,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.defs.assets import BESIDE, GROUP, INSIGHTS_GROUP, build_assets
from vidagg_dagster.defs.jobs import daily_engagement
from vidagg_dagster.defs.targets import step_resources
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster.runners.progress import day_line, summary_line
from vidagg_dagster.settings import load_settings
from vidagg_dagster.settings.variables import PREFIX
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.dagster_project import (
    Project,
    days_by_status,
    materializations,
)
from vidagg_dagster_tests.support.nights import evening, morning, whole_day
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import (
    FIRST_DAY,
    Site,
    anna,
    day,
    event,
    peter,
    write_site,
)

DAILY = [
    table.name for table in TABLES.values() if table.partitioned and table.name in set(StepName)
]


def messages(result: dg.ExecuteInProcessResult, asset: str) -> str:
    failure = result.failure_data_for_node(asset)
    assert failure is not None
    return str(failure.error)


def test_one_day_gives_peter_the_documented_row(project: Project) -> None:
    project.changed["insights"] = False
    assert project.run(day(0)).success
    for table in (USER_VIDEO_ENGAGEMENT, AGGREGATED_ENGAGEMENT):
        row = next(row for row in project.rows(table) if row["userId"] == "peter")
        assert (row["totalWatchTime"], row["totalUniqueSecondsWatched"]) == (130.0, 120.0)
        assert (row["watchPercentage"], row["completionPercentage"]) == (43.33, 40.0)
        assert (row["uniqueWatchPercentage"], row["sessionCount"]) == (40.0, 1)
        assert (row["totalForwardSkips"], row["totalBackwardSkips"]) == (0, 1)
        assert (row["completionCount"], row["engagementScore"]) == (0, 31.33)
        assert (row["engagementTier"], row["dataQualityFlag"]) == ("Low", "ok")
        assert row["videoTitle"] == "Welcome"


def test_a_range_in_one_run_equals_single_days_in_any_order(
    project: Project, tmp_path: Path
) -> None:
    for number in range(3):
        project.site.write_day(day(number), whole_day(day(number)))
    assert project.run(day(0), day(2)).success
    together = {table: project.rows(TABLES[table]) for table in StepName}
    project.changed["data_root"] = tmp_path / "other"
    for number in (2, 0, 1):
        assert project.run(day(number)).success
    assert {table: project.rows(TABLES[table]) for table in StepName} == together


def test_a_range_run_counts_each_day_on_its_own(project: Project) -> None:
    project.site.write_day(day(1), peter(day(1)))
    result = project.run(day(0), day(2), assets=["raw_events", "sessions"])
    assert result.success
    events = materializations(result, "raw_events")
    assert {key: value["dagster/partition_row_count"] for key, value in events.items()} == {
        day(0).isoformat(): 13,
        day(1).isoformat(): 6,
        day(2).isoformat(): 13,
    }
    shown = events[day(1).isoformat()]
    assert shown["days"] == f"{day(0)} to {day(2)} (3)"
    assert shown["top_videos"] == [{"videoId": "video_001", "events": 6}]
    sessions = materializations(result, "sessions")
    assert sessions[day(0).isoformat()]["top_videos"] == [
        {"videoId": "video_001", "sessions": 2},
        {"videoId": "video_002", "sessions": 1},
    ]
    assert sessions[day(1).isoformat()]["top_videos"] == [{"videoId": "video_001", "sessions": 1}]


def test_a_range_run_twice_leaves_a_result_of_every_check_on_every_day(project: Project) -> None:
    """Dagster would leave the days "planned", and refuses a second result outside of any run."""
    days = {day(0).isoformat(), day(1).isoformat()}
    for assets in ([*DAILY, AGGREGATED_ENGAGEMENT.name], ["raw_events", "sessions"]):
        assert project.run(day(0), day(1), assets=assets).success
        for asset in {*assets} & {*DAILY}:
            for rule in RULES[asset]:
                assert days_by_status(project, asset, rule.name) == {"SUCCEEDED": days}
    for number, range_of in ((1, (day(0), day(1))), (0, (day(0), day(0)))):
        project.site.write_day(day(number), [])
        # The latter is what the UI makes of a backfill of one day.
        assert project.run(*range_of, assets=["raw_events"]).success
        found = days_by_status(project, "raw_events", "day_not_empty")
        assert day(number).isoformat() in found["FAILED"]
    assert found == {"FAILED": days}


def test_a_day_that_a_run_settled_besides_is_shown_with_its_checks(project: Project) -> None:
    project.site.write_day(day(0), evening(day(0)))
    project.site.write_day(day(1), morning(day(1)))
    assert project.run(day(1)).success
    first, second = day(0).isoformat(), day(1).isoformat()
    result = project.run(day(0))
    assert result.success
    settled = [name for name in DAILY if name != RAW_EVENTS.name]
    for asset in (*settled, AGGREGATED_ENGAGEMENT.name):
        assert set(materializations(result, asset)) == {first, second}, asset
    assert set(materializations(result, RAW_EVENTS.name)) == {first}
    shown = materializations(result, USER_VIDEO_ENGAGEMENT.name)[second]
    assert shown["dagster/partition_row_count"] == len(shown["top_videos"]) + 2
    for asset in settled:
        of_run = {
            (check.check_name, check.partition)
            for check in result.get_asset_check_evaluations()
            if check.asset_key == dg.AssetKey(asset)
        }
        assert of_run == {(rule.name, when) for rule in RULES[asset] for when in (first, second)}
        for rule in RULES[asset]:
            assert days_by_status(project, asset, rule.name) == {"SUCCEEDED": {first, second}}


def test_a_settled_day_that_fails_a_blocking_check_stops_what_is_downstream(
    project: Project,
) -> None:
    project.site.write_day(day(0), evening(day(0)))
    project.site.write_day(day(1), morning(day(1)))
    assert project.run(day(1)).success
    assert project.run(day(0), assets=["raw_events", "sessions"]).success
    # The evening before has nothing beyond 15 s: only the interval of the next day is too long.
    project.site.videos.write_text('{"videoId": "video_001", "duration": 30, "title": "Cut"}\n')
    result = project.run(day(0), assets=["watch_intervals", "user_video_engagement"])
    assert not result.success
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.partition) for check in failed] == [
        ("within_video", day(1).isoformat())
    ]
    assert not materializations(result, "user_video_engagement")


def test_every_asset_shows_its_rows_days_and_top_videos(project: Project) -> None:
    result = project.run(day(0))
    for asset in DAILY:
        (shown,) = materializations(result, asset).values()
        assert not {"days", "seconds", "write_seconds"} & set(shown), "the log has them"
        assert shown["dagster/partition_row_count"] > 0
        assert shown["top_videos"]
    (lifetime,) = materializations(result, AGGREGATED_ENGAGEMENT.name).values()
    assert lifetime["dagster/row_count"] == 3
    assert "changed" not in lifetime
    assert lifetime["top_videos"]
    (daily,) = materializations(result, USER_VIDEO_ENGAGEMENT.name).values()
    for shown in (lifetime, daily):
        assert (shown["viewers"], shown["plays"], shown["completions"]) == (2, 3, 1)
        assert shown["watch_time"].startswith("![Watch time](data:image/svg+xml;base64,")
    (events,) = materializations(result, RAW_EVENTS.name).values()
    assert (events["rejected_percent"], events["duplicate_percent"]) == (0.0, 0.0)


def test_the_quality_report_shows_its_measures(project: Project) -> None:
    project.changed["insights"] = False
    result = project.run(day(0), day(1))
    shown = materializations(result, QUALITY_REPORT.name)
    assert set(shown) == {day(0).isoformat(), day(1).isoformat()}
    for metadata in shown.values():
        records = {record["measure"]: record["value"] for record in metadata["measures"]}
        assert (records["input"], records["watch_seconds"]) == (13.0, 210.0)


def test_rejected_rows_keep_payload_file_and_reasons(project: Project) -> None:
    bad = event(day(0), "10:00:00", "", "video_dance", 5)
    project.site.write_day(day(0), [*peter(day(0)), bad, "{not json"])
    project.changed["insights"] = False
    result = project.run(day(0))
    assert result.success  # a rejected share of 25 % warns, it does not stop
    rows = project.rows(REJECTED_EVENTS)
    assert sorted((tuple(row["reasons"]), row["sourceFile"]) for row in rows) == [
        (("malformed_row",), f"{day(0)}.jsonl"),
        (("missing_user", "unknown_event"), f"{day(0)}.jsonl"),
    ]
    assert "{not json" in [row["payload"] for row in rows]
    counts = {row["measure"]: row["value"] for row in project.rows(INGESTION_COUNTS)}
    assert (counts["input"], counts["accepted"], counts["rejected"]) == (8, 6, 2)
    failed = {
        check.check_name for check in result.get_asset_check_evaluations() if not check.passed
    }
    assert failed == {"rejected_share"}


def test_a_day_that_became_empty_leaves_the_lifetime_table(project: Project) -> None:
    project.changed["insights"] = False
    assert project.run(day(0), day(2)).success
    project.site.write_day(day(1), [])
    project.site.write_day(day(2), anna(day(2)))
    assert project.run(day(1)).success
    assert project.run(day(2)).success
    days = {row["userId"]: row["activeDays"] for row in project.rows(AGGREGATED_ENGAGEMENT)}
    assert days == {"peter": [day(0)], "anna": [day(0), day(2)]}
    (zeros,) = {row["value"] for row in project.rows(QUALITY_REPORT) if row[EVENT_DATE] == day(1)}
    assert zeros == 0.0


def test_midnight_is_that_of_the_configured_zone(project: Project) -> None:
    project.changed["timezone"] = "Asia/Tokyo"
    late = event(day(0), "15:30:00", "kenji", "video_play", 0)
    project.site.write_day(day(0), [*peter(day(0)), late])
    assert project.run(day(0), day(1), assets=["raw_events"]).success
    users = {(row[EVENT_DATE], row["userId"]) for row in project.rows(RAW_EVENTS)}
    assert (day(1), "kenji") in users
    assert (day(0), "kenji") not in users


def test_a_session_across_midnight_is_continued_by_the_next_day(project: Project) -> None:
    night = [
        event(day(0), "23:59:50", "nora", "video_play", 0, sessionId="n"),
        event(day(1), "00:00:20", "nora", "video_pause", 30, sessionId="n"),
    ]
    project.site.write_day(day(0), night[:1])
    project.site.write_day(day(1), night[1:])
    project.changed["insights"] = False
    assert project.run(day(0)).success
    assert project.run(day(1)).success
    rows = [row for row in project.rows(USER_VIDEO_ENGAGEMENT) if row["userId"] == "nora"]
    assert [(row["totalWatchTime"], row["sessionCount"]) for row in rows] == [(0.0, 1), (30.0, 0)]
    (lifetime,) = project.rows(AGGREGATED_ENGAGEMENT)
    assert (lifetime["totalWatchTime"], lifetime["sessionCount"]) == (30.0, 1)


def test_without_a_source_nothing_runs_and_the_setting_is_named(project: Project) -> None:
    project.changed["source"] = None
    result = project.run(day(0))
    assert not result.success
    assert "VIDAGG_SOURCE" in messages(result, "raw_events")
    assert not project.site.tables.exists()


def test_a_missing_column_stops_the_run_before_anything_is_written(project: Project) -> None:
    for number in range(3):
        rows = [{k: v for k, v in row.items() if k != "userId"} for row in peter(day(number))]
        project.site.write_day(day(number), [{**row, "viewer": "x"} for row in rows])
    result = project.run(day(0))
    assert not result.success
    message = messages(result, "raw_events")
    assert "userId" in message
    assert "viewer" in message
    assert not project.site.tables.exists()


def test_a_mapped_column_is_read(project: Project) -> None:
    rows = [{("who" if k == "userId" else k): v for k, v in row.items()} for row in peter(day(0))]
    for number in range(3):
        project.site.write_day(day(number), rows if number == 0 else [])
    project.changed["columns"] = {"userId": "who"}
    assert project.run(day(0), assets=["raw_events"]).success
    assert {row["userId"] for row in project.rows(RAW_EVENTS)} == {"peter"}


def test_a_blocking_check_stops_what_is_downstream_and_keeps_the_rows(project: Project) -> None:
    """The metadata shrinks a video after the sessions were computed with its old duration."""
    assert project.run(day(0), assets=["raw_events", "sessions"]).success
    project.site.videos.write_text('{"videoId": "video_001", "duration": 100, "title": "Cut"}\n')
    result = project.run(day(0), assets=["watch_intervals", "user_video_engagement"])
    assert not result.success
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in failed] == [
        ("within_video", dg.AssetCheckSeverity.ERROR)
    ]
    assert materializations(result, "watch_intervals")
    assert not materializations(result, "user_video_engagement")
    assert project.tables.day_counts(TABLES["watch_intervals"], [day(0)])[day(0)] > 0


def test_the_lifetime_table_can_be_materialized_alone(project: Project) -> None:
    assert project.run(day(0), assets=DAILY).success
    assert project.rows(AGGREGATED_ENGAGEMENT) == []
    assert project.run(day(0), assets=[AGGREGATED_ENGAGEMENT.name]).success
    assert len(project.rows(AGGREGATED_ENGAGEMENT)) == 3


def test_estimated_durations_are_said_to_be_estimated(project: Project) -> None:
    project.changed.update(video_metadata=None, estimate_missing_durations=True, insights=False)
    assert project.run(day(0), day(1)).success
    sources = {row["videoDurationSource"] for row in project.rows(AGGREGATED_ENGAGEMENT)}
    assert sources == {"estimated"}


def test_the_rules_of_the_settings_reach_the_engine(project: Project) -> None:
    project.changed["parameters"] = EngagementParameters(backward_skip_ms=20_000)
    project.changed["insights"] = False
    assert project.run(day(0)).success
    row = next(row for row in project.rows(USER_VIDEO_ENGAGEMENT) if row["userId"] == "peter")
    assert row["totalBackwardSkips"] == 0


def test_dimensions_of_the_settings_come_to_the_tables_and_an_absent_one_is_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_peter = [{**row, "geo": {"land": "DE"}} for row in peter(day(0))]
    project.site.write_day(day(0), [*of_peter, *anna(day(0))])
    monkeypatch.setenv("VIDAGG_DIMENSIONS", "country=geo.land,device")
    project.changed["dimensions"] = load_settings().dimensions
    steps = (RAW_EVENTS, SESSIONS, USER_VIDEO_ENGAGEMENT, AGGREGATED_ENGAGEMENT)
    result = project.run(day(0), assets=[table.name for table in steps])
    assert result.success
    (shown,) = materializations(result, RAW_EVENTS.name).values()
    assert shown[ABSENT_DIMENSIONS] == "device: there is no column device"
    tables = open_tables(project.spark, project.settings.store, None, ["country", "device"])
    lifetime = {row["userId"]: row for row in tables.read(AGGREGATED_ENGAGEMENT).collect()}
    assert (lifetime["peter"]["country"], lifetime["peter"]["device"]) == (["DE"], [])
    assert lifetime["anna"]["country"] == []
    project.changed["dimensions"] = {"country": "geo.land"}
    (shown,) = materializations(project.run(day(0), assets=["raw_events"]), "raw_events").values()
    assert ABSENT_DIMENSIONS not in shown


def test_the_lines_of_a_step_are_for_people() -> None:
    done = DayResult(day=day(7), rows=41_210, unit="events", seconds=2.06)
    assert day_line(8, 30, done) == " 8/30 2026-01-12 41 210 events 2.1 s"
    result = StepResult(
        step=StepName.SESSIONS, rows=494_520, unit="sessions", days=(done,), seconds=25.04
    )
    assert summary_line(result) == "sessions: 494 520 sessions in 25.0 s"


def test_the_log_has_a_line_for_each_day_of_a_range_in_each_step(project: Project) -> None:
    result = project.run(day(0), day(2))
    assert result.success
    entries = project.instance.all_logs(result.run_id)
    said = "\n".join(entry.user_message for entry in entries)
    for unit in ("events", "sessions", "intervals", "rows", "bins"):
        lines = re.findall(rf"^(\d)/3 (\S+) [1-9]\d* {unit} \d+\.\d s$", said, re.MULTILINE)
        times = {"rows": 3, "bins": 2}.get(unit, 1)
        assert lines == times * [(str(n + 1), day(n).isoformat()) for n in range(3)]
    assert said.count("engine: sail") == 8, "every step says its engine"


def test_every_asset_and_column_is_described(project: Project) -> None:
    specs = {
        spec.key.to_user_string(): spec
        for asset in build_assets(project.settings)
        for spec in ([asset] if isinstance(asset, dg.AssetSpec) else asset.specs)
    }
    beside = {declared.table.name for declared in BESIDE}
    assert set(specs) == {*StepName, *beside, VIDEO_METADATA, PLAYER_EVENTS}
    for name, spec in specs.items():
        assert spec.description is not None
        assert spec.description.startswith("One row per ")
        assert "`" not in spec.description, "the catalog shows it as it is"
        group = INSIGHTS_GROUP if name in INSIGHT_TABLES else GROUP
        assert (spec.group_name, list(spec.owners)) == (group, ["team:data"])
        assert spec.kinds
        columns = spec.metadata["dagster/column_schema"].columns
        assert all(column.description and column.type for column in columns)
        if name in (VIDEO_METADATA, PLAYER_EVENTS):
            continue
        assert {"pyspark", "deltalake"} <= spec.kinds
        assert spec.metadata["dagster/table_name"] == name
        assert [column.name for column in columns] == TABLES[name].column_names
        if name not in beside:  # written by the step of another table
            assert isinstance(spec.freshness_policy, CronFreshnessPolicy)


def test_insights_can_be_left_out(project: Project) -> None:
    project.changed["insights"] = False
    assets = build_assets(project.settings)
    job = dg.Definitions(
        assets=assets, jobs=[daily_engagement], resources=step_resources(project.settings)
    ).resolve_job_def(daily_engagement.name)
    names = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert names == {*StepName} - {*INSIGHT_STEPS}
    described = {asset.key.to_user_string() for asset in assets if isinstance(asset, dg.AssetSpec)}
    assert not described & {*INSIGHT_TABLES}


def test_the_lineage_names_columns_that_exist_for_every_column(project: Project) -> None:
    project.changed["columns"] = {"userId": "uid"}
    specs = {
        spec.key.to_user_string(): spec
        for asset in build_assets(project.settings)
        for spec in ([asset] if isinstance(asset, dg.AssetSpec) else asset.specs)
    }
    columns = {
        name: {column.name for column in spec.metadata["dagster/column_schema"].columns}
        for name, spec in specs.items()
    }
    without: set[str] = set()
    for name in StepName:
        lineage = specs[name].metadata["dagster/column_lineage"].deps_by_column
        assert set(lineage) == columns[name]
        upstream = {dep.asset_key.to_user_string() for dep in specs[name].deps}
        for column, origins in lineage.items():
            without |= set() if origins else {f"{name}.{column}"}
            for origin in origins:
                table = origin.asset_key.to_user_string()
                assert origin.column_name in columns[table], f"{name}.{column}"
                # video_metadata reaches the lifetime table through the daily one.
                assert table in upstream | {VIDEO_METADATA}, f"{name}.{column} <- {table}"
    assert without == {
        "raw_events.sourceFile",
        "user_video_engagement.processedAt",
        "aggregated_user_video_engagement.processedAt",
        "quality_report.measure",
        "quality_report.unit",
    }
    origin = specs["raw_events"].metadata["dagster/column_lineage"].deps_by_column["userId"][0]
    assert origin.column_name == "uid"


def test_every_check_says_why_and_what_to_do() -> None:
    for rules in RULES.values():
        for rule in rules:
            why, found, what_to_do = re.split("([Ii]f it fails)", rule.description, maxsplit=1)
            assert len(why) > 30, rule.name
            assert found, rule.name
            assert len(what_to_do) > 20, rule.name


@pytest.fixture
def command_line(tmp_path: Path) -> dict[str, str]:
    site = write_site(tmp_path / "site", 2)
    kept = {k: v for k, v in os.environ.items() if not k.startswith((PREFIX, "DAGSTER_"))}
    return {
        **kept,
        "PYTHONPATH": str(REPO),
        "DAGSTER_HOME": str(tmp_path),
        "VIDAGG_SOURCE": str(site.events),
        "VIDAGG_VIDEO_METADATA": str(site.videos),
        "VIDAGG_DATA_ROOT": str(site.tables),
        "VIDAGG_START_DATE": FIRST_DAY.isoformat(),
        "VIDAGG_ENGINE": "sail",
    }


def materialize(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "dagster", "asset", "materialize", "--select", "*"),
            *arguments,
            *("-m", "vidagg_dagster.definitions"),
        ],
        env=environment,
        cwd=environment["DAGSTER_HOME"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_does_a_whole_day(
    command_line: dict[str, str], sail: SparkSession, tmp_path: Path
) -> None:
    done = materialize(command_line, "--partition", day(0).isoformat())
    assert done.returncode == 0, done.stderr
    tables = open_tables(sail, Site(tmp_path / "site").request(StepName.SESSIONS, []).store)
    assert tables.read(AGGREGATED_ENGAGEMENT).count() == 3
    assert tables.day_counts(QUALITY_REPORT, [day(0)])[day(0)] > 0


def test_the_command_line_does_a_range_where_runs_are_not_split(
    command_line: dict[str, str], sail: SparkSession, tmp_path: Path
) -> None:
    command_line["VIDAGG_MAX_DAYS_PER_RUN"] = "0"
    done = materialize(command_line, "--partition-range", f"{day(0)}...{day(1)}")
    assert done.returncode == 0, done.stderr
    tables = open_tables(sail, Site(tmp_path / "site").request(StepName.SESSIONS, []).store)
    assert tables.day_counts(RAW_EVENTS, [day(0), day(1)]) == {day(0): 13, day(1): 13}
    assert tables.read(AGGREGATED_ENGAGEMENT).count() == 3
