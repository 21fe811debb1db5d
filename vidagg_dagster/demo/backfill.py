"""The record of a backfill around a run of this process: what Dagster's page *Backfills* shows.

The UI leaves the record to its daemon, which launches the run. The demo has no daemon.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._core.utils import make_new_backfill_id


@contextmanager
def backfill(
    days: Sequence[date],
    job: dg.JobDefinition,
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
) -> Iterator[Mapping[str, str]]:
    """The tags by which a run of the job belongs to a backfill of these days; none for one day.

    The record is written when the block ends, as complete or as failed. A daemon, of a UI that is
    open meanwhile, would run a backfill that is under way once more.
    """
    if len(days) == 1:
        yield {}
        return
    record = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=repository.asset_graph,
        partition_names=[day.isoformat() for day in days],
        asset_selection=sorted(job.asset_layer.executable_asset_keys),
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=f"{days[0]} to {days[-1]}",
        description=None,
        run_config=None,
    )
    status = BulkActionStatus.COMPLETED_FAILED
    try:
        yield {BACKFILL_ID_TAG: record.backfill_id}
        record = _all_there(record, repository, instance)
        status = BulkActionStatus.COMPLETED_SUCCESS
    finally:
        ended = record._replace(status=status, backfill_end_timestamp=time.time())
        instance.add_backfill(ended)


def _all_there(
    record: PartitionBackfill, repository: dg.RepositoryDefinition, instance: dg.DagsterInstance
) -> PartitionBackfill:
    graph = repository.asset_graph
    data = record.get_asset_backfill_data(graph)
    done = data._replace(
        requested_runs_for_target_roots=True,
        requested_subset=data.target_subset,
        materialized_subset=data.target_subset,
    )
    return record.with_asset_backfill_data(done, instance, graph)
