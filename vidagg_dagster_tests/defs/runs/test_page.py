"""The page as Dagster writes it, and the sensor that starts its run."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, RAW_EVENTS
from vidagg_dagster.defs.page import ENGAGEMENT_PAGE, STANDS_OUT, page, page_follows, page_job
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.settings import Settings
from vidagg_dagster_tests.support.report_site import FORMULA, write_tables


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(instance: dg.DagsterInstance, root: Path, **changed: Any) -> dg.ExecuteInProcessResult:
    settings = Settings(start_date=date(2026, 1, 5), data_root=root, **changed)
    job = page(settings).resolve_job_def(page_job.name)
    return job.execute_in_process(instance=instance, raise_on_error=False)


def test_the_page_lies_beside_the_tables_and_its_metadata_leads_to_it(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    result = run(instance, write_tables(tmp_path))
    [event] = result.asset_materializations_for_node(ENGAGEMENT_PAGE)
    file = tmp_path / FILE
    assert event.metadata["page"] == dg.MetadataValue.path(str(file))
    assert event.metadata["videos"].value == 4
    assert event.metadata["size_kb"].value == round(file.stat().st_size / 1000)
    table = event.metadata[STANDS_OUT]
    assert isinstance(table, dg.TableMetadataValue)
    told = [(row.data["video"], row.data["what"]) for row in table.records]
    assert ("Welcome", "15 jumps of 22 viewers pass over 1:00 to 1:30.") in told
    assert FORMULA in file.read_text(encoding="utf-8").replace("&#39;", "'")


def test_language_and_users_are_settings(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run(instance, write_tables(tmp_path), page_language="de", page_users=False)
    text = (tmp_path / FILE).read_text(encoding="utf-8")
    assert '<html lang="de">' in text
    assert "Ohne Personen erstellt." in text


def test_without_tables_the_run_fails_and_says_what_to_do(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    result = run(instance, tmp_path)
    assert not result.success
    [failure] = result.filter_events(lambda event: event.is_step_failure)
    error = failure.step_failure_data.error
    assert error is not None
    assert "run days" in error.message


def test_where_the_tables_are_in_a_catalog_there_is_no_page() -> None:
    settings = Settings(target="local").model_copy(update={"target": "databricks"})
    assert list(page(settings).assets or ()) == []


@pytest.mark.parametrize(
    ("job", "chosen", "asked"),
    [
        ("daily_engagement", None, True),
        ("__ASSET_JOB", {dg.AssetKey(AGGREGATED_ENGAGEMENT.name)}, True),
        ("__ASSET_JOB", {dg.AssetKey(RAW_EVENTS.name)}, False),
        (page_job.name, None, False),
    ],
)
def test_the_sensor_follows_runs_that_change_the_lifetime_table(
    job: str, chosen: set[dg.AssetKey] | None, asked: bool, instance: dg.DagsterInstance
) -> None:
    ended = dg.DagsterRun(job, asset_selection=frozenset(chosen) if chosen else None)
    event = _success(job)
    context = dg.build_run_status_sensor_context(
        "page_follows", dagster_instance=instance, dagster_run=ended, dagster_event=event
    )
    answer = page_follows()(context)
    if asked:
        assert isinstance(answer, dg.RunRequest)
        assert answer.run_key == ended.run_id
    else:
        assert isinstance(answer, dg.SkipReason)


def _success(job: str) -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, job)
