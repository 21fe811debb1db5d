"""Live tables as assets, where VIDAGG_LIVE switches them on: a sensor that looks for new files, the
job that takes them in, and the check that live rows are those of the daily run."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from vidagg_dagster.core.errors import VidaggError
from vidagg_dagster.core.lineage import PLAYER_EVENTS
from vidagg_dagster.core.schemas import LIVE_USER_VIDEO, LIVE_VIDEOS
from vidagg_dagster.defs.metadata import ROW_COUNT
from vidagg_dagster.defs.partitions import BESIDE_RANGES, with_backfill_policies
from vidagg_dagster.defs.schedules import after_deadline
from vidagg_dagster.defs.targets import retry_policy
from vidagg_dagster.settings.model import Settings

if TYPE_CHECKING:
    from vidagg_dagster.live.batch import Taken
    from vidagg_dagster.live.contract import DayCompared, LiveReport

GROUP: Final = "live"
LIVE_POOL: Final = "vidagg_live"
"""Not the pool of the other tables: a night's run takes longer than live rows may wait."""

INTERVAL_S: Final = 30
PAUSE_AFTER_FAILURE: Final = timedelta(minutes=10)
"""A job that fails at once would else cost a start of compute every 30 seconds."""

SAME: Final = "same_as_the_daily_run"

_SAID: Final = (
    "For days that the daily run has closed, live rows are its rows, but for the time of the run. "
    "If it fails, the daily run lacks late events (the sensor late_events runs the day again), or "
    "the rules or the catalogue have changed in between. The daily run is right."
)


@with_backfill_policies()
def live(settings: Settings) -> dg.Definitions:
    """All of it; nothing where it is switched off."""
    if settings.live == "off":
        return dg.Definitions()
    if settings.target == "databricks":
        return dg.Definitions(
            assets=[_tables_on_databricks(settings)],
            jobs=[live_job],
            sensors=[_keeps_running(settings)],
        )
    always = dg.Definitions(
        asset_checks=[_same(settings)],
        jobs=[compare_job],
        schedules=[_schedule(settings)],
    )
    if settings.live == "command":
        # Nothing in Dagster materializes them.
        return dg.Definitions.merge(always, dg.Definitions(assets=_specs(settings)))
    return dg.Definitions.merge(
        always,
        dg.Definitions(assets=[_tables(settings)], jobs=[live_job], sensors=[_sensor(settings)]),
    )


live_job = dg.define_asset_job(
    "live",
    selection=dg.AssetSelection.assets(LIVE_USER_VIDEO.name, LIVE_VIDEOS.name),
    description="Takes in the files that are new since the last time.",
)

compare_job = dg.define_asset_job(
    "compare_live",
    selection=dg.AssetSelection.checks(
        dg.AssetCheckKey(dg.AssetKey(LIVE_USER_VIDEO.name), SAME),
    ),
    description="Compares the live rows of closed days with those of the daily run, without an "
    "engine.",
)


def _specs(settings: Settings) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            table.name,
            description=f"{table.doc} It has {settings.live_feed.days} days, today included.",
            deps=[PLAYER_EVENTS],
            group_name=GROUP,
            owners=settings.operations.owners,
            kinds={"deltalake"},
        )
        for table in (LIVE_USER_VIDEO, LIVE_VIDEOS)
    ]


