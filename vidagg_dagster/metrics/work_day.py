"""The events of a told session on one work day, and what its players did (see `settle`)."""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np

from vidagg_dagster.core.vocabulary import REPORTED
from vidagg_dagster.metrics import playback as play
from vidagg_dagster.metrics.arrays import LARGEST, Bools, Ints
from vidagg_dagster.metrics.compiled import new_records, rule
from vidagg_dagster.metrics.events import Columns
from vidagg_dagster.metrics.playback import NONE, UNKNOWN, ByTime, Limits, Moment, Order

_EPOCH: Final = date(1970, 1, 1)


class Wanted(NamedTuple):
    """The days to settle: `days[n]` of the day `first + n`; all days if there are none."""

    first: int
    days: Bools

    @classmethod
    def of(cls, days: tuple[date, ...] | None) -> "Wanted":
        """The given days; None: all."""
        if days is None:
            return cls(0, np.zeros(0, bool))
        numbers = np.array([(day - _EPOCH).days for day in days], np.int64)
        first = int(numbers.min(initial=LARGEST))
        wanted = np.zeros(int(numbers.max(initial=first)) - first + 1, bool)
        wanted[numbers - first] = True
        return cls(first, wanted)


@rule
def is_wanted(day: int, wanted: Wanted) -> bool:
    """Whether a day is to be settled."""
    at = day - wanted.first
    return len(wanted.days) == 0 or (0 <= at < len(wanted.days) and wanted.days[at])


class Players(NamedTuple):
    """First and last event of each player of a work day: of video `v` those that are believed are
    player `3 * v`, those beyond it `3 * v + 1`, and reports `3 * v + 2`. `UNKNOWN` if it has none.
    """

    first: Ints
    last: Ints


class WorkDay(NamedTuple):
    """Working memory: the events of a told session on one work day, and their moments.

    By number of the event, by time: its `row`, the `next` event of its player, what its pair is
    `credited`, its `session` after cutting, and the first event of the session's `next_instant`
    (`UNKNOWN` if there is none). `video` lists the videos, and `end` says where the moments of
    each end: first those that are believed, then those beyond it, then reports.
    """

    row: Ints
    next: Ints
    credited: Ints
    session: Ints
    next_instant: Ints
    video: Ints
    end: Ints
    by_time: ByTime
    order: Order
    players: Players
    moments: Sequence[Moment]

    @classmethod
    def for_(cls, events: int, videos: int) -> "WorkDay":
        """Memory for so many events of a told session."""

        def numbers() -> Ints:
            return np.empty(events, np.int64)

        return cls(
            row=numbers(),
            next=numbers(),
            credited=numbers(),
            session=numbers(),
            next_instant=numbers(),
            video=numbers(),
            end=np.empty(3 * events, np.int64),
            by_time=ByTime(numbers(), numbers(), numbers()),
            order=Order(numbers(), numbers()),
            players=Players(*(np.full(3 * videos, UNKNOWN, np.int64) for _ in range(2))),
            moments=new_records(Moment, events),
        )


@rule
def begin_work_day(day: Ints, start: int, end: int, work_day: int) -> int:
    """The first row, from `start` on, of the day before `work_day` or a later one."""
    while start < end and day[start] < work_day - 1:
        start += 1
    return start


@rule
def end_work_day(day: Ints, start: int, end: int, work_day: int) -> int:
    """Behind the rows of `work_day`. Days go back by one where clocks go back over midnight."""
    while start < end and day[start] <= work_day + 1:
        start += 1
    return start


@rule
def choose_events(events: Columns, start: int, end: int, work_day: int, row: Ints) -> int:
    """Fills `row` with the events of `work_day` and its context; returns how many there are.

    None where they settle nothing: no own event, and no tail that times out on the day.
    """
    chosen = 0
    settles = False
    for at in range(start, end):
        day = events.day[at]
        if work_day - 1 <= day <= work_day:
            row[chosen] = at
            chosen += 1
            settles = settles or day == work_day or events.times_out_day[at] == work_day
    return chosen if settles else 0


