"""THE FOLD: what the player did, event by event (sections "Events" to "Skips" of docs/metrics.md).

Plain loops over sorted integers, one function per rule, in the order and the words of the text.
`compiled.py` says how they run. Unknown numbers are `UNKNOWN` (positions, durations) or NaN
(rates). Products with a rate are computed in doubles and rounded down to whole milliseconds:
`floor(ms * rate)`, `floor(ms / rate)`; everything else is exact in integers.
"""

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
from vidagg_dagster.metrics.arrays import Bools, Floats, Ints
from vidagg_dagster.metrics.compiled import Fold, rule

UNKNOWN: Final = -1
"""Stands for an unknown position or duration; real ones are not negative."""

NONE, OBSERVED, HEARTBEAT, BRIDGED, CLIPPED, TOLD = range(6)
"""Evidence of a credit as numbers; `TOLD` is a seek that says where it began."""

EVIDENCE_NAMES: Final = ("", "observed", "heartbeat", "bridged", "clipped", "observed")
"""The published name of each."""


class Limits(NamedTuple):
    """The thresholds that these rules need, as numbers (see `EngagementParameters`)."""

    session_timeout_ms: int
    max_playback_rate: float
    tolerance_ms: int
    repair_seeks: bool
    seek_back_ms: int
    drag_window_ms: int
    seek_place_ms: int
    forward_skip_ms: int
    backward_skip_ms: int
    take_up_ms: int
    ended_again_ms: int

    @classmethod
    def of(cls, parameters: EngagementParameters) -> "Limits":
        """Those of `parameters`."""
        return cls(*(getattr(parameters, name) for name in cls._fields))


class Events(NamedTuple):
    """Events sorted by player, then time, then name, then position.

    A player is one user, session and video on one work day; the events beyond the video are a
    player of their own. `us` is microseconds since 1970, `day` the event's own day, `rank` its
    name, `position` at most the `duration`; `rate` and `seek_from` are what the event itself says.
    """

    us: Ints
    player: Ints
    day: Ints
    rank: Ints
    position: Ints
    seek_from: Ints
    duration: Ints
    rate: Floats
    beyond: Bools


class Order(NamedTuple):
    """The order of play: `at` is the row that comes at this place, `kind` what that event does."""

    at: Ints
    kind: Ints


class Playback(NamedTuple):
    """What the player did at each event, in the order of play.

    `position` and `rate` are those that count. `was_playing` is the state before the event.
    `evidence` and `end` say what the pair that the event closes is credited: from the position of
    the event before to `end`. `lands` is true of a stop or wait where a seek lands. `throughout`
    is true of all events of a sender of positions only.
    """

    position: Ints
    rate: Floats
    was_playing: Bools
    playing: Bools
    lands: Bools
    evidence: Ints
    end: Ints
    throughout: Bools


# --- 1 Events: kinds, order, rate, replay, senders of positions only ------------------------------


@rule
def kind_of(rank: int, playing: bool) -> int:
    """What a name does; `video_playing` starts a stopped player and says nothing of a playing one."""
    if rank >= FIRST_STOP:
        return STOP
    if rank > LAST_START or (rank == PLAYING and playing):
        return NEUTRAL
    return START


@rule
def is_seek(rank: int) -> bool:
    """A `video_seek` or a `video_seeking`."""
    return rank == SEEK or rank == SEEKING


@rule
def state_after(kind: int, playing: bool) -> bool:
    """Whether the player plays after an event."""
    return kind == START or (kind == NEUTRAL and playing)


@rule
def order_instant(
    rank: Ints, first: int, end: int, playing: bool, at: Ints
) -> None:
    """Orders events of one instant, which are sorted by name: starts, neutral events, stops.

    While the player plays, stops come before starts. So an instant with both leaves the state as
    it found it.
    """
    if not playing:
        for place in range(first, end):
            at[place] = place
        return
    place = first
    for row in range(first, end):
        if rank[row] >= FIRST_STOP:
            at[place] = row
            place += 1
    for row in range(first, end):
        if LAST_START < rank[row] < FIRST_STOP:
            at[place] = row
            place += 1
    for row in range(first, end):
        if rank[row] <= LAST_START:
            at[place] = row
            place += 1


