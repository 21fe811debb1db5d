"""Every setting once: read from `VIDAGG_*` variables and `.env`, checked as a whole, documented.

Nothing is read when this module is imported; `load_settings()` reads. The reference of
all settings is made by `tools/settings_reference.py`.
"""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from vidagg_dagster.core.contract import (
    EVENT_COLUMNS,
    SourceSpec,
    TableStore,
    parse_columns,
    require_event_columns,
)
from vidagg_dagster.core.errors import SettingsError
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.settings.databricks import DatabricksSettings, incomplete, unreachable
from vidagg_dagster.settings.operations import OperationsSettings

PREFIX = "VIDAGG_"
TEST_PREFIX = "VIDAGG_TEST_"
"""Variables of the test suite, no settings."""
ENV_FILE = ".env"
EARLIEST_START = date(2000, 1, 1)
"""Events before this are rejected as out of range, so no earlier day can hold any."""


def _allowed(text: str) -> dict[str, Any]:
    return {"allowed": text}


class Settings(BaseSettings, EngagementParameters, DatabricksSettings, OperationsSettings):
    """What can be configured. A field `xyz` is the variable `VIDAGG_XYZ`.

    The parameters of the arithmetic are inherited, so that each is declared once, in
    `EngagementParameters`; `settings.parameters` gives them back as that model. Those of Databricks
    are in `DatabricksSettings`, those of schedule, late events and alerts in `OperationsSettings`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",  # Other tools' variables live in .env too; _unknown() finds ours.
        frozen=True,
        validate_default=True,
    )

    source: str | None = Field(
        default=None,
        min_length=1,
        description="The events: a folder or file of JSON lines, CSV or Parquet, the folder of a "
        "Delta table, or a table. Needed as soon as raw_events runs.",
        json_schema_extra=_allowed("a path, or `[catalog.][schema.]table`"),
    )
    source_format: Literal["auto", "jsonl", "csv", "parquet", "delta", "table"] = Field(
        default="auto", description="Format of the source; auto goes by what lies there."
    )
    columns: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="The source's own column names, where they differ from ours.",
        json_schema_extra=_allowed(
            "`ours=theirs,...` or a JSON object, ours being one of " + ", ".join(EVENT_COLUMNS)
        ),
    )
    source_timezone: str = Field(
        default="UTC",
        description="Zone of source times that carry none.",
        json_schema_extra=_allowed("an IANA time zone such as Europe/Berlin"),
    )
    timestamp_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None,
        description="Unit of numeric source times. Without one, numbers are rejected as "
        "unparsable rather than guessed.",
    )
    video_metadata: str | None = Field(
        default=None,
        min_length=1,
        description="Table or file with videoId, duration (seconds) and title. Without it no "
        "percentage, score or tier can be computed.",
        json_schema_extra=_allowed("a path, or `[catalog.][schema.]table`"),
    )
    data_root: Path = Field(
        default=Path("data"),
        description="Folder of the tables, one Delta table per asset, where steps run locally. A "
        "relative path counts from the working directory.",
        json_schema_extra=_allowed("a folder, existing or not"),
    )
    start_date: date = Field(
        default=date(2024, 1, 1),
        description="First day that can be materialized. Rows without any usable date are filed "
        "under it, so after moving it run the old and the new first day again.",
        json_schema_extra=_allowed("a day YYYY-MM-DD from 2000-01-01 to today"),
    )
    timezone: str = Field(
        default="UTC",
        description="Zone whose calendar days are the partitions. Changing it changes the meaning "
        "of every day: start a new data root.",
        json_schema_extra=_allowed("an IANA time zone such as Europe/Berlin"),
    )
    engine: str = Field(
        default="auto",
        description="What computes: Spark on a local JVM, Sail (no Java needed) or a Spark "
        "Connect server. auto takes Spark where Java 17 or newer is found, else Sail.",
        json_schema_extra=_allowed("auto, spark, sail or sc://host:port"),
    )
    driver_memory: str | None = Field(
        default=None,
        pattern=r"^[1-9]\d*[kmgt]$",
        description="Heap of a local Spark JVM. Without it, half of the machine's memory, at most "
        "16 GiB.",
        json_schema_extra=_allowed("a size such as 4g or 800m"),
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
        default=10_000_000,
        gt=0,
        description="Days of a backfill are computed together up to so many events, which spares "
        "the fixed cost of each; a day with more is computed by itself, on Sail in slices of its "
        "users. Bounds memory, at about half a gigabyte per million events.",
    )
    kernels: Literal["auto", "on", "off"] = Field(
        default="auto",
        description="How duplicates, sessions and unions of intervals are found: by numpy on Arrow "
        "batches (on) or by Spark's window expressions (off). Rows are the same. auto is on where "
        "Dagster's process computes, and off on Databricks and Spark Connect servers, whose Python "
        "may lack this package.",
    )
    estimate_missing_durations: bool = Field(
        default=False,
        description="Take the largest position ever seen for the duration of a video that has "
        "none, and say so in videoDurationSource.",
    )

    @field_validator("columns", mode="before")
    @classmethod
    def _parse_columns(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("{"):
            try:
                return json.loads(value)
            except json.JSONDecodeError as error:
                raise ValueError(f"not a JSON object: {error}") from None
        return parse_columns(value)

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: dict[str, str]) -> dict[str, str]:
        require_event_columns(value)
        return value

    @field_validator("timezone", "source_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        # ZoneInfo alone would also open other files below the zone database.
        if value not in available_timezones():
            raise ValueError(f"unknown time zone{_did_you_mean(value, available_timezones())}")
        return value

    @field_validator("start_date")
    @classmethod
    def _possible_start(cls, value: date) -> date:
        # Somewhere on Earth the next day has begun; the zone may not be valid yet at this point.
        latest = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
        if not EARLIEST_START <= value <= latest:
            raise ValueError("before 2000 no event is believed, after today there is none")
        return value

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value in {"auto", "spark", "sail"} or (value.startswith("sc://") and len(value) > 5):
            return value
        raise ValueError(f"unknown engine{_did_you_mean(value, ('auto', 'spark', 'sail'))}")

    @field_validator("data_root")
    @classmethod
    def _absolute_root(cls, value: Path) -> Path:
        if value.exists() and not value.is_dir():
            raise ValueError("this is a file, not a folder")
        return value.expanduser().absolute()

    @property
    def uses_kernels(self) -> bool:
        """Whether steps compute with kernels; `auto` resolved."""
        if self.kernels == "auto":
            return self.target == "local" and not self.engine.startswith("sc://")
        return self.kernels == "on"

    @property
    def parameters(self) -> EngagementParameters:
        """The parameters of the arithmetic, as steps take them."""
        return EngagementParameters(
            **{name: getattr(self, name) for name in EngagementParameters.model_fields}
        )

    @property
    def source_spec(self) -> SourceSpec | None:
        """The source with all that is needed to read it; None if no source is set."""
        if self.source is None:
            return None
        return SourceSpec(
            location=self.source,
            format=self.source_format,
            columns=self.columns,
            timezone=self.source_timezone,
            timestamp_unit=self.timestamp_unit,
        )

    @property
    def store(self) -> TableStore:
        """Where the tables are."""
        if self.target == "databricks":
            return TableStore(kind="catalog", location=self.databricks_schema or "")
        return TableStore(kind="local", location=str(self.data_root))


def load_settings() -> Settings:
    """Read the settings from the environment (wins) and from `.env` in the working directory.

    Raises:
        SettingsError: names every unknown or impossible setting, its value and what is allowed.
    """
    given = _given()
    faults = list(_unknown(given))
    settings: Settings | None = None
    try:
        settings = Settings()
    except ValidationError as error:
        faults += _impossible(error, given)
    faults += _unfit_for_databricks(given)
    if settings is None or faults:
        head = "1 setting is wrong:" if len(faults) == 1 else f"{len(faults)} settings are wrong:"
        raise SettingsError("\n".join([head, *(f"  {fault}" for fault in faults)]))
    return settings


def _given() -> dict[str, str]:
    """Every VIDAGG_* variable that is set, upper case, the environment before `.env`."""
    from_file = {
        name: value for name, value in dotenv_values(ENV_FILE).items() if value is not None
    }
    both = {**{k.upper(): v for k, v in from_file.items()}, **_upper(os.environ)}
    return {name: value for name, value in both.items() if _is_ours(name)}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)


def _upper(variables: Mapping[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in variables.items()}


def variable_name(field: str) -> str:
    """The variable that sets a field."""
    return PREFIX + field.upper()


def _unknown(given: Mapping[str, str]) -> Iterator[str]:
    known = [variable_name(field) for field in Settings.model_fields]
    for name in sorted(set(given) - set(known)):
        hint = _did_you_mean(name, known)
        yield f"{name}={given[name]!r}: there is no such setting{hint or '; see docs/settings.md'}"


def _unfit_for_databricks(given: Mapping[str, str]) -> Iterator[str]:
    values = {
        field: given.get(variable_name(field)) or info.get_default(call_default_factory=True)
        for field, info in Settings.model_fields.items()
    }
    if values["target"] != "databricks":
        return
    for field, lacking in incomplete(values):
        yield f"{variable_name(field)}: {variable_name('target')}=databricks needs {lacking}"
    for field, reason in unreachable(values):
        yield f"{variable_name(field)}={values[field]!r}: {reason}"


def _impossible(error: ValidationError, given: Mapping[str, str]) -> Iterator[str]:
    for fault in error.errors():
        reason = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:  # A rule about several settings; its message names them.
            names = [field for field in Settings.model_fields if field in reason]
            values = ", ".join(f"{variable_name(name)}={_shown(name, given)}" for name in names)
            yield f"{values}: {reason}"
            continue
        field = str(fault["loc"][0])
        shown = _shown(field, given)
        yield f"{variable_name(field)}={shown}: {reason}; allowed: {allowed_values(field)}"


def _shown(field: str, given: Mapping[str, str]) -> str:
    """What a setting is set to, for messages: these end in logs, where no secret may be."""
    value = given.get(variable_name(field), default_text(field))
    secret = SecretStr in _union(Settings.model_fields[field].annotation)
    return "(not shown)" if secret and value else repr(value)


def _did_you_mean(word: str, known: Any) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""


@dataclass(frozen=True)
class _Bounds:
    low: str | None = None
    high: str | None = None

    @classmethod
    def of(cls, field: FieldInfo) -> "_Bounds":
        low = high = None
        for item in field.metadata:
            if (least := getattr(item, "ge", None)) is not None:
                low = f"at least {least}"
            if (above := getattr(item, "gt", None)) is not None:
                low = f"above {above}"
            if (most := getattr(item, "le", None)) is not None:
                high = f"at most {most}"
            if (below := getattr(item, "lt", None)) is not None:
                high = f"below {below}"
        return cls(low, high)

    def __str__(self) -> str:
        return " and ".join(bound for bound in (self.low, self.high) if bound)


def allowed_values(field: str) -> str:
    """What a setting may be set to, in words."""
    info = Settings.model_fields[field]
    extra = info.json_schema_extra
    if isinstance(extra, dict) and "allowed" in extra:
        return str(extra["allowed"])
    kinds = [kind for kind in _union(info.annotation) if kind is not NoneType]
    kind = kinds[0]
    if get_origin(kind) is Literal:
        choices = [str(choice) for choice in get_args(kind)]
        return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"
    if kind is bool:
        return "true or false"
    noun = {int: "a whole number", float: "a number", Decimal: "a number with up to 2 decimals"}
    bounds = str(_Bounds.of(info))
    return f"{noun[kind]} {bounds}".strip() if kind in noun else str(kind)


def _union(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (None, Literal, dict):
        return (annotation,)
    return get_args(annotation)


def default_text(field: str) -> str:
    """The default of a field as it would be written; empty where there is none."""
    default = Settings.model_fields[field].get_default(call_default_factory=True)
    if default is None or default == {} or default == ():
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)
