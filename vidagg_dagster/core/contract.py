"""What crosses the boundary between the orchestrator and a step: frozen, JSON-ready models."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.core.event_mapping import EventMapping, TimeUnit
from vidagg_dagster.core.parameters import EngagementParameters

REQUIRED_COLUMNS: Final = (
    "timestamp",
    "userId",
    "sessionId",
    "videoId",
    "eventName",
    "currentTime",
)
OPTIONAL_COLUMNS: Final = ("playbackRate", "seekFrom", "eventId")
EVENT_COLUMNS: Final = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
"""The columns of an event, by our names; a source may call them otherwise."""


PUBLISHED_AT: Final = "publishedAt"
VIDEO_COLUMNS: Final = ("videoId", "duration", "durationMs", "title", "updatedAt", PUBLISHED_AT)
"""The columns of a video catalogue, by our names: `duration` in seconds, or `durationMs`. The last
one is read only where it is named."""

SourceFormat = Literal["auto", "jsonl", "csv", "parquet", "delta", "table"]
"""What a source is; `auto` goes by what lies there."""

TimestampUnit = TimeUnit
"""The unit of timestamps that are numbers."""

AUTO: Final = "auto"
SPARK: Final = "spark"
SAIL: Final = "sail"
ENGINE_NAMES: Final = (AUTO, SPARK, SAIL)
"""The engines that have a name: `auto` chooses one of the others."""

CONNECT_PREFIX: Final = "sc://"
"""How the address of a Spark Connect server begins, which is an engine too."""

DEFAULT_EVENTS_AT_ONCE: Final = 12_000_000
"""An engine that does not spill needs about 3 GB for so many."""

DEFAULT_MAX_POSITION_S: Final = 86_400
MAX_MAX_POSITION_S: Final = 1e10
"""In milliseconds it still fits into a BIGINT a hundred thousand times."""

DEFAULT_MAX_LATENESS_DAYS: Final = 3

LIVE_NOTES: Final = "live"
"""The folder beside live tables with what is remembered of the batches taken in."""

REQUEST: Final = "request"
"""Under which name a `StepRequest` travels to a step in another process."""


class StepName(StrEnum):
    """The steps, named as the assets that they materialize."""

    RAW_EVENTS = "raw_events"
    SESSIONS = "sessions"
    WATCH_INTERVALS = "watch_intervals"
    USER_VIDEO_ENGAGEMENT = "user_video_engagement"
    AGGREGATED_ENGAGEMENT = "aggregated_user_video_engagement"
    QUALITY_REPORT = "quality_report"
    VIDEO_CURVE = "video_curve"
    LIFETIME_VIDEO_CURVE = "lifetime_video_curve"


INSIGHT_STEPS: Final = (StepName.VIDEO_CURVE, StepName.LIFETIME_VIDEO_CURVE)
"""Steps whose tables nothing else is computed from; settings may leave them out."""


class Severity(StrEnum):
    """ERROR means wrong tables and stops what is downstream; WARN asks for a look."""

    ERROR = "ERROR"
    WARN = "WARN"


Metrics = dict[str, int | float | str | None]
"""Numbers to show to people, by name."""

ABSENT_DIMENSIONS: Final = "dimensions that the source does not have"
"""Metric of raw_events, where there are any: which, and the nearest columns."""

ROWS_COUNTED: Final = "source rows counted anew"
"""Metric of raw_events: rows of new and changed files, or what has changed of a table."""

ROWS_OF_DAYS: Final = "source rows of these days"
"""Metric of raw_events: rows that its days were made of, duplicates and rejected ones included."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSpec(_Model):
    """Where events are read from and how their columns are to be understood."""

    location: str = Field(description="A folder, a file, a Delta table's folder or a table name.")
    format: SourceFormat = "auto"
    columns: dict[str, str] = Field(
        default_factory=dict, description="Our column name -> the source's column name."
    )
    timezone: str = Field(default="UTC", description="Zone of times that carry none.")
    timestamp_unit: TimestampUnit | None = Field(
        default=None, description="Unit of numeric timestamps; without one they are not read."
    )
    time_formats: tuple[str, ...] = Field(
        default=(), description="Patterns of times that are text, beside the known notations."
    )
    event_names: dict[str, str] = Field(
        default_factory=dict,
        description="The source's name of an event, in lower case -> ours, or `ignore`.",
    )
    max_position_s: float = Field(
        default=DEFAULT_MAX_POSITION_S,
        gt=0,
        le=MAX_MAX_POSITION_S,
        allow_inf_nan=False,
        description="Positions above this many seconds are not believed.",
    )
    mapping: EventMapping | None = Field(
        default=None,
        description="The vocabulary that the events are in; None: ours. `columns` are then paths "
        "into its records.",
    )

    @property
    def number_unit(self) -> TimestampUnit | None:
        """The unit of numeric timestamps, by the settings or else by the vocabulary."""
        return self.timestamp_unit or (self.mapping.timestamp_unit if self.mapping else None)


