"""Moments at which a viewer rests, what was known then, and what became of it.

A pair of a user and a video has `WINDOW_DAYS` from its first watched interval. It completes if
its coverage reaches the threshold in that time. Each visit that ends below the threshold is a
landmark; while nothing follows, the same rest is a landmark again after some days, as long as the
window lasts. Whatever describes a landmark is of intervals that were closed by then.
"""

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vidagg_dagster.metrics.arrays import LARGEST, Bools, Floats, Ints, codes, combined, integers
from vidagg_dagster.metrics.coverage import Spans, greatest, least, total, unite

DAY_US: Final = 86_400_000_000
WINDOW_DAYS: Final = 28
IDLE_DAYS: Final = (0, 1, 3, 7, 14)
"""A rest is looked at as it begins, and when it has lasted so many days."""

BY_DAYS: Final = (1, 7, WINDOW_DAYS)
"""Completed within so many days of the first watched interval."""

MAX_VISITS: Final = 20
"""Later visits of a pair are no landmarks of their own."""

COLUMNS: Final = (
    "userId",
    "videoId",
    "sessionId",
    "sessionStart",
    "startMs",
    "endMs",
    "closedAt",
)
"""What is read of `watch_intervals`."""


class Pairs(NamedTuple):
    """One element per user and video; `video` counts the rows of the durations."""

    user: Ints
    video: Ints
    first_us: Ints
    final: Floats
    """Coverage in percent at the end of the window, or now."""
    completed: Bools
    completed_by: tuple[Bools, ...]
    """The same within each of `BY_DAYS`; True is known earlier than False."""
    known: Bools
    """Whether the window is over, so that `completed` is known."""


class Landmarks(NamedTuple):
    """One element per moment. All but `pair` is of what had happened by `at_us`."""

    pair: Ints
    at_us: Ints
    idle: Ints
    """Days of rest, one of `IDLE_DAYS`."""
    coverage: Floats
    """Percent of the video seen."""
    visits: Ints
    watched: Floats
    """Watch time, replays included, in percent of the duration."""
    age_days: Floats
    """Since the first interval of the pair."""
    user_started: Ints
    """Other videos that the user had begun."""
    user_completed: Ints
    """Other videos that the user had completed."""
    resting_still: Bools
    """Whether it is the present: the rest has not ended, and has not lasted to the next of
    `IDLE_DAYS`."""


class History(NamedTuple):
    """What is known of all pairs."""

    users: pa.Array
    pairs: Pairs
    landmarks: Landmarks


class _Visits(NamedTuple):
    """One element per visit, sorted by pair and end. `rank` counts those of a pair from 0."""

    pair: Ints
    rank: Ints
    begin_us: Ints
    end_us: Ints
    of_interval: Ints
    """The visit of each interval."""


def history(
    intervals: pa.Table, durations: pa.Table, threshold_percent: int, until_us: int
) -> History:
    """The pairs and their landmarks.

    Args:
        intervals: `COLUMNS` of `watch_intervals`.
        durations: `videoId`, `durationMs`; pairs of other videos are left out.
        threshold_percent: Coverage that completes a video.
        until_us: Time up to which everything is in `intervals`.
    """
    place = pc.index_in(intervals["videoId"], value_set=durations["videoId"].combine_chunks())
    intervals = intervals.filter(place.is_valid())
    video = integers(place.filter(place.is_valid()))
    lengths = integers(durations["durationMs"])
    user, users = codes(intervals["userId"])
    names, pair = np.unique(combined(user, video, len(lengths)), return_inverse=True)
    pair = pair.astype(np.int64)
    closed = integers(intervals["closedAt"])
    first = least(pair, closed, len(names))
    inside = closed < first[pair] + WINDOW_DAYS * DAY_US
    pair, closed, intervals = pair[inside], closed[inside], intervals.filter(pa.array(inside))
    spans = Spans(pair, integers(intervals["startMs"]), integers(intervals["endMs"]))
    duration = lengths[names % len(lengths)] if len(names) else first
    needed = duration * threshold_percent
    completed = tuple(
        100 * _unique(_of(spans, closed < first[pair] + days * DAY_US), len(names)) >= needed
        for days in BY_DAYS
    )
    pairs = Pairs(
        user=names // max(len(lengths), 1),
        video=names % max(len(lengths), 1),
        first_us=first,
        final=100 * _unique(spans, len(names)) / duration,
        completed=completed[-1],
        completed_by=completed,
        known=first + WINDOW_DAYS * DAY_US <= until_us,
    )
    visits = _visits(pair, closed, intervals)
    marks = _landmarks(pairs, duration, spans, visits, threshold_percent, until_us)
    return History(users, pairs, marks)


def _of(spans: Spans, chosen: Bools) -> Spans:
    return Spans(*(column[chosen] for column in spans))


