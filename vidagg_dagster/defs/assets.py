"""The assets: which days, which step, and what people see of the result.

Every body is the same three parts: build the request, let `steps` run it wherever it runs, report
the result. What a step computes is in `engine/`.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    LateReport,
    StepName,
    StepRequest,
    StepResult,
    TableStore,
)
from vidagg_dagster.core.lineage import LINEAGE, PLAYER_EVENTS, VIDEO_METADATA
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    QUALITY_REPORT,
    RAW_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.defs.checks import check_results, check_specs, report_days
from vidagg_dagster.defs.partitions import (
    LOOK_BACK,
    backfill_policy,
    by_deadline,
    daily_partitions,
    days_of,
)
from vidagg_dagster.defs.targets import POOL, retry_policy
from vidagg_dagster.runners.runner import StepRunner
from vidagg_dagster.settings import Settings

GROUP = "video_engagement"
OWNERS = ["team:data"]
KINDS = {"pyspark", "deltalake"}
FOLLOW_UP = "follow_up"
"""Metadata of raw_events: the days that late events make necessary to run again."""

MAX_LATE_DAYS = 100
"""The newest of them are shown."""

Events = Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]


def build_assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets with the partitions and inputs that the settings name."""
    with warnings.catch_warnings():
        # Beta since years; without it a backfill would be a run, and an engine, per day.
        warnings.filterwarnings("ignore", ".*`backfill_policy`", dg.BetaWarning)
        return _build(settings)


def _build(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    daily = daily_partitions(settings)
    backfills = backfill_policy(settings)
    freshness = by_deadline(settings)
    retries = retry_policy(settings)

    def table_asset(
        table: TableSpec, deps: Sequence[dg.AssetsDefinition | dg.AssetDep | str]
    ) -> Callable[[Callable[..., Events]], dg.AssetsDefinition]:
        """What all assets have in common."""
        partitions = daily if table.partitioned else None
        return dg.asset(
            group_name=GROUP,
            owners=OWNERS,
            kinds=KINDS,
            pool=POOL,
            retry_policy=retries,
            partitions_def=partitions,
            backfill_policy=backfills if partitions else dg.BackfillPolicy.single_run(),
            freshness_policy=freshness,
            deps=deps,
            check_specs=check_specs(table.name, partitions),
            metadata=_describe(settings, table),
        )

    @table_asset(RAW_EVENTS, deps=[PLAYER_EVENTS])
    def raw_events(
        context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]
    ) -> Events:
        """One row per accepted player event: parsed, trimmed, canonical names, no duplicates.

        Rejected rows go to `rejected_events` with their payload and every reason, and the counts
        of both to `ingestion_counts`: input = accepted + duplicates + rejected.

        Each run also looks for events that have arrived for days that were read before. Days that
        are not too old for it (VIDAGG_MAX_LATENESS_DAYS) run again by themselves, if the sensor
        `late_events` is on.
        """
        request = _request(context, settings, StepName.RAW_EVENTS)
        yield from _report(context, steps.run(context, request))

    @table_asset(
        SESSIONS, deps=[dg.AssetDep(raw_events, partition_mapping=LOOK_BACK), VIDEO_METADATA]
    )
    def sessions(context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]) -> Events:
        """One row per session and day: a (userId, sessionId), cut wherever it was idle too long.

        A day reads its own events and, as context, those of the day before. So a backfill of days
        A to B also runs the day after B, whose context has changed.
        """
        request = _request(context, settings, StepName.SESSIONS)
        yield from _report(context, steps.run(context, request))

    @table_asset(WATCH_INTERVALS, deps=[sessions])
    def watch_intervals(
        context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]
    ) -> Events:
        """One row per stretch of a video that was watched, with the evidence for it.

        It belongs to the day of the event that closes it.
        """
        request = _request(context, settings, StepName.WATCH_INTERVALS)
        yield from _report(context, steps.run(context, request))

    @table_asset(USER_VIDEO_ENGAGEMENT, deps=[watch_intervals, sessions, VIDEO_METADATA])
    def user_video_engagement(
        context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]
    ) -> Events:
        """One row per user, video and day: what was watched, skipped, completed, and the score."""
        request = _request(context, settings, StepName.USER_VIDEO_ENGAGEMENT)
        yield from _report(context, steps.run(context, request))

    @table_asset(AGGREGATED_ENGAGEMENT, deps=[user_video_engagement])
    def aggregated_user_video_engagement(
        context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]
    ) -> Events:
        """One row per user and video: the daily rows merged over all days.

        Takes in whatever days were replaced since it last ran, in any order; a day that became
        empty leaves no trace.
        """
        request = _request(context, settings, StepName.AGGREGATED_ENGAGEMENT)
        yield from _report(context, steps.run(context, request))

    @table_asset(QUALITY_REPORT, deps=[raw_events, sessions, user_video_engagement])
    def quality_report(
        context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]
    ) -> Events:
        """One row per day and measure: what came in, what was rejected and why, flags, evidence."""
        request = _request(context, settings, StepName.QUALITY_REPORT)
        yield from _report(context, steps.run(context, request))

    return [
        *_inputs(settings),
        raw_events,
        sessions,
        watch_intervals,
        user_video_engagement,
        aggregated_user_video_engagement,
        quality_report,
    ]