def _order_of_play(events: Events, order: Order) -> int:
    """Fills `order`: where each event comes, and what it does to the player."""
    us, player, rank = events.us, events.player, events.rank
    rows = len(us)
    playing = False
    first = 0
    while first < rows:
        if first == 0 or player[first] != player[first - 1]:
            playing = False
        end = first + 1
        while end < rows and us[end] == us[first] and player[end] == player[first]:
            end += 1
        order_instant(rank, first, end, playing, order.at)
        for place in range(first, end):
            kind = kind_of(rank[order.at[place]], playing)
            order.kind[place] = kind
            playing = state_after(kind, playing)
        first = end
    return rows


order_of_play = Fold(_order_of_play)


@rule
def told_rate(own: float, told: float) -> float:
    """An event's own rate, else the one told last before it; NaN if none was."""
    return told if isnan(own) else own


@rule
def positions_only(rank: Ints, first: int, end: int) -> bool:
    """Whether the player has neither start nor stop, so that it is taken to play throughout."""
    for place in range(first, end):
        if rank[place] <= LAST_START or rank[place] >= FIRST_STOP:
            return False
    return True


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


# --- 2 Watched intervals --------------------------------------------------------------------------


class Pair(NamedTuple):
    """Two neighbouring events `a`, `b` of a player that was playing at `a`."""

    position_a: int
    position_b: int
    dt: int
    rate_a: float
    rate_b: float
    duration: int
    kind_b: int
    is_seek: bool
    """`b` seeks; or `b` stops or waits where a seek lands."""
    seek_from: int
    """What that seek says of where it began."""
    under_way: bool


@rule
def whole_ms(from_us: int, to_us: int) -> int:
    """A difference of two times."""
    return (to_us - from_us) // 1000


@rule
def bound(pair: Pair, limits: Limits) -> int:
    """How far the video can have played at most: `r*dt + tolerance`."""
    rate = pair.rate_a
    if isnan(rate) or pair.rate_b > rate:
        rate = pair.rate_b
    if isnan(rate):
        rate = limits.max_playback_rate
    return floor(pair.dt * rate) + limits.tolerance_ms


@rule
def clock(pair: Pair) -> int:
    """Where the video had come by the clock: `a + dt` times `a`'s rate, not past its end."""
    rate = 1.0 if isnan(pair.rate_a) else pair.rate_a
    played_on = pair.position_a + floor(pair.dt * rate)
    return pair.duration if pair.duration != UNKNOWN and played_on > pair.duration else played_on


@rule
def in_step(pair: Pair, limits: Limits) -> bool:
    """`0.5*dt - tolerance <= dp <= bound`."""
    dp = pair.position_b - pair.position_a
    return 2 * dp >= pair.dt - 2 * limits.tolerance_ms and dp <= bound(pair, limits)


@rule
def seek_is_told(pair: Pair, limits: Limits) -> bool:
    """The seek's `seekFrom` lies 0 to `bound` after `a`."""
    if pair.seek_from == UNKNOWN:
        return False
    return 0 <= pair.seek_from - pair.position_a <= bound(pair, limits)


@rule
def credit_seek(pair: Pair, limits: Limits) -> tuple[int, int]:
    """The rows "seek" of the table: evidence, and the end of what is credited."""
    if seek_is_told(pair, limits):
        return TOLD, pair.seek_from
    if pair.under_way or not limits.repair_seeks:
        return NONE, pair.position_a
    if pair.dt <= limits.session_timeout_ms or in_step(pair, limits):
        return CLIPPED, clock(pair)
    return NONE, pair.position_a


