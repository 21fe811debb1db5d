"""Alerts until they are delivered: sent once, retried with growing waits, given up after a day.

An outbox is an immutable value. The sensor keeps it as JSON, at the end of each tick and after each
delivery.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vidagg_dagster.alerts.channels import Channel
from vidagg_dagster.alerts.message import Alert, Cause
from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.errors import DeliveryError

log = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 15.0
MAX_WAIT_S: Final = 3600.0
GIVE_UP_AFTER_S: Final = 86_400.0
SAY_AGAIN_AFTER_S: Final = 86_400.0
"""After this, the same cause of the same day with the same counts is sent once more."""

MAX_PENDING: Final = 100
"""Alerts that wait for one channel. Those beyond are sent as one alert that gives their number."""

MAX_SENT: Final = 1000
TICK_BUDGET_S: Final = 40.0
"""Dagster ends a sensor's tick after 60 s. An attempt that begins just before this ends in time."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pending(_Model):
    """An alert that one channel has not accepted yet."""

    alert: Alert
    channel: str
    since: float
    tries: int = 0
    next_try: float = 0.0
    last_error: str = ""


class Told(_Model):
    """When a cause was last sent, and with which content."""

    fingerprint: str
    at: float


class Outbox(_Model):
    """What has been looked at, what was sent, and what still waits."""

    outbox_id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """What an outbox is kept under between the ends of ticks."""
    saves: int = 0
    """How often it was kept: the larger number is the newer state."""
    seen_until: float
    """Runs that ended before this were looked at; seconds since 1970."""
    seen_runs: Mapping[str, float] = {}
    """Ids and times of all those that ended shortly before `seen_until`, however many."""
    day_due: date | None = None
    """The last day whose deadline was looked at."""
    told: Mapping[str, Told] = {}
    pending: tuple[Pending, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _times_of_runs(cls, value: Any) -> Any:
        """Earlier versions kept ids of runs without times."""
        if isinstance(value, dict) and isinstance(value.get("seen_runs"), list):
            return {**value, "seen_runs": dict.fromkeys(value["seen_runs"], value["seen_until"])}
        return value

    def looked_at(self, runs: Mapping[str, float], overlap_s: float) -> "Outbox":
        """The outbox after a look at these runs (id -> when it ended)."""
        seen = {**self.seen_runs, **runs}
        until = max([self.seen_until, *runs.values()])
        kept = {run: ended for run, ended in seen.items() if ended > until - overlap_s}
        return self.model_copy(update={"seen_until": until, "seen_runs": kept})


@dataclass(frozen=True)
class Delivery:
    """The result of one round of deliveries."""

    outbox: Outbox
    sent: int
    failed: tuple[str, ...]
    """A line for each channel that did not accept an alert."""


def accept(
    outbox: Outbox, alerts: Iterable[Alert], channels: Sequence[Channel], now: float
) -> Outbox:
    """The outbox with new alerts for each channel, without those that were sent lately."""
    told = {key: entry for key, entry in outbox.told.items() if now - entry.at < SAY_AGAIN_AFTER_S}
    pending = list(outbox.pending)
    for alert in alerts:
        entry = told.get(alert.key)
        if entry is not None and entry.fingerprint == alert.fingerprint:
            continue
        told[alert.key] = Told(fingerprint=alert.fingerprint, at=now)
        pending += [Pending(alert=alert, channel=c.name, since=now) for c in channels]
    newest = dict(sorted(told.items(), key=lambda item: item[1].at)[-MAX_SENT:])
    return outbox.model_copy(
        update={"told": newest, "pending": tuple(_bounded(pending, channels, now))}
    )


def deliver(
    outbox: Outbox,
    channels: Sequence[Channel],
    now: float,
    clock: Callable[[], float],
    keep: Callable[[Outbox], object] = lambda _: None,
) -> Delivery:
    """Send what is due. A channel that fails gets nothing more until its next turn.

    Args:
        outbox: What is waiting.
        channels: Those that are configured; alerts that wait for others are dropped.
        now: The time of the round, seconds since 1970.
        clock: A running time in seconds, for the budget of the round.
        keep: Called after each attempt with the outbox as it is then, so that a process that is
            killed does not tell what was told.
    """
    by_name = {channel.name: channel for channel in channels}
    ends = clock() + TICK_BUDGET_S
    failed: dict[str, Pending] = {}
    left: list[Pending] = []
    sent = 0
    for done, item in enumerate(outbox.pending, start=1):
        channel = by_name.get(item.channel)
        if channel is None:
            log.warning("alert dropped, no channel %s any more: %s", item.channel, item.alert.title)
            continue
        if item.channel in failed or item.next_try > now or clock() > ends:
            left.append(item)
            continue
        refused = _attempt(channel, item, now)
        if refused is None:
            sent += 1
        else:
            failed[item.channel] = refused
            left.append(refused)
        keep(outbox.model_copy(update={"pending": (*left, *outbox.pending[done:])}))
    kept = tuple(item for item in left if not _given_up(item, now))
    lines = tuple(_failure(item, now) for item in failed.values())
    return Delivery(outbox.model_copy(update={"pending": kept}), sent, lines)


def _attempt(channel: Channel, item: Pending, now: float) -> Pending | None:
    """None if the channel took the alert; else the alert as it waits for its next try."""
    try:
        channel.send(item.alert)
    except DeliveryError as error:
        reason = str(error)
    except Exception as error:  # a fault of ours must not hold up the other channels
        reason = type(error).__name__
    else:
        return None
    wait = min(FIRST_WAIT_S * 2**item.tries, MAX_WAIT_S)
    return item.model_copy(
        update={"tries": item.tries + 1, "next_try": now + wait, "last_error": reason}
    )


def _failure(item: Pending, now: float) -> str:
    line = (
        f"{item.channel}: {item.last_error}, try {item.tries}, next in {item.next_try - now:.0f} s"
    )
    log.warning("alert not delivered to %s", line)
    return line


def _given_up(item: Pending, now: float) -> bool:
    if item.tries == 0 or now - item.since < GIVE_UP_AFTER_S:
        return False
    log.error(
        "alert given up after %d tries, %s never took it (%s): %s",
        item.tries,
        item.channel,
        item.last_error,
        " | ".join(item.alert.lines()),
    )
    return True


def _bounded(
    pending: Sequence[Pending], channels: Sequence[Channel], now: float
) -> Iterable[Pending]:
    for channel in channels:
        mine = [item for item in pending if item.channel == channel.name]
        yield from mine[:MAX_PENDING]
        beyond = [item for item in mine[MAX_PENDING:] if item.alert.cause is not Cause.TOO_MANY]
        if beyond:
            earlier = [i for i in mine[MAX_PENDING:] if i.alert.cause is Cause.TOO_MANY]
            count = len(beyond) + sum(int(i.alert.counts["alerts"]) for i in earlier)
            yield Pending(alert=_too_many(count), channel=channel.name, since=now)


def _too_many(count: int) -> Alert:
    return Alert(
        cause=Cause.TOO_MANY,
        severity=Severity.ERROR,
        title="More alerts than could be delivered one by one",
        counts={"alerts": count},
        what_to_do="Look at the failed runs and checks in Dagster's UI.",
    )
