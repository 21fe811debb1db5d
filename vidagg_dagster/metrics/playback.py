"""THE FOLD: what the player did, event by event (sections "Events" to "Skips" of docs/metrics.md).

Plain loops over sorted integers, one function per rule, in the order and the words of the text.
`compiled.py` says how they run. Unknown numbers are `UNKNOWN` (positions, durations) or NaN
(rates). Products with a rate are computed in doubles and rounded down to whole milliseconds:
`floor(ms * rate)`, `floor(ms / rate)`; everything else is exact in integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isnan, nan
from typing import Final, NamedTuple

from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import (
    ENDED,
    FIRST_STOP,
    LAST_START,
    NEUTRAL,
    PAUSE,
    PLAYING,
    SEEK,
    SEEKING,
    START,
    STOP,
    WAITING,
)
from vidagg_dagster.metrics.arrays import Ints
from vidagg_dagster.metrics.compiled import rule

UNKNOWN: Final = -1
"""Stands for an unknown position or duration; real ones are not negative."""

NONE, OBSERVED, HEARTBEAT, BRIDGED, CLIPPED, TOLD, SAID = range(7)
"""Evidence of a credit as numbers; `TOLD` is a seek that says where it began, `SAID` a report."""

EVIDENCE_NAMES: Final = (
    *("", "observed", "heartbeat", "bridged", "clipped", "observed", "reported"),
)
"""The published name of each."""


class Limits(NamedTuple):
    """The thresholds that these rules need, as numbers (see `EngagementParameters`)."""

    session_timeout_ms: int
    max_playback_rate: float
    tolerance_ms: int
    repair_seeks: bool
    seek_back_ms: int
    drag_window_ms: int
    same_place_ms: int
    forward_skip_ms: int
    backward_skip_ms: int
    opening_ms: int

    @classmethod
    def of(cls, parameters: EngagementParameters) -> "Limits":
        """Those of `parameters`."""
        return cls(*(getattr(parameters, name) for name in cls._fields))


@dataclass(slots=True)
class Moment:
    """An event of a player, and what the player did at it.

    A player is one user, session and video on one work day; events beyond the video are a player
    of their own. The moments of a player lie in the order of play.
    """

    us: int
    """Microseconds since 1970."""
    day: int
    """The event's own day."""
    rank: int
    """Its name."""
    kind: int
    """`START`, `NEUTRAL` or `STOP`: what it does to the player."""
    position: int
    """The position that counts; at most the duration."""
    seek_from: int
    duration: int
    rate: float
    """The rate that counts: at first what the event itself says."""
    was_playing: bool
    """The state of the player before the event."""
    playing: bool
    """The state after it."""
    throughout: bool
    """Whether the player is taken to play throughout, for want of starts and stops."""
    lands: bool
    """Whether this is a seek, or a stop or a wait where one lands."""
    evidence: int
    """Of what the pair that this event closes is credited: from the position before to `end`."""
    end: int
    own: bool
    """Whether the event is of the work day; else it is context."""
    work_day: int
    times_out_day: int
    """The day on which a tail after the event would time out."""
    session: int
    """The session after cutting."""
    next_us: int
    """The session's next instant; `UNKNOWN` if there is none."""
    next_day: int


class ByTime(NamedTuple):
    """Events of a player, sorted by time and name: their numbers, times and ranks."""

    event: Ints
    us: Ints
    rank: Ints


class Order(NamedTuple):
    """The order of play: which of the events by time comes at this place, and what it does."""

    at: Ints
    kind: Ints


# --- 1 Events: kinds, order, rate, replay, senders of positions only ------------------------------


@rule
def kind_of(rank: int, playing: bool) -> int:
    """What a name does; `video_playing` starts a stopped player, else it is neutral."""
    if rank >= FIRST_STOP:
        return STOP
    if rank > LAST_START or (rank == PLAYING and playing):
        return NEUTRAL
    return START


@rule
def is_seek(rank: int) -> bool:
    """A `video_seek` or a `video_seeking`."""
    return rank in (SEEK, SEEKING)


@rule
def state_after(kind: int, playing: bool) -> bool:
    """Whether the player plays after an event."""
    return kind == START or (kind == NEUTRAL and playing)


