"""The metric definitions a second time: plain Python, small functions over frozen objects.

It shares no code with the package and is written from the text of the definitions alone, so that
an error in one of the two shows as a difference. It favours being obviously right over being fast.
The sentences quoted in the docstrings are those of the definitions.

All times and positions are integers, and published values are computed with fractions. Only a
time multiplied or divided by a playback rate is not: it is the floor of the product or quotient
in IEEE double, because the rate is given as one.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, pairwise, zip_longest
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)

NAME_ORDER = (
    "video_play",
    "video_resume",
    "video_playing",
    "video_progress",
    "video_rate",
    "video_waiting",
    "video_seeking",
    "video_seek",
    "video_pause",
    "video_ended",
    "video_reported",
)
REPORTED = "video_reported"
STARTS = frozenset({"video_play", "video_resume"})
STOPS = frozenset({"video_pause", "video_ended"})
SEEKS = frozenset({"video_seeking", "video_seek"})
PLAYING, WAITING = "video_playing", "video_waiting"
EVIDENCE = ("observed", "heartbeat", "bridged", "clipped", "reported")
FLAGS = (
    "position_exceeds_duration",
    "excessive_watch_time",
    "completed_without_sufficient_watch",
    "very_short_watch",
    "seek_repaired",
    "open_ended",
    "unknown_duration",
    "no_start",
)


@dataclass(frozen=True)
class Event:
    """One usable player event. `us` is microseconds since 1970 in UTC, `name` is canonical."""

    us: int
    user: str
    session: str
    video: str
    name: str
    position_ms: int
    rate: float | None = None
    event_id: str | None = None
    seek_from_ms: int | None = None
    """Of a seek: the position at which it began; of a report, where the stretch does. Means nothing
    on other events."""
    device: str | None = None
    """A dimension: any further column that sessions carry."""

    @property
    def told_origin(self) -> int | None:
        return self.seek_from_ms if self.name in SEEKS or self.name == REPORTED else None


@dataclass(frozen=True)
class ReferenceParameters:
    """The thresholds of the metric definitions, with their published defaults."""

    session_timeout_ms: int = 1_800_000
    max_playback_rate: float = 2.0
    tolerance_ms: int = 1_000
    repair_seeks: bool = True
    seek_back_ms: int = 2_000
    drag_window_ms: int = 10_000
    same_place_ms: int = 250
    """Events this near each other in the video are at one place: a seek and what goes with it."""
    opening_ms: int = 1_000
    """A seek this soon after the first event of a visit takes up an earlier place; an end this
    soon after another repeats it."""
    forward_skip_ms: int = 5_000
    backward_skip_ms: int = 2_000
    coverage_weight: Decimal = Decimal(80)
    completion_weight: Decimal = Decimal(10)
    rewatch_weight: Decimal = Decimal(10)
    skip_penalty_limit: int = 10
    completion_coverage_percent: int = 75
    high_tier_score: Decimal = Decimal(75)
    medium_tier_score: Decimal = Decimal(50)
    low_tier_score: Decimal = Decimal(25)
    excessive_watch_percent: int = 120
    very_short_watch_ms: int = 5_000
    position_limit_percent: int = 110


DEFAULT_PARAMETERS = ReferenceParameters()


@dataclass
class Row:
    """One user and video, of one day or of a lifetime. Times in milliseconds."""

    watch_ms: int = 0
    unique_ms: int = 0
    clock_ms: int = 0
    max_position_ms: int | None = None
    session_count: int = 0
    session_duration_ms: int = 0
    pause_count: int = 0
    forward_skips: int = 0
    backward_skips: int = 0
    completion_count: int = 0
    observed_ms: int = 0
    heartbeat_ms: int = 0
    bridged_ms: int = 0
    clipped_ms: int = 0
    reported_ms: int = 0
    tail_ms: int = 0
    open_ended_count: int = 0
    exceeding_count: int = 0
    no_start_count: int = 0
    """Visits of players that were taken to play throughout."""
    intervals: list[tuple[int, int]] = field(default_factory=list)
    first_us: int | None = None
    last_us: int | None = None
    played: tuple[int, int] | None = None
    """When the last interval was closed, and where it ended."""
    devices: set[str] = field(default_factory=set)
    """A dimension: those of the sessions."""


ADDITIVE = (
    "watch_ms",
    "clock_ms",
    "session_count",
    "session_duration_ms",
    "pause_count",
    "forward_skips",
    "backward_skips",
    "completion_count",
    "observed_ms",
    "heartbeat_ms",
    "bridged_ms",
    "clipped_ms",
    "reported_ms",
    "tail_ms",
    "open_ended_count",
    "exceeding_count",
    "no_start_count",
)


class SessionRow(NamedTuple):
    """One session on one day; `event_count` counts every event, `video_count` believable ones."""

    user: str
    session: str
    session_start_us: int
    date: date
    continues: bool
    event_count: int
    duration_ms: int
    video_count: int
    watch_ms: int
    device: str | None = None


class IntervalRow(NamedTuple):
    """One credited stretch of a video, on the day of the event that closes it."""

    user: str
    session: str
    video: str
    date: date
    start_ms: int
    end_ms: int
    clock_ms: int
    evidence: str
    opened_us: int
    closed_us: int


DailyRows = dict[tuple[str, str, date], Row]
LifetimeRows = dict[tuple[str, str], Row]


@dataclass
class Settled:
    """Everything that the days of some events settle."""

    daily: DailyRows = field(default_factory=dict)
    sessions: list[SessionRow] = field(default_factory=list)
    intervals: list[IntervalRow] = field(default_factory=list)
    voided: int = 0
    """Pairs that would have been credited if no cut lay between their events (for coverage)."""


# --- small arithmetic ----------------------------------------------------------------------------


@lru_cache(maxsize=1 << 16)
def day_of(us: int, timezone: str) -> date:
    """The calendar day of an instant in a zone."""
    return (EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(timezone)).date()


def milliseconds(from_us: int, to_us: int) -> int:
    """Whole milliseconds between two instants, rounded down."""
    return (to_us - from_us) // 1000


def half_up(value: Fraction) -> float:
    """A number rounded half up to two places."""
    return ((value * 100 + Fraction(1, 2)) // 1) / 100


def union(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of spans: sorted, disjoint, not touching."""
    united: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