# --- players --------------------------------------------------------------------------------------


@rule
def part_players(events: Columns, count: int, work: WorkDay) -> int:
    """Links the events of each player; lists the videos, and returns how many there are."""
    first, last = work.players.first, work.players.last
    videos = 0
    for event in range(count):
        row = work.row[event]
        player = 3 * events.video[row]
        if last[player] == UNKNOWN and last[player + 1] == UNKNOWN and last[player + 2] == UNKNOWN:
            work.video[videos] = events.video[row]
            videos += 1
        if events.beyond[row]:
            player += 1
        elif events.rank[row] == REPORTED:
            player += 2
        if last[player] == UNKNOWN:
            first[player] = event
        else:
            work.next[last[player]] = event
        last[player] = event
        work.next[event] = UNKNOWN
    return videos


@rule
def list_player(events: Columns, player: int, filled: int, work: WorkDay) -> int:
    """Lists the events of a player by time behind the `filled` ones, and forgets the player."""
    if work.players.last[player] == UNKNOWN:
        return filled
    event = work.players.first[player]
    while event != UNKNOWN:
        row = work.row[event]
        work.by_time.event[filled] = event
        work.by_time.us[filled] = events.us[row]
        work.by_time.rank[filled] = events.rank[row]
        filled += 1
        event = work.next[event]
    work.players.last[player] = UNKNOWN
    return filled


@rule
def load(moment: Moment, events: Columns, row: int, kind: int, work_day: int) -> None:
    """An event as a moment of which nothing is known but itself."""
    moment.us = events.us[row]
    moment.day = events.day[row]
    moment.rank = events.rank[row]
    moment.kind = kind
    moment.position = events.position[row]
    moment.seek_from = events.seek_from[row]
    moment.duration = events.duration[row]
    moment.rate = events.rate[row]
    moment.was_playing = False
    moment.playing = False
    moment.throughout = False
    moment.lands = False
    moment.evidence = NONE
    moment.end = 0
    moment.own = events.day[row] == work_day
    moment.work_day = work_day
    moment.times_out_day = events.times_out_day[row]
    moment.session = UNKNOWN
    moment.next_us = UNKNOWN
    moment.next_day = UNKNOWN


@rule
def load_player(events: Columns, first: int, end: int, work_day: int, work: WorkDay) -> None:
    """Fills the moments of a player in the order of play."""
    play.order_of_play(work.by_time, first, end, work.order)
    for place in range(first, end):
        event = work.by_time.event[work.order.at[place]]
        kind = work.order.kind[place]
        load(work.moments[place], events, work.row[event], kind, work_day)


@rule
def follow_players(
    limits: Limits, events: Columns, work_day: int, count: int, work: WorkDay
) -> int:
    """Follows each player through its events, and credits its pairs; returns the number of videos.

    Of a video the moments that are believed come first, then those beyond it, then reports.
    """
    videos = part_players(events, count, work)
    filled = 0
    for at in range(videos):
        first = filled
        filled = list_player(events, 3 * work.video[at], filled, work)
        load_player(events, first, filled, work_day, work)
        play.play(work.moments, first, filled, limits)
        work.end[3 * at] = filled
        for other in range(1, 3):
            first = filled
            filled = list_player(events, 3 * work.video[at] + other, filled, work)
            load_player(events, first, filled, work_day, work)
            work.end[3 * at + other] = filled
    return videos


@rule
def list_credits(count: int, work: WorkDay) -> None:
    """Fills what each event's pair is credited, by time."""
    for place in range(count):
        moment = work.moments[place]
        event = work.by_time.event[work.order.at[place]]
        work.credited[event] = 0
        if moment.evidence != NONE:
            work.credited[event] = moment.end - work.moments[place - 1].position
