"""Positions, playback rates, names and ids: what is accepted and as what."""

import math
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.vocabulary import ALIASES, EVENT_NAMES
from vidagg_dagster_tests.support.judged_rows import by_user, judged, source

GOOD_POSITIONS = [
    *("0", "0.0", "-0", "-0.0", "1", "1.5", "1.", ".5", "+2.5", "007", "1e2", "1E-3", "2.5e+1"),
    *("0.0004", "0.0005", "12.3445", "12.3455", "86400", "86400.0", "8.64e4", "0e999"),
    *("  1.5 ", "\u30001.25\u00a0", "0." + "0" * 400 + "1"),
    "0" * 400 + "1",
]


BAD_POSITIONS = [
    *("86400.001", "-1", "-0.001", "-1e-300", "1e308", "1e400", "-1e400", "9" * 400),
    *("NaN", "Infinity", "-Infinity", "+Infinity", "inf", "-INF"),
    *("0x10", "0x1p3", "1d", "1f", "1_000", "1,5", "1 5", "true", "none", "abc", "--1", "+-1"),
    *("1e", "e5", ".", "+", "--", "1e1.5", "\u0661", "\uff11", "1\u00a05", '{"a":1}', "[1]"),
    "9" * 5000 + "x",
]


NULL_WORDS = [
    *("NULL", "null", "None", "nan", "undefined", "N/A", r"\N", "-"),
    "00000000-0000-0000-0000-000000000000",
]
"""What exporters write for nothing into formats that know no null."""


MISSING_POSITIONS = [None, "", "   ", "\u3000", " null ", *NULL_WORDS]


def test_a_position_is_a_plain_number_from_0_to_a_day_and_becomes_rounded_milliseconds(
    spark: SparkSession,
) -> None:
    rows = by_user(spark, "currentTime", GOOD_POSITIONS + BAD_POSITIONS + MISSING_POSITIONS)
    found = {value: row.reasons or row.positionMs for value, row in rows.items()}
    expected: dict[str | None, Any] = {
        **{text: math.floor(float(text) * 1000 + 0.5) for text in GOOD_POSITIONS},
        **{text: ["invalid_position"] for text in BAD_POSITIONS},
        **{text: ["missing_position"] for text in MISSING_POSITIONS},
    }
    assert found == expected


def test_an_unusable_playback_rate_is_unknown_and_never_a_reason_to_reject(
    spark: SparkSession,
) -> None:
    usable: dict[Any, Any] = {"1": 1.0, "1.5": 1.5, " 2.0 ": 2.0, "0.25": 0.25, "16": 16.0}
    usable["1e-3"] = 0.001
    unusable = [
        *(None, "", "0", "-0.0", "-1", "16.01", "NaN", "Infinity", "1e400", "true", "x", "null"),
        *("0x1p1", "1,5", *NULL_WORDS),
    ]
    rows = by_user(spark, "playbackRate", [*usable, *unusable])
    assert {row.outcome for row in rows.values()} == {"accepted"}
    assert {value: row.playbackRate for value, row in rows.items()} == {
        **usable,
        **dict.fromkeys(unusable),
    }


def test_known_names_and_aliases_are_accepted_in_any_case_and_others_are_not(
    spark: SparkSession,
) -> None:
    known: dict[Any, str] = {name: name for name in EVENT_NAMES} | ALIASES
    known |= {" Video_PLAY\u00a0": "video_play", "PAUSE": "video_pause"}
    unknown = [
        *("", "  ", None, "null", "video_", "video play", "video-play", "played"),
        *("video_play;", "videoplay", "stop", "ignore", "v\u0131deo_play"),
    ]
    rows = by_user(spark, "eventName", [*known, *unknown])
    assert {name: row.eventName for name, row in rows.items()} == {
        **known,
        **dict.fromkeys(unknown),
    }
    assert {name for name, row in rows.items() if row.reasons == ["unknown_event"]} == set(unknown)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("userId", "missing_user"),
        ("sessionId", "missing_session"),
        ("videoId", "missing_video"),
    ],
)
def test_ids_are_trimmed_of_unicode_white_space_and_an_empty_one_is_missing(
    spark: SparkSession, column: str, reason: str
) -> None:
    kept = {
        "a": "a",
        " a ": "a",
        "\u3000\u2003a b\u00a0\t\n": "a b",
        "Null": "Null",
        "0": "0",
        "\U0001f600": "\U0001f600",
        "e\u0301": "e\u0301",
        "' OR 1=1; --": "' OR 1=1; --",
        "../../etc": "../../etc",
        "\u200bzero width": "\u200bzero width",
        "x" * 100_000: "x" * 100_000,
    }
    missing = [
        None,
        "",
        " ",
        *NULL_WORDS,
        "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029\u202f\u205f",
    ]
    values = [*kept, *missing]
    frame = source(spark, [{column: v, "sourceFile": f"{at:02d}"} for at, v in enumerate(values)])
    rows = sorted(judged(frame).collect(), key=lambda row: row.sourceFile)
    assert [row[column] for row in rows] == [*kept.values(), *[None] * len(missing)]
    # Trimming makes the second of the two "a" and nothing else a duplicate.
    assert [row.outcome for row in rows[: len(kept)]] == [
        "duplicate" if value == " a " else "accepted" for value in kept
    ]
    assert [row.reasons for row in rows[len(kept) :]] == [[reason]] * len(missing)


def test_only_a_seek_says_where_it_began(spark: SparkSession) -> None:
    said = {"12.3455": 12_346, " 0 ": 0, "86400": 86_400_000}
    unknown = [None, "", "NULL", "-1", "86400.001", "NaN", "x"]
    rows: list[dict[str, Any]] = [
        {"eventName": name, "seekFrom": value, "currentTime": f"{at}"}
        for name in ("seek", "seeking", "pause")
        for at, value in enumerate([*said, *unknown])
    ]
    found = judged(source(spark, rows)).collect()
    assert {row.outcome for row in found} == {"accepted"}
    by_name: dict[str, list[Any]] = {}
    for row in sorted(found, key=lambda row: row.positionMs):
        by_name.setdefault(row.eventName, []).append(row.seekFromMs)
    expected = [*said.values(), *[None] * len(unknown)]
    assert by_name == {
        "video_seek": expected,
        "video_seeking": expected,
        "video_pause": [None] * len(expected),
    }


def test_the_largest_position_is_a_setting(spark: SparkSession) -> None:
    rows = by_user(spark, "currentTime", ["917302.5", "1000000.001"], max_position_s=1_000_000)
    assert rows["917302.5"].positionMs == 917_302_500
    assert rows["1000000.001"].reasons == ["invalid_position"]