@rule
def order_instant(rank: Ints, first: int, end: int, playing: bool, at: Ints) -> None:
    """Orders events of one instant, which are sorted by name: starts, neutral events, stops.

    While the player plays, stops come before starts. So an instant with both leaves the state as
    it found it.
    """
    if not playing or end == first + 1:
        for place in range(first, end):
            at[place] = place
        return
    place = first
    for event in range(first, end):
        if rank[event] >= FIRST_STOP:
            at[place] = event
            place += 1
    for event in range(first, end):
        if LAST_START < rank[event] < FIRST_STOP:
            at[place] = event
            place += 1
    for event in range(first, end):
        if rank[event] <= LAST_START:
            at[place] = event
            place += 1


@rule
def order_of_play(by_time: ByTime, first: int, end: int, order: Order) -> None:
    """Fills `order` for the events of one player, from `first` on."""
    playing = False
    while first < end:
        behind = first + 1
        while behind < end and by_time.us[behind] == by_time.us[first]:
            behind += 1
        order_instant(by_time.rank, first, behind, playing, order.at)
        for place in range(first, behind):
            kind = kind_of(by_time.rank[order.at[place]], playing)
            order.kind[place] = kind
            playing = state_after(kind, playing)
        first = behind


@rule
def told_rate(own: float, told: float) -> float:
    """An event's own rate, else the one told last before it; NaN if none was."""
    return told if isnan(own) else own


@rule
def positions_only(moments: Sequence[Moment], first: int, end: int) -> bool:
    """Whether the player has neither start nor stop, so that it is taken to play throughout."""
    place = first
    while place < end and moments[place].kind == NEUTRAL:
        place += 1
    return place == end


@rule
def replays(position: int, ended_at: int, limits: Limits) -> bool:
    """Whether a start that follows a `video_ended` at `ended_at` starts the video again."""
    return ended_at != UNKNOWN and abs(position - ended_at) <= limits.tolerance_ms


@rule
def replay_position(position: int, next_seek: int, limits: Limits) -> int:
    """Where a replay begins: at 0, or where the seek that is the next event goes to elsewhere."""
    if next_seek != UNKNOWN and abs(next_seek - position) > limits.tolerance_ms:
        return next_seek
    return 0


# --- 2 Watched intervals: the pair `a`, `b` of a player that was playing at `a` -------------------


@rule
def whole_ms(from_us: int, to_us: int) -> int:
    """A difference of two times."""
    return (to_us - from_us) // 1000


@rule
def bound(a: Moment, b: Moment, limits: Limits) -> int:
    """How far the video can have played at most: `r*dt + tolerance`."""
    rate = b.rate if isnan(a.rate) or b.rate > a.rate else a.rate
    if isnan(rate):
        rate = limits.max_playback_rate
    return floor(whole_ms(a.us, b.us) * rate) + limits.tolerance_ms


@rule
def clock(a: Moment, b: Moment) -> int:
    """Where the video had come by the clock: `a + dt` times `a`'s rate, not past its end."""
    rate = 1.0 if isnan(a.rate) else a.rate
    played_on = a.position + floor(whole_ms(a.us, b.us) * rate)
    return a.duration if a.duration != UNKNOWN and played_on > a.duration else played_on


@rule
def in_step(a: Moment, b: Moment, limits: Limits) -> bool:
    """`0.5*dt - tolerance <= dp <= bound`."""
    dp, dt = b.position - a.position, whole_ms(a.us, b.us)
    return 2 * dp >= dt - 2 * limits.tolerance_ms and dp <= bound(a, b, limits)


@rule
def seek_is_told(a: Moment, b: Moment, seek: Moment, limits: Limits) -> bool:
    """The seek's `seekFrom` lies 0 to `bound` after `a`."""
    if seek.seek_from == UNKNOWN:
        return False
    return 0 <= seek.seek_from - a.position <= bound(a, b, limits)


@rule
def under_way(a: Moment, b: Moment, a_moved: bool, limits: Limits) -> bool:
    """The seek had begun before `a`: it seeks, waits or is a start that moved, and `b` is there."""
    if abs(b.position - a.position) > limits.same_place_ms:
        return False
    return a.rank in (SEEKING, WAITING) or a_moved


@rule
def has_moved(start: Moment, stood: int, limits: Limits) -> bool:
    """Whether an event is a start away from where the player stood."""
    return start.kind == START and abs(start.position - stood) > limits.same_place_ms


