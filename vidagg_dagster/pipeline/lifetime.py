"""`aggregated_user_video_engagement`: the lifetime table, exact by increments."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import LifetimeUpdate, Metrics, StepName
from vidagg_dagster.core.edition import rules_of
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, USER_VIDEO_ENGAGEMENT
from vidagg_dagster.metrics.composition import EngagementChain
from vidagg_dagster.metrics.lifetime import as_lifetime
from vidagg_dagster.pipeline.numbers import business_numbers, rounded
from vidagg_dagster.pipeline.step import Step, StepContext, StepOutput
from vidagg_dagster.pipeline.user_video_engagement import most_watched
from vidagg_dagster.quality.evaluate import CheckContext
from vidagg_dagster.spark.compat import union
from vidagg_dagster.spark.slices import Slicing
from vidagg_dagster.tables.interface import Frames, Replaced, Tables
from vidagg_dagster.tables.retry import retry_conflicts

MAX_TRIES: Final = 3
"""How often an update is computed because another run has written the table meanwhile."""

_log = logging.getLogger(__name__)
_KEY: Final = list(AGGREGATED_ENGAGEMENT.key)
_SOURCE_VERSION, _SOURCE_COMMIT = "source_version", "source_commit"
_RULES: Final = "rules"
_EVENTS_PER_ROW: Final = 2
"""A row to merge takes the memory of about two events."""


@dataclass(frozen=True)
class _Change:
    """What an update writes, and the keys of the rows that it ends; None where it ends none.

    `days` are the replaced days that it takes in; None: all days.
    """

    rows: Frames
    ended: DataFrame | None
    days: tuple[date, ...] | None


Cut = Callable[[int], Slicing]
"""How so many rows are merged: at once, or in slices of their users."""


def at_once(rows: int) -> Slicing:
    """One slice."""
    return Slicing(rows, 1)


def update_lifetime(tables: Tables, chain: EngagementChain, cut: Cut = at_once) -> LifetimeUpdate:
    """Bring the lifetime table up to date with the days replaced since the last update.

    A pair that has none of these days yet grows by its new rows. A pair that has one already is
    merged again from its daily rows, so that a day run again, late, or emptied leaves no trace.
    The state is the version of the daily table that was taken in. It is kept in the commit itself.
    A lifetime table with a damaged file is written anew from all days. `cut` says how rows are
    merged.

    Raises:
        TableConflictError: Other writers changed the table during each of three attempts.
    """
    return retry_conflicts(lambda: _update(tables, chain, cut), attempts=MAX_TRIES)


def _update(tables: Tables, chain: EngagementChain, cut: Cut) -> LifetimeUpdate:
    tables.discard_damaged(AGGREGATED_ENGAGEMENT)
    based_on = tables.version(AGGREGATED_ENGAGEMENT)
    note = tables.note(AGGREGATED_ENGAGEMENT)
    rules = _rules_of(chain)
    # Scores of untouched pairs follow from the rules too, an estimate from every pair of its
    # video, and a new dimension concerns all: an increment would leave them behind.
    increments = note.get(_RULES) == rules and not chain.estimate_missing_durations
    taken_in = _version_taken_in(note, partial(tables.commit_id, USER_VIDEO_ENGAGEMENT))
    since = taken_in if increments else None
    replaced = tables.days_replaced_since(USER_VIDEO_ENGAGEMENT, since)
    if replaced.days is not None and not replaced.days:
        return LifetimeUpdate(changed=0, deleted=0, days=())
    if since is None or replaced.days is None:
        change = _everything(tables, chain, cut)
    else:
        change = _increment(tables, chain, tuple(sorted(replaced.days)), cut)
    changed, deleted = tables.upsert(
        AGGREGATED_ENGAGEMENT,
        change.rows,
        change.ended,
        {
            _SOURCE_VERSION: str(replaced.version),
            _SOURCE_COMMIT: tables.commit_id(USER_VIDEO_ENGAGEMENT, replaced.version) or "",
            _RULES: rules,
        },
        based_on=based_on,
    )
    _log.info("lifetime table: %d rows written, %d removed", changed, deleted)
    return LifetimeUpdate(changed=changed, deleted=deleted, days=change.days)


def not_taken_in(
    note: Mapping[str, str],
    commit_id: Callable[[int], str | None],
    replaced_since: Callable[[int], Replaced],
) -> frozenset[date] | None:
    """The days of the daily table that the next update takes in; None: all days.

    Args:
        note: The note of the lifetime table.
        commit_id: See `Tables.commit_id`, of the daily table.
        replaced_since: See `Tables.days_replaced_since`, of the daily table.
    """
    version = _version_taken_in(note, commit_id)
    return None if version is None else replaced_since(version).days


def _version_taken_in(
    note: Mapping[str, str], commit_id: Callable[[int], str | None]
) -> int | None:
    """The version of the daily table that was taken in; None where it is another table's.

    The daily table may have been made anew or restored meanwhile: its versions count anew.
    """
    if _SOURCE_VERSION not in note:
        return None
    version = int(note[_SOURCE_VERSION])
    commit = commit_id(version)
    return version if commit and commit == note.get(_SOURCE_COMMIT) else None


def _rules_of(chain: EngagementChain) -> str:
    """By which rules the rows of the table are computed, and the dimensions that they have."""
    estimates = chain.estimate_missing_durations
    rules = rules_of(chain.parameters, chain.timezone, estimates=estimates)
    return " ".join([rules, *sorted(chain.dimensions)])


def _everything(tables: Tables, chain: EngagementChain, cut: Cut) -> _Change:
    daily = tables.read(USER_VIDEO_ENGAGEMENT)
    # An estimate follows from all rows of a video.
    slicing = (at_once if chain.estimate_missing_durations else cut)(daily.count())
    rows = slicing.each(daily, lambda part, spread: replace(chain, spread=spread).lifetime(part))
    stored = tables.read(AGGREGATED_ENGAGEMENT).select(*_KEY)
    ended = stored.join(daily.select(*_KEY).distinct(), on=_KEY, how="left_anti")
    return _Change(rows, ended, None)


def _increment(tables: Tables, chain: EngagementChain, days: tuple[date, ...], cut: Cut) -> _Change:
    """The lifetime rows that the replaced `days` change, and the keys of those that they end."""
    lifetime = tables.read(AGGREGATED_ENGAGEMENT)
    contains = F.arrays_overlap("activeDays", F.array(*[F.lit(day) for day in days]))
    stale = lifetime.where(contains).select(*_KEY, "activeDays")
    new = as_lifetime(tables.read(USER_VIDEO_ENGAGEMENT, days))
    parts = [new]
    known = _days_of(stale)
    history = sorted(known.difference(days))
    if history:
        # Only pairs that contain a replaced day need their other days read again.
        rest = tables.read(USER_VIDEO_ENGAGEMENT, history)
        parts.append(as_lifetime(rest.join(stale.select(*_KEY), on=_KEY, how="left_semi")))
    grows = lifetime.where(~contains).join(new.select(*_KEY).distinct(), on=_KEY, how="left_semi")
    parts.append(grows.select(*new.columns))
    together = union(parts)
    slicing = cut(2 * sum(tables.day_counts(USER_VIDEO_ENGAGEMENT, days).values()))
    rows = slicing.each(together, lambda part, spread: replace(chain, spread=spread).merged(part))
    if not known:
        return _Change(rows, None, days)
    ended = stale.select(*_KEY).join(together.select(*_KEY).distinct(), on=_KEY, how="left_anti")
    return _Change(rows, ended, days)


def _days_of(stale: DataFrame) -> set[date]:
    """The active days of the rows, which all have one."""
    found = stale.select(F.explode("activeDays").alias("day")).distinct().collect()
    return {row[0] for row in found}


def _compute(context: StepContext) -> StepOutput:
    cut = partial(context.slicing, events_each=_EVENTS_PER_ROW)
    update = update_lifetime(context.tables, context.chain(), cut)
    days = sorted({*context.days, *(update.days or ())})
    return StepOutput(
        update=update,
        taken_in=context.tables.day_counts(USER_VIDEO_ENGAGEMENT, days) if days else {},
        metrics={
            "changed": update.changed,
            "deleted": update.deleted,
            "days_taken_in": "all" if update.days is None else len(update.days),
        },
    )


def _top(context: StepContext) -> DataFrame:
    return most_watched(context.tables.read(AGGREGATED_ENGAGEMENT))


def _numbers(context: StepContext, checks: CheckContext) -> Mapping[date | None, Metrics]:
    del checks
    rows = context.tables.read(AGGREGATED_ENGAGEMENT)
    (found,) = business_numbers(rows).collect()
    return {None: rounded(found.asDict())}


STEP = Step(
    name=StepName.AGGREGATED_ENGAGEMENT,
    table=AGGREGATED_ENGAGEMENT,
    compute=_compute,
    top=_top,
    numbers=_numbers,
)