# --- 1: duplicates -------------------------------------------------------------------------------


def _unknown_last(value: float | None) -> tuple[bool, float]:
    return (value is None, 0 if value is None else value)


def _what_it_says(event: Event) -> tuple[tuple[bool, float], tuple[bool, float]]:
    """ "`seekFrom` known before unknown, the smaller first; then `playbackRate` likewise." """
    return (_unknown_last(event.told_origin), _unknown_last(event.rate))


def _row_key(event: Event) -> tuple[object, ...]:
    """ "Duplicate: same user, session, video, event name, timestamp and position" """
    return (
        event.us,
        event.user,
        event.session,
        event.video,
        NAME_ORDER.index(event.name),
        event.position_ms,
    )


def deduplicate(events: Iterable[Event], timezone: str = "UTC") -> tuple[list[Event], int]:
    """The events without repetitions, in order of time, and the number of repetitions left out.

    "Duplicate: same user, session, video, event name, timestamp and position (or the same
    `eventId`). The one that says most stays". A row repeats any row that says more, also one that
    is itself left out; of rows that say the same the earlier one stays, then one that tells its
    dimension. An event id counts within its user, session, video and name, and within its day,
    because a day is computed by itself.
    """

    def precedence(event: Event) -> tuple[object, ...]:
        with_id = (event.event_id is None, event.event_id or "")
        with_device = (event.device is None, event.device or "")
        return (_what_it_says(event), _row_key(event), with_device, with_id)

    kept: list[Event] = []
    duplicates = 0
    seen: set[tuple[object, ...]] = set()
    for event in sorted(events, key=precedence):
        names = [_row_key(event)]
        if event.event_id is not None:
            day = day_of(event.us, timezone)
            owner = (event.user, event.session, event.video, event.name)
            names.append((*owner, day, event.event_id))
        if seen.isdisjoint(names):
            kept.append(event)
        else:
            duplicates += 1
        seen.update(names)
    return sorted(kept, key=_row_key), duplicates


# --- 1: the events of one (user, session, video) in their order ----------------------------------


@dataclass(frozen=True)
class _Moment:
    """An event in the order of its video, with what the player did before and after it."""

    event: Event
    day: date
    position: int
    """As it counts: at most the video's end, and where a replay begins."""
    seek_from: int | None
    plays_before: bool
    plays_after: bool
    rate: float | None = None
    """Its own rate, else the one told last."""

    @property
    def us(self) -> int:
        return self.event.us

    @property
    def name(self) -> str:
        return self.event.name

    @property
    def starts(self) -> bool:
        """ "`video_playing`: start while the player is stopped, neutral while it plays" """
        return self.name in STARTS or (self.name == PLAYING and not self.plays_before)

    @property
    def stops(self) -> bool:
        return self.name in STOPS

    @property
    def seeks(self) -> bool:
        """ "*a seek* is a `video_seek` or a `video_seeking`" """
        return self.name in SEEKS


@dataclass(frozen=True)
class _Video:
    """What a rule needs to know besides the events."""

    duration: int | None
    parameters: ReferenceParameters
    timezone: str

    def believes(self, position: int) -> bool:
        """ "above 1.1 x duration the event takes no part in pairs, player state or ..." """
        if self.duration is None:
            return True
        return 100 * position <= self.parameters.position_limit_percent * self.duration

    def within(self, position: int) -> int:
        """ "between, it counts as the duration" """
        return position if self.duration is None else min(position, self.duration)

    def same_place(self, one: int, other: int) -> bool:
        return abs(one - other) <= self.parameters.same_place_ms


def _takes_a_side(event: Event) -> bool:
    return event.name in STARTS or event.name in STOPS or event.name == PLAYING


def _plays_throughout(events: Iterable[Event]) -> bool:
    """ "Where a (user, session, video) has neither start nor stop on a day and the day before, the
    player is taken to play throughout." """
    return not any(_takes_a_side(event) for event in events)