@rule
def credit_seek(
    a: Moment, b: Moment, seek: Moment, a_moved: bool, limits: Limits
) -> tuple[int, int]:
    """The rows "seek" of the table: evidence, and the end of what is credited."""
    if seek_is_told(a, b, seek, limits):
        return TOLD, seek.seek_from
    if under_way(a, b, a_moved, limits) or not limits.repair_seeks:
        return NONE, a.position
    if whole_ms(a.us, b.us) <= limits.session_timeout_ms or in_step(a, b, limits):
        return CLIPPED, clock(a, b)
    return NONE, a.position


@rule
def credit_normal(a: Moment, b: Moment, limits: Limits) -> tuple[int, int]:
    """The rows "normal" of the table; nothing if none of them fits."""
    if 0 <= b.position - a.position <= bound(a, b, limits):
        if b.kind == STOP:
            return OBSERVED, b.position
        if b.kind == NEUTRAL:
            return HEARTBEAT, b.position
        if in_step(a, b, limits):
            return BRIDGED, b.position
    return NONE, a.position


@rule
def credit_unreported_seek(a: Moment, b: Moment, limits: Limits) -> tuple[int, int]:
    """The row "unreported seek" of the table; nothing if it does not fit."""
    dp = b.position - a.position
    if whole_ms(a.us, b.us) > limits.session_timeout_ms or not limits.repair_seeks:
        return NONE, a.position
    if dp > bound(a, b, limits):
        return CLIPPED, min(clock(a, b), b.position)
    if dp < -limits.seek_back_ms:
        return CLIPPED, clock(a, b)
    return NONE, a.position


@rule
def credit(moments: Sequence[Moment], b: int, seek: int, a_moved: bool, limits: Limits) -> None:
    """Fills evidence and end by the first row of the table that fits; `seek` is the seek that `b`
    is or that lands at it, or `UNKNOWN`.
    """
    before, moment = moments[b - 1], moments[b]
    if seek != UNKNOWN:
        evidence, end = credit_seek(before, moment, moments[seek], a_moved, limits)
    else:
        evidence, end = credit_normal(before, moment, limits)
        if evidence == NONE:
            evidence, end = credit_unreported_seek(before, moment, limits)
    moment.evidence, moment.end = evidence, end


@rule
def clock_time(a: Moment, b: Moment) -> int:
    """Time on the clock of a credit: `dt`, or its part where the credit ends before `b`."""
    dt, length = whole_ms(a.us, b.us), b.end - a.position
    if b.evidence != CLIPPED and b.evidence != TOLD:
        return dt
    return min(dt, length if isnan(a.rate) else floor(length / a.rate))


@rule
def reported_clock(report: Moment) -> int:
    """Time on the clock of a reported stretch: its length divided by its own rate, 1 if unknown."""
    length = report.position - report.seek_from
    return length if isnan(report.rate) else floor(length / report.rate)


@rule
def landing_seek(moments: Sequence[Moment], b: int, end: int, limits: Limits) -> int:
    """The seek that lands at `b`, or `UNKNOWN`: it follows on the same day, near on the clock and
    in the video, as does every event between.
    """
    at = moments[b]
    for c in range(b + 1, end):
        after = moments[c]
        if abs(after.position - at.position) > limits.same_place_ms or after.day != at.day:
            return UNKNOWN
        if whole_ms(at.us, after.us) > limits.drag_window_ms:
            return UNKNOWN
        if is_seek(after.rank):
            return c
    return UNKNOWN


@rule
def seek_of(moments: Sequence[Moment], b: int, end: int, limits: Limits) -> int:
    """The seek that `b` is, or that lands at it if `b` stops or waits; else `UNKNOWN`."""
    moment = moments[b]
    if is_seek(moment.rank):
        return b
    if moment.kind == STOP or moment.rank == WAITING:
        return landing_seek(moments, b, end, limits)
    return UNKNOWN


@rule
def stop_place(a: Moment, stop: Moment) -> int:
    """Where a stop left the player: of one where a seek lands or that was clipped, where the credit
    ends, or `a`; else its own position. A stop without a pair is its own `a`.
    """
    if stop.lands or stop.evidence == CLIPPED:
        return a.position if stop.evidence == NONE else stop.end
    return stop.position


