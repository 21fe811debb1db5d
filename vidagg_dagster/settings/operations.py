"""The settings of daily operation: when days are due, and how late events may be."""

import re
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from vidagg_dagster.core.contract import DEFAULT_MAX_LATENESS_DAYS
from vidagg_dagster.core.validation import contradiction
from vidagg_dagster.settings.fields import (
    SettingsGroup,
    allowed,
    require_no_credentials,
    require_web_address,
    words,
)

_OWNER: Final = re.compile(r"team:[^\s,]+|[^@\s,<>]+@[^@\s,<>]+")


class OperationsSettings(SettingsGroup):
    """Schedule, deadline, late events, who is responsible, and where the UI is."""

    schedule_hour: int = Field(
        default=2,
        ge=0,
        le=22,
        description="Hour, in the zone of the partitions, at which the day before is materialized. "
        "An hour that a change to summer time leaves out is made up for right after it; of an hour "
        "that comes twice the second counts.",
    )
    deadline_hour: int = Field(
        default=6,
        ge=1,
        le=23,
        description="Hour, in the zone of the partitions, by which the day before must be there: "
        "for the freshness of assets, and for the alert of a missing day.",
    )
    max_lateness_days: int = Field(
        default=DEFAULT_MAX_LATENESS_DAYS,
        ge=0,
        le=366,
        description="How many days before the last complete one late events may still change by "
        "themselves. Older ones are kept, counted and reported, until someone runs their day.",
    )
    ui_url: str = Field(
        default="http://localhost:3000",
        description="Address of Dagster's UI, for the links in alerts.",
        json_schema_extra=allowed("an http or https address"),
    )

    owners: tuple[str, ...] = Field(
        default=("team:data",),
        description="Who is responsible for the tables, as Dagster shows it on each asset.",
        json_schema_extra=allowed("e-mail addresses or team:NAME, separated by commas"),
    )

    @field_validator("owners", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return words(value) if isinstance(value, str) else value

    @field_validator("owners")
    @classmethod
    def _known_to_dagster(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not _OWNER.fullmatch(owner):
                raise ValueError(f"{owner!r} is neither an e-mail address nor team:NAME")
        return value

    @field_validator("ui_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        require_web_address(value)
        require_no_credentials(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _runs_before_its_deadline(self) -> Self:
        if self.deadline_hour <= self.schedule_hour:
            raise contradiction(
                "the deadline must be after the schedule, or every day is missing when it is due",
                "deadline_hour",
                "schedule_hour",
            )
        return self
