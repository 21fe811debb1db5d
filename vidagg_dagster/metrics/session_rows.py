"""Rows of `sessions`: one per session and day, with its visits and their intervals."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.arrays import dates, instants, nullable, offsets
from vidagg_dagster.metrics.events import Numbered
from vidagg_dagster.metrics.playback import UNKNOWN
from vidagg_dagster.metrics.settle import Settled, day_share, settle


@dataclass(frozen=True)
class SessionsOf:
    """Prepared events of whole users (`timeline.prepared`) -> rows of `sessions`.

    Attributes:
        days: The days to compute; None: every day there is.
        parameters: The thresholds.
    """

    days: tuple[date, ...] | None
    parameters: EngagementParameters

    def __call__(self, events: pa.Table) -> pa.Table:
        """One row per session and day, in no particular order."""
        numbered = Numbered.of(events)
        by_time = numbered.by_time(np.arange(events.num_rows))
        sorted_ = numbered.events(by_time, self.parameters)
        return session_rows(settle(sorted_, self.days, self.parameters))


def session_rows(settled: Settled) -> pa.Table:
    """Sessions with an event of the day, or a tail that it settles, in the columns of the table."""
    events, sums, visits = settled.events, settled.sessions, settled.visits
    sessions = len(sums.first_row)
    open_ended = np.zeros(sessions, np.int64)
    np.add.at(open_ended, visits["session"], visits["open_ended_count"])
    videos = np.bincount(visits["session"][visits["event_count"] > 0], minlength=sessions)
    kept = np.flatnonzero((sums.events > 0) | (open_ended > 0))
    listed = np.bincount(visits["session"], minlength=sessions)[kept]
    length = settled.intervals["end"] - settled.intervals["start"]
    of_session = np.repeat(visits["session"], visits["interval_count"])
    # Sums of floats; exact, because they stay below 2^53.
    watched = np.bincount(of_session, length, sessions).astype(np.int64)
    told = settled.told[kept]
    start_us = events.columns.us[sums.first_row[kept]]
    has_own = sums.events[kept] > 0
    return pa.table(
        {
            "event_date": dates(sums.work_day[kept]),
            "userId": events.users.take(pa.array(events.user[told])),
            "sessionId": events.session_ids.take(pa.array(events.session_id[told])),
            "sessionStart": instants(start_us),
            "continuesFromPreviousDay": pa.array(sums.last_context_us[kept] != UNKNOWN),
            "firstEventTime": instants(sums.first_us[kept], has_own),
            "lastEventTime": instants(sums.last_us[kept], has_own),
            "eventCount": pa.array(sums.events[kept]),
            "videoCount": pa.array(videos[kept]),
            "durationMs": pa.array(
                day_share(start_us, sums.last_us[kept], sums.last_context_us[kept])
            ),
            "watchMs": pa.array(watched[kept]),
            "visits": pa.ListArray.from_arrays(offsets(listed), _visit_structs(settled)),
            **{
                dimension.name: dimension.values(code[kept])
                for dimension, code in zip(events.dimensions, settled.dimensions(), strict=True)
            },
        }
    )


def _visit_structs(settled: Settled) -> pa.StructArray:
    visits, spans = settled.visits, settled.intervals
    has_own = visits["event_count"] > 0
    intervals = {
        "startMs": pa.array(spans["start"]),
        "endMs": pa.array(spans["end"]),
        "clockMs": pa.array(spans["clock"]),
        "evidence": pa.array(play.EVIDENCE_NAMES).take(pa.array(spans["evidence"])),
        "openedAt": instants(spans["opened_us"]),
        "closedAt": instants(spans["closed_us"]),
    }
    fields = {
        "videoId": settled.events.video_ids.take(pa.array(visits["video"])),
        "startsHere": pa.array(has_own & (visits["context_count"] == 0)),
        "eventCount": pa.array(visits["event_count"]),
        "exceedingCount": pa.array(visits["exceeding_count"]),
        "firstEventTime": instants(visits["first_us"], has_own),
        "lastEventTime": instants(visits["last_us"], has_own),
        "durationMs": pa.array(
            day_share(visits["start_us"], visits["last_us"], visits["last_context_us"])
        ),
        "maxPositionMs": nullable(visits["max_position"], visits["max_position"] != UNKNOWN),
        "pauseCount": pa.array(visits["pause_count"]),
        "completionCount": pa.array(visits["completion_count"]),
        "forwardSkipCount": pa.array(visits["forward_skip_count"]),
        "backwardSkipCount": pa.array(visits["backward_skip_count"]),
        "openEndedCount": pa.array(visits["open_ended_count"]),
        "tailMs": pa.array(visits["tail_ms"]),
        "noStart": pa.array(visits["no_start"] > 0),
        "intervals": pa.ListArray.from_arrays(
            offsets(visits["interval_count"]), _structs(intervals)
        ),
    }
    return _structs(fields)


def _structs(fields: dict[str, pa.Array]) -> pa.StructArray:
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
