"""The record of the demo's backfill, as Dagster's own pages read it."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from vidagg_dagster.demo.backfill import backfill

DAYS = (date(2026, 1, 5), date(2026, 1, 6))


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
def table() -> None: ...


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def record_of(
    instance: dg.DagsterInstance, days: tuple[date, ...], error: Exception | None = None
) -> list[PartitionBackfill]:
    """The records after a block that perhaps raises; each has the tag that the block was given."""
    definitions = dg.Definitions([table], jobs=[dg.define_asset_job("daily")])
    job = definitions.resolve_job_def("daily")
    tags: Mapping[str, str] = {}
    try:
        with backfill(days, job, definitions.get_repository_def(), instance) as tags:
            assert not instance.get_backfills(), "a daemon would run it, too"
            if error is not None:
                raise error
    except LookupError:
        pass
    found = list(instance.get_backfills())
    assert [{"dagster/backfill": record.backfill_id} for record in found] == (
        [tags] if tags else []
    )
    return found


def test_a_backfill_that_ends_is_complete_with_all_its_days(instance: dg.DagsterInstance) -> None:
    (record,) = record_of(instance, DAYS)
    assert record.status is BulkActionStatus.COMPLETED_SUCCESS
    assert record.backfill_end_timestamp is not None
    graph = dg.Definitions([table]).get_repository_def().asset_graph
    data = record.get_asset_backfill_data(graph)
    assert data.target_subset == data.materialized_subset
    assert {key.partition_key for key in data.target_subset.iterate_asset_partitions()} == {
        day.isoformat() for day in DAYS
    }


def test_a_backfill_that_fails_is_shown_as_failed(instance: dg.DagsterInstance) -> None:
    (record,) = record_of(instance, DAYS, LookupError())
    assert record.status is BulkActionStatus.COMPLETED_FAILED


def test_one_day_is_no_backfill(instance: dg.DagsterInstance) -> None:
    assert record_of(instance, DAYS[:1]) == []