@rule
def credit_normal(pair: Pair, limits: Limits) -> tuple[int, int]:
    """The rows "normal" of the table; nothing if none of them fits."""
    dp = pair.position_b - pair.position_a
    if 0 <= dp <= bound(pair, limits):
        if pair.kind_b == STOP:
            return OBSERVED, pair.position_b
        if pair.kind_b == NEUTRAL:
            return HEARTBEAT, pair.position_b
        if in_step(pair, limits):
            return BRIDGED, pair.position_b
    return NONE, pair.position_a


@rule
def credit_unreported_seek(pair: Pair, limits: Limits) -> tuple[int, int]:
    """The row "unreported seek" of the table; nothing if it does not fit."""
    dp = pair.position_b - pair.position_a
    jumps = dp > bound(pair, limits) or dp < -limits.seek_back_ms
    if not jumps or pair.dt > limits.session_timeout_ms or not limits.repair_seeks:
        return NONE, pair.position_a
    end = clock(pair)
    if dp > 0 and end > pair.position_b:
        end = pair.position_b
    return CLIPPED, end


@rule
def credit(pair: Pair, limits: Limits) -> tuple[int, int]:
    """The first row of the table that fits: evidence, and the end of what is credited."""
    if pair.is_seek:
        return credit_seek(pair, limits)
    evidence, end = credit_normal(pair, limits)
    if evidence != NONE:
        return evidence, end
    return credit_unreported_seek(pair, limits)


@rule
def clock_time(evidence: int, length: int, dt: int, rate_a: float) -> int:
    """Time on the clock of a credit: `dt`, or its part where the credit ends before `b`."""
    if evidence != CLIPPED and evidence != TOLD:
        return dt
    played = length if isnan(rate_a) else floor(length / rate_a)
    return min(played, dt)


@rule
def landing_seek(
    us: Ints,
    day: Ints,
    rank: Ints,
    position: Ints,
    b: int,
    end: int,
    limits: Limits,
) -> int:
    """The seek that lands at `b`, or `UNKNOWN`: it follows on the same day, near on the clock and
    in the video, as does every event between.
    """
    for c in range(b + 1, end):
        near = abs(position[c] - position[b]) <= limits.seek_place_ms
        if not near or day[c] != day[b] or whole_ms(us[b], us[c]) > limits.drag_window_ms:
            return UNKNOWN
        if is_seek(rank[c]):
            return c
    return UNKNOWN


@rule
def under_way(dp: int, rank_a: int, moved_a: bool, limits: Limits) -> bool:
    """The seek had begun before `a`: `a` seeks, waits or is a start that moved, and `b` is there."""
    return abs(dp) <= limits.seek_place_ms and (rank_a == SEEKING or rank_a == WAITING or moved_a)


@rule
def stop_place(evidence: int, end: int, lands: bool, position_a: int, position: int) -> int:
    """Where a stop ended playing: of one where a seek lands or that was clipped, where the credit
    ends, or `a`; else its own position.
    """
    if lands or evidence == CLIPPED:
        return position_a if evidence == NONE else end
    return position


@rule
def count_positions(
    events: Events, kind: Ints, first: int, end: int, playback: Playback, limits: Limits
) -> None:
    """Fills rates and states, and the positions that count."""
    throughout = positions_only(events.rank, first, end)
    playing, rate, ended_at = throughout, nan, UNKNOWN
    for b in range(first, end):
        rate = told_rate(events.rate[b], rate)
        position = events.position[b]
        if kind[b] == START:
            if replays(position, ended_at, limits):
                follows_seek = b + 1 < end and is_seek(events.rank[b + 1])
                next_seek = events.position[b + 1] if follows_seek else UNKNOWN
                position = replay_position(position, next_seek, limits)
        if kind[b] != NEUTRAL:
            ended_at = position if events.rank[b] == ENDED else UNKNOWN
        playback.rate[b] = rate
        playback.position[b] = position
        playback.was_playing[b] = playing
        playing = state_after(kind[b], playing)
        playback.playing[b] = playing
        playback.throughout[b] = throughout


