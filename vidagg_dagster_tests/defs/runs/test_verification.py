"""The comparison of what is stored, as Dagster runs it."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from deltalake import DeltaTable

from vidagg_dagster.alerts.causes import of_run
from vidagg_dagster.core.schemas import EVENT_DATE, SESSIONS
from vidagg_dagster.defs.metadata import PARTITION_ROW_COUNT, RULES
from vidagg_dagster.defs.verification import (
    STORED_TABLES,
    VERIFIED,
    other_rules,
    rows_told,
    verification,
)
from vidagg_dagster.settings import Settings
from vidagg_dagster.tables.delta_log import delta_schema
from vidagg_dagster_tests.support.alerting import UI

DAY = "2026-01-05"


@pytest.fixture
def instance() -> Any:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The empty table of sessions."""
    folder = tmp_path / SESSIONS.name
    folder.mkdir()
    DeltaTable.create(str(folder), delta_schema(SESSIONS), partition_by=[EVENT_DATE])
    return tmp_path


def run(instance: dg.DagsterInstance, root: Path) -> dg.ExecuteInProcessResult:
    settings = Settings(start_date=date(2026, 1, 5), data_root=root)
    job = verification(settings).resolve_job_def("verify")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def materialized(
    instance: dg.DagsterInstance, rows: int, day: str = DAY, rules: str | None = None
) -> None:
    metadata: dict[str, Any] = {PARTITION_ROW_COUNT: rows, **({RULES: rules} if rules else {})}
    event = dg.AssetMaterialization(SESSIONS.name, partition=day, metadata=metadata)
    instance.report_runless_asset_event(event)


def test_a_day_that_dagster_knows_with_other_rows_fails_the_check(
    instance: dg.DagsterInstance, root: Path
) -> None:
    materialized(instance, 7)
    result = run(instance, root)
    [evaluation] = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == (VERIFIED, False)
    assert evaluation.metadata["findings"].value == 1
    said = str(evaluation.metadata["what"].value)
    assert f"sessions of {DAY}: 0 rows are stored, Dagster was told of 7" in said
    ended = instance.get_run_by_id(result.run_id)
    assert ended is not None
    [alert] = of_run(instance, ended, [STORED_TABLES], UI)
    assert alert.asset == STORED_TABLES


def test_what_agrees_passes(instance: dg.DagsterInstance, root: Path) -> None:
    materialized(instance, 0)
    [evaluation] = run(instance, root).get_asset_check_evaluations()
    assert evaluation.passed


def test_of_a_day_the_newest_run_counts(instance: dg.DagsterInstance) -> None:
    for rows in (7, 5):
        materialized(instance, rows)
    materialized(instance, 3, "2026-01-06")
    assert rows_told(instance) == {
        SESSIONS.name: {date(2026, 1, 5): 5, date(2026, 1, 6): 3},
    }


def test_days_by_other_rules_are_noted_and_pass(instance: dg.DagsterInstance, root: Path) -> None:
    now = Settings(start_date=date(2026, 1, 5), data_root=root).rules
    materialized(instance, 0, "2026-01-04")
    for day in ("2026-01-05", "2026-01-06"):
        materialized(instance, 0, day, rules="1-00000000")
    materialized(instance, 0, "2026-01-06", rules=now)
    [line] = other_rules(instance, now)
    assert line.startswith("sessions: 1 of 3 days, 2026-01-05, were computed by other rules")
    [evaluation] = run(instance, root).get_asset_check_evaluations()
    assert evaluation.passed
    assert line in str(evaluation.metadata["by other rules"].value)


def test_days_by_the_rules_of_now_are_not_noted(instance: dg.DagsterInstance, root: Path) -> None:
    now = Settings(start_date=date(2026, 1, 5), data_root=root).rules
    materialized(instance, 0, rules=now)
    assert other_rules(instance, now) == []
    [evaluation] = run(instance, root).get_asset_check_evaluations()
    assert evaluation.metadata["by other rules"].value == "none"


def test_tables_of_a_catalog_are_left_to_it(root: Path) -> None:
    settings = Settings(start_date=date(2026, 1, 5), data_root=root)
    elsewhere = settings.model_copy(update={"target": "databricks"})
    assert list(verification(elsewhere).jobs or []) == []
