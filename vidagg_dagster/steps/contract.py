"""What crosses the boundary between the orchestrator and a step: frozen, JSON-ready models."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.engine.rules import EngagementRules


class StepName(StrEnum):
    """The steps, named as the assets that they materialize."""

    RAW_EVENTS = "raw_events"
    SESSIONS = "sessions"
    WATCH_INTERVALS = "watch_intervals"
    USER_VIDEO_ENGAGEMENT = "user_video_engagement"
    AGGREGATED_ENGAGEMENT = "aggregated_user_video_engagement"
    QUALITY_REPORT = "quality_report"


class Severity(StrEnum):
    """ERROR means wrong tables and stops what is downstream; WARN asks for a look."""

    ERROR = "ERROR"
    WARN = "WARN"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSpec(_Model):
    """Where events are read from and how their columns are to be understood."""

    location: str = Field(description="A folder, a file, a Delta table's folder or a table name.")
    format: Literal["auto", "jsonl", "csv", "parquet", "delta", "table"] = "auto"
    columns: dict[str, str] = Field(
        default_factory=dict, description="Our column name -> the source's column name."
    )
    timezone: str = Field(default="UTC", description="Zone of times that carry none.")
    timestamp_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="Unit of numeric timestamps; without one they are not read."
    )


class TableStore(_Model):
    """Where tables live: a folder of Delta tables, or `catalog.schema` of a Spark catalog."""

    kind: Literal["local", "catalog"]
    location: str


class StepRequest(_Model):
    """One step over whole days. A step depends on nothing else than this."""

    step: StepName
    days: tuple[date, ...] = Field(description="The days to replace; empty for the lifetime step.")
    start_date: date
    timezone: str
    run_time: datetime = Field(
        description="Becomes `processedAt`; an event may not be later by a day."
    )
    store: TableStore
    source: SourceSpec | None = None
    video_metadata: str | None = None
    estimate_missing_durations: bool = False
    rules: EngagementRules = EngagementRules()


class RuleOutcome(_Model):
    """One validation rule on one day (`day` is None for the lifetime table)."""

    rule: str
    day: date | None
    passed: bool
    violations: int = 0
    detail: dict[str, Any] = Field(default_factory=dict)


class DayResult(_Model):
    """What one day of a step came to."""

    day: date
    rows: int
    metrics: dict[str, int | float | str | None] = Field(default_factory=dict)


class StepResult(_Model):
    """What a step did: per-day row counts, check outcomes and tables to show to people."""

    step: StepName
    rows: int
    days: tuple[DayResult, ...] = ()
    outcomes: tuple[RuleOutcome, ...] = ()
    top: tuple[dict[str, Any], ...] = Field(
        default=(), description="A few rows worth showing, e.g. the videos with most watch time."
    )
    metrics: dict[str, int | float | str | None] = Field(default_factory=dict)
    seconds: float = 0.0