def _ordered(events: Iterable[Event]) -> Iterator[tuple[Event, bool, bool]]:
    """Events with the player's state before and after each.

    "timestamp; at one timestamp the player's state decides: while playing, stops come before
    starts; while stopped, starts before stops; neutral events between; then by name in the order
    ...; then by position. (Here `video_playing` is a start.)"
    """
    believable = list(events)
    playing = _plays_throughout(believable)
    for _, group in groupby(sorted(believable, key=attrgetter("us")), key=attrgetter("us")):
        came_playing = playing

        def rank(event: Event, came_playing: bool = came_playing) -> tuple[int, int, int]:
            side = 0
            if _takes_a_side(event):
                comes_first = (event.name in STOPS) == came_playing
                side = -1 if comes_first else 1
            return (side, NAME_ORDER.index(event.name), event.position_ms)

        for event in sorted(group, key=rank):
            before = playing
            if event.name in STOPS:
                playing = False
            elif _takes_a_side(event):
                playing = True
            yield event, before, playing


def _moments(events: Iterable[Event], video: _Video) -> Iterator[_Moment]:
    believable = [event for event in events if video.believes(event.position_ms)]
    of_player = [event for event in believable if event.name != REPORTED]
    for event, before, after in _ordered(of_player):
        origin = event.told_origin
        believed = origin is not None and video.believes(origin)
        yield _Moment(
            event=event,
            day=day_of(event.us, video.timezone),
            position=video.within(event.position_ms),
            seek_from=video.within(origin) if origin is not None and believed else None,
            plays_before=before,
            plays_after=after,
        )


def _with_told_rates(moments: Iterable[_Moment]) -> Iterator[_Moment]:
    """ "An event's rate is its own `playbackRate`, else the one told last before it in the same
    user, session and video (that day or the day before), else unknown." """
    told: float | None = None
    for moment in moments:
        told = told if moment.event.rate is None else moment.event.rate
        yield replace(moment, rate=told)


def _with_replays(moments: Sequence[_Moment], video: _Video) -> Iterator[_Moment]:
    """ "A start that follows a `video_ended` (neutral events aside) at the same place (within
    `tolerance`, 1 s) starts the video anew: players report the end there. Its position counts as
    0; if the next event is a seek elsewhere, as that seek's destination." """
    turn: _Moment | None = None
    for moment, after in zip_longest(moments, moments[1:]):
        place = moment.position
        if moment.starts and turn is not None and _replays(moment, turn, video):
            place = 0
            if after is not None and after.seeks and not _near(moment, after, video):
                place = after.position
        if moment.starts or moment.stops:
            turn = moment
        yield replace(moment, position=place)


def _replays(start: _Moment, turn: _Moment, video: _Video) -> bool:
    return turn.name == "video_ended" and _near(turn, start, video)


def _near(one: _Moment, other: _Moment, video: _Video) -> bool:
    """At the same place in the sense of a replay: within the tolerance."""
    return abs(one.position - other.position) <= video.parameters.tolerance_ms


# --- 2: watched intervals ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Credit:
    evidence: str
    start: int
    end: int
    clock: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class _Step:
    """An event, the one before it, and what their pair was credited (`None`: no row fits)."""

    moment: _Moment
    before: _Moment | None = None
    credit: _Credit | None = None
    landing: _Moment | None = None
    """Of a stop or a wait where a seek lands: that seek."""

    def reached(self) -> int:
        """ "the end of what was credited (or `a`)"; its own place where there is no `a`."""
        if self.credit is not None:
            return self.credit.end
        return self.moment.position if self.before is None else self.before.position

    def place_of_stop(self) -> int:
        """ "the place of the stop [...] (of a stop where a seek lands or that was clipped: the end
        of what was credited, or `a`" """
        clipped = self.credit is not None and self.credit.evidence == "clipped"
        return self.reached() if self.landing or clipped else self.moment.position


def _landing(moments: Sequence[_Moment], index: int, video: _Video) -> _Moment | None:
    """ "*Where a seek lands*: a seek of the same day follows `b` within `drag_window` (10 s) of
    clock and 0.25 s of video, and every event between lies within 0.25 s of `b`." """
    b = moments[index]
    if not (b.stops or b.name == WAITING):
        return None
    for position in range(index + 1, len(moments)):
        later = moments[position]
        if milliseconds(b.us, later.us) > video.parameters.drag_window_ms:
            return None
        if not video.same_place(b.position, later.position):
            return None
        if later.seeks and later.day == b.day:
            return later
    return None


