"""The reference itself: small cases by hand, and what the definitions say is always true."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidagg_dagster_tests.support.event_tables import format_events, parse_events
from vidagg_dagster_tests.support.reference import (
    ADDITIVE,
    EVIDENCE,
    FLAGS,
    STARTS,
    STOPS,
    Event,
    IntervalRow,
    ReferenceParameters,
    Row,
    SessionRow,
    daily_rows,
    day_of,
    deduplicate,
    estimated_durations,
    half_up,
    interval_rows,
    lifetime_rows,
    published,
    session_rows,
    settle,
    union,
)
from vidagg_dagster_tests.support.strategies import (
    DURATIONS,
    durations,
    event_lists,
    microseconds,
    random_events,
    with_reports,
    zones,
)

V300 = {"v": 300_000}
ONE_DAY = timedelta(days=1)

relaxed = settings(deadline=None)


# --- by hand -----------------------------------------------------------------------------------


def test_of_repeated_events_the_one_that_says_most_stays() -> None:
    # In the order in which they would stay.
    events = parse_events(
        """
        10:00:00  u  s  v  seek  60  from=10
        10:00:00  u  s  v  seek  60  from=20  x1
        10:00:00  u  s  v  seek  60  x1       id=b
        10:00:00  u  s  v  seek  60  x2       id=a
        10:00:00  u  s  v  seek  60  id=c
        10:00:00  u  s  v  seek  60
        """
    )
    for number, event in enumerate(events):
        others = events[number:]
        assert deduplicate(others) == ([event], len(others) - 1)
        assert deduplicate(others[::-1]) == ([event], len(others) - 1)


def test_of_one_event_id_the_row_that_says_most_stays_and_then_the_earlier_one() -> None:
    first, again, fuller = parse_events(
        """
        10:00:00  u  s  v  play   0  id=a
        10:00:01  u  s  v  play   0  id=a
        10:00:02  u  s  v  play   0  id=a  x1
        """
    )
    assert deduplicate([again, first]) == ([first], 1)
    assert deduplicate([again, first, fuller]) == ([fuller], 2)


def test_a_repetition_repeats_even_a_row_that_is_itself_left_out() -> None:
    events = parse_events(
        """
        10:00:00  u  s  v  play   0  id=a
        10:00:00  u  s  v  play   0  id=b
        10:00:30  u  s  v  play  30  id=b
        """
    )
    assert deduplicate(events) == ([events[0]], 2)


def test_an_event_id_counts_within_user_session_video_and_name_and_a_day_of_the_zone() -> None:
    events = parse_events(
        """
        01-12 23:00:00  u  s  v  play   0  id=a
        01-12 23:10:00  w  s  v  play   0  id=a
        01-12 23:10:00  u  t  v  play   0  id=a
        01-12 23:10:00  u  s  x  play   0  id=a
        01-12 23:10:00  u  s  v  pause  0  id=a
        01-13 00:30:00  u  s  v  play  30  id=a
        """
    )
    assert len(deduplicate(events, "UTC")[0]) == 6
    assert events[-1] not in deduplicate(events, "Europe/Berlin")[0]
    assert len(deduplicate(events, "Europe/Berlin")[0]) == 5


def test_where_a_seek_began_means_nothing_on_another_event() -> None:
    pauses = parse_events("10:00:00 u s v pause 9 x1\n10:00:00 u s v pause 9 from=3")
    assert deduplicate(pauses) == ([pauses[0]], 1)


def test_events_at_one_time_with_different_positions_are_not_repetitions() -> None:
    events = parse_events("10:00:00 u s v progress 1\n10:00:00 u s v progress 2")
    assert deduplicate(events) == (events, 0)


def test_an_interval_names_its_events_its_clock_and_its_evidence() -> None:
    events = parse_events(
        """
        01-12 23:59:50  u  s  v  play      10
        01-13 00:00:05  u  s  v  progress  20
        01-13 00:00:10  u  s  v  pause    200
        """
    )
    times = [event.us for event in events]
    day = date(2025, 1, 13)
    assert interval_rows(events, V300) == [
        IntervalRow("u", "s", "v", day, 10_000, 20_000, 15_000, "heartbeat", *times[0:2]),
        IntervalRow("u", "s", "v", day, 20_000, 25_000, 5_000, "clipped", *times[1:3]),
    ]


def test_a_session_has_a_row_per_day_and_its_shares_add_up() -> None:
    events = parse_events(
        """
        01-12 23:50:00.000500  u  s  v  play    0
        01-12 23:59:59.999999  u  s  v  pause 300
        01-13 00:00:00         u  s  v  play    0
        01-13 00:05:00.000400  u  s  v  ended 300
        """
    )
    start = events[0].us
    assert session_rows(events, V300) == [
        SessionRow("u", "s", start, date(2025, 1, 12), False, 2, 599_999, 1, 300_000),
        SessionRow("u", "s", start, date(2025, 1, 13), True, 2, 899_999 - 599_999, 1, 300_000),
    ]


def test_spans_that_touch_are_united() -> None:
    assert union([(5, 7), (0, 3), (3, 4), (6, 9)]) == [(0, 4), (5, 9)]


def test_a_lifetime_adds_sums_and_unites_intervals() -> None:
    first = Row(watch_ms=10, unique_ms=10, max_position_ms=10, intervals=[(0, 10)])
    first.first_us, first.last_us, first.session_count = 100, 200, 1
    second = Row(watch_ms=10, unique_ms=10, max_position_ms=15, intervals=[(5, 15)])
    second.first_us, second.last_us, second.session_count = 50, 60, 1
    tail_only = Row(tail_ms=7, open_ended_count=1)
    days = [date(2025, 1, day) for day in (12, 13, 14)]
    rows = [first, second, tail_only]
    merged = lifetime_rows({("u", "v", day): row for day, row in zip(days, rows, strict=True)})
    assert merged["u", "v"] == Row(
        watch_ms=20,
        unique_ms=15,
        max_position_ms=15,
        session_count=2,
        tail_ms=7,
        open_ended_count=1,
        intervals=[(0, 15)],
        first_us=50,
        last_us=200,
    )


def test_an_estimated_duration_is_the_largest_position_ever_seen() -> None:
    events = parse_events(
        """
        01-12 10:00:00  u  s  v  play     0
        01-12 10:01:00  u  s  v  pause   60
        01-13 10:00:00  w  s  v  play    60
        01-13 10:00:30  w  s  v  seek     0   # 90 was reached, though no event says so
        01-13 10:00:30  w  s  x  play     0
        """
    )
    daily = daily_rows(events, {})
    assert estimated_durations(daily) == {"v": 90_000}
    row = published(daily["u", "v", date(2025, 1, 12)], 90_000)
    assert row["uniqueWatchPercentage"] == 66.67
    assert row["qualityFlags"] == []


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(1, 200, 0.01), (1, 201, 0.0), (31_255, 1000, 31.26), (0, 1, 0.0), (100, 1, 100.0)],
)
def test_numbers_are_rounded_half_up(numerator: int, denominator: int, rounded: float) -> None:
    assert half_up(Fraction(numerator, denominator)) == rounded


def test_a_table_of_events_survives_writing_and_reading() -> None:
    table = "01-13 00:00:00.000001 u s v seek 1.5 x2 id=a from=0.5\n10:00:00 u s v ended 300"
    events = parse_events(table)
    assert parse_events(format_events(events)) == events
    assert events[0] == Event(
        microseconds("2025-01-13T00:00:00.000001"), "u", "s", "v", "video_seek", 1500, 2.0, "a", 500
    )


@pytest.mark.parametrize("line", ["10:00:00 u s v stop 0", "10:00 u s v play", "x u s v play 0 1"])
def test_a_wrong_line_of_a_table_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="cannot read the event"):
        parse_events(line)


# --- always true -------------------------------------------------------------------------------


@relaxed
@given(event_lists(), durations, zones, st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(
    events: list[Event], lengths: dict[str, int], zone: str, random: Random
) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    one, two = settle(events, lengths, timezone=zone), settle(shuffled, lengths, timezone=zone)
    assert one.daily == two.daily
    assert sorted(one.sessions) == sorted(two.sessions)
    assert sorted(one.intervals) == sorted(two.intervals)


@relaxed
@given(event_lists(), durations, zones)
def test_a_day_needs_its_own_events_and_those_of_the_day_before(
    events: list[Event], lengths: dict[str, int], zone: str
) -> None:
    together = settle(events, lengths, timezone=zone)
    seen = {day_of(event.us, zone) for event in events}
    days = seen | {day + ONE_DAY for day in seen}
    assert {key[2] for key in together.daily} <= days
    for day in days:
        near = [event for event in events if day_of(event.us, zone) in (day - ONE_DAY, day)]
        alone = settle(near, lengths, timezone=zone)
        assert {k: row for k, row in alone.daily.items() if k[2] == day} == {
            k: row for k, row in together.daily.items() if k[2] == day
        }
        assert sorted(row for row in alone.sessions if row.date == day) == sorted(
            row for row in together.sessions if row.date == day
        )


@relaxed
@given(event_lists(), durations, zones, st.booleans())
def test_the_published_invariants_hold(
    events: list[Event], lengths: dict[str, int], zone: str, repair: bool
) -> None:
    parameters = ReferenceParameters(repair_seeks=repair)
    settled = settle(events, lengths, parameters, zone)
    lifetime = lifetime_rows(settled.daily)
    kept, duplicates = deduplicate(events, zone)
    assert len(kept) + duplicates == len(events)

    labelled = [((user, video), row) for (user, video, _), row in settled.daily.items()]
    for (_, video), row in [*labelled, *lifetime.items()]:
        assert 0 <= row.unique_ms <= row.watch_ms
        assert row.watch_ms == sum(getattr(row, f"{name}_ms") for name in EVIDENCE)
        assert row.unique_ms == sum(end - start for start, end in row.intervals)
        for (_, end), (start, _) in pairwise(row.intervals):
            assert end < start
        assert all(getattr(row, name) >= 0 for name in ADDITIVE)
        length = lengths.get(video) or None
        if length is not None:
            assert row.unique_ms <= length
            assert (row.max_position_ms or 0) <= length
        score = published(row, length)["engagementScore"]
        assert score is None or (isinstance(score, float) and 0 <= score <= 100)
    for pair, row in lifetime.items():
        of_pair = [daily for key, daily in labelled if key == pair]
        for name in ADDITIVE:
            assert getattr(row, name) == sum(getattr(daily, name) for daily in of_pair)
        assert row.unique_ms <= sum(daily.unique_ms for daily in of_pair)

    fastest = max([parameters.max_playback_rate, *(event.rate or 0 for event in events)])
    for interval in settled.intervals:
        assert 0 <= interval.start_ms < interval.end_ms
        length_ms = interval.end_ms - interval.start_ms
        assert length_ms <= fastest * interval.clock_ms + parameters.tolerance_ms
        assert interval.clock_ms <= (interval.closed_us - interval.opened_us) // 1000
        assert day_of(interval.closed_us, zone) == interval.date
    if not repair:
        assert all(interval.evidence != "clipped" for interval in settled.intervals)

    keys = [(row.user, row.session, row.session_start_us, row.date) for row in settled.sessions]
    assert len(keys) == len(set(keys))
    assert sum(row.event_count for row in settled.sessions) == len(kept)


@relaxed
@given(event_lists(), zones)
def test_facts_are_counted_once(events: list[Event], zone: str) -> None:
    settled = settle(events, DURATIONS, timezone=zone)
    sent = Counter((e.user, e.video) for e in events)
    pauses = Counter((e.user, e.video) for e in events if e.name == "video_pause")
    ends = Counter((e.user, e.video) for e in events if e.name == "video_ended")
    for pair, row in lifetime_rows(settled.daily).items():
        assert row.open_ended_count <= sent[pair]
        assert row.no_start_count <= 2 * sent[pair]
        assert row.pause_count <= pauses[pair]
        assert row.completion_count <= ends[pair]
        assert row.tail_ms <= row.open_ended_count * ReferenceParameters().session_timeout_ms
    assert len(settled.intervals) == len(set(settled.intervals))


@relaxed
@given(event_lists(), zones)
def test_users_do_not_influence_each_other(events: list[Event], zone: str) -> None:
    together = daily_rows(events, DURATIONS, timezone=zone)
    for user in {event.user for event in events}:
        alone = daily_rows([e for e in events if e.user == user], DURATIONS, timezone=zone)
        assert alone == {key: row for key, row in together.items() if key[0] == user}


def without_a_rule(events: list[Event]) -> dict[str, tuple[list[Event], dict[str, Any]]]:
    """What takes a rule away: other events, or other parameters."""

    def renamed(name: str, other: str) -> list[Event]:
        return [replace(event, name=other) if event.name == name else event for event in events]

    return {
        "repair of seeks": (events, {"repair_seeks": False}),
        "drag window": (events, {"drag_window_ms": 0}),
        "same place": (events, {"same_place_ms": 0}),
        "opening of a visit": (events, {"opening_ms": -1}),
        "told seeks": ([replace(event, seek_from_ms=None) for event in events], {}),
        "rates": ([replace(event, rate=None) for event in events], {}),
        "event ids": ([replace(event, event_id=None) for event in events], {}),
        "playing": (renamed("video_playing", "video_progress"), {}),
        "waiting": (renamed("video_waiting", "video_progress"), {}),
        "seeking": (renamed("video_seeking", "video_progress"), {}),
        "seek": (renamed("video_seek", "video_progress"), {}),
    }


def test_random_events_exercise_every_rule() -> None:
    seed = 1
    parameters, zone = ReferenceParameters(), "Europe/Berlin"
    events = random_events(seed, n_users=140, days=4)
    assert events == random_events(seed, n_users=140, days=4)
    reports = with_reports(random_events(seed + 1, n_users=20), Random(seed))
    events += [replace(event, user=f"reported {event.user}") for event in reports]
    kept, duplicates = deduplicate(events, zone)
    settled = settle(events, DURATIONS, parameters, zone)
    lifetime = lifetime_rows(settled.daily)

    seen: Counter[str] = Counter(duplicates=duplicates, voided=settled.voided)
    seen.update(interval.evidence for interval in settled.intervals)
    for (_, video, _), row in settled.daily.items():
        for name in ADDITIVE:
            seen[name] += getattr(row, name)
        columns = published(row, DURATIONS.get(video))
        flags = columns["qualityFlags"]
        assert isinstance(flags, list)
        seen.update(flags)
        seen[str(columns["engagementTier"])] += 1
        seen["row of a tail only"] += row.first_us is None
        seen["row without a session"] += row.session_count == 0
        seen["replayed part"] += row.watch_ms > row.unique_ms
    seen["continuing sessions"] = sum(row.continues for row in settled.sessions)
    sessions = {(row.user, row.session, row.session_start_us) for row in settled.sessions}
    seen["cuts"] = len(sessions) - len({session[:2] for session in sessions})
    seen["pairs without a row"] = len({(e.user, e.video) for e in kept} - set(lifetime))
    instants: dict[tuple[str, str, str, int], set[str]] = defaultdict(set)
    for event in kept:
        instants[event.user, event.session, event.video, event.us].add(event.name)
    seen["ties"] = sum(len(names) > 1 for names in instants.values())
    seen["mixed ties"] = sum(
        bool(names & STARTS) and bool(names & STOPS) for names in instants.values()
    )
    for rule, (other_events, changes) in without_a_rule(events).items():
        other = settle(other_events, DURATIONS, replace(parameters, **changes), zone)
        seen[rule] = sum(row != other.daily.get(key) for key, row in settled.daily.items())

    expected = {
        *EVIDENCE, *ADDITIVE, *FLAGS, "High", "Medium", "Low", "Minimal", "None", "duplicates",
        "voided", "row of a tail only", "row without a session", "replayed part", "cuts", "ties",
        "continuing sessions", "pairs without a row", "mixed ties", *without_a_rule([]),
    }  # fmt: skip
    assert {name: seen[name] for name in sorted(expected) if seen[name] < 5} == {}, seen