@rule
def credit_pairs(
    events: Events, kind: Ints, first: int, end: int, playback: Playback, limits: Limits
) -> None:
    """Fills what each pair of a player is credited."""
    us, rank, position, rate = events.us, events.rank, playback.position, playback.rate
    stood = 0
    moved = kind[first] == START and abs(position[first] - stood) > limits.seek_place_ms
    if rank[first] == SEEK and not playback.was_playing[first]:
        stood = position[first]
    for b in range(first + 1, end):
        a = b - 1
        if playback.was_playing[b]:
            seek = UNKNOWN
            if is_seek(rank[b]):
                seek = b
            elif kind[b] == STOP or rank[b] == WAITING:
                seek = landing_seek(us, events.day, rank, position, b, end, limits)
                playback.lands[b] = seek != UNKNOWN
            pair = Pair(
                position[a],
                position[b],
                whole_ms(us[a], us[b]),
                rate[a],
                rate[b],
                events.duration[b],
                kind[b],
                seek != UNKNOWN,
                UNKNOWN if seek == UNKNOWN else events.seek_from[seek],
                under_way(position[b] - position[a], rank[a], moved, limits),
            )
            playback.evidence[b], playback.end[b] = credit(pair, limits)
            if kind[b] == STOP:
                stood = stop_place(
                    playback.evidence[b],
                    playback.end[b],
                    playback.lands[b],
                    position[a],
                    position[b],
                )
        elif rank[b] == SEEK:
            stood = position[b]
        moved = kind[b] == START and abs(position[b] - stood) > limits.seek_place_ms


def _play(events: Events, kind: Ints, limits: Limits, playback: Playback) -> int:
    """Fills `playback`, which is zero everywhere, of events in the order of play."""
    rows = len(events.us)
    first = 0
    while first < rows:
        end = first + 1
        while end < rows and events.player[end] == events.player[first]:
            end += 1
        if events.beyond[first]:
            for b in range(first, end):
                playback.position[b] = events.position[b]
        else:
            count_positions(events, kind, first, end, playback, limits)
            credit_pairs(events, kind, first, end, playback, limits)
        first = end
    return rows


play = Fold(_play)


# --- 3 Skips, pauses, completions -----------------------------------------------------------------


@rule
def shows_where_playing_went(kind: int, rank: int, lands: bool, evidence: int) -> bool:
    """Whether an event while playing is compared with the end of what was credited before it:
    a seek, a wait where one lands, or another event that was clipped or not bridged.
    """
    if kind == STOP:
        return False
    return is_seek(rank) or (rank == WAITING and lands) or evidence == NONE or evidence == CLIPPED


@rule
def takes_up_earlier_place(rank: int, since_first_ms: int, limits: Limits) -> bool:
    """A seek so soon after the first event of the visit counts nothing."""
    return is_seek(rank) and since_first_ms <= limits.take_up_ms


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
    return not counted_before or (started and since_counted_ms > limits.ended_again_ms)


@rule
def is_left_open(playing: bool, is_last: bool, next_kind: int, next_evidence: int) -> bool:
    """The player plays, and nothing follows, or only a start that credits nothing."""
    return playing and (is_last or (next_kind == START and next_evidence == NONE))


@rule
def open_tail(rest_of_video: int, until_next_ms: int, limits: Limits) -> int:
    """The most that was watched after an event left open; `UNKNOWN` bounds bound nothing."""
    tail = limits.session_timeout_ms
    if rest_of_video != UNKNOWN:
        tail = min(tail, rest_of_video)
    if until_next_ms != UNKNOWN:
        tail = min(tail, until_next_ms)
    return tail
