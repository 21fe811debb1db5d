"""The runs of the demo: in this process, so that all share one engine, and filed as the UI's own.

Dagster counts a run to a job only if the run says from which code location it was launched.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_shared.error import SerializableErrorInfo

from vidagg_dagster.core.errors import DayFailedError
from vidagg_dagster.core.schemas import RAW_EVENTS
from vidagg_dagster.core.terminal import Status
from vidagg_dagster.core.text import spaced
from vidagg_dagster.defs.metadata import PARTITION_ROW_COUNT
from vidagg_dagster.demo.backfill import backfill

LOCATION: Final = "vidagg_dagster.definitions"
"""The module of the code location, which is also its name in the UI."""

_SILENT: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

_FAILURE: Final = "dagster._core.definitions.events.Failure: "
"""How the message of a failure that we foresaw begins."""

Parts = Sequence[Sequence[date]]


def materialize(parts: Parts, instance: dg.DagsterInstance) -> Counter[str]:
    """A run for each part: a backfill where it has several days, else of its day.

    Prints a line for each day. Returns how many checks passed, under "passed", and how often each
    other check did not.

    Raises:
        DayFailedError: A run failed; the message names its days.
        KeyboardInterrupt: Ctrl-C, which Dagster has caught.
    """
    # Reads the settings, so the environment must be the demo's already.
    from vidagg_dagster.definitions import defs
    from vidagg_dagster.defs.jobs import daily_engagement

    definitions = defs()
    repository = definitions.get_repository_def()
    checks: Counter[str] = Counter()
    done, total = 0, sum(map(len, parts))
    with Status() as status:
        launch = _Launch(
            definitions.resolve_job_def(daily_engagement.name), repository, instance, status
        )
        for days in parts:
            started = time.monotonic()
            with backfill(days, launch.job, repository, instance) as tags:
                events = launch.run(days, {**_tags(days), **tags}, checks)
            seconds = (time.monotonic() - started) / len(days)
            for day in days:
                done += 1
                status.print(_line(done, total, day, events.get(day.isoformat(), 0), seconds))
    return checks


@dataclass(frozen=True)
class _Launch:
    job: dg.JobDefinition
    repository: dg.RepositoryDefinition
    instance: dg.DagsterInstance
    status: Status

    def run(
        self, days: Sequence[date], tags: Mapping[str, str], checks: Counter[str]
    ) -> dict[str, int]:
        """Run the days and count their checks; returns the accepted events by day."""
        run = self.instance.create_run_for_job(
            self.job,
            run_config=_SILENT,
            tags=tags,
            remote_job_origin=_origin(self.repository.name, self.job.name),
        )
        events: dict[str, int] = {}
        for event in execute_run_iterator(InMemoryJob(self.job), run, self.instance):
            if event.is_step_start:
                self.status.stage = f"{_span(days)}: {event.step_key}"
            events |= _events(event)
            checks.update(_checks(event))
            if event.is_step_failure:
                raise _failure(days, event)
        _require_success(self.instance, run.run_id, days)
        return events


def write_page(instance: dg.DagsterInstance) -> None:
    """The run that writes the page of what the days came to.

    Raises:
        DayFailedError: It failed.
    """
    # Reads the settings, so the environment must be the demo's already.
    from vidagg_dagster.definitions import defs
    from vidagg_dagster.defs.page import page_job

    definitions = defs()
    job = definitions.resolve_job_def(page_job.name)
    origin = _origin(definitions.get_repository_def().name, job.name)
    run = instance.create_run_for_job(job, run_config=_SILENT, remote_job_origin=origin)
    for event in execute_run_iterator(InMemoryJob(job), run, instance):
        if event.is_step_failure and event.step_failure_data.error is not None:
            raise DayFailedError(f"the page: {_said(event.step_failure_data.error)}")


def _origin(repository: str, job: str) -> RemoteJobOrigin:
    target = LoadableTargetOrigin(module_name=LOCATION, executable_path=sys.executable)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=LOCATION)
    return RemoteRepositoryOrigin(location, repository).get_job_origin(job)


def _tags(days: Sequence[date]) -> Mapping[str, str]:
    if len(days) == 1:
        return {"dagster/partition": days[0].isoformat()}
    return {
        "dagster/asset_partition_range_start": days[0].isoformat(),
        "dagster/asset_partition_range_end": days[-1].isoformat(),
    }


def _events(event: dg.DagsterEvent) -> dict[str, int]:
    """Accepted events by day, if the event says that days of raw_events are there."""
    if not event.is_step_materialization or event.asset_key != dg.AssetKey(RAW_EVENTS.name):
        return {}
    rows = event.step_materialization_data.materialization.metadata.get(PARTITION_ROW_COUNT)
    return {str(event.partition): int(str(rows.value))} if rows is not None else {}


def _checks(event: dg.DagsterEvent) -> Iterator[str]:
    if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        evaluation = event.asset_check_evaluation_data
        yield "passed" if evaluation.passed else evaluation.check_name


def _failure(days: Sequence[date], event: dg.DagsterEvent) -> BaseException:
    """What a failed step means; Dagster makes a failure of Ctrl-C, too."""
    error = event.step_failure_data.error
    if error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__:
        return KeyboardInterrupt()
    said = _said(error) if error else "failed"
    return DayFailedError(f"{_span(days)}: {event.step_key}: {said}")


def _said(error: SerializableErrorInfo) -> str:
    """What a step raised, which Dagster wraps."""
    while error.cause is not None:
        error = error.cause
    return error.message.strip().removeprefix(_FAILURE)


def _require_success(instance: dg.DagsterInstance, run_id: str, days: Sequence[date]) -> None:
    run = instance.get_run_by_id(run_id)
    if run is None or not run.is_success:
        raise DayFailedError(f"{_span(days)}: the run {run_id} did not succeed")


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _line(number: int, total: int, day: date, events: int, seconds: float) -> str:
    return f"{number:>2}/{total} {day} {spaced(events):>7} events {seconds:5.1f} s"
