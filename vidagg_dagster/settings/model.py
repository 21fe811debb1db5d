"""Every setting once, each with its meaning, its default and what is allowed.

The reference of all settings is made by `tools/settings_reference.py`.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, ValidatorFunctionWrapHandler, field_validator, model_validator
from pydantic_core import PydanticCustomError

from vidagg_dagster.azure.export import ExportTarget, parse_export
from vidagg_dagster.azure.source import AzureSource, is_azure, parse_source
from vidagg_dagster.core.column_mapping import (
    parse_columns,
    parse_event_names,
    parse_video_columns,
    require_event_columns,
    require_event_names,
    require_video_columns,
)
from vidagg_dagster.core.contract import (
    AUTO,
    CONNECT_PREFIX,
    DEFAULT_EVENTS_AT_ONCE,
    DEFAULT_MAX_POSITION_S,
    ENGINE_NAMES,
    EVENT_COLUMNS,
    LIVE_NOTES,
    MAX_MAX_POSITION_S,
    SAIL,
    VIDEO_COLUMNS,
    SourceFormat,
    SourceSpec,
    TableStore,
    TimestampUnit,
)
from vidagg_dagster.core.days import EARLIEST
from vidagg_dagster.core.dimensions import (
    MAX_DIMENSIONS,
    parse_dimensions,
    require_dimensions,
)
from vidagg_dagster.core.edition import rules_of
from vidagg_dagster.core.errors import SettingsError, SourceError, TableError
from vidagg_dagster.core.lineage import LANDED_EVENTS
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.time_format import parse_time_formats, require_time_formats
from vidagg_dagster.core.unity_catalog import is_schema_name
from vidagg_dagster.core.validation import contradiction, raise_together
from vidagg_dagster.core.vocabulary import RANK_OF
from vidagg_dagster.live.contract import LiveTask
from vidagg_dagster.live.request import LiveRequest
from vidagg_dagster.report.language import LanguageName
from vidagg_dagster.settings.alerts import AlertSettings
from vidagg_dagster.settings.databricks import DatabricksSettings
from vidagg_dagster.settings.faults import did_you_mean
from vidagg_dagster.settings.fields import (
    SettingsGroup,
    VariablePrefix,
    allowed,
    json_object,
    require_no_credentials,
    words,
)
from vidagg_dagster.settings.insights import ExperimentSettings
from vidagg_dagster.settings.live import LiveSettings
from vidagg_dagster.settings.operations import OperationsSettings
from vidagg_dagster.sources.mappings.vocabularies import find_mapping
from vidagg_dagster.tables.disk import CREDENTIALS, is_address, usable_root

_ABSOLUTE: Final = re.compile(r"/|[a-z][a-z0-9+.-]+://|[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}$")
"""A whole path or the name of a table: what means the same on every machine."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Settings(SettingsGroup):
    """What can be configured. `load_settings()` takes the values from variables."""

    source: str | None = Field(
        default=None,
        min_length=1,
        description="The events: a folder or file of JSON lines, CSV or Parquet, the folder of a "
        "Delta table, or a table; or [in Azure](azure.md). Needed as soon as raw_events runs.",
        json_schema_extra=allowed(
            "a path, `[catalog.][schema.]table`, `loganalytics://WORKSPACE-ID`, "
            "`appinsights://RESOURCE-ID` or `kusto://CLUSTER/DATABASE/TABLE`"
        ),
    )
    source_format: SourceFormat = Field(
        default="auto", description="Format of the source; auto goes by what lies there."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="The source's own column names, where they differ from ours.",
        json_schema_extra=allowed(
            "`ours=theirs,...` or a JSON object, ours being one of " + ", ".join(EVENT_COLUMNS)
        ),
    )
    source_timezone: str = Field(
        default="UTC",
        description="Zone of source times that carry none.",
        json_schema_extra=allowed("an IANA time zone such as Europe/Berlin"),
    )
    timestamp_unit: TimestampUnit | None = Field(
        default=None,
        description="Unit of numeric source times. Without one, numbers are rejected as "
        "unparsable rather than guessed.",
    )
    time_format: tuple[str, ...] = Field(
        default=(),
        description="Patterns of source times, beside the [notations that are known]"
        "(inputs.md#times). The first one that fits counts, and goes before those.",
        json_schema_extra=allowed(
            "patterns with `|` between them, such as `%d.%m.%Y %H:%M:%S|%m/%d/%y %I:%M %p`"
        ),
    )
    event_names: dict[str, str] = Field(
        default_factory=dict,
        description="The source's own names of events, where we do not know them. Rows of a name "
        "mapped to `ignore` are counted and dropped.",
        json_schema_extra=allowed(
            "`ours=theirs|theirs,...` or a JSON object from theirs to ours, ours being `ignore` or "
            "one of " + ", ".join(RANK_OF)
        ),
    )
    mapping: str | None = Field(
        default=None,
        min_length=1,
        description="The vocabulary of the source's events, where it is not ours. Names in "
        "`VIDAGG_COLUMNS` are then paths into its records.",
        json_schema_extra=allowed(
            "a [known vocabulary](vocabularies.md) or a file that ends in `.yaml`"
        ),
    )
    dimensions: dict[str, str | None] = Field(
        default_factory=dict,
        description="[Dimensions](dimensions.md): further columns of the source that sessions and "
        "pairs of user and video carry, to be asked for.",
        json_schema_extra=allowed(
            "`device,country=geo.country,...` or a JSON object from names to columns; at most "
            f"{MAX_DIMENSIONS}"
        ),
    )
    max_position: float = Field(
        default=DEFAULT_MAX_POSITION_S,
        gt=0,
        le=MAX_MAX_POSITION_S,
        allow_inf_nan=False,
        description="Positions above this many seconds are invalid. Live streams may count from "
        "the beginning of a channel.",
    )
    video_metadata: str | None = Field(
        default=None,
        min_length=1,
        description="Table or file with videoId, duration (seconds) and title. Without it no "
        "percentage, score or tier can be computed.",
        json_schema_extra=allowed("a path, or `[catalog.][schema.]table`"),
    )
    audience: str | None = Field(
        default=None,
        min_length=1,
        description="Table or file with userId, videoId and, if there is one, dueDate: who should "
        "watch what by when. Without it `audience_status` has no rows.",
        json_schema_extra=allowed("a path, or `[catalog.][schema.]table`"),
    )
    chapters: str | None = Field(
        default=None,
        min_length=1,
        description="Table or file with videoId, start (seconds, or startMs) and title of "
        "chapters. Without it `chapter_engagement` has no rows.",
        json_schema_extra=allowed("a path, or `[catalog.][schema.]table`"),
    )
    users: str | None = Field(
        default=None,
        min_length=1,
        description="Table or file with userId and columns that tell something of users, such as "
        "their plan or department. For [cohorts](cohorts.md) by it; needs `VIDAGG_COHORT_BY`.",
        json_schema_extra=allowed("a path, or `[catalog.][schema.]table`"),
    )
    cohort_by: tuple[str, ...] = Field(
        default=(),
        description="Columns of `VIDAGG_USERS` by which `attribute_cohorts` has cohorts. Without "
        "them it has no rows.",
        json_schema_extra=allowed("names of columns, separated by commas"),
    )
    video_columns: dict[str, str] = Field(
        default_factory=dict,
        description="The catalogue's own column names, where they differ from ours. `durationMs` "
        "instead of `duration` says that durations are milliseconds. `publishedAt` is read only if "
        "it is named here; then there is `video_reach`.",
        json_schema_extra=allowed(
            "`ours=theirs,...` or a JSON object, ours being one of " + ", ".join(VIDEO_COLUMNS)
        ),
    )
    data_root: Path = Field(
        default=Path("data"),
        description="Folder of the tables, one Delta table per asset, where steps run locally. A "
        "relative path counts from the working directory. An address needs the extra `objects`; "
        "see [set-ups](set-ups.md).",
        json_schema_extra=allowed(
            "a folder, existing or not, or `s3://BUCKET/PATH`, "
            "`abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH`, `gs://BUCKET/PATH`"
        ),
    )
    start_date: date = Field(
        default=date(2024, 1, 1),
        description="First day that can be materialized. Rows without any usable date are filed "
        "under it, so after moving it run the old and the new first day again.",
        json_schema_extra=allowed("a day YYYY-MM-DD from 2000-01-01 to today"),
    )
    timezone: str = Field(
        default="UTC",
        description="Zone whose calendar days are the partitions. Changing it changes the meaning "
        "of every day: start a new data root.",
        json_schema_extra=allowed("an IANA time zone such as Europe/Berlin"),
    )
    engine: str = Field(
        default="auto",
        description="What computes: Sail in this process, Spark on a local JVM (needs Java 17 or "
        "newer) or a Spark Connect server. auto means Sail.",
        json_schema_extra=allowed("auto, spark, sail or sc://host:port"),
    )
    catalog_schema: str | None = Field(
        default=None,
        min_length=1,
        description="Schema of the tables in the catalog of a Spark Connect server that knows "
        "Delta, instead of the folder VIDAGG_DATA_ROOT; see [set-ups](set-ups.md).",
        json_schema_extra=allowed("`[catalog.]schema`, which exists"),
    )
    driver_memory: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d*[kmgt]$",
        description="Heap of a local Spark JVM. Without it, half of the machine's memory, at most "
        "16 GiB.",
        json_schema_extra=allowed("a size such as 4g or 800m"),
    )
    target: Literal["local", "databricks"] = Field(
        default="local",
        description="Where steps run: in Dagster's own process, or each as a Databricks job.",
    )
    max_days_per_run: int = Field(
        default=31,
        ge=0,
        description="Most days of a backfill in one run; more are split into several runs. 0 = "
        "never split, which `dagster asset materialize --partition-range` insists on.",
    )
    events_at_once: int = Field(
        default=DEFAULT_EVENTS_AT_ONCE,
        gt=0,
        description="Days of a backfill are computed together up to so many events, which spares "
        "the fixed cost of each; a day with more is computed by itself, on Sail in slices of its "
        "users. Bounds memory: a process on Sail takes about 0.8 GB, and 0.2 GB more per million "
        "events.",
    )
    estimate_missing_durations: bool = Field(
        default=False,
        description="Take the largest position ever seen for the duration of a video that has "
        "none, and say so in videoDurationSource.",
    )

    insights: bool = Field(
        default=True,
        description="Whether the daily job also computes the tables of the group video_insights: "
        "curves, figures of a video, cohorts, audience and chapters. No other table is computed "
        "from them. Those of before stay as they were: remove them.",
        json_schema_extra=allowed("on or off"),
    )

    page_language: LanguageName = Field(
        default="en", description="Language of [the page](report.md) that Dagster writes."
    )
    page_users: bool = Field(
        default=True,
        description="Whether the page that Dagster writes names users: the table of users and "
        "videos, and what single viewers have seen.",
        json_schema_extra=allowed("on or off"),
    )

    export_log_analytics: str | None = Field(
        default=None,
        min_length=1,
        description="Where changed rows of the lifetime table are sent: a custom table of Log "
        "Analytics, see [Azure](azure.md). Without it nothing is sent.",
        json_schema_extra=allowed(
            "`https://ENDPOINT/dcr-ID/Custom-STREAM` of a data collection rule"
        ),
    )

    operations: OperationsSettings = Field(default_factory=OperationsSettings)
    alerts: Annotated[AlertSettings, VariablePrefix("ALERT_")] = Field(
        default_factory=AlertSettings
    )
    databricks: Annotated[DatabricksSettings, VariablePrefix("DATABRICKS_")] = Field(
        default_factory=DatabricksSettings
    )
    completion_forecast: Literal["off", "table", "learned"] = Field(
        default="off",
        description="How likely a viewer [completes](completion.md) a video: off, by a table, or "
        "by a model where it is shown to be better than the table.",
    )
    experiments: Annotated[ExperimentSettings, VariablePrefix("EXPERIMENTS_")] = Field(
        default_factory=ExperimentSettings
    )
    live: Literal["off", "sensor", "command"] = Field(
        default="off",
        description="[Live tables](live.md) in Dagster: `sensor` takes in new files of the source "
        "every 30 seconds; with `command` somebody runs `vidagg live`, and Dagster only compares "
        "the live rows with those of the daily run.",
    )
    live_feed: Annotated[LiveSettings, VariablePrefix("LIVE_")] = Field(
        default_factory=LiveSettings
    )
    parameters: EngagementParameters = Field(default_factory=EngagementParameters)

    @field_validator("source", "video_metadata", "audience", "chapters", "users")
    @classmethod
    def _without_credentials(cls, value: str | None) -> str | None:
        if value is not None:
            require_no_credentials(value)
        return value

    @field_validator("source")
    @classmethod
    def _known_in_azure(cls, value: str | None) -> str | None:
        if value is not None and is_azure(value):
            parse_source(value)
        return value

    @field_validator("columns", mode="before")
    @classmethod
    def _parse_columns(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return json_object(value) if value.lstrip().startswith("{") else parse_columns(value)

    @field_validator("cohort_by", mode="before")
    @classmethod
    def _parse_cohort_by(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("video_columns", mode="before")
    @classmethod
    def _parse_video_columns(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return json_object(value) if value.lstrip().startswith("{") else parse_video_columns(value)

    @field_validator("dimensions", mode="before")
    @classmethod
    def _parse_dimensions(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return json_object(value) if value.lstrip().startswith("{") else parse_dimensions(value)

    @field_validator("dimensions")
    @classmethod
    def _possible_dimensions(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        return require_dimensions(value)

    @field_validator("time_format", mode="before")
    @classmethod
    def _parse_time_format(cls, value: object) -> object:
        return parse_time_formats(value) if isinstance(value, str) else value

    @field_validator("time_format")
    @classmethod
    def _known_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return require_time_formats(value)

    @field_validator("event_names", mode="before")
    @classmethod
    def _parse_event_names(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return json_object(value) if value.lstrip().startswith("{") else parse_event_names(value)

    @field_validator("mapping")
    @classmethod
    def _known_mapping(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                find_mapping(value)
            except SourceError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("event_names")
    @classmethod
    def _known_events(cls, value: dict[str, str]) -> dict[str, str]:
        return require_event_names(value)

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: dict[str, str]) -> dict[str, str]:
        require_event_columns(value)
        return value

    @field_validator("video_columns")
    @classmethod
    def _known_video_columns(cls, value: dict[str, str]) -> dict[str, str]:
        require_video_columns(value)
        return value

    @field_validator("timezone", "source_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        # ZoneInfo alone would also open other files below the zone database.
        if value not in available_timezones():
            raise ValueError(f"unknown time zone{did_you_mean(value, available_timezones())}")
        return value

    @field_validator("start_date")
    @classmethod
    def _possible_start(cls, value: date) -> date:
        # Somewhere on Earth the next day has begun; the zone may not be valid yet at this point.
        latest = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
        if not EARLIEST <= value <= latest:
            raise ValueError("before 2000 no event is believed, after today there is none")
        return value

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value in ENGINE_NAMES or (value.startswith(CONNECT_PREFIX) and value != CONNECT_PREFIX):
            return value
        raise ValueError(f"unknown engine{did_you_mean(value, ENGINE_NAMES)}")

    @field_validator("catalog_schema")
    @classmethod
    def _possible_schema(cls, value: str | None) -> str | None:
        if value is not None and not is_schema_name(value):
            raise ValueError(
                "not schema or catalog.schema, of letters, digits, _ and -; no name of a file "
                "format"
            )
        return value

    @field_validator("data_root", mode="wrap")
    @classmethod
    def _absolute_root(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Path:
        if is_address(value):
            require_no_credentials(str(value))
            try:
                return usable_root(value)
            except TableError as error:
                raise ValueError(str(error)) from None
        if (scheme := _SCHEME.match(str(value))) is not None:
            raise ValueError(
                f"tables cannot be at {scheme[0]}; a folder, {', '.join(CREDENTIALS)} can hold them"
            )
        root: Path = validate(value)
        if root.exists() and not root.is_dir():
            raise ValueError("this is a file, not a folder")
        return root.expanduser().absolute()

    @field_validator("export_log_analytics")
    @classmethod
    def _known_export(cls, value: str | None) -> str | None:
        if value is not None:
            parse_export(value)
        return value

    @model_validator(mode="after")
    def _possible_in_azure(self) -> Self:
        raise_together(type(self).__name__, self._faults_in_azure())
        return self

    @model_validator(mode="after")
    def _possible_in_a_catalog(self) -> Self:
        raise_together(type(self).__name__, self._faults_in_a_catalog())
        return self

    def _faults_in_a_catalog(self) -> Iterator[PydanticCustomError]:
        if self.catalog_schema is None:
            return
        if self.target != "local":
            yield contradiction(
                "on Databricks VIDAGG_DATABRICKS_SCHEMA says where the tables are",
                "catalog_schema",
                "target",
            )
        elif not self.engine.startswith(CONNECT_PREFIX):
            yield contradiction(
                "tables in a catalog are those of a Spark Connect server, "
                "VIDAGG_ENGINE=sc://host:port",
                "catalog_schema",
                "engine",
            )

    @model_validator(mode="after")
    def _possible_elsewhere(self) -> Self:
        raise_together(type(self).__name__, self._faults_elsewhere())
        return self

    def _faults_elsewhere(self) -> Iterator[PydanticCustomError]:
        if self.tables_are_here or self.target != "local":
            return
        place = "catalog_schema" if self.store.kind == "catalog" else "data_root"
        if place == "data_root" and self.engine not in (AUTO, SAIL):
            yield contradiction("only Sail writes to object storage", place, "engine")
        if self.azure_source is not None:
            yield contradiction("events land only in a folder of this machine", "source", place)
        if self.tables_in_files:
            return
        for field, asked in (
            ("export_log_analytics", self.export_log_analytics is not None),
            ("experiments.assignments", self.experiments.assignments is not None),
            ("completion_forecast", self.completion_forecast != "off"),
        ):
            if asked:
                yield contradiction("this needs the tables below VIDAGG_DATA_ROOT", field, place)

    def _faults_in_azure(self) -> Iterator[PydanticCustomError]:
        if self.export_log_analytics is not None and self.target != "local":
            yield contradiction(
                "rows are sent only from tables on this machine", "export_log_analytics", "target"
            )
        if self.azure_source is None:
            return
        if self.target != "local":
            yield contradiction("events land only on this machine", "source", "target")
        if self.mapping is not None:
            yield contradiction("events in Azure are in our vocabulary", "source", "mapping")
        if self.dimensions:
            yield contradiction(
                "of events in Azure only our columns land; export them and read the files with "
                "VIDAGG_MAPPING",
                "source",
                "dimensions",
            )

    @model_validator(mode="after")
    def _insights_on_this_machine(self) -> Self:
        raise_together(type(self).__name__, self._faults_of_insights())
        return self

    def _faults_of_insights(self) -> Iterator[PydanticCustomError]:
        if (self.users is None) != (not self.cohort_by):
            yield contradiction(
                "cohorts by an attribute need a table of users and the names of its columns",
                "users",
                "cohort_by",
            )
        if self.target == "local":
            return
        if self.experiments.assignments is not None:
            yield contradiction(
                "experiments are evaluated only on tables of this machine",
                "experiments.assignments",
                "target",
            )
        if self.completion_forecast != "off":
            yield contradiction(
                "completion is forecast only on tables of this machine",
                "completion_forecast",
                "target",
            )

    @model_validator(mode="after")
    def _possible_live(self) -> Self:
        raise_together(type(self).__name__, self._faults_live())
        return self

    def _faults_live(self) -> Iterator[PydanticCustomError]:
        if self.live == "off":
            return
        if self.target == "databricks":
            yield from self._faults_live_on_databricks()
        elif not self.tables_are_here:
            yield contradiction(
                "live tables are in a folder of this machine; name one, or leave live off",
                "live",
                "data_root",
            )
        elif self.live == "sensor" and self.live_feed.kafka_topic is not None:
            yield contradiction(
                "messages of Kafka are read by `vidagg live`, VIDAGG_LIVE=command",
                "live",
                "live_feed.kafka_topic",
            )
        if self.azure_source is not None:
            yield contradiction("live events are files or messages of Kafka", "live", "source")
        if self.estimate_missing_durations:
            yield contradiction(
                "a duration is estimated from all users, and live rows are computed for some",
                "live",
                "estimate_missing_durations",
            )

    def _faults_live_on_databricks(self) -> Iterator[PydanticCustomError]:
        if self.live == "command":
            yield contradiction(
                "on Databricks a sensor of Dagster keeps a job running: VIDAGG_LIVE=sensor",
                "live",
                "target",
            )
        if self.live_feed.run_minutes >= self.databricks.timeout_minutes:
            yield contradiction(
                "a live job must end before it is cancelled for the time it takes",
                "live_feed.run_minutes",
                "databricks.timeout_minutes",
            )
        if self.live_feed.kafka_topic is not None and self.databricks.compute == "serverless":
            yield contradiction(
                "messages of Kafka are read on a cluster, not on serverless compute",
                "live_feed.kafka_topic",
                "databricks.compute",
            )

    @model_validator(mode="after")
    def _complete_for_databricks(self) -> Self:
        if self.target == "databricks":
            raise_together(type(self).__name__, self._faults_on_databricks())
        return self

    def _faults_on_databricks(self) -> Iterator[PydanticCustomError]:
        needs = "VIDAGG_TARGET=databricks needs"
        if not self.source:
            yield contradiction(f"{needs} a table, or a path that the cluster sees", "source")
        for field, lacking in self.databricks.lacking():
            yield contradiction(f"{needs} {lacking}", f"databricks.{field}")
        for field in ("source", "video_metadata", "audience", "chapters", "users"):
            location = getattr(self, field)
            if location and not _ABSOLUTE.match(location):
                yield contradiction(
                    "a relative path means nothing on a cluster; name a table or a whole path",
                    field,
                )

    @property
    def source_spec(self) -> SourceSpec | None:
        """The source with all that is needed to read it; None if no source is set."""
        if self.source is None:
            return None
        lands = self.azure_source is not None
        return SourceSpec(
            location=str(self.landing_folder) if lands else self.source,
            format="parquet" if lands else self.source_format,
            # Landed columns have our names already.
            columns={} if lands else self.columns,
            timezone=self.source_timezone,
            timestamp_unit=self.timestamp_unit,
            time_formats=self.time_format,
            event_names=self.event_names,
            max_position_s=self.max_position,
            mapping=find_mapping(self.mapping) if self.mapping is not None else None,
        )

    @property
    def live_request(self) -> LiveRequest:
        """What live tables are computed with.

        Raises:
            SettingsError: There is no source.
        """
        source = self.source_spec
        if source is None:
            raise SettingsError("live tables need events: set VIDAGG_SOURCE")
        return LiveRequest(
            source=source,
            store=self.store,
            timezone=self.timezone,
            start_date=self.start_date,
            parameters=self.parameters,
            video_metadata=self.video_metadata,
            video_columns=self.video_columns,
            days=self.live_feed.days,
            files_at_once=self.live_feed.files_at_once,
            notes=f"{self.databricks.volume}/{LIVE_NOTES}" if self.target == "databricks" else None,
        )

    @property
    def live_task(self) -> LiveTask:
        """What the job that keeps live tables on Databricks is asked for.

        Raises:
            SettingsError: There is no source.
        """
        return LiveTask(
            request=self.live_request,
            feed=self.live_feed.feed,
            interval_s=self.live_feed.interval_seconds,
            minutes=self.live_feed.run_minutes,
        )

    @property
    def azure_source(self) -> AzureSource | None:
        """The source, if it is in Azure."""
        if self.source is None or not is_azure(self.source):
            return None
        return parse_source(self.source)

    @property
    def export_target(self) -> ExportTarget | None:
        """Where changed rows are sent; None if nowhere."""
        address = self.export_log_analytics
        return None if address is None else parse_export(address)

    @property
    def landing_folder(self) -> Path:
        """Where events from Azure land."""
        return self.data_root / LANDED_EVENTS

    @property
    def tables_are_here(self) -> bool:
        """Whether the tables are in a folder of this machine."""
        return self.tables_in_files and not is_address(self.store.location)

    @property
    def tables_in_files(self) -> bool:
        """Whether the tables are files below VIDAGG_DATA_ROOT: here, or in object storage."""
        return self.store.kind == "local"

    @property
    def rules(self) -> str:
        """By which rules rows are computed: see `edition.rules_of`."""
        return rules_of(self.parameters, self.timezone, estimates=self.estimate_missing_durations)

    @property
    def store(self) -> TableStore:
        """Where the tables are."""
        if self.target == "databricks":
            return TableStore(kind="catalog", location=self.databricks.schema_name or "")
        if self.catalog_schema is not None:
            return TableStore(kind="catalog", location=self.catalog_schema)
        return TableStore(kind="local", location=str(self.data_root))
