"""The assets: which days, which step, and what people see of the result.

`ASSETS` declares what differs between them. Their body is the same: build the request, let `steps`
run it wherever it runs, report the result. What a step computes is in `pipeline/`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import cleandoc
from typing import Any, Final

import dagster as dg

from vidagg_dagster.core.contract import INSIGHT_STEPS, StepName, StepRequest, StepResult
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    LIFETIME_VIDEO_CURVE,
    LIFETIME_VIDEO_ENGAGEMENT,
    VIDEO_CURVE,
    VIDEO_ENGAGEMENT,
    VIDEO_REACH,
    VIEWER_COHORTS,
)
from vidagg_dagster.core.lineage import LANDED_EVENTS, PLAYER_EVENTS, VIDEO_METADATA
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    QUALITY_REPORT,
    RAW_EVENTS,
    REJECTED_EVENTS,
    SESSIONS,
    USER_VIDEO_ENGAGEMENT,
    WATCH_INTERVALS,
    TableSpec,
)
from vidagg_dagster.defs.checks import check_results, check_specs, day_results
from vidagg_dagster.defs.code_references import code_references
from vidagg_dagster.defs.metadata import (
    day_metadata,
    input_metadata,
    run_metadata,
    table_metadata,
)
from vidagg_dagster.defs.partitions import (
    backfill_policy,
    by_deadline,
    daily_partitions,
    days_of,
    with_backfill_policies,
)
from vidagg_dagster.defs.targets import POOL, retry_policy
from vidagg_dagster.insight.audience import audience_status
from vidagg_dagster.insight.chapters import chapter_engagement
from vidagg_dagster.insight.cohorts import attribute_cohorts, viewer_cohorts
from vidagg_dagster.insight.figures import daily_figures, lifetime_figures
from vidagg_dagster.insight.reach import video_reach
from vidagg_dagster.metrics.ingestion import judge
from vidagg_dagster.pipeline.steps import STEPS
from vidagg_dagster.runners.runner import StepRunner
from vidagg_dagster.settings import Settings

GROUP: Final = "video_engagement"
INSIGHTS_GROUP: Final = "video_insights"
KINDS: Final = {"pyspark", "deltalake"}
INPUT_KINDS: Final = {"source"}

INPUT_COLUMNS: Final = {
    "timestamp": ("time", "When it happened."),
    "userId": ("string", "Who watched."),
    "sessionId": ("string", "The player session, as the sender names it."),
    "videoId": ("string", "The video."),
    "eventName": ("string", "What happened: play, pause, seek, ... or a name that is mapped."),
    "currentTime": ("seconds", "The position in the video."),
    "playbackRate": ("number", "The speed, 1 = normal. May be missing."),
    "seekFrom": ("seconds", "Of a seek: where it began. May be missing."),
    "eventId": ("string", "The sender's own id of the event. May be missing."),
}
"""What a source tells, by our names: kind and meaning."""

Events = Iterator[
    dg.MaterializeResult[Any]
    | dg.AssetMaterialization
    | dg.AssetCheckResult
    | dg.AssetCheckEvaluation
]


@dataclass(frozen=True)
class TableAsset:
    """An asset that the step of its name materializes as the table of its name."""

    table: TableSpec
    deps: tuple[str | dg.AssetDep, ...]
    description: str


ASSETS: Final = (
    TableAsset(
        RAW_EVENTS,
        deps=(PLAYER_EVENTS,),
        description="""
        One row per accepted player event: parsed, trimmed, canonical names, no duplicates.

        Rejected rows go to rejected_events with their payload and every reason, and the counts
        to ingestion_counts: input = accepted + duplicates + ignored + rejected.

        Each run also looks for events that have arrived for days that were read before. Days that
        are not too old for it (VIDAGG_MAX_LATENESS_DAYS) run again by themselves, if the sensor
        late_events is on.
        """,
    ),
    TableAsset(
        SESSIONS,
        deps=(RAW_EVENTS.name, VIDEO_METADATA),
        description="""
        One row per session and day: a (userId, sessionId), cut wherever it was idle too long.

        A day reads its own events and, as context, those of the day before. So the run of a day
        also settles the day after it, if that was computed before and changes.
        """,
    ),
    TableAsset(
        WATCH_INTERVALS,
        deps=(SESSIONS.name,),
        description="""
        One row per stretch of a video that was watched, with the evidence for it.

        It belongs to the day of the event that closes it.
        """,
    ),
    TableAsset(
        USER_VIDEO_ENGAGEMENT,
        deps=(WATCH_INTERVALS.name, SESSIONS.name, VIDEO_METADATA),
        description="""
        One row per user, video and day: what was watched, skipped, completed, and the score.
        """,
    ),
    TableAsset(
        AGGREGATED_ENGAGEMENT,
        deps=(USER_VIDEO_ENGAGEMENT.name,),
        description="""
        One row per user and video, all days together: what most questions are asked of.

        A day's partition says that the table holds that day. Each run takes in whatever days were
        replaced since the last one, in any order; a day that became empty leaves no trace.
        """,
    ),
    TableAsset(
        QUALITY_REPORT,
        deps=(RAW_EVENTS.name, SESSIONS.name, USER_VIDEO_ENGAGEMENT.name),
        description="""
        One row per day and measure: what came in, what was rejected and why, flags, evidence.
        """,
    ),
    TableAsset(
        VIDEO_CURVE,
        deps=(USER_VIDEO_ENGAGEMENT.name, SESSIONS.name, VIDEO_METADATA),
        description="""
        One row per day, video and bin of the video: who saw it, how often, where they left.

        A bin is a two-hundredth of the video, at least a second. The bins add up to
        user_video_engagement to the millisecond. Written with it: video_engagement.
        """,
    ),
    TableAsset(
        LIFETIME_VIDEO_CURVE,
        deps=(VIDEO_CURVE.name, AGGREGATED_ENGAGEMENT.name, SESSIONS.name, VIDEO_METADATA),
        description="""
        One row per video and bin, all days together: what a retention curve is drawn from.

        A user who watched a part on two days is one viewer of it. Each run computes the table
        anew. Written with it: lifetime_video_engagement, viewer_cohorts, and where people
        have told what they need, attribute_cohorts, video_reach, audience_status and
        chapter_engagement.
        """,
    ),
)


@dataclass(frozen=True)
class TableBeside:
    """A table that the step of `main` writes beside its own, as `computed_by` says."""

    table: TableSpec
    main: TableSpec
    shown: str
    """What `main` has of it."""
    computed_by: Callable[..., object]


_CHECKED: Final = "Its checks are there, too."

BESIDE: Final = (
    TableBeside(REJECTED_EVENTS, RAW_EVENTS, "Its days show a sample of it.", judge),
    TableBeside(VIDEO_ENGAGEMENT, VIDEO_CURVE, _CHECKED, daily_figures),
    TableBeside(LIFETIME_VIDEO_ENGAGEMENT, LIFETIME_VIDEO_CURVE, _CHECKED, lifetime_figures),
    TableBeside(VIEWER_COHORTS, LIFETIME_VIDEO_CURVE, _CHECKED, viewer_cohorts),
    TableBeside(
        ATTRIBUTE_COHORTS,
        LIFETIME_VIDEO_CURVE,
        "Needs VIDAGG_USERS and VIDAGG_COHORT_BY.",
        attribute_cohorts,
    ),
    TableBeside(
        VIDEO_REACH, LIFETIME_VIDEO_CURVE, "Needs publishedAt in VIDAGG_VIDEO_COLUMNS.", video_reach
    ),
    TableBeside(AUDIENCE_STATUS, LIFETIME_VIDEO_CURVE, "Needs VIDAGG_AUDIENCE.", audience_status),
    TableBeside(
        CHAPTER_ENGAGEMENT, LIFETIME_VIDEO_CURVE, "Needs VIDAGG_CHAPTERS.", chapter_engagement
    ),
)


@with_backfill_policies()
def build_assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The inputs and the assets, with the partitions and places that the settings name."""
    return [
        _player_events(settings),
        _video_metadata(settings),
        *(
            _beside(settings, declared)
            for declared in BESIDE
            if _is_wanted(settings, declared.main)
        ),
        *(
            _asset(declared, settings)
            for declared in ASSETS
            if _is_wanted(settings, declared.table)
        ),
    ]


