"""What people see of an asset, a run and a day: every key of Dagster's metadata in one place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import dagster as dg

from vidagg_dagster.core.contract import (
    ABSENT_DIMENSIONS,
    ROWS_COUNTED,
    ROWS_OF_DAYS,
    DayResult,
    LateReport,
    Metrics,
    StepResult,
    TableStore,
)
from vidagg_dagster.core.days import span_text
from vidagg_dagster.core.lineage import LINEAGE, PLAYER_EVENTS
from vidagg_dagster.core.schemas import TABLES, TableSpec, with_dimensions
from vidagg_dagster.core.text import clock
from vidagg_dagster.defs.pictures import watch_time_picture
from vidagg_dagster.quality.report import MEASURES as REPORTED
from vidagg_dagster.quality.report import ROWS, SHARE
from vidagg_dagster.settings.model import Settings

# Keys that Dagster's UI knows.
COLUMN_SCHEMA: Final = "dagster/column_schema"
COLUMN_LINEAGE: Final = "dagster/column_lineage"
PARTITION_ROW_COUNT: Final = "dagster/partition_row_count"
ROW_COUNT: Final = "dagster/row_count"
TABLE_NAME: Final = "dagster/table_name"
URI: Final = "dagster/uri"

# Keys of our own.
DAYS: Final = "days"
FOLLOW_UP: Final = "follow_up"
"""On raw_events: the days that late events make necessary to run again."""
LATE_DAYS: Final = "late_days"
LATE_ROWS: Final = "late_rows"
LOCATION: Final = "location"
MEASURES: Final = "measures"
PICTURE: Final = "watch_time"
RULES: Final = "rules"
"""By which rules a day was computed: see `edition.rules_of`."""
REJECTED_SAMPLE: Final = "rejected_sample"
UNKNOWN_NAMES: Final = "unknown event names"
TOP_VIDEOS: Final = "top_videos"

MAX_LATE_DAYS: Final = 100
"""The newest late days are shown, up to this number."""

_MEASURE_SCHEMA: Final = dg.TableSchema(
    [
        dg.TableColumn("measure", "string"),
        dg.TableColumn("value", "float"),
        dg.TableColumn("unit", "string"),
    ]
)


_DATABRICKS_HOST: Final = "DATABRICKS_HOST"
"""Read by the SDK of Databricks as well: one of the ways to name the workspace."""

_UNITS: Final = {measure.name: measure.unit for measure in REPORTED}
_WATCH_SECONDS: Final = "watchSeconds"


@dataclass(frozen=True)
class FollowUp:
    """The days to run again, and the inventory of the source that shows it."""

    days: tuple[date, ...] = ()
    inventory: int = 0


def table_metadata(settings: Settings, table: TableSpec) -> dict[str, Any]:
    """What the page of an asset shows before any run: where its table is, columns, lineage."""
    return {
        **_place(settings.store, table),
        COLUMN_SCHEMA: dg.TableSchema(
            [
                dg.TableColumn(column.name, column.type.simpleString(), description=column.doc)
                for column in with_dimensions(table, tuple(settings.dimensions)).columns
            ]
        ),
        COLUMN_LINEAGE: dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(dg.AssetKey(origin), _column_of(settings, origin, name))
                    for origin, name in origins
                ]
                for column, origins in LINEAGE.get(table.name, {}).items()
            }
        ),
    }


def input_metadata(location: str | None, columns: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    """What the page of an input shows: where it is, and (name, type, description) of columns."""
    return {
        LOCATION: location or "not set",
        COLUMN_SCHEMA: dg.TableSchema(
            [dg.TableColumn(name, kind, description=doc) for name, kind, doc in columns]
        ),
    }


def day_metadata(day: DayResult, rules: str) -> dict[str, Any]:
    """What the materialization of one day shows; last, by which rules it was computed."""
    shown: dict[str, Any] = {PARTITION_ROW_COUNT: day.rows, **_known(day.numbers)}
    shown |= _top(day.top)
    if day.metrics:
        records = [_measure(name, value) for name, value in day.metrics.items()]
        shown[MEASURES] = _table(records, _MEASURE_SCHEMA)
    if day.sample:
        shown[REJECTED_SAMPLE] = _table(day.sample)
    return {**shown, RULES: rules} if rules else shown


def run_metadata(result: StepResult) -> dict[str, Any]:
    """What every materialization of a run shows: what is not of a single day."""
    shown: dict[str, Any] = {}
    if not TABLES[result.step].partitioned:
        shown |= {ROW_COUNT: result.rows, **_known(result.numbers)}
    shown |= _top(result.top)
    if len(result.days) > 1:
        shown[DAYS] = f"{span_text(result.days[0].day, result.days[-1].day)} ({len(result.days)})"
    told = (UNKNOWN_NAMES, ABSENT_DIMENSIONS, ROWS_COUNTED, ROWS_OF_DAYS)
    shown |= {name: result.metrics[name] for name in told if name in result.metrics}
    if result.late is not None and result.late.days:
        shown |= _late_metadata(result.late)
    links = {name: dg.MetadataValue.url(page) for name, page in result.links.items()}
    return {**shown, **links}


def follow_up_of(materialization: dg.AssetMaterialization | None) -> FollowUp:
    """What a materialization of raw_events asks to run again."""
    found = None if materialization is None else materialization.metadata.get(FOLLOW_UP)
    value = found.value if isinstance(found, dg.JsonMetadataValue) else None
    if not isinstance(value, Mapping):
        return FollowUp()
    return FollowUp(
        days=tuple(date.fromisoformat(day) for day in value.get("days", [])),
        inventory=int(value.get("inventory", 0)),
    )


def _late_metadata(late: LateReport) -> dict[str, Any]:
    records = [
        {
            "day": day.day.isoformat(),
            "rows": day.rows,
            "days_late": day.days_late,
            "runs_again": "by sensor late_events" if day.within_limit else "by hand",
        }
        for day in late.days[-MAX_LATE_DAYS:]
    ]
    follow_up = {
        "days": [day.isoformat() for day in late.follow_up],
        "inventory": max((day.inventory for day in late.days if day.within_limit), default=0),
    }
    return {
        LATE_DAYS: _table(records),
        LATE_ROWS: sum(day.rows for day in late.days),
        FOLLOW_UP: dg.MetadataValue.json(follow_up),
    }


def _known(numbers: Metrics) -> dict[str, Any]:
    """Without those that are null: Dagster plots numbers only."""
    return {name: value for name, value in numbers.items() if value is not None}


def _top(videos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The videos as a table, and as a picture where their watch time is known."""
    if not videos:
        return {}
    picture = watch_time_picture(videos)
    return {
        **({PICTURE: dg.MetadataValue.md(picture)} if picture else {}),
        TOP_VIDEOS: _table([_top_video(video) for video in videos]),
    }