@dataclass(frozen=True)
class _Pair:
    """Two neighbouring events, with the quantities that the table of section 2 names."""

    a: _Moment
    b: _Moment
    a_moved: bool
    landing: _Moment | None
    video: _Video

    @property
    def dp(self) -> int:
        return self.b.position - self.a.position

    @property
    def dt(self) -> int:
        return milliseconds(self.a.us, self.b.us)

    @property
    def bound(self) -> int:
        """ "`bound = r*dt + tolerance`, `r` the larger known rate of the two, else
        `max_playback_rate` (2.0)" """
        known = [rate for rate in (self.a.rate, self.b.rate) if rate is not None]
        rate = max(known, default=self.video.parameters.max_playback_rate)
        return math.floor(rate * self.dt) + self.video.parameters.tolerance_ms

    @property
    def clock(self) -> int:
        """ "`clock = a + c`, `c` = `dt` times `a`'s rate (1 if unknown), never past the video's
        end" """
        rate = self.a.rate
        content = self.dt if rate is None else math.floor(self.dt * rate)
        return self.video.within(self.a.position + content)

    @property
    def in_step(self) -> bool:
        """ "The pair is *in step* if `0.5*dt - tolerance <= dp <= bound`." """
        at_least = self.dt - 2 * self.video.parameters.tolerance_ms
        return at_least <= 2 * self.dp and self.dp <= self.bound

    @property
    def soon(self) -> bool:
        return self.dt <= self.video.parameters.session_timeout_ms

    @property
    def under_way(self) -> bool:
        """ "*Under way*: `a` and `b` lie within 0.25 s of each other, and `a` is a
        `video_seeking`, a `video_waiting` or a start that moved" """
        begun = self.a.name in ("video_seeking", WAITING) or (self.a.starts and self.a_moved)
        return begun and self.video.same_place(self.a.position, self.b.position)

    def credit(self) -> _Credit | None:
        """ "The first row that fits counts" """
        if not self.a.plays_after:
            return None
        if self.b.seeks or self.landing is not None:
            return self._seek(self.landing or self.b)
        return self._normal() or self._unreported_seek()

    def _seek(self, seek: _Moment) -> _Credit | None:
        if seek.seek_from is not None and 0 <= seek.seek_from - self.a.position <= self.bound:
            return self._cut_short("observed", seek.seek_from)
        if not self.under_way and (self.soon or self.in_step):
            return self._clipped(self.clock)
        return None

    def _normal(self) -> _Credit | None:
        if not 0 <= self.dp <= self.bound:
            return None
        evidence = "observed" if self.b.stops else "heartbeat"
        if self.b.starts:
            if not self.in_step:
                return None
            evidence = "bridged"
        return _Credit(evidence, self.a.position, self.b.position, self.dt)

    def _unreported_seek(self) -> _Credit | None:
        if self.soon and self.dp > self.bound:
            return self._clipped(min(self.clock, self.b.position))
        if self.soon and self.dp < -self.video.parameters.seek_back_ms:
            return self._clipped(self.clock)
        return None

    def _clipped(self, end: int) -> _Credit | None:
        """ "`repair_seeks = false` credits nothing instead." """
        return self._cut_short("clipped", end) if self.video.parameters.repair_seeks else None

    def _cut_short(self, evidence: str, end: int) -> _Credit:
        """ "where the credit ends before `b` (`clipped`, told seek), its length divided by `a`'s
        rate (1 if unknown), at most `dt`" """
        length = end - self.a.position
        clock = length if self.a.rate is None else math.floor(length / self.a.rate)
        return _Credit(evidence, self.a.position, end, min(clock, self.dt))


def _steps(moments: Sequence[_Moment], video: _Video) -> Iterator[_Step]:
    """Each event with what its pair is credited before any cut.

    "a start that moved: one more than 0.25 s from where the player stood (its last stop's place,
    then the destination of any `video_seek` while stopped; 0 before the first stop)"
    """
    stood = 0
    a: _Moment | None = None
    a_moved = False
    for index, b in enumerate(moments):
        step = _Step(b, a, landing=_landing(moments, index, video))
        if a is not None:
            step = replace(step, credit=_Pair(a, b, a_moved, step.landing, video).credit())
        yield step
        a, a_moved = b, b.starts and not video.same_place(b.position, stood)
        if b.stops:
            stood = step.place_of_stop()
        elif b.name == "video_seek" and not b.plays_before:
            stood = b.position


def _timeline(events: Iterable[Event], video: _Video) -> list[_Step]:
    moments = list(_with_told_rates(_moments(events, video)))
    return list(_steps(list(_with_replays(moments, video)), video))


# --- 3: skips, pauses, completions ---------------------------------------------------------------


def _compared(visit: Sequence[_Step]) -> Iterator[tuple[_Step, int, bool]]:
    """The events at which playing starts again, where it had stopped, and whether it is a replay.

    "Compared are: at a start while stopped, its position with the place of the stop that ended
    playing (...; a stop while stopped moves nothing); at a seek while playing, or a
    `video_waiting` where one lands, its position with the end of what was credited (or `a`); at
    another start or neutral event while playing that was clipped or not bridged, likewise."
    """
    stopped_at: int | None = None
    last_turn = ""
    for step in visit:
        moment = step.moment
        if moment.stops:
            if moment.plays_before:
                stopped_at = step.place_of_stop()
        elif moment.plays_before:
            yield step, step.reached(), False
        elif moment.starts and stopped_at is not None:
            yield step, stopped_at, last_turn == "video_ended"
        if moment.starts or moment.stops:
            last_turn = moment.name


