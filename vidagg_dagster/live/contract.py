"""What crosses the boundary between Dagster and the task that keeps live tables on a cluster."""

from datetime import date
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from vidagg_dagster.live.request import LiveRequest

LIVE: Final = "live"
"""Under which name a `LiveTask` travels to the task, and the key of that task."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Feed(_Model):
    """A topic of Kafka. What it takes to log in does not travel: the task has it from its machine.

    Attributes:
        servers: `host:port`, separated by commas.
        topic: The topic.
        at_once: Most messages of a batch.
    """

    servers: str
    topic: str
    at_once: int


class LiveTask(_Model):
    """What is taken in, where to, how often it is looked for, and when the task ends."""

    request: LiveRequest
    feed: Feed | None = None
    interval_s: float = Field(gt=0)
    minutes: float = Field(gt=0)


class DayCompared(_Model):
    """A day that the daily run has closed.

    Attributes:
        day: The day.
        rows: Its live rows.
        only_live: Users and videos that only the live table has.
        only_daily: Those that only the table of the daily run has.
        differing: Those that both have, with different values.
        columns: The columns in which they differ.
    """

    day: date
    rows: int
    only_live: int = 0
    only_daily: int = 0
    differing: int = 0
    columns: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether all rows are the same."""
        return not (self.only_live or self.only_daily or self.differing)


class LiveReport(_Model):
    """What became of the rows of some batches, and closed days against the daily run."""

    batches: int = 0
    events: int = 0
    ignored: int = 0
    rejected: int = 0
    too_old: int = 0
    compared: tuple[DayCompared, ...] = ()