def _top_video(video: Mapping[str, Any]) -> dict[str, Any]:
    """Four columns at most: the page of an asset has no room for a fifth."""
    shown = dict(video)
    if _WATCH_SECONDS in shown:
        name, title = shown.pop("videoId"), shown.pop("title", None)
        shown = {"video": title or name, "watched": clock(shown.pop(_WATCH_SECONDS)), **shown}
    return shown


def _measure(name: str, value: float | str | None) -> dict[str, Any]:
    """A measure with its unit; shares as percentages, so that nobody reads 0.04631248384185996."""
    unit = _UNITS.get(name, ROWS)
    if not isinstance(value, int | float):
        return {"measure": name, "value": value, "unit": ""}
    if unit == SHARE:
        return {"measure": name, "value": round(100 * value, 2), "unit": "%"}
    return {"measure": name, "value": round(value, 1), "unit": unit}


def _table(
    records: Sequence[Mapping[str, Any]], schema: dg.TableSchema | None = None
) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in records], schema=schema)


def _column_of(settings: Settings, table: str, column: str) -> str:
    """The name of a column in the table where it is; a source may call it otherwise."""
    return settings.columns.get(column, column) if table == PLAYER_EVENTS else column


def _page_in_databricks(store: TableStore, table: TableSpec) -> dict[str, Any]:
    """The page of the table in Catalog Explorer, where the address of the workspace is known."""
    host = os.environ.get(_DATABRICKS_HOST, "").strip().rstrip("/")
    if not host:
        return {}
    workspace = host if "://" in host else f"https://{host}"
    path = "/".join([*store.location.split("."), table.name])
    return {URI: dg.MetadataValue.url(f"{workspace}/explore/data/{path}")}


def _place(store: TableStore, table: TableSpec) -> dict[str, Any]:
    if store.kind == "catalog":
        return {TABLE_NAME: f"{store.location}.{table.name}", **_page_in_databricks(store, table)}
    return {TABLE_NAME: table.name, URI: f"{store.location}/{table.name}"}