def _is_wanted(settings: Settings, table: TableSpec) -> bool:
    return settings.insights or table.name not in INSIGHT_STEPS


def _computed_by(table: TableSpec) -> Callable[..., object]:
    return STEPS[StepName(table.name)].compute


def _group(table: TableSpec) -> str:
    return INSIGHTS_GROUP if table.name in INSIGHT_STEPS else GROUP


def _asset(declared: TableAsset, settings: Settings) -> dg.AssetsDefinition:
    table = declared.table
    partitions = daily_partitions(settings)
    lands = table is RAW_EVENTS and settings.azure_source is not None

    @dg.asset(
        name=table.name,
        description=cleandoc(declared.description),
        deps=[*declared.deps, *([LANDED_EVENTS] if lands else [])],
        group_name=_group(table),
        owners=settings.operations.owners,
        kinds=KINDS,
        pool=POOL,
        retry_policy=retry_policy(settings),
        partitions_def=partitions,
        backfill_policy=backfill_policy(settings),
        freshness_policy=by_deadline(settings),
        check_specs=check_specs(table.name, partitions if table.partitioned else None),
        metadata={**table_metadata(settings, table), **code_references(_computed_by(table))},
    )
    def materialize(
        context: dg.AssetExecutionContext, steps: dg.ResourceParam[StepRunner]
    ) -> Events:
        request = _request(context, settings, table)
        yield from _report(context, steps.run(context, request))

    return materialize


