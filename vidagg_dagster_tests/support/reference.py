"""The metric definitions a second time: plain Python, one event after the other, no Spark.

It shares no code with the package and is written from docs/metrics.md only, so that an error in
one of the two shows as a difference. It favours being obviously right over being fast.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)

NAME_ORDER = (
    "video_play",
    "video_resume",
    "video_progress",
    "video_seek",
    "video_pause",
    "video_ended",
)
STARTS = frozenset({"video_play", "video_resume"})
STOPS = frozenset({"video_pause", "video_ended"})
EVIDENCE = ("observed", "heartbeat", "bridged", "clipped")
FLAGS = (
    "position_exceeds_duration",
    "excessive_watch_time",
    "completed_without_sufficient_watch",
    "very_short_watch",
    "seek_repaired",
    "open_ended",
    "unknown_duration",
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


@dataclass(frozen=True)
class ReferenceParameters:
    """The thresholds of the metric definitions, with their published defaults."""

    session_timeout_ms: int = 1_800_000
    max_playback_rate: float = 2.0
    tolerance_ms: int = 1_000
    repair_seeks: bool = True
    seek_back_ms: int = 2_000
    drag_window_ms: int = 250
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
    tail_ms: int = 0
    open_ended_count: int = 0
    exceeding_count: int = 0
    intervals: list[tuple[int, int]] = field(default_factory=list)
    first_us: int | None = None
    last_us: int | None = None


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
    "tail_ms",
    "open_ended_count",
    "exceeding_count",
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


def deduplicate(events: Iterable[Event], timezone: str = "UTC") -> tuple[list[Event], int]:
    """The events without repetitions, in order, and the number of repetitions left out.

    Within one day a row repeats an earlier row (in a total order of their values) with the same
    user, session, video, name, time and position, or with the same event id.
    """

    def order(event: Event) -> tuple[object, ...]:
        return (
            event.us,
            event.user,
            event.session,
            event.video,
            NAME_ORDER.index(event.name),
            event.position_ms,
            (event.event_id is None, event.event_id or ""),
            (event.rate is None, event.rate or 0.0),
        )

    kept: list[Event] = []
    duplicates = 0
    seen_keys: set[tuple[object, ...]] = set()
    seen_ids: set[tuple[date, str]] = set()
    for event in sorted(events, key=order):
        # Two events with equal keys are at one instant, so the key needs no day.
        key = order(event)[:6]
        repeated = key in seen_keys
        seen_keys.add(key)
        if event.event_id is not None:
            day_and_id = (day_of(event.us, timezone), event.event_id)
            repeated = repeated or day_and_id in seen_ids
            seen_ids.add(day_and_id)
        if repeated:
            duplicates += 1
        else:
            kept.append(event)
    return kept, duplicates


@dataclass
class _Credit:
    evidence: str
    start: int
    end: int
    clock: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass
class _Step:
    """An event in the order of its video, with what the player did before and after it."""

    event: Event
    position: int
    day: date
    playing_before: bool = False
    playing_after: bool = False
    credit: _Credit | None = None
    """What the pair that this event closes was credited."""
    session_start: int = 0

    @property
    def us(self) -> int:
        return self.event.us

    @property
    def starts(self) -> bool:
        return self.event.name in STARTS

    @property
    def stops(self) -> bool:
        return self.event.name in STOPS


def _exceeds(event: Event, duration: int | None, parameters: ReferenceParameters) -> bool:
    if duration is None:
        return False
    return 100 * event.position_ms > parameters.position_limit_percent * duration


def _in_order(events: Sequence[Event], duration: int | None, timezone: str) -> list[_Step]:
    """Order the believable events of one (user, session, video) and follow the player's state."""
    groups: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        groups[event.us].append(event)

    steps: list[_Step] = []
    playing = False
    for us in sorted(groups):
        group = groups[us]

        def place(event: Event, playing: bool = playing) -> tuple[int, int, int, int]:
            first, last = (STOPS, STARTS) if playing else (STARTS, STOPS)
            kind = 0 if event.name in first else 2 if event.name in last else 1
            position = event.position_ms if duration is None else min(event.position_ms, duration)
            return (kind, NAME_ORDER.index(event.name), position, event.position_ms)

        now = playing
        for event in sorted(group, key=place):
            step = _Step(event, place(event)[2], day_of(us, timezone), playing_before=now)
            if step.starts:
                now = True
            if step.stops:
                now = False
            step.playing_after = now
            steps.append(step)

        some_start = any(event.name in STARTS for event in group)
        some_stop = any(event.name in STOPS for event in group)
        if some_start and not some_stop:
            playing = True
        if some_stop and not some_start:
            playing = False
    return steps


