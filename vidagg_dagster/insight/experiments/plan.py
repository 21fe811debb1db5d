"""How an experiment is evaluated, fixed before anyone looks."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

DAY_US: Final = 86_400_000_000

DEFAULT_CONTROL: Final = "control"
DEFAULT_WINDOW_DAYS: Final = 14
DEFAULT_COVARIATE_DAYS: Final = 28
DEFAULT_PLANNED_UNITS: Final = 10_000
FOLDER: Final = "experiments"
"""Where the pages and results are, below the folder of the tables."""

MIN_CLUSTERS: Final = 10
"""Below so many clusters in an arm, the variance between them is a guess."""


class Plan(BaseModel):
    """What is decided beforehand. The same for all experiments but for the shares."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    control: str = Field(default=DEFAULT_CONTROL, min_length=1)
    shares: dict[str, float] = Field(
        default_factory=dict, description="Variant -> expected share; empty: all alike."
    )
    window_days: int = Field(default=DEFAULT_WINDOW_DAYS, ge=1)
    covariate_days: int = Field(default=DEFAULT_COVARIATE_DAYS, ge=0)
    planned_units: int = Field(default=DEFAULT_PLANNED_UNITS, ge=20)
    completion_percent: int = Field(default=75, ge=0, le=100)
    alpha: float = Field(default=0.05, gt=0, lt=1)