def _tables(settings: Settings) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="live_tables",
        specs=_specs(settings),
        pool=LIVE_POOL,
        backfill_policy=BESIDE_RANGES,
    )
    def materialize(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        # Not imported where nobody asks for live tables.
        from vidagg_dagster.live.follow import Pace, follow, show
        from vidagg_dagster.live.page import PAGE
        from vidagg_dagster.live.task import report_of
        from vidagg_dagster.spark.session import engine_session

        batches: list[Taken] = []
        try:
            request = settings.live_request
            follow(engine_session(settings.engine), request, batches.append, Pace(once=True))
            show(request)
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        context.log.info("%d batches", len(batches))
        page = dg.MetadataValue.path(str(settings.data_root / PAGE))
        yield from _materialized({**_shown(report_of(batches)), "page": page})

    return materialize


def _tables_on_databricks(settings: Settings) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="live_tables",
        specs=_specs(settings),
        check_specs=[dg.AssetCheckSpec(SAME, asset=LIVE_USER_VIDEO.name, description=_SAID)],
        pool=LIVE_POOL,
        backfill_policy=BESIDE_RANGES,
        retry_policy=retry_policy(settings),
        required_resource_keys={"steps"},
    )
    def materialize(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        report = context.resources.steps.keep_live(context, settings.live_task)
        yield from _materialized(_shown(report))
        yield _outcome(report.compared)

    return materialize


def _shown(report: "LiveReport") -> dict[str, Any]:
    return {
        "batches": report.batches,
        "events": report.events,
        "ignored": report.ignored,
        "rejected": report.rejected,
        "of days before": report.too_old,
    }


def _materialized(metadata: dict[str, Any]) -> Iterator[dg.MaterializeResult[Any]]:
    for table in (LIVE_USER_VIDEO, LIVE_VIDEOS):
        yield dg.MaterializeResult(asset_key=table.name, metadata=metadata)


def _sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="live_files",
        job=live_job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Takes in new files of the source. The cursor is a hash of what was there at "
        "the last look; which files are new, the run finds by the notes beside the tables.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from vidagg_dagster.live.folder import recent_files

        try:
            found = recent_files(settings.live_request, datetime.now(UTC))
        except VidaggError as error:
            return dg.SkipReason(str(error))
        listed = "\n".join(f"{name} {state}" for name, state in sorted(found.items()))
        seen = hashlib.sha256(listed.encode()).hexdigest()
        if not found or seen == context.cursor:
            return dg.SkipReason("No file is new.")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=seen)], cursor=seen)

    return sensor


def _keeps_running(settings: Settings) -> dg.SensorDefinition:
    """The sensor where a job on Databricks takes events in."""

    @dg.sensor(
        name="live_files",
        job=live_job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Keeps one run of the job `live` going, which takes in events as they arrive "
        f"for {settings.live_feed.run_minutes} minutes. After a run that failed the next one waits "
        f"for {PAUSE_AFTER_FAILURE.total_seconds() / 60:.0f} minutes.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        wait = reason_to_wait(context.instance, datetime.now(UTC))
        return dg.RunRequest() if wait is None else dg.SkipReason(wait)

    return sensor


def reason_to_wait(instance: dg.DagsterInstance, now: datetime) -> str | None:
    """Why no run of the job `live` begins now; None if one should."""
    newest = instance.get_run_records(dg.RunsFilter(job_name=live_job.name), limit=1)
    if not newest:
        return None
    run, updated = newest[0].dagster_run, newest[0].update_timestamp
    if not run.is_finished:
        return f"Run {run.run_id} takes in events."
    again = updated.replace(tzinfo=updated.tzinfo or UTC) + PAUSE_AFTER_FAILURE
    if run.is_failure and now < again:
        return f"Run {run.run_id} failed; the next one begins at {again:%H:%M} UTC."
    return None


def _same(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=LIVE_USER_VIDEO.name, name=SAME, description=_SAID)
    def check() -> dg.AssetCheckResult:
        from vidagg_dagster.live.compare import compare_closed_days

        try:
            first = settings.live_request.oldest(datetime.now(UTC))
            found = compare_closed_days(settings.data_root, first)
        except VidaggError as error:
            raise dg.Failure(str(error), allow_retries=error.retryable) from error
        return _outcome(found)

    return check


def _outcome(found: "Sequence[DayCompared]") -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=LIVE_USER_VIDEO.name,
        check_name=SAME,
        passed=all(day.equal for day in found),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            ROW_COUNT: sum(day.rows for day in found),
            "violations": sum(day.only_live + day.only_daily + day.differing for day in found),
            "days": dg.MetadataValue.md(comparison_table(found)),
        },
    )


def comparison_table(found: "Sequence[DayCompared]") -> str:
    """The comparison as Markdown."""
    return "\n".join(
        [
            "| day | live rows | only live | only daily | differing | columns |",
            "|---|---|---|---|---|---|",
            *(
                f"| {one.day} | {one.rows} | {one.only_live} | {one.only_daily} "
                f"| {one.differing} | {', '.join(one.columns)} |"
                for one in found
            ),
        ]
    )


def _schedule(settings: Settings) -> dg.ScheduleDefinition:
    return after_deadline(
        settings,
        "compare_live_schedule",
        job=compare_job,
        minutes=45,
        description="After the deadline compares live rows with those of the daily run.",
    )