@rule
def follow_states(moments: Sequence[Moment], first: int, end: int, limits: Limits) -> None:
    """Fills rates, states, and the positions that count."""
    throughout = positions_only(moments, first, end)
    playing, rate, ended_at = throughout, nan, UNKNOWN
    for b in range(first, end):
        moment = moments[b]
        if moment.kind == START and replays(moment.position, ended_at, limits):
            next_seek = UNKNOWN
            if b + 1 < end and is_seek(moments[b + 1].rank):
                next_seek = moments[b + 1].position
            moment.position = replay_position(moment.position, next_seek, limits)
        if moment.kind != NEUTRAL:
            ended_at = moment.position if moment.rank == ENDED else UNKNOWN
        rate = told_rate(moment.rate, rate)
        moment.rate = rate
        moment.was_playing = playing
        playing = state_after(moment.kind, playing)
        moment.playing = playing
        moment.throughout = throughout


@rule
def credit_pairs(moments: Sequence[Moment], first: int, end: int, limits: Limits) -> None:
    """Fills what each pair of a player is credited."""
    stood = 0
    moved = False
    for b in range(first, end):
        moment, before = moments[b], moments[max(b - 1, first)]
        seek = seek_of(moments, b, end, limits)
        moment.lands = seek != UNKNOWN
        if moment.was_playing and b > first:
            credit(moments, b, seek, moved, limits)
        if moment.kind == STOP:
            stood = stop_place(before, moment)
        elif moment.rank == SEEK and not moment.was_playing:
            stood = moment.position
        moved = has_moved(moment, stood, limits)


@rule
def play(moments: Sequence[Moment], first: int, end: int, limits: Limits) -> None:
    """Fills what one player did, of believed events in the order of play."""
    follow_states(moments, first, end, limits)
    credit_pairs(moments, first, end, limits)


# --- 3 Skips, pauses, completions -----------------------------------------------------------------


@rule
def left_at(b: Moment, stopped_at: int) -> int:
    """Where playing had come when it went on at `b`; `UNKNOWN` where `b` tells of no skip.

    Of a start while stopped that is `stopped_at`. While playing, of a seek, a wait where one
    lands, or another event that was clipped or not bridged, it is the end of what was credited:
    the position before, if nothing was.
    """
    if not b.was_playing:
        return stopped_at if b.kind == START else UNKNOWN
    if b.kind == STOP:
        return UNKNOWN
    if b.lands or b.evidence == NONE or b.evidence == CLIPPED:
        return b.end
    return UNKNOWN


@rule
def takes_up(rank: int, since_first_ms: int, limits: Limits) -> bool:
    """A seek so soon after the first event of the visit counts nothing."""
    return is_seek(rank) and since_first_ms <= limits.opening_ms


@rule
def is_forward_skip(jump: int, limits: Limits) -> bool:
    """More than 5 s ahead."""
    return jump > limits.forward_skip_ms


@rule
def is_backward_skip(jump: int, after_ended: bool, limits: Limits) -> bool:
    """More than 2 s back, except at a start right after `video_ended`, which is a replay."""
    return jump < -limits.backward_skip_ms and not after_ended


@rule
def is_pause(rank: int, follows_stop: bool) -> bool:
    """A `video_pause` whose preceding event of the visit is not itself a stop."""
    return rank == PAUSE and not follows_stop


@rule
def is_completion(
    rank: int, counted_before: bool, started: bool, since_counted_ms: int, limits: Limits
) -> bool:
    """A `video_ended` with a start since the last counted one, or the first of the visit."""
    if rank != ENDED:
        return False
    return not counted_before or (started and since_counted_ms > limits.opening_ms)


@rule
def is_left_open(moment: Moment, after: Moment, is_last: bool) -> bool:
    """The player plays, and nothing follows in the visit, or only a start that credits nothing."""
    return moment.playing and (is_last or (after.kind == START and after.evidence == NONE))


@rule
def open_tail(moment: Moment, limits: Limits) -> int:
    """The most that was watched after an event left open."""
    tail = limits.session_timeout_ms
    if moment.duration != UNKNOWN:
        tail = min(tail, moment.duration - moment.position)
    if moment.next_us != UNKNOWN:
        tail = min(tail, whole_ms(moment.us, moment.next_us))
    return tail
