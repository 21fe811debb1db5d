"""The thresholds of the arithmetic: one frozen model with the published defaults."""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vidagg_dagster.core.validation import contradiction, raise_together

Weight = Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)]
"""Score points. At most two decimals, so that scores are exact integers of 1/100 point."""


class EngagementParameters(BaseModel):
    """Every threshold of the metric definitions (docs/metrics.md), with its unit in its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_timeout_ms: int = Field(
        default=1_800_000,
        gt=0,
        lt=86_400_000,
        description="Idle time after which a session is cut. Under 24 hours, because a day is "
        "computed from its own events and those of the day before.",
    )
    max_playback_rate: float = Field(
        default=2.0,
        gt=0,
        le=16,
        allow_inf_nan=False,
        description="Rate assumed possible where an event carries no playbackRate.",
    )
    tolerance_ms: int = Field(
        default=1_000, ge=0, le=60_000, description="Clock and rounding slack of a pair of events."
    )
    repair_seeks: bool = Field(
        default=True,
        description="Credit what was watched before a seek while playing (evidence `clipped`).",
    )
    seek_back_ms: int = Field(
        default=2_000,
        ge=0,
        description="A position this far behind the last one while playing is a seek.",
    )
    drag_window_ms: int = Field(
        default=10_000,
        ge=0,
        lt=3_600_000,
        description="Longest time from a stop or a wait to the seek that lands at its place.",
    )
    same_place_ms: int = Field(
        default=250,
        ge=0,
        description="Events so near to each other in the video are at one place: a seek and what "
        "goes with it.",
    )
    opening_ms: int = Field(
        default=1_000,
        ge=0,
        description="A seek so soon after the first event of a visit takes up an earlier place and "
        "is no skip; an end so soon after another repeats it.",
    )
    forward_skip_ms: int = Field(
        default=5_000, ge=0, description="Further ahead than this is a forward skip."
    )
    backward_skip_ms: int = Field(
        default=2_000, ge=0, description="Further back than this is a backward skip."
    )
    coverage_weight: Weight = Field(
        default=Decimal(80), description="Score points for watching the whole video."
    )
    completion_weight: Weight = Field(
        default=Decimal(10), description="Score points for completing the video."
    )
    rewatch_weight: Weight = Field(
        default=Decimal(10), description="Score points for watching the whole video again."
    )
    skip_penalty_limit: int = Field(
        default=10, ge=0, le=100, description="Most score points lost to skips, one point each."
    )
    completion_coverage_percent: int = Field(
        default=75, ge=0, le=100, description="Coverage that a completion needs to raise the score."
    )
    high_tier_score: Weight = Field(default=Decimal(75), description="Least score of High.")
    medium_tier_score: Weight = Field(default=Decimal(50), description="Least score of Medium.")
    low_tier_score: Weight = Field(default=Decimal(25), description="Least score of Low.")
    excessive_watch_percent: int = Field(
        default=120,
        ge=100,
        description="Watch time above this share of the duration per session is excessive.",
    )
    very_short_watch_ms: int = Field(
        default=5_000, ge=0, description="Watch time below this is flagged very_short_watch."
    )
    position_limit_percent: int = Field(
        default=110,
        ge=100,
        description="A position above this share of the duration is not believed.",
    )

    @model_validator(mode="after")
    def _tiers_descend(self) -> Self:
        tiers = ("high_tier_score", "medium_tier_score", "low_tier_score")
        raise_together(
            type(self).__name__,
            (
                contradiction(f"tier scores must descend: {' >= '.join(tiers)}", higher, lower)
                for higher, lower in pairwise(tiers)
                if getattr(self, higher) < getattr(self, lower)
            ),
        )
        return self