def _pair_credit(
    a: _Step, b: _Step, c: _Step | None, duration: int | None, parameters: ReferenceParameters
) -> _Credit | None:
    """What the pair (a, b) deserves before any cut of its session; `c` follows `b`."""
    if not a.playing_after:
        return None
    dp = b.position - a.position
    dt = milliseconds(a.us, b.us)
    known_rates = [rate for rate in (a.event.rate, b.event.rate) if rate is not None]
    rate = max(known_rates) if known_rates else parameters.max_playback_rate
    bound = rate * dt + parameters.tolerance_ms

    def clipped(limits: list[int]) -> _Credit:
        end = min([a.position + dt, *limits])
        return _Credit("clipped", a.position, end, end - a.position)

    end_of_video = [] if duration is None else [duration]
    may_repair = parameters.repair_seeks and dt <= parameters.session_timeout_ms
    is_drag = (
        b.stops
        and c is not None
        and c.event.name == "video_seek"
        and c.day == b.day
        and milliseconds(b.us, c.us) <= parameters.drag_window_ms
        and abs(c.position - b.position) <= parameters.drag_window_ms
    )
    if may_repair and is_drag:
        return clipped(end_of_video)

    if 0 <= dp <= bound:
        if b.stops:
            return _Credit("observed", a.position, b.position, dt)
        if not b.starts:
            return _Credit("heartbeat", a.position, b.position, dt)
        if dp >= 0.5 * dt - parameters.tolerance_ms:
            return _Credit("bridged", a.position, b.position, dt)
        return None

    if may_repair and dp > bound:
        return clipped([b.position, *end_of_video])
    if may_repair and dp < -parameters.seek_back_ms:
        return clipped(end_of_video)
    return None


def _session_starts(
    instants: Sequence[int], credit_at: Mapping[int, int], parameters: ReferenceParameters
) -> dict[int, int]:
    """For every instant of a (user, sessionId) the first instant of the session it lies in."""
    start_of: dict[int, int] = {}
    previous: int | None = None
    start = 0
    for instant in sorted(set(instants)):
        if previous is None:
            start = instant
        else:
            idle = milliseconds(previous, instant) - credit_at.get(instant, 0)
            if idle > parameters.session_timeout_ms:
                start = instant
        start_of[instant] = start
        previous = instant
    return start_of


def _count_skips(
    row: Row, visit: Sequence[_Step], day: date, parameters: ReferenceParameters
) -> None:
    last_stop: _Step | None = None
    for index, b in enumerate(visit):
        reference: int | None = None
        replay = False
        if index > 0 and b.playing_before and not b.stops:
            if b.credit is None:
                reference = visit[index - 1].position
            elif b.credit.evidence == "clipped":
                reference = b.credit.end
        elif index > 0 and b.starts and last_stop is not None:
            replay = last_stop.event.name == "video_ended"
            if last_stop.credit is not None and last_stop.credit.evidence == "clipped":
                reference = last_stop.credit.end
            else:
                reference = last_stop.position
        if reference is not None and b.day == day:
            if b.position - reference > parameters.forward_skip_ms:
                row.forward_skips += 1
            if b.position - reference < -parameters.backward_skip_ms and not replay:
                row.backward_skips += 1
        if b.stops:
            last_stop = b


def _count_pauses_and_completions(row: Row, visit: Sequence[_Step], day: date) -> None:
    may_complete = True
    for index, step in enumerate(visit):
        if step.starts:
            may_complete = True
        if step.event.name == "video_pause":
            follows_a_stop = index > 0 and visit[index - 1].stops
            if step.day == day and not follows_a_stop:
                row.pause_count += 1
        if step.event.name == "video_ended":
            if step.day == day and may_complete:
                row.completion_count += 1
            may_complete = False


