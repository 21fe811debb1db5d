"""Which column is which, and which event is which, by the words that tools use."""

from datetime import datetime

import pytest

from vidagg_dagster.core.column_mapping import require_event_names
from vidagg_dagster.core.contract import EVENT_COLUMNS
from vidagg_dagster.core.vocabulary import ALIASES, EVENT_NAMES
from vidagg_dagster.sources.recognise import (
    COLUMN_WORDS,
    EVENT_WORDS,
    TIME_PATTERNS,
    recognise_columns,
    recognise_events,
    time_patterns,
    timestamp_unit,
)

SEGMENT = {
    "Video Playback Started": "video_play",
    "Video Playback Paused": "video_pause",
    "Video Playback Interrupted": "video_pause",
    "Video Playback Buffer Started": "video_waiting",
    "Video Playback Buffer Completed": "video_playing",
    "Video Playback Seek Started": "video_seeking",
    "Video Playback Seek Completed": "video_seek",
    "Video Playback Resumed": "video_resume",
    "Video Playback Completed": "video_ended",
    "Video Playback Exited": "video_pause",
    "Video Content Playing": "video_progress",
    "Video Ad Started": "ignore",
    "Video Quality Updated": "ignore",
}


def test_every_word_leads_to_a_name_of_ours_and_to_one_only() -> None:
    assert set(COLUMN_WORDS) == set(EVENT_COLUMNS)
    words = [word for of_name in EVENT_WORDS.values() for word in of_name.split()]
    assert len(words) == len(set(words))
    assert require_event_names(dict.fromkeys(EVENT_WORDS, "video_play"))
    assert set(EVENT_WORDS) == {*EVENT_NAMES, "ignore"}


def test_the_names_of_segment_s_video_events_are_recognised() -> None:
    assert recognise_events(SEGMENT) == SEGMENT


def test_our_own_names_and_aliases_stay_what_they_are() -> None:
    ours = {name: name for name in EVENT_NAMES}
    assert recognise_events(ours) == ours
    assert recognise_events(ALIASES) == ALIASES


@pytest.mark.parametrize("name", ["Glorp", "", "page_view", "checkout completed"])
def test_a_name_that_says_nothing_of_a_player_stays_unknown(name: str) -> None:
    assert recognise_events([name]) == {name: None}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (EVENT_COLUMNS, dict(zip(EVENT_COLUMNS, EVENT_COLUMNS, strict=True))),
        (
            ["ts", "user", "session_id", "content_id", "event", "position", "country"],
            {
                "timestamp": "ts",
                "userId": "user",
                "sessionId": "session_id",
                "videoId": "content_id",
                "eventName": "event",
                "currentTime": "position",
            },
        ),
        (
            [
                "timestamp",
                "event",
                "userId",
                "properties.session_id",
                "properties.content_asset_id",
                "properties.position",
                "messageId",
            ],
            {
                "timestamp": "timestamp",
                "userId": "userId",
                "sessionId": "properties.session_id",
                "videoId": "properties.content_asset_id",
                "eventName": "event",
                "currentTime": "properties.position",
                "eventId": "messageId",
            },
        ),
        (["colour", "shape"], {}),
    ],
    ids=["ours", "short", "segment", "nothing"],
)
def test_columns_are_recognised_by_their_words(found: list[str], expected: dict[str, str]) -> None:
    assert recognise_columns(found) == expected


def test_of_two_columns_the_likelier_and_the_less_nested_wins() -> None:
    assert recognise_columns(["received_at", "time"])["timestamp"] == "time"
    assert recognise_columns(["context.user_id", "user_id"])["userId"] == "user_id"


@pytest.mark.parametrize(
    ("number", "unit"),
    [(1_767_607_200, "s"), (1.7676e12, "ms"), (1.7676e15, "us"), (1.7676e18, "ns"), (12.0, None)],
)
def test_the_unit_of_a_time_is_known_by_its_size(number: float, unit: str | None) -> None:
    assert timestamp_unit(number) == unit


@pytest.mark.parametrize("pattern", TIME_PATTERNS)
def test_a_pattern_is_recognised_by_a_day_that_is_no_month(pattern: str) -> None:
    times = [datetime(2026, 1, day, 21, 5, 7) for day in (2, 25)]
    assert time_patterns([time.strftime(pattern) for time in times]) == [pattern]


@pytest.mark.parametrize(
    ("texts", "patterns"),
    [
        (["1/2/2026 9:00", "12/12/2026 9:00"], ["%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"]),
        (["1/2/2026 9:00", "13/12/2026 9:00"], ["%d/%m/%Y %H:%M"]),
        (["1/2/2026 9:00", "32/12/2026 9:00"], []),
        (["25/2/2026 9:00", "later"], []),
        (["25/2/2026 24:00"], []),
        (["25/2/2026 13:00 PM"], []),
        ([], []),
    ],
)
def test_a_pattern_is_named_only_if_it_reads_every_time(
    texts: list[str], patterns: list[str]
) -> None:
    assert time_patterns(texts) == patterns