def _inputs(settings: Settings) -> Iterator[dg.AssetSpec]:
    """What is kept elsewhere; shown for the lineage."""
    columns = [
        dg.TableColumn(settings.columns.get(name, name), "any", description=f"Our {name}.")
        for name in EVENT_COLUMNS
    ]
    yield dg.AssetSpec(
        PLAYER_EVENTS,
        description="One row per event as players send it. Kept elsewhere; VIDAGG_SOURCE says "
        "where. Read by raw_events, which notices what is new in it.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"source"},
        metadata={
            "location": settings.source or "not set",
            "dagster/column_schema": dg.TableSchema(columns),
        },
    )
    yield dg.AssetSpec(
        VIDEO_METADATA,
        description="One row per video: `videoId`, `duration` in seconds, `title`. Kept elsewhere; "
        "VIDAGG_VIDEO_METADATA says where.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"source"},
        metadata={
            "location": settings.video_metadata or "not set",
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn("videoId", "string", description="The video."),
                    dg.TableColumn("duration", "double", description="Its length in seconds."),
                    dg.TableColumn("title", "string", description="Its title."),
                ]
            ),
        },
    )


def _request(context: dg.AssetExecutionContext, settings: Settings, step: StepName) -> StepRequest:
    lifetime = step is StepName.AGGREGATED_ENGAGEMENT
    return StepRequest(
        step=step,
        days=() if lifetime else days_of(context),
        start_date=settings.start_date,
        timezone=settings.timezone,
        run_time=datetime.now(UTC),
        store=settings.store,
        source=settings.source_spec if step is StepName.RAW_EVENTS else None,
        video_metadata=settings.video_metadata,
        estimate_missing_durations=settings.estimate_missing_durations,
        parameters=settings.parameters,
        max_lateness_days=settings.operations.max_lateness_days,
        events_at_once=settings.events_at_once,
        kernels=settings.uses_kernels,
    )


def _report(context: dg.AssetExecutionContext, result: StepResult) -> Events:
    """Materialization first, then checks: a blocking check ends the step, the rows are there."""
    for day in result.days:
        # Metadata of a MaterializeResult would be copied to every day of a range.
        context.add_asset_metadata(
            {"dagster/partition_row_count": day.rows, **_table("measures", day.metrics)},
            partition_key=day.day.isoformat(),
        )
    yield dg.MaterializeResult(metadata=_run_metadata(result))
    report_days(context, result)
    yield from check_results(result)


def _run_metadata(result: StepResult) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if result.days:
        first, last = result.days[0].day, result.days[-1].day
        shown["days"] = f"{first}" if first == last else f"{first} to {last} ({len(result.days)})"
        shown["rows_of_run"] = result.rows
    else:
        shown["dagster/row_count"] = result.rows
    if len(result.days) > 1:
        shown["rows_by_day"] = dg.MetadataValue.table(
            [dg.TableRecord({"day": day.day.isoformat(), "rows": day.rows}) for day in result.days]
        )
    if result.top:
        shown["top_videos"] = dg.MetadataValue.table(
            [dg.TableRecord(dict(row)) for row in result.top]
        )
    if result.late is not None and result.late.days:
        shown |= _late(result.late)
    links = {name: dg.MetadataValue.url(page) for name, page in result.links.items()}
    return {**shown, **result.metrics, "seconds": result.seconds, **links}


def _late(late: LateReport) -> dict[str, Any]:
    records = [
        dg.TableRecord(
            {
                "day": day.day.isoformat(),
                "rows": day.rows,
                "days_late": day.days_late,
                "runs_again": "by sensor late_events" if day.within_limit else "by hand",
            }
        )
        for day in late.days[-MAX_LATE_DAYS:]
    ]
    follow_up = {
        "days": [day.isoformat() for day in late.follow_up],
        "inventory": max((day.inventory for day in late.days if day.within_limit), default=0),
    }
    return {
        "late_days": dg.MetadataValue.table(records),
        "late_rows": sum(day.rows for day in late.days),
        FOLLOW_UP: dg.MetadataValue.json(follow_up),
    }


def _table(name: str, values: dict[str, int | float | str | None]) -> dict[str, Any]:
    if not values:
        return {}
    records = [dg.TableRecord({"measure": key, "value": value}) for key, value in values.items()]
    return {name: dg.MetadataValue.table(records, schema=_MEASURE_SCHEMA)}


_MEASURE_SCHEMA = dg.TableSchema(
    [dg.TableColumn("measure", "string"), dg.TableColumn("value", "float")]
)


def _describe(settings: Settings, table: TableSpec) -> dict[str, Any]:
    theirs = {PLAYER_EVENTS: settings.columns}
    return {
        **_place(settings.store, table),
        "dagster/column_schema": dg.TableSchema(
            [
                dg.TableColumn(column.name, column.type.simpleString(), description=column.doc)
                for column in table.columns
            ]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(
                        dg.AssetKey(origin), _named(theirs.get(origin, {}), origin_column)
                    )
                    for origin, origin_column in origins
                ]
                for column, origins in LINEAGE[table.name].items()
            }
        ),
    }


def _named(theirs: Mapping[str, str], column: str) -> str:
    return theirs.get(column, column)


def _place(store: TableStore, table: TableSpec) -> dict[str, Any]:
    if store.kind == "catalog":
        return {"dagster/table_name": f"{store.location}.{table.name}"}
    return {"dagster/table_name": table.name, "dagster/uri": f"{store.location}/{table.name}"}
