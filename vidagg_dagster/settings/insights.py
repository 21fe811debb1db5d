"""The settings of experiments. Off by default."""

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from vidagg_dagster.insight.experiments.plan import (
    DEFAULT_CONTROL,
    DEFAULT_COVARIATE_DAYS,
    DEFAULT_PLANNED_UNITS,
    DEFAULT_WINDOW_DAYS,
    Plan,
)
from vidagg_dagster.settings.fields import SettingsGroup, allowed, json_object

_MAX_DAYS: Final = 366


class ExperimentSettings(SettingsGroup):
    """Where assignments are, and what is decided before anyone looks at a result."""

    assignments: Path | None = Field(
        default=None,
        description="Who was exposed to what: a table with experiment, unitId, variant, exposedAt "
        "and, where groups were assigned, clusterId. Without it there are no "
        "[experiments](experiments.md).",
        json_schema_extra=allowed("a CSV, Parquet or JSON lines file, or a Delta table's folder"),
    )
    control: str = Field(
        default=DEFAULT_CONTROL,
        min_length=1,
        description="The variant that the others are compared with.",
    )
    shares: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="Expected shares of the variants, by experiment, for the check of the sample "
        "ratio. An experiment that is not named has equal ones.",
        json_schema_extra=allowed('a JSON object such as `{"player-2": {"control": 9, "new": 1}}`'),
    )
    window_days: int = Field(
        default=DEFAULT_WINDOW_DAYS,
        ge=1,
        le=_MAX_DAYS,
        description="What a user does in so many days after the first exposure counts. Users whose "
        "days are not over wait.",
    )
    covariate_days: int = Field(
        default=DEFAULT_COVARIATE_DAYS,
        ge=0,
        le=_MAX_DAYS,
        description="Results are adjusted for what users did in so many days before the exposure.",
    )
    planned_units: int = Field(
        default=DEFAULT_PLANNED_UNITS,
        ge=20,
        description="Users (or clusters) that are expected in both arms together: where the "
        "intervals that are valid at every look are narrowest. Do not change it while an "
        "experiment runs.",
    )

    @field_validator("assignments")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("shares", mode="before")
    @classmethod
    def _parse_shares(cls, value: object) -> object:
        return json_object(value) if isinstance(value, str) else value

    @field_validator("shares")
    @classmethod
    def _possible_shares(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for name, shares in value.items():
            if len(shares) < 2 or min(shares.values()) <= 0:
                raise ValueError(f"{name}: name two variants or more, each with a share above 0")
        return value

    def plan(self, completion_percent: int) -> Plan:
        """How an experiment with equal shares is evaluated."""
        return Plan(
            control=self.control,
            window_days=self.window_days,
            covariate_days=self.covariate_days,
            planned_units=self.planned_units,
            completion_percent=completion_percent,
        )

    def plans(self, completion_percent: int) -> dict[str, Plan]:
        """The plans of the experiments that have shares of their own."""
        plan = self.plan(completion_percent)
        return {
            name: plan.model_copy(update={"shares": shares}) for name, shares in self.shares.items()
        }