def _skips(
    visit: Sequence[_Step], parameters: ReferenceParameters
) -> Iterator[tuple[_Moment, bool]]:
    """The events that are skips, and whether forward.

    "More than 5 s ahead: forward; more than 2 s back: backward, except at a start right after
    `video_ended` (a replay). [...] the first event of a visit never does, nor a seek at most 1 s
    after it (a player that takes up an earlier place)."
    """
    first = visit[0].moment
    for step, origin, replays in _compared(visit):
        moment = step.moment
        soon = milliseconds(first.us, moment.us) <= parameters.opening_ms
        if moment is first or (moment.seeks and soon):
            continue
        if moment.position - origin > parameters.forward_skip_ms:
            yield moment, True
        elif origin - moment.position > parameters.backward_skip_ms and not replays:
            yield moment, False


def _pauses(visit: Sequence[_Step]) -> Iterator[_Moment]:
    """ "`video_pause` whose preceding event of the visit is not itself a stop." """
    moments = [step.moment for step in visit]
    for before, moment in zip([None, *moments[:-1]], moments, strict=True):
        if moment.name == "video_pause" and not (before is not None and before.stops):
            yield moment


def _completions(visit: Sequence[_Step], parameters: ReferenceParameters) -> Iterator[_Moment]:
    """ "`video_ended` with a start since the last counted one of the visit (or the visit's first),
    and more than 1 s after it." """
    counted: _Moment | None = None
    started = False
    for moment in (step.moment for step in visit):
        started = started or moment.starts
        if moment.name != "video_ended":
            continue
        if counted is not None:
            after = milliseconds(counted.us, moment.us)
            if not started or after <= parameters.opening_ms:
                continue
        counted, started = moment, False
        yield moment


# --- 4: sessions ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sessions:
    """The instants of one (user, sessionId), cut into sessions."""

    starts: Mapping[int, int]
    """For every instant the first one of its session."""
    instants: Mapping[int, Sequence[int]]
    """For every session, by its first instant, its instants in order."""

    def next_instant(self, us: int) -> int | None:
        """The next later instant of the same session."""
        instants = self.instants[self.starts[us]]
        index = bisect_right(instants, us)
        return instants[index] if index < len(instants) else None


def _sessions(
    events: Iterable[Event], timelines: Iterable[Sequence[_Step]], parameters: ReferenceParameters
) -> _Sessions:
    """ "cut wherever nothing happened for more than `session_timeout` (30 min), over all its
    videos. Time that was watched is not idle: idle = `dt` less what the pair was credited [...];
    of several events at one instant the one with the largest credit counts." """
    credit_at: dict[int, int] = defaultdict(int)
    for step in (step for steps in timelines for step in steps):
        if step.credit is not None:
            us = step.moment.us
            credit_at[us] = max(credit_at[us], step.credit.length)

    starts: dict[int, int] = {}
    instants: dict[int, list[int]] = {}
    previous = start = -1
    for us in sorted({event.us for event in events}):
        idle = milliseconds(previous, us) - credit_at[us]
        if not starts or idle > parameters.session_timeout_ms:
            start = us
        starts[us] = start
        instants.setdefault(start, []).append(us)
        previous = us
    return _Sessions(starts, instants)


def _device(events: Iterable[Event], sessions: _Sessions, start: int) -> str | None:
    """The first known value of the session that begins at `start`: "by time, then by name in the
    order of the list, then by position, then by video"."""
    told = [
        (event.us, NAME_ORDER.index(event.name), event.position_ms, event.video, event.device)
        for event in events
        if sessions.starts[event.us] == start and event.device is not None
    ]
    return min(told)[-1] if told else None


def _visits(steps: Sequence[_Step], sessions: _Sessions) -> Iterator[list[_Step]]:
    """The shares of sessions in a video. "A cut voids the pair across it." """
    for _, group in groupby(steps, key=lambda step: sessions.starts[step.moment.us]):
        first, *others = group
        yield [replace(first, before=None, credit=None), *others]


# --- 2: open tails -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tail:
    length: int
    settled_us: int


def _tails(visit: Sequence[_Step], sessions: _Sessions, video: _Video) -> Iterator[_Tail]:
    """ "An event after which the player plays and nothing follows in its (user, session, video),
    or only a start that credits nothing, was left open". Nothing follows across a cut."""
    for step, after in zip_longest(visit, visit[1:]):
        if not step.moment.plays_after:
            continue
        if after is None:
            yield _tail(step.moment, sessions.next_instant(step.moment.us), video)
        elif after.moment.starts and after.credit is None:
            following = sessions.next_instant(step.moment.us)
            same = after.moment.us == step.moment.us
            yield _tail(step.moment, step.moment.us if same else following, video)


def _tail(a: _Moment, next_us: int | None, video: _Video) -> _Tail:
    """ "the smallest of the rest of the video, the time to the session's next event, and
    `session_timeout`. It is attributed to the day on which it is settled (next event, or `a` +
    timeout)." """
    timeout = video.parameters.session_timeout_ms
    limits = [timeout]
    settled = a.us + timeout * 1000
    if video.duration is not None:
        limits.append(video.duration - a.position)
    if next_us is not None:
        limits.append(milliseconds(a.us, next_us))
        # Whichever comes first: a tail that its timeout settles before midnight must not be
        # settled a second time by an event after midnight.
        settled = min(settled, next_us)
    return _Tail(min(limits), settled)


# --- 5: days -------------------------------------------------------------------------------------