def _player_events(settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        PLAYER_EVENTS,
        description="One row per event as players send it. Kept elsewhere; VIDAGG_SOURCE says "
        "where. Read by raw_events, which notices what is new in it.",
        group_name=GROUP,
        owners=settings.operations.owners,
        kinds=INPUT_KINDS,
        metadata=input_metadata(
            settings.source,
            [
                (settings.columns.get(name, name), kind, meaning)
                for name, (kind, meaning) in INPUT_COLUMNS.items()
            ],
        ),
    )


def _beside(settings: Settings, declared: TableBeside) -> dg.AssetSpec:
    table, main = declared.table, declared.main
    return dg.AssetSpec(
        table.name,
        description=f"{table.doc.replace('`', '')} Written with {main.name}. "
        f'{declared.shown} All rows: vidagg query "from {table.name}".',
        deps=(main.name,),
        group_name=_group(main),
        owners=settings.operations.owners,
        kinds=KINDS,
        metadata={**table_metadata(settings, table), **code_references(declared.computed_by)},
    )


def _video_metadata(settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        VIDEO_METADATA,
        description="One row per video: videoId, duration in seconds, title. Kept elsewhere; "
        "VIDAGG_VIDEO_METADATA says where.",
        group_name=GROUP,
        owners=settings.operations.owners,
        kinds=INPUT_KINDS,
        metadata=input_metadata(
            settings.video_metadata,
            [
                ("videoId", "string", "The video."),
                ("duration", "double", "Its length in seconds."),
                ("title", "string", "Its title."),
            ],
        ),
    )


def _request(
    context: dg.AssetExecutionContext, settings: Settings, table: TableSpec
) -> StepRequest:
    return StepRequest(
        step=StepName(table.name),
        days=days_of(context),
        start_date=settings.start_date,
        timezone=settings.timezone,
        run_time=datetime.now(UTC),
        store=settings.store,
        source=settings.source_spec if table is RAW_EVENTS else None,
        video_metadata=settings.video_metadata,
        audience=settings.audience,
        chapters=settings.chapters,
        users=settings.users,
        cohort_by=settings.cohort_by,
        video_columns=settings.video_columns,
        estimate_missing_durations=settings.estimate_missing_durations,
        dimensions=settings.dimensions,
        parameters=settings.parameters,
        max_lateness_days=settings.operations.max_lateness_days,
        events_at_once=settings.events_at_once,
    )


def _report(context: dg.AssetExecutionContext, result: StepResult) -> Events:
    """Materialization first, then checks: a blocking check ends the step, the rows are there."""
    asked = days_of(context)
    for day in result.days:
        if day.day in asked:
            # Dagster would copy the metadata of a MaterializeResult to every day of a range.
            told = day_metadata(day, result.rules)
            context.add_asset_metadata(told, partition_key=day.day.isoformat())
    shown = run_metadata(result)
    yield dg.MaterializeResult(metadata=shown)
    for day in result.days:
        if day.day not in asked:
            yield dg.AssetMaterialization(
                context.asset_key,
                description="Replaced by the run of other days, which change it.",
                partition=day.day.isoformat(),
                metadata={**shown, **day_metadata(day, result.rules)},
            )
    yield from day_results(context, result)
    yield from check_results(context, result)