def _tail(
    start: _Step, later: int | None, duration: int | None, parameters: ReferenceParameters
) -> tuple[int, int]:
    """Upper bound (ms) of what was watched after an open start, and the instant that settles it."""
    bounds = [parameters.session_timeout_ms]
    settled = start.us + parameters.session_timeout_ms * 1000
    if duration is not None:
        bounds.append(duration - start.position)
    if later is not None:
        bounds.append(milliseconds(start.us, later))
        # Whichever comes first: otherwise a start settled by its timeout before midnight would be
        # settled again by an event after midnight.
        settled = min(settled, later)
    return min(bounds), settled


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
    user, session = events[0].user, events[0].session
    by_video: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_video[event.video].append(event)

    timelines: dict[str, list[_Step]] = {}
    credit_at: dict[int, int] = defaultdict(int)
    for video, of_video in by_video.items():
        duration = durations.get(video)
        believable = [event for event in of_video if not _exceeds(event, duration, parameters)]
        steps = _in_order(believable, duration, timezone)
        for index in range(1, len(steps)):
            after = steps[index + 1] if index + 1 < len(steps) else None
            credit = _pair_credit(steps[index - 1], steps[index], after, duration, parameters)
            steps[index].credit = credit
            if credit is not None and credit.evidence != "clipped":
                instant = steps[index].us
                credit_at[instant] = max(credit_at[instant], credit.length)
        timelines[video] = steps

    start_of = _session_starts([event.us for event in events], credit_at, parameters)
    for steps in timelines.values():
        for step in steps:
            step.session_start = start_of[step.us]
        for a, b in pairwise(steps):
            if a.session_start != b.session_start:
                settled.voided += b.credit is not None and b.credit.length > 0
                b.credit = None

    sessions_with_tail: set[int] = set()
    for video, steps in timelines.items():
        visits: dict[int, list[_Step]] = defaultdict(list)
        for step in steps:
            visits[step.session_start].append(step)
        for session_start, visit in visits.items():
            row = Row()
            own = [step for step in visit if step.day == day]
            before = [step for step in visit if step.day < day]
            if own:
                row.first_us = own[0].us
                row.last_us = own[-1].us
                row.max_position_ms = max(step.position for step in own)
                row.session_count = 0 if before else 1
                row.session_duration_ms = milliseconds(visit[0].us, own[-1].us)
                if before:
                    row.session_duration_ms -= milliseconds(visit[0].us, before[-1].us)
            _count_skips(row, visit, day, parameters)
            _count_pauses_and_completions(row, visit, day)
            for a, b in pairwise(visit):
                if b.day == day and b.credit is not None and b.credit.length > 0:
                    settled.intervals.append(
                        IntervalRow(
                            user,
                            session,
                            video,
                            day,
                            b.credit.start,
                            b.credit.end,
                            b.credit.clock,
                            b.credit.evidence,
                            a.us,
                            b.us,
                        )
                    )
                    row.watch_ms += b.credit.length
                    row.clock_ms += b.credit.clock
                    field_name = f"{b.credit.evidence}_ms"
                    setattr(row, field_name, getattr(row, field_name) + b.credit.length)
                    row.intervals.append((b.credit.start, b.credit.end))
            if visit[-1].starts:
                later = [us for us in start_of if us > visit[-1].us]
                later = [us for us in later if start_of[us] == session_start]
                next_instant = min(later) if later else None
                tail, settled_us = _tail(visit[-1], next_instant, durations.get(video), parameters)
                if day_of(settled_us, timezone) == day:
                    row.open_ended_count = 1
                    row.tail_ms = tail
                    sessions_with_tail.add(session_start)
            if own or row.open_ended_count:
                key = (user, video, day)
                settled.daily[key] = merge([settled.daily.get(key, Row()), row])

    for session_start in sorted(set(start_of.values())):
        instants = [us for us in start_of if start_of[us] == session_start]
        own_instants = [us for us in instants if day_of(us, timezone) == day]
        earlier = [us for us in instants if day_of(us, timezone) < day]
        if not own_instants and session_start not in sessions_with_tail:
            continue
        duration_ms = 0
        if own_instants:
            duration_ms = milliseconds(session_start, max(own_instants))
            if earlier:
                duration_ms -= milliseconds(session_start, max(earlier))
        settled.sessions.append(
            SessionRow(
                user,
                session,
                session_start,
                day,
                bool(earlier),
                sum(event.us in own_instants for event in events),
                duration_ms,
                sum(any(step.us in own_instants for step in steps) for steps in timelines.values()),
            )
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
        if _exceeds(event, known.get(event.video), parameters):
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
        "estimatedTailSeconds": seconds(row.tail_ms),
        "watchedIntervals": list(row.intervals),
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
    }