def _interval(step: _Step) -> IntervalRow | None:
    """The interval that an event closes. An empty credit is no interval and has no clock."""
    credit, a, b = step.credit, step.before, step.moment
    if credit is None or a is None or credit.length == 0:
        return None
    return IntervalRow(
        b.event.user,
        b.event.session,
        b.event.video,
        b.day,
        credit.start,
        credit.end,
        credit.clock,
        credit.evidence,
        a.us,
        b.us,
    )


def _reports(events: Iterable[Event], video: _Video) -> list[_Moment]:
    """ "Reported stretches are no events of the player": they take no part in pairs and states."""
    return [
        _Moment(
            event=event,
            day=day_of(event.us, video.timezone),
            position=video.within(event.position_ms),
            seek_from=None if event.told_origin is None else video.within(event.told_origin),
            plays_before=False,
            plays_after=False,
            rate=event.rate,
        )
        for event in sorted(events, key=attrgetter("us"))
        if event.name == REPORTED and video.believes(event.position_ms)
    ]


def _reported_interval(report: _Moment) -> IntervalRow | None:
    """ "from `seekFrom` to the position, its clock the length divided by its own rate (1 if
    unknown)" """
    if report.seek_from is None or report.seek_from >= report.position:
        return None
    length = report.position - report.seek_from
    clock = length if report.rate is None else math.floor(length / report.rate)
    event = report.event
    owner = (event.user, event.session, event.video, report.day)
    span = (report.seek_from, report.position, clock, "reported")
    return IntervalRow(*owner, *span, report.us, report.us)


def _row_of_intervals(intervals: Iterable[IntervalRow]) -> Row:
    row = Row()
    for interval in intervals:
        length = interval.end_ms - interval.start_ms
        row.watch_ms += length
        row.clock_ms += interval.clock_ms
        name = f"{interval.evidence}_ms"
        setattr(row, name, getattr(row, name) + length)
        row.intervals.append((interval.start_ms, interval.end_ms))
        row.played = max(
            row.played or (interval.closed_us, 0), (interval.closed_us, interval.end_ms)
        )
    return row


def _row_of_visit(
    visit: Sequence[_Step],
    reports: Sequence[_Moment],
    day: date,
    parameters: ReferenceParameters,
) -> tuple[Row, list[IntervalRow]]:
    """What the events of `day` settle in a visit: "every fact belongs to the day of the event that
    settles it" """
    closed = [*map(_interval, visit), *map(_reported_interval, reports)]
    intervals = [found for found in closed if found is not None and found.date == day]
    row = _row_of_intervals(intervals)
    moments = sorted([*(step.moment for step in visit), *reports], key=attrgetter("us"))
    own = [moment for moment in moments if moment.day == day]
    earlier = [moment for moment in moments if moment.day < day]
    if own:
        row.first_us, row.last_us = own[0].us, own[-1].us
        row.max_position_ms = max(moment.position for moment in own)
        row.session_count = 0 if earlier else 1
        from_us = earlier[0].us if earlier else own[0].us
        row.session_duration_ms = milliseconds(from_us, own[-1].us)
        if earlier:
            row.session_duration_ms -= milliseconds(from_us, earlier[-1].us)
    for moment, forward in _skips(visit, parameters) if visit else ():
        row.forward_skips += moment.day == day and forward
        row.backward_skips += moment.day == day and not forward
    row.pause_count = sum(moment.day == day for moment in _pauses(visit)) if visit else 0
    row.completion_count = sum(moment.day == day for moment in _completions(visit, parameters))
    return row, intervals


def _settle_session(
    settled: Settled,
    events: Sequence[Event],
    day: date,
    durations: Mapping[str, int],
    parameters: ReferenceParameters,
    timezone: str,
) -> None:
    """Add to `settled` what `day` settles, of one user and sessionId.

    `events` are those of that day and of the day before, nothing else.
    """
    by_video: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_video[event.video].append(event)
    videos = {name: _Video(durations.get(name), parameters, timezone) for name in by_video}
    timelines = {name: _timeline(own, videos[name]) for name, own in by_video.items()}
    sessions = _sessions(events, timelines.values(), parameters)

    with_tail: set[int] = set()
    watched: dict[int, int] = defaultdict(int)
    for name, steps in timelines.items():
        throughout = _plays_throughout(step.moment.event for step in steps)
        reports = _reports(by_video[name], videos[name])
        visits = {sessions.starts[v[0].moment.us]: v for v in _visits(steps, sessions)}
        starts = {sessions.starts[report.us] for report in reports}
        for start in sorted({*visits, *starts}):
            visit = visits.get(start, [])
            of_visit = [report for report in reports if sessions.starts[report.us] == start]
            row, intervals = _row_of_visit(visit, of_visit, day, parameters)
            for tail in _tails(visit, sessions, videos[name]):
                if day_of(tail.settled_us, timezone) == day:
                    row.open_ended_count += 1
                    row.tail_ms += tail.length
                    with_tail.add(start)
            if row.first_us is None and row.open_ended_count == 0:
                continue
            played = any(step.moment.day == day for step in visit) or row.open_ended_count > 0
            row.no_start_count = int(throughout and played)
            device = _device(events, sessions, start)
            row.devices = set() if device is None else {device}
            key = (events[0].user, name, day)
            settled.daily[key] = merge([settled.daily.get(key, Row()), row])
            settled.intervals += intervals
            watched[start] += row.watch_ms
        settled.voided += _voided(steps, sessions)
    seen = {
        name: {step.moment.us for step in steps}
        | {report.us for report in _reports(by_video[name], videos[name])}
        for name, steps in timelines.items()
    }
    for session in _session_rows(events, seen, sessions, with_tail, day, timezone):
        watch_ms = watched[session.session_start_us]
        settled.sessions.append(session._replace(watch_ms=watch_ms))