def _unique(spans: Spans, keys: int) -> Ints:
    united = unite(spans)
    return total(united.key, united.end - united.start, keys)


def _visits(pair: Ints, closed: Ints, intervals: pa.Table) -> _Visits:
    session, sessions = codes(intervals["sessionId"])
    columns = [combined(pair, session, len(sessions)), integers(intervals["sessionStart"])]
    found, first, of_interval = np.unique(
        np.column_stack(columns), axis=0, return_index=True, return_inverse=True
    )
    of_interval = of_interval.ravel().astype(np.int64)
    begin, end = least(of_interval, closed, len(found)), greatest(of_interval, closed, len(found))
    of_pair = pair[first]
    order = np.lexsort([end, of_pair])
    of_pair = of_pair[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    starts = np.flatnonzero(np.diff(of_pair, prepend=-1))
    counts = np.diff(np.append(starts, len(of_pair)))
    rank = np.arange(len(of_pair)) - np.repeat(starts, counts)
    return _Visits(of_pair, rank, begin[order], end[order], place[of_interval])


def _landmarks(
    pairs: Pairs, duration: Ints, spans: Spans, visits: _Visits, threshold: int, until_us: int
) -> Landmarks:
    seen, watched = _after_each_visit(spans, visits)
    of = visits.pair
    done = seen * 100 >= duration[of] * threshold
    # Of a pair the visits come one after the other; another pair's is no next one.
    later = np.append(visits.begin_us[1:], LARGEST) if len(of) else of
    follows = np.append(of[1:] == of[:-1], False) if len(of) else done
    next_us = np.where(follows, later, LARGEST)
    started, completed = _of_users(pairs, visits, done)
    window_end = pairs.first_us[of] + WINDOW_DAYS * DAY_US
    parts = []
    for idle, longer in zip(IDLE_DAYS, [*IDLE_DAYS[1:], WINDOW_DAYS], strict=True):
        at = visits.end_us + idle * DAY_US
        chosen = ~done & (visits.rank < MAX_VISITS) & (at < window_end) & (at <= until_us)
        if idle:
            chosen &= next_us > at
        rows = np.flatnonzero(chosen)
        still = (next_us > until_us) & (until_us < visits.end_us + longer * DAY_US)
        own = at[rows]
        user = pairs.user[of[rows]]
        begun, ended = _before(user, own, *started), _before(user, own, *completed)
        parts.append(
            Landmarks(
                pair=of[rows],
                at_us=own,
                idle=np.full(len(rows), idle),
                coverage=100 * seen[rows] / duration[of[rows]],
                visits=visits.rank[rows] + 1,
                watched=100 * watched[rows] / duration[of[rows]],
                age_days=(own - pairs.first_us[of[rows]]) / DAY_US,
                # The pair itself has begun, and is not complete.
                user_started=begun - 1,
                user_completed=ended,
                resting_still=still[rows] & (until_us < window_end[rows]),
            )
        )
    return Landmarks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _after_each_visit(spans: Spans, visits: _Visits) -> tuple[Ints, Ints]:
    """What was seen once, and watched at all, of a pair's video after each of its visits (ms)."""
    last = np.zeros(int(visits.pair.max(initial=-1)) + 1, np.int64)
    np.maximum.at(last, visits.pair, np.arange(len(visits.pair)))
    rank = visits.rank[visits.of_interval]
    # An interval counts after its own visit and after each later one.
    limit = np.minimum(last[spans.key], visits.of_interval - rank + MAX_VISITS - 1)
    repeats = np.maximum(limit - visits.of_interval + 1, 1)
    offset = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    visit = np.repeat(visits.of_interval, repeats) + offset
    start, end = (np.repeat(side, repeats) for side in (spans.start, spans.end))
    count = len(visits.pair)
    return _unique(Spans(visit, start, end), count), total(visit, end - start, count)


def _of_users(
    pairs: Pairs, visits: _Visits, done: Bools
) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
    """User and time, sorted, of each beginning and of each completion of a video."""
    reached = np.full(len(pairs.user), LARGEST, np.int64)
    np.minimum.at(reached, visits.pair[done], visits.end_us[done])
    complete = reached < LARGEST
    return (
        _sorted(pairs.user, pairs.first_us),
        _sorted(pairs.user[complete], reached[complete]),
    )


def _sorted(user: Ints, at: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort([at, user])
    return user[order], at[order]


def _before(user: Ints, at: Ints, users: Ints, times: Ints) -> Ints:
    """How many of the user's times are not after `at`."""
    moments, rank = np.unique(np.concatenate([times, at]), return_inverse=True)
    size = len(moments) + 1
    packed = users * size + rank[: len(times)]
    begin = np.searchsorted(users, user, side="left")
    return np.searchsorted(packed, user * size + rank[len(times) :], side="right") - begin
