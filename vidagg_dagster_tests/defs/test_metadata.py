"""What materializations show, and what the sensor of late events reads back from it."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vidagg_dagster.core.contract import (
    ROWS_COUNTED,
    ROWS_OF_DAYS,
    DayResult,
    LateDay,
    LateReport,
    Metrics,
    StepName,
    StepResult,
)
from vidagg_dagster.core.schemas import SESSIONS
from vidagg_dagster.defs.assets import BESIDE, build_assets
from vidagg_dagster.defs.code_references import CODE_REFERENCES, code_references
from vidagg_dagster.defs.metadata import (
    LATE_DAYS,
    LATE_ROWS,
    MAX_LATE_DAYS,
    MEASURES,
    TABLE_NAME,
    TOP_VIDEOS,
    URI,
    FollowUp,
    day_metadata,
    follow_up_of,
    run_metadata,
    table_metadata,
)
from vidagg_dagster.defs.page import page
from vidagg_dagster.settings import Settings

ON_DATABRICKS: dict[str, Any] = {
    "target": "databricks",
    "source": "main.video.player_events",
    "databricks": {"schema": "main.video", "volume": "/Volumes/main/video/vidagg"},
}


def late_day(number: int, inventory: int, *, within_limit: bool) -> LateDay:
    return LateDay(
        day=date.fromordinal(date(2026, 1, 1).toordinal() + number),
        rows=2,
        inventory=inventory,
        days_late=number,
        within_limit=within_limit,
    )


def materialized(late: LateReport) -> dg.AssetMaterialization:
    result = StepResult(step=StepName.RAW_EVENTS, rows=1, late=late)
    return dg.AssetMaterialization("raw_events", metadata=run_metadata(result))


def test_the_days_to_run_again_come_back_from_what_a_run_shows() -> None:
    near, far = late_day(4, 7, within_limit=True), late_day(1, 9, within_limit=False)
    shown = materialized(LateReport(days=(far, near), follow_up=(near.day,)))
    # The inventory of a day that nothing runs again does not count.
    assert follow_up_of(shown) == FollowUp(days=(near.day,), inventory=7)


def test_a_run_without_late_days_asks_for_nothing() -> None:
    assert follow_up_of(materialized(LateReport())) == FollowUp()
    assert follow_up_of(None) == FollowUp()


def test_the_newest_late_days_are_shown_and_all_are_counted() -> None:
    days = tuple(late_day(n, 1, within_limit=False) for n in range(MAX_LATE_DAYS + 1))
    shown = materialized(LateReport(days=days)).metadata
    table = shown[LATE_DAYS]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["day"] for record in table.records] == [
        day.day.isoformat() for day in days[1:]
    ]
    assert shown[LATE_ROWS].value == 2 * len(days)


@pytest.mark.parametrize(
    ("video", "shown"),
    [
        (
            {"videoId": "v1", "watchSeconds": 5400.0, "title": "One", "users": 3, "completions": 2},
            {"video": "One", "watched": "1 h 30 min", "users": 3, "completions": 2},
        ),
        (
            {"videoId": "v1", "watchSeconds": 60.0, "title": None, "users": 3, "completions": 2},
            {"video": "v1", "watched": "0 h 01 min", "users": 3, "completions": 2},
        ),
        (
            {"videoId": "v1", "watchSeconds": 60.0, "intervals": 4},
            {"video": "v1", "watched": "0 h 01 min", "intervals": 4},
        ),
        ({"videoId": "v1", "sessions": 2}, {"videoId": "v1", "sessions": 2}),
    ],
)
def test_the_top_videos_have_four_columns_at_most(
    video: dict[str, Any], shown: dict[str, Any]
) -> None:
    (record,) = day_metadata(DayResult(day=date(2026, 1, 1), rows=3, top=(video,)), "2-x")[
        TOP_VIDEOS
    ].records
    assert record.data == shown


def test_a_day_without_measures_shows_no_table_of_them() -> None:
    day = DayResult(day=date(2026, 1, 1), rows=3)
    assert MEASURES not in day_metadata(day, "2-x")
    assert MEASURES in day_metadata(day.model_copy(update={"metrics": {"input": 3}}), "2-x")


@pytest.mark.parametrize(
    "host", ["https://adb-1.2.azuredatabricks.net/", "adb-1.2.azuredatabricks.net"]
)
def test_a_table_in_unity_catalog_links_to_its_page(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", host)
    shown = table_metadata(Settings(**ON_DATABRICKS), SESSIONS)
    assert shown[TABLE_NAME] == "main.video.sessions"
    page = "https://adb-1.2.azuredatabricks.net/explore/data/main/video/sessions"
    assert shown[URI] == dg.MetadataValue.url(page)
    monkeypatch.delenv("DATABRICKS_HOST")
    assert URI not in table_metadata(Settings(**ON_DATABRICKS), SESSIONS)


def test_a_table_on_this_machine_shows_its_folder(tmp_path: Path) -> None:
    shown = table_metadata(Settings(data_root=tmp_path), SESSIONS)
    assert (shown[TABLE_NAME], shown[URI]) == ("sessions", str(tmp_path / "sessions"))


def shown_code(asset: dg.AssetsDefinition | dg.AssetSpec) -> list[str]:
    """The lines of code that the page of an asset leads to."""
    (spec,) = [asset] if isinstance(asset, dg.AssetSpec) else asset.specs
    if CODE_REFERENCES not in spec.metadata:
        return []
    return [
        Path(found.file_path).read_text(encoding="utf-8").splitlines()[found.line_number - 1]
        for found in spec.metadata[CODE_REFERENCES].code_references
    ]


def test_in_development_every_table_leads_to_the_code_that_computes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    inputs, tables = build_assets(Settings())[:2], build_assets(Settings())[2:]
    assert [shown_code(asset) for asset in inputs] == [[], []]
    assert len(tables) == len(StepName) + len(BESIDE)
    lines = [line for asset in tables for line in shown_code(asset)]
    assert len(lines) == len(tables)
    assert all(line.startswith("def ") for line in lines)
    assert lines.count("def _compute(context: StepContext) -> StepOutput:") == len(StepName)


def test_code_that_is_not_imported_yet_is_found_by_its_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")
    (asset,) = page(Settings(data_root=Path("tables"))).assets or []
    assert isinstance(asset, dg.AssetsDefinition)
    (line,) = shown_code(asset)
    assert line.startswith('"""')


def test_a_server_shows_no_paths_of_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_IS_DEV_CLI", raising=False)
    assert code_references("vidagg_dagster.report.page") == {}


def test_what_was_read_of_the_source_is_shown_beside_what_the_days_have() -> None:
    metrics: Metrics = {ROWS_COUNTED: 0, ROWS_OF_DAYS: 13, "write_seconds": 1.5}
    result = StepResult(step=StepName.RAW_EVENTS, rows=11, metrics=metrics)
    shown = run_metadata(result)
    assert (shown[ROWS_COUNTED], shown[ROWS_OF_DAYS]) == (0, 13)
    assert "write_seconds" not in shown
    assert ROWS_COUNTED not in run_metadata(StepResult(step=StepName.SESSIONS, rows=3))