def _voided(steps: Sequence[_Step], sessions: _Sessions) -> int:
    return sum(
        sessions.starts[a.moment.us] != sessions.starts[b.moment.us]
        and b.credit is not None
        and b.credit.length > 0
        for a, b in pairwise(steps)
    )


def _session_rows(
    events: Sequence[Event],
    seen: Mapping[str, set[int]],
    sessions: _Sessions,
    with_tail: set[int],
    day: date,
    timezone: str,
) -> Iterator[SessionRow]:
    """ "`sessions` has one row per session and day, marked where it continues." """
    for start, instants in sessions.instants.items():
        own = [us for us in instants if day_of(us, timezone) == day]
        earlier = [us for us in instants if day_of(us, timezone) < day]
        if not own and start not in with_tail:
            continue
        duration = 0
        if own:
            until_today = milliseconds(start, earlier[-1]) if earlier else 0
            duration = milliseconds(start, own[-1]) - until_today
        here = set(own)
        yield SessionRow(
            user=events[0].user,
            session=events[0].session,
            session_start_us=start,
            date=day,
            continues=bool(earlier),
            event_count=sum(event.us in here for event in events),
            duration_ms=duration,
            video_count=sum(not here.isdisjoint(instants) for instants in seen.values()),
            watch_ms=0,
            device=_device(events, sessions, start),
        )