class TableStore(_Model):
    """Where tables live: a folder of Delta tables, or `catalog.schema` of a Spark catalog."""

    kind: Literal["local", "catalog"]
    location: str


class StepRequest(_Model):
    """One step over whole days. A step depends on nothing else than this."""

    step: StepName
    days: tuple[date, ...] = Field(
        description="The days to replace. The lifetime step takes in all that have changed, "
        "whether they are named or not."
    )
    start_date: date
    timezone: str
    run_time: datetime = Field(
        description="Becomes `processedAt`, and tells which days are late or ahead. No row depends "
        "on it."
    )
    store: TableStore
    source: SourceSpec | None = None
    video_metadata: str | None = None
    audience: str | None = None
    chapters: str | None = None
    users: str | None = None
    cohort_by: tuple[str, ...] = Field(
        default=(), description="Columns of the table of users that make cohorts."
    )
    video_columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our name of a column of the video catalogue -> the catalogue's.",
    )
    estimate_missing_durations: bool = False
    dimensions: dict[str, str | None] = Field(
        default_factory=dict,
        description="Further columns of the events that sessions and pairs carry: the name of "
        "each -> the source's column, if it has another name.",
    )
    parameters: EngagementParameters = EngagementParameters()
    max_lateness_days: int = Field(
        default=DEFAULT_MAX_LATENESS_DAYS,
        ge=0,
        description="Days before the last complete one that late events may still change.",
    )
    events_at_once: int = Field(
        default=DEFAULT_EVENTS_AT_ONCE,
        gt=0,
        description="Days are computed together up to so many events. A day beyond it is computed "
        "by itself, and on an engine that does not spill in slices of its users.",
    )
    scratch: str | None = Field(
        default=None,
        description="Folder that all machines of the engine see, for copies of source files that "
        "it cannot read as they are. None: the temporary folder of this machine.",
    )


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
    unit: str = Field(default="rows", description="What the rows are: events, sessions, ...")
    seconds: float = Field(
        default=0.0,
        description="Time it took; of days that were computed together the share of its events.",
    )
    metrics: Metrics = Field(default_factory=dict)
    numbers: Metrics = Field(
        default_factory=dict, description="What people follow from day to day, to be plotted."
    )
    top: tuple[dict[str, Any], ...] = Field(
        default=(), description="A few rows worth showing, such as the most watched videos."
    )
    sample: tuple[dict[str, Any], ...] = Field(
        default=(), description="A few rejected rows, without the ids of people."
    )


class LateDay(_Model):
    """A day whose rows in the source have changed since raw_events read them."""

    day: date
    rows: int = Field(description="Rows more than were read, duplicates included; may be negative.")
    inventory: int = Field(description="Number of the inventory in which they last changed.")
    days_late: int = Field(description="How many days it lies before the last complete day.")
    within_limit: bool = Field(description="Whether it may still be changed by itself.")


class LateReport(_Model):
    """What the source holds that the tables do not; other days than those just read."""

    days: tuple[LateDay, ...] = ()
    follow_up: tuple[date, ...] = Field(
        default=(),
        description="The days to run again: those within the limit.",
    )

    ahead: dict[date, int] = Field(
        default_factory=dict,
        description="Days more than one after that of the run -> rows that the source has of them. "
        "They wait for their day.",
    )

    @property
    def beyond_limit(self) -> tuple[LateDay, ...]:
        """The days that are left as they are until someone runs them again."""
        return tuple(day for day in self.days if not day.within_limit)


class LifetimeUpdate(_Model):
    """What an update of the lifetime table did."""

    changed: int = Field(description="Rows that were written.")
    deleted: int = Field(description="Rows that are gone.")
    days: tuple[date, ...] | None = Field(
        description="The replaced days that it took in; None where it took all days."
    )


class StepResult(_Model):
    """What a step did: per-day row counts, check outcomes and tables to show to people."""

    step: StepName
    rows: int
    unit: str = Field(default="rows", description="What the rows are: events, sessions, ...")
    days: tuple[DayResult, ...] = Field(
        default=(), description="The requested days, and those that were settled after them."
    )
    outcomes: tuple[RuleOutcome, ...] = ()
    top: tuple[dict[str, Any], ...] = Field(
        default=(), description="Of a table without days: a few rows worth showing."
    )
    metrics: Metrics = Field(default_factory=dict)
    numbers: Metrics = Field(
        default_factory=dict, description="Of a table without days, as those of a day."
    )
    rules: str = Field(default="", description="By which rules: see `edition.rules_of`.")
    seconds: float = 0.0
    late: LateReport | None = Field(
        default=None, description="Of raw_events: days that have changed in the source meanwhile."
    )
    links: dict[str, str] = Field(
        default_factory=dict, description="Pages about the step's run, by name; set by its runner."
    )
