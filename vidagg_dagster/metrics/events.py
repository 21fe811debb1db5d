"""Prepared events as sorted columns of numbers, which is what the fold reads."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.dimensions import carried
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.arrays import (
    Bools,
    Floats,
    Ints,
    Numbers,
    changes,
    codes,
    combined,
    dates,
    dense,
    floats_or_nan,
    integers_or,
    nullable,
    one_array,
    order,
    ordered_codes,
)
from vidagg_dagster.metrics.dimensions import NOT_KNOWN, Dimension, dimensions_of
from vidagg_dagster.metrics.playback import UNKNOWN

ROWS_AT_ONCE: Final = 500_000
"""About how many events are settled together. More do not fit into the processor's cache."""

_NUMBERS: Final[dict[str, tuple[str, type[np.signedinteger[Any]]]]] = {
    "us": ("us", np.int64),
    "rank": ("nameRank", np.int8),
    "sent": ("sentPositionMs", np.int64),
    "day": ("event_date", np.int32),
    "seek_from": ("seekFromMs", np.int64),
    "duration": ("durationMs", np.int64),
    "times_out_day": ("timesOutDay", np.int32),
}
"""Our names of the table's columns of whole numbers, days and times, and how wide these are."""


class Columns(NamedTuple):
    """One row per event, sorted by told session, time and name.

    A told session is a user and a sessionId. `position` and `seek_from` are those that count;
    `beyond` is true of events whose position lies too far behind the video's end.
    """

    told: Ints
    us: Ints
    day: Ints
    rank: Ints
    position: Ints
    seek_from: Ints
    duration: Ints
    rate: Floats
    video: Ints
    beyond: Bools
    times_out_day: Ints


@dataclass(frozen=True)
class Events:
    """Sorted events; `user` and `session_id` of each told session count `users`, `session_ids`.

    The column `video` counts `video_ids`, which are sorted. `dimensions` have the rows of
    `columns`.
    """

    users: pa.Array
    session_ids: pa.Array
    video_ids: pa.Array
    user: Ints
    session_id: Ints
    columns: Columns
    dimensions: tuple[Dimension, ...]


@dataclass(frozen=True)
class Numbered:
    """Prepared rows (`timeline.prepared`) with numbers for their texts, in the order of the table.

    Of rows that are no events the numbers mean nothing. They are as narrow as can be, because all
    rows of a user are here at once; `events` widens those that are looked at.
    """

    users: pa.Array
    session_ids: pa.Array
    video_ids: pa.Array
    user: Numbers
    session_id: Numbers
    video: Numbers
    told: Numbers
    us: Ints
    rank: Numbers
    sent: Ints
    day: Numbers
    seek_from: Ints
    duration: Ints
    times_out_day: Numbers
    rate: Floats
    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, table: pa.Table) -> "Numbered":
        """Number the texts of `table`."""
        user, users = ordered_codes(table["userId"])
        session_id, session_ids = codes(table["sessionId"])
        video, video_ids = ordered_codes(table["videoId"])
        return cls(
            users=users,
            session_ids=session_ids,
            video_ids=video_ids,
            user=user,
            session_id=session_id,
            video=video,
            told=dense(combined(user, session_id, len(session_ids))),
            rate=floats_or_nan(table["playbackRate"]),
            dimensions=dimensions_of(table),
            **{
                ours: integers_or(table[name], UNKNOWN).astype(width, copy=False)
                for ours, (name, width) in _NUMBERS.items()
            },
        )

    def said(self, table: pa.Table) -> pa.Table:
        """What decides which of equal events stays, without the memory of `table`."""
        columns = {
            "event_date": dates(self.day),
            "seekFromMs": nullable(self.seek_from, self.seek_from != UNKNOWN),
            "playbackRate": nullable(self.rate, ~np.isnan(self.rate)),
        }
        if "eventId" in table.column_names:
            columns["eventId"] = one_array(table["eventId"])
        for dimension in self.dimensions:
            # The numbers have the order of the texts.
            code = dimension.code
            columns[carried(dimension.name)] = nullable(code, code != NOT_KNOWN)
        return pa.table(columns)

    @property
    def player(self) -> Ints:
        """A number for each user, session and video."""
        return combined(self.told, self.video, len(self.video_ids))

    def by_time(self, rows: Ints) -> Ints:
        """`rows` sorted by told session, time, name, position and video."""
        keys = (self.told, self.us, self.rank, self.sent, self.video)
        if len(rows) == len(self.us):
            return order(*keys)
        return rows[order(*(key[rows] for key in keys))]

    def parts(self, by_time: Ints) -> list[Ints]:
        """Sorted rows in parts of about `ROWS_AT_ONCE`, with told sessions whole."""
        begins = np.flatnonzero(changes(self.told[by_time]))
        wanted = np.arange(ROWS_AT_ONCE, len(by_time), ROWS_AT_ONCE)
        cuts = np.unique(begins[np.searchsorted(begins, wanted, side="right") - 1])
        return np.split(by_time, cuts[cuts > 0])

    def events(self, by_time: Ints, parameters: EngagementParameters) -> Events:
        """The rows `by_time`, which are sorted."""

        told = self.told[by_time]
        begins = by_time[changes(told)]
        duration = self.duration[by_time]
        position, beyond = _believed(self.sent[by_time], duration, parameters)
        seek_from, not_believed = _believed(self.seek_from[by_time], duration, parameters)
        seek_from[not_believed] = UNKNOWN
        columns = Columns(
            told=np.cumsum(changes(told)) - 1,
            us=self.us[by_time],
            day=self.day[by_time].astype(np.int64),
            rank=self.rank[by_time].astype(np.int64),
            position=position,
            seek_from=seek_from,
            duration=duration,
            rate=self.rate[by_time],
            video=self.video[by_time].astype(np.int64),
            beyond=beyond,
            times_out_day=self.times_out_day[by_time].astype(np.int64),
        )
        return Events(
            users=self.users,
            session_ids=self.session_ids,
            video_ids=self.video_ids,
            user=self.user[begins].astype(np.int64),
            session_id=self.session_id[begins].astype(np.int64),
            columns=columns,
            dimensions=tuple(dimension.of_rows(by_time) for dimension in self.dimensions),
        )


def _believed(sent: Ints, duration: Ints, parameters: EngagementParameters) -> tuple[Ints, Bools]:
    """Positions held against the duration, and which of them lie too far beyond it."""
    limited = duration != UNKNOWN
    beyond = limited & (sent * 100 > duration * parameters.position_limit_percent)
    return np.where(limited & (sent > duration), duration, sent), beyond