def settle(
    events: Iterable[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> Settled:
    """All three tables of some events, day by day, each day from itself and the day before."""
    kept, _ = deduplicate(events, timezone)
    known = {video: duration for video, duration in durations.items() if duration > 0}
    by_session: dict[tuple[str, str], dict[date, list[Event]]] = {}
    exceeding: dict[tuple[str, str, date], int] = defaultdict(int)
    for event in kept:
        day = day_of(event.us, timezone)
        by_session.setdefault((event.user, event.session), {}).setdefault(day, []).append(event)
        video = _Video(known.get(event.video), parameters, timezone)
        if not video.believes(event.position_ms):
            exceeding[event.user, event.video, day] += 1

    settled = Settled()
    for days in by_session.values():
        for day in sorted(set(days) | {day + ONE_DAY for day in days}):
            visible = days.get(day - ONE_DAY, []) + days.get(day, [])
            _settle_session(settled, visible, day, known, parameters, timezone)
    for key, row in settled.daily.items():
        row.exceeding_count = exceeding[key]
    return settled


def daily_rows(
    events: Iterable[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> DailyRows:
    """One row per user, video and day."""
    return settle(events, durations, parameters, timezone).daily


def session_rows(
    events: Iterable[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> list[SessionRow]:
    """One row per session and day, sorted."""
    return sorted(settle(events, durations, parameters, timezone).sessions)


def interval_rows(
    events: Iterable[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
    timezone: str = "UTC",
) -> list[IntervalRow]:
    """One row per credited interval, sorted."""
    return sorted(settle(events, durations, parameters, timezone).intervals)


def merge(rows: Iterable[Row]) -> Row:
    """Several rows of one user and video as one: sums add, extremes combine, intervals unite."""
    merged = Row()
    for row in rows:
        for name in ADDITIVE:
            setattr(merged, name, getattr(merged, name) + getattr(row, name))
        merged.intervals = union(merged.intervals + row.intervals)
        merged.devices = merged.devices | row.devices
        if row.played is not None:
            merged.played = max(merged.played or row.played, row.played)
        if row.max_position_ms is not None:
            merged.max_position_ms = max(merged.max_position_ms or 0, row.max_position_ms)
        if row.first_us is not None and row.last_us is not None:
            first, last = merged.first_us, merged.last_us
            merged.first_us = row.first_us if first is None else min(first, row.first_us)
            merged.last_us = row.last_us if last is None else max(last, row.last_us)
    merged.unique_ms = sum(end - start for start, end in merged.intervals)
    return merged


def lifetime_rows(daily: DailyRows) -> LifetimeRows:
    """One row per user and video: its daily rows merged."""
    by_pair: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for (user, video, _), row in daily.items():
        by_pair[user, video].append(row)
    return {pair: merge(rows) for pair, rows in by_pair.items()}


def estimated_durations(daily: DailyRows) -> dict[str, int]:
    """Per video the largest position ever seen or credited, where that is above 0."""
    largest: dict[str, int] = {}
    for (_, video, _), row in daily.items():
        ends = [end for _, end in row.intervals]
        largest[video] = max([largest.get(video, 0), row.max_position_ms or 0, *ends])
    return {video: position for video, position in largest.items() if position > 0}


def _tier(score: float, parameters: ReferenceParameters) -> str:
    hundredths = round(score * 100)
    if hundredths >= parameters.high_tier_score * 100:
        return "High"
    if hundredths >= parameters.medium_tier_score * 100:
        return "Medium"
    if hundredths >= parameters.low_tier_score * 100:
        return "Low"
    return "Minimal"


def _gap(seen: Sequence[tuple[int, int]], duration: int) -> int:
    """The longest stretch of the video that lies in none of the sorted, disjoint spans."""
    edges = [(0, 0), *seen, (duration, duration)]
    return max(0, *(after[0] - before[1] for before, after in pairwise(edges)))


def published(
    row: Row,
    duration_ms: int | None,
    title: str | None = None,
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
) -> dict[str, object]:
    """The published columns of a row, except its key and the source of its duration."""
    duration = duration_ms if duration_ms is not None and duration_ms > 0 else None
    sessions = row.session_count
    skips = row.forward_skips + row.backward_skips
    rewatched_ms = row.watch_ms - row.unique_ms

    def seconds(ms: int) -> float:
        return ms / 1000

    def percent(ms: int) -> float | None:
        return None if duration is None else half_up(Fraction(100 * ms, duration))

    def instant(us: int | None) -> datetime | None:
        return None if us is None else EPOCH + timedelta(microseconds=us)

    score: float | None = None
    flags = dict.fromkeys(FLAGS, False)
    flags["very_short_watch"] = row.watch_ms < parameters.very_short_watch_ms
    flags["seek_repaired"] = row.clipped_ms > 0
    flags["open_ended"] = row.open_ended_count > 0
    flags["no_start"] = row.no_start_count > 0
    if duration is None:
        flags["unknown_duration"] = True
    else:
        coverage = min(Fraction(1), Fraction(row.unique_ms, duration))
        sufficient = coverage * 100 >= parameters.completion_coverage_percent
        completed = row.completion_count > 0
        points = (
            Fraction(parameters.coverage_weight) * coverage
            + (Fraction(parameters.completion_weight) if completed and sufficient else 0)
            + Fraction(parameters.rewatch_weight)
            * min(Fraction(1), Fraction(rewatched_ms, duration))
            - min(parameters.skip_penalty_limit, skips)
        )
        score = half_up(max(Fraction(0), min(Fraction(100), points)))
        flags["position_exceeds_duration"] = row.exceeding_count > 0
        allowed = Fraction(parameters.excessive_watch_percent, 100) * duration * max(1, sessions)
        flags["excessive_watch_time"] = row.watch_ms > allowed
        flags["completed_without_sufficient_watch"] = completed and not sufficient

    return {
        "videoTitle": title,
        "videoDuration": None if duration is None else seconds(duration),
        "totalWatchTime": seconds(row.watch_ms),
        "totalUniqueSecondsWatched": seconds(row.unique_ms),
        "totalClockTime": seconds(row.clock_ms),
        "maxPositionReached": seconds(row.max_position_ms or 0),
        "watchPercentage": percent(row.watch_ms),
        "uniqueWatchPercentage": percent(row.unique_ms),
        "completionPercentage": percent(row.max_position_ms or 0),
        "sessionCount": sessions,
        "isReplay": sessions > 1,
        "avgWatchTimePerSession": seconds(row.watch_ms) / sessions if sessions else None,
        "avgSessionDuration": seconds(row.session_duration_ms) / sessions if sessions else None,
        "avgPausesPerSession": row.pause_count / sessions if sessions else None,
        "totalForwardSkips": row.forward_skips,
        "totalBackwardSkips": row.backward_skips,
        "completionCount": row.completion_count,
        "isCompletedAtLeastOnce": row.completion_count > 0,
        "rewatchedSeconds": seconds(rewatched_ms),
        "observedSeconds": seconds(row.observed_ms),
        "heartbeatSeconds": seconds(row.heartbeat_ms),
        "bridgedSeconds": seconds(row.bridged_ms),
        "clippedSeconds": seconds(row.clipped_ms),
        "reportedSeconds": seconds(row.reported_ms),
        "estimatedTailSeconds": seconds(row.tail_ms),
        "watchedIntervals": list(row.intervals),
        "lastPlayedAt": instant(row.played[0] if row.played else None),
        "resumePosition": seconds(row.played[1]) if row.played else None,
        "largestUnseenGap": None if duration is None else seconds(_gap(row.intervals, duration)),
        "engagementScore": score,
        "engagementTier": None if score is None else _tier(score, parameters),
        "qualityFlags": [flag for flag in FLAGS if flags[flag]],
        "dataQualityFlag": next((flag for flag in FLAGS[:4] if flags[flag]), "ok"),
        "firstWatchDate": instant(row.first_us),
        "lastWatchDate": instant(row.last_us),
        "pauseCount": row.pause_count,
        "totalSessionDuration": seconds(row.session_duration_ms),
        "openEndedCount": row.open_ended_count,
        "exceedingPositionCount": row.exceeding_count,
        "noStartCount": row.no_start_count,
    }
