"""Prepared events as sorted columns of numbers, which is what the fold reads."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics.arrays import (
    Bools,
    Floats,
    Ints,
    changes,
    codes,
    combined,
    dense,
    floats_or_nan,
    integers_or,
    order,
    ordered_codes,
)
from vidagg_dagster.metrics.playback import UNKNOWN


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

    The column `video` counts `video_ids`, which are sorted.
    """

    users: pa.Array
    session_ids: pa.Array
    video_ids: pa.Array
    user: Ints
    session_id: Ints
    columns: Columns


@dataclass(frozen=True)
class Numbered:
    """Prepared rows (`timeline.prepared`) with numbers for their texts, in the order of the table.

    Of rows that are no events the numbers mean nothing.
    """

    table: pa.Table
    users: pa.Array
    session_ids: pa.Array
    video_ids: pa.Array
    user: Ints
    session_id: Ints
    video: Ints
    told: Ints
    us: Ints
    rank: Ints
    sent: Ints

    @classmethod
    def of(cls, table: pa.Table) -> "Numbered":
        """Number the texts of `table`."""
        user, users = codes(table["userId"])
        session_id, session_ids = codes(table["sessionId"])
        video, video_ids = ordered_codes(table["videoId"])
        told = dense(combined(user, session_id, len(session_ids)))
        numbers = (
            integers_or(table[name], UNKNOWN) for name in ("us", "nameRank", "sentPositionMs")
        )
        return cls(table, users, session_ids, video_ids, user, session_id, video, told, *numbers)

    @property
    def player(self) -> Ints:
        """A number for each user, session and video."""
        return combined(self.told, self.video, len(self.video_ids))

    def by_time(self, rows: Ints) -> Ints:
        """`rows` sorted by told session, time, name, position and video."""
        keys = (self.told, self.us, self.rank, self.sent, self.video)
        return rows[order(*(key[rows] for key in keys))]

    def events(self, by_time: Ints, parameters: EngagementParameters) -> Events:
        """The rows `by_time`, which are sorted."""

        def column(name: str) -> Ints:
            return integers_or(self.table[name], UNKNOWN)[by_time]

        told = self.told[by_time]
        begins = by_time[changes(told)]
        duration = column("durationMs")
        position, beyond = _believed(self.sent[by_time], duration, parameters)
        seek_from, not_believed = _believed(column("seekFromMs"), duration, parameters)
        seek_from[not_believed] = UNKNOWN
        columns = Columns(
            told=np.cumsum(changes(told)) - 1,
            us=self.us[by_time],
            day=column("event_date"),
            rank=self.rank[by_time],
            position=position,
            seek_from=seek_from,
            duration=duration,
            rate=floats_or_nan(self.table["playbackRate"])[by_time],
            video=self.video[by_time],
            beyond=beyond,
            times_out_day=column("timesOutDay"),
        )
        return Events(
            users=self.users,
            session_ids=self.session_ids,
            video_ids=self.video_ids,
            user=self.user[begins],
            session_id=self.session_id[begins],
            columns=columns,
        )


def _believed(sent: Ints, duration: Ints, parameters: EngagementParameters) -> tuple[Ints, Bools]:
    """Positions held against the duration, and which of them lie too far beyond it."""
    limited = duration != UNKNOWN
    beyond = limited & (sent * 100 > duration * parameters.position_limit_percent)
    return np.where(limited & (sent > duration), duration, sent), beyond
