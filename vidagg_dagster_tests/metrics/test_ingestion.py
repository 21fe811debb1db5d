"""Every row ends as accepted, as duplicate or as rejected with reasons: which rule says what."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import types as T

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.schemas import INGESTION_COUNTS, RAW_EVENTS, REJECTED_EVENTS
from vidagg_dagster.metrics.ingestion import (
    ALIASES,
    EVENT_NAMES,
    REASONS,
    accepted,
    classify,
    ingestion_counts,
    rejected,
)

RUN_TIME = datetime(2024, 6, 1, 12, tzinfo=UTC)
START = date(2024, 1, 1)
DAY = date(2024, 3, 5)
GOOD: dict[str, Any] = {
    "timestamp": "2024-03-05T10:00:00Z",
    "userId": "u",
    "sessionId": "s",
    "videoId": "v",
    "eventName": "video_play",
    "currentTime": "1.5",
    "playbackRate": None,
    "eventId": None,
    "typedTimestamp": None,
    "typedCurrentTime": None,
    "typedPlaybackRate": None,
    "payload": "the row",
    "sourceFile": "events.jsonl",
    "malformed": False,
}
_TYPES = {
    "typedTimestamp": T.TimestampType(),
    "typedCurrentTime": T.DoubleType(),
    "typedPlaybackRate": T.DoubleType(),
    "malformed": T.BooleanType(),
}
SCHEMA = T.StructType([T.StructField(n, _TYPES.get(n, T.StringType())) for n in GOOD])


def source(spark: SparkSession, rows: Sequence[dict[str, Any]]) -> DataFrame:
    """A source frame of rows like `GOOD` but for the columns given."""
    filled = [tuple({**GOOD, **row}.values()) for row in rows]
    return spark.createDataFrame(filled, SCHEMA)


def judged(
    frame: DataFrame,
    *,
    zone: str = "UTC",
    unit: Any = None,
    timezone: str = "UTC",
    start_date: date | None = START,
) -> DataFrame:
    return classify(
        frame,
        spec=SourceSpec(location="events", timezone=zone, timestamp_unit=unit),
        start_date=start_date,
        timezone=timezone,
        run_time=RUN_TIME,
    )


def by_user(
    spark: SparkSession, column: str, values: Sequence[Any], **kwargs: Any
) -> dict[Any, Row]:
    """The classified row of each value of one column. Users tell the rows apart."""
    rows = [{column: value, "userId": f"{at}"} for at, value in enumerate(values)]
    found = {int(row.userId): row for row in judged(source(spark, rows), **kwargs).collect()}
    assert len(found) == len(values)
    return {value: found[at] for at, value in enumerate(values)}


def outcome(row: Row) -> Any:
    """Reasons, or the position and time of an accepted row."""
    return row.reasons or (row.positionMs, row.timestamp)


# --- Positions ------------------------------------------------------------------------------------

GOOD_POSITIONS = [
    *("0", "0.0", "-0", "-0.0", "1", "1.5", "1.", ".5", "+2.5", "007", "1e2", "1E-3", "2.5e+1"),
    *("0.0004", "0.0005", "12.3445", "12.3455", "86400", "86400.0", "8.64e4", "0e999"),
    *("  1.5 ", "\u30001.25\u00a0", "0." + "0" * 400 + "1"),
    "0" * 400 + "1",
]
BAD_POSITIONS = [
    *("86400.001", "-1", "-0.001", "-1e-300", "1e308", "1e400", "-1e400", "9" * 400),
    *("NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-INF"),
    *("0x10", "0x1p3", "1d", "1f", "1_000", "1,5", "1 5", "true", "None", "abc", "--1", "+-1"),
    *("1e", "e5", ".", "+", "-", "1e1.5", "\u0661", "\uff11", "1\u00a05", '{"a":1}', "[1]"),
    "9" * 5000 + "x",
]
MISSING_POSITIONS = [None, "", "   ", "\u3000", "null", " null "]


def test_a_position_is_a_plain_number_from_0_to_a_day_and_becomes_rounded_milliseconds(
    spark: SparkSession,
) -> None:
    rows = by_user(spark, "currentTime", GOOD_POSITIONS + BAD_POSITIONS + MISSING_POSITIONS)
    found = {value: row.reasons or row.positionMs for value, row in rows.items()}
    assert found == {
        **{text: math.floor(float(text) * 1000 + 0.5) for text in GOOD_POSITIONS},
        **{text: ["invalid_position"] for text in BAD_POSITIONS},
        **{text: ["missing_position"] for text in MISSING_POSITIONS},
    }


def test_an_unusable_playback_rate_is_unknown_and_never_a_reason_to_reject(
    spark: SparkSession,
) -> None:
    usable = {"1": 1.0, "1.5": 1.5, " 2.0 ": 2.0, "0.25": 0.25, "16": 16.0, "1e-3": 0.001}
    unusable = [
        *(None, "", "0", "-0.0", "-1", "16.01", "NaN", "Infinity", "1e400", "true", "x", "null"),
        *("0x1p1", "1,5"),
    ]
    rows = by_user(spark, "playbackRate", [*usable, *unusable])
    assert {row.outcome for row in rows.values()} == {"accepted"}
    assert {value: row.playbackRate for value, row in rows.items()} == {
        **usable,
        **dict.fromkeys(unusable),
    }


# --- Times ----------------------------------------------------------------------------------------


def utc(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # frames give times in UTC without a zone


GOOD_TIMES = {
    "2024-03-05T10:00:00Z": utc(2024, 3, 5, 10),
    "2024-03-05 10:00:00Z": utc(2024, 3, 5, 10),
    "2024-03-05T10:00:00": utc(2024, 3, 5, 10),
    "2024-03-05T10:00": utc(2024, 3, 5, 10),
    "2024-03-05T10:00Z": utc(2024, 3, 5, 10),
    " 2024-03-05T10:00:00Z\u00a0": utc(2024, 3, 5, 10),
    "2024-03-05T10:00:00.5Z": utc(2024, 3, 5, 10, 0, 0, 500_000),
    "2024-03-05T10:00:00.123Z": utc(2024, 3, 5, 10, 0, 0, 123_000),
    "2024-03-05T10:00:00.123456": utc(2024, 3, 5, 10, 0, 0, 123_456),
    "2024-03-05T10:00:00.1234569Z": utc(2024, 3, 5, 10, 0, 0, 123_456),
    "2024-03-05T10:00:00.999999999Z": utc(2024, 3, 5, 10, 0, 0, 999_999),
    "2024-03-05T10:00:00.000001Z": utc(2024, 3, 5, 10, 0, 0, 1),
    "2024-03-05T10:00:00+01:00": utc(2024, 3, 5, 9),
    "2024-03-05T10:00:00-01:30": utc(2024, 3, 5, 11, 30),
    "2024-03-05T10:00:00+0530": utc(2024, 3, 5, 4, 30),
    "2024-03-05T10:00:00-11": utc(2024, 3, 5, 21),
    "2024-03-05T10:00+14:00": utc(2024, 3, 4, 20),
    "2024-03-05T10:00:00.25-00:00": utc(2024, 3, 5, 10, 0, 0, 250_000),
    "2024-03-05T00:00:00+23:59": utc(2024, 3, 4, 0, 1),
    "2024-02-29T23:59:59.999999Z": utc(2024, 2, 29, 23, 59, 59, 999_999),
    "2000-01-01T00:00:00Z": utc(2000, 1, 1),
    "2000-01-01T01:00:00+01:00": utc(2000, 1, 1),
    "2024-06-02T12:00:00Z": utc(2024, 6, 2, 12),
}
UNPARSABLE_TIMES = [
    *("2024-03-05", "20240305T100000Z", "2024-03-05T10", "2024-3-5T10:00:00Z", "10:00:00"),
    *("2024-02-30T10:00:00Z", "2023-02-29T10:00:00Z", "2024-13-01T10:00:00Z"),
    *("2024-00-10T10:00:00Z", "2024-01-00T10:00:00Z", "2024-03-05T24:00:00Z"),
    *("2024-03-05T10:60:00Z", "2024-03-05T23:59:60Z", "2024-03-05T10:00:00.Z"),
    *("2024-03-05T10:00:00.1234567890Z", "2024-03-05T10:00:00,5Z", "2024-03-05T10:00:00 Z"),
    *("2024-03-05t10:00:00z", "2024-03-05T10:00:00z", "2024-03-05T10:00:00 UTC"),
    *("2024-03-05T10:00:00+1:00", "2024-03-05T10:00:00+24:00", "2024-03-05T10:00:00+01:60"),
    *("2024-03-05T10:00:00[Europe/Berlin]", "2024-03-05  10:00:00", "03/05/2024 10:00"),
    *("Tue, 05 Mar 2024 10:00:00 GMT", "now", "today", "null", "NaN", "true", "epoch"),
    *("1709632800", "1709632800000", "1709632800.5", "1.7e9", "-1", "99999-01-01T00:00:00Z"),
    *("+2024-03-05T10:00:00Z", "-2024-03-05T10:00:00Z", "2024-03-05T10:00:00Z2024-03-05"),
    *("\u0662\u0660\u0662\u0664-03-05T10:00:00Z", "2024-03-05T10:00:00\u00b1", "2024-03-05T10.00"),
    *("2024-03-05T10:00.5Z", "2024-03-05T"),
]
TIMES_OUT_OF_RANGE = [
    *("1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00+00:01", "1970-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"),
    *("2024-06-02T12:00:00.000001Z", "2025-01-01T00:00:00Z", "1582-10-10T00:00:00Z"),
    *("0000-01-01T00:00:00Z", "2099-01-01 00:00"),
]


def test_a_time_is_iso_8601_with_date_and_time_and_lies_between_2000_and_a_day_after_the_run(
    spark: SparkSession,
) -> None:
    missing = [None, "", "  ", "\u2003"]
    every = [*GOOD_TIMES, *UNPARSABLE_TIMES, *TIMES_OUT_OF_RANGE, *missing]
    rows = by_user(spark, "timestamp", every)
    assert {value: row.reasons or row.timestamp for value, row in rows.items()} == {
        **GOOD_TIMES,
        **{text: ["unparsable_timestamp"] for text in UNPARSABLE_TIMES},
        **{text: ["timestamp_out_of_range"] for text in TIMES_OUT_OF_RANGE},
        **{text: ["missing_timestamp"] for text in missing},
    }


def test_a_time_without_zone_is_wall_time_of_the_declared_zone(spark: SparkSession) -> None:
    times: dict[str, Any] = {
        "2024-01-15T12:00:00": utc(2024, 1, 15, 11),
        "2024-05-15 12:00": utc(2024, 5, 15, 10),
        "2024-05-15T12:00:00.000001": utc(2024, 5, 15, 10, 0, 0, 1),
        "2024-05-15T12:00:00Z": utc(2024, 5, 15, 12),
        "2024-05-15T12:00:00+00:00": utc(2024, 5, 15, 12),
        # Clocks go from 02:00 to 03:00: what lies between never was.
        "2024-03-31T01:59:59.999999": utc(2024, 3, 31, 0, 59, 59, 999_999),
        "2024-03-31T02:00:00": ["unparsable_timestamp"],
        "2024-03-31T02:30:00": ["unparsable_timestamp"],
        "2024-03-31T02:59:59.999999": ["unparsable_timestamp"],
        "2024-03-31T03:00:00": utc(2024, 3, 31, 1),
        "2024-03-31T02:30:00+01:00": utc(2024, 3, 31, 1, 30),
        # Clocks go from 03:00 back to 02:00: the first 02:30 counts.
        "2023-10-29T02:30:00": utc(2023, 10, 29, 0, 30),
        "2023-10-29T03:00:00": utc(2023, 10, 29, 2),
        "2024-02-30T12:00:00": ["unparsable_timestamp"],
        "1999-12-31T23:30:00": ["timestamp_out_of_range"],
    }
    rows = by_user(spark, "timestamp", list(times), zone="Europe/Berlin")
    assert {value: row.reasons or row.timestamp for value, row in rows.items()} == times


MOMENT = utc(2024, 3, 5, 10)  # 1709632800 s


@pytest.mark.parametrize(
    ("unit", "times"),
    [
        (
            "s",
            {
                "1709632800": MOMENT,
                " 1709632800 ": MOMENT,
                "+1709632800": MOMENT,
                "1709632800.": MOMENT,
                "1709632800.123456": MOMENT.replace(microsecond=123_456),
                "1709632800.1234569": MOMENT.replace(microsecond=123_456),
                "1709632800.000001": MOMENT.replace(microsecond=1),
                "1709632800.999999999999": MOMENT.replace(microsecond=999_999),
                "1.7096328E9": MOMENT,
                "1709632800000e-3": MOMENT,
                "1709632800000": ["timestamp_out_of_range"],
                "999999999999999999": ["timestamp_out_of_range"],
                "999999999999999999.9": ["timestamp_out_of_range"],
                "99999999999999999999999": ["timestamp_out_of_range"],
                "1e400": ["timestamp_out_of_range"],
                "-1e400": ["timestamp_out_of_range"],
                "1e18": ["timestamp_out_of_range"],
                "-5": ["timestamp_out_of_range"],
                "0": ["timestamp_out_of_range"],
                "-999999999999999999": ["timestamp_out_of_range"],
                "NaN": ["unparsable_timestamp"],
                "Infinity": ["unparsable_timestamp"],
                "0x65e6ea20": ["unparsable_timestamp"],
                "1709632800s": ["unparsable_timestamp"],
                "2024-03-05": ["unparsable_timestamp"],
                "": ["missing_timestamp"],
                "2024-03-05T10:00:00Z": MOMENT,  # text stays text
            },
        ),
        (
            "ms",
            {
                "1709632800000": MOMENT,
                "1709632800123": MOMENT.replace(microsecond=123_000),
                "1709632800123.4567": MOMENT.replace(microsecond=123_456),
                "1.7096328E12": MOMENT,
                "1709632800": ["timestamp_out_of_range"],
                "1709632800000000": ["timestamp_out_of_range"],
                "9999999999999999999": ["timestamp_out_of_range"],
            },
        ),
        (
            "us",
            {
                "1709632800123456": MOMENT.replace(microsecond=123_456),
                "1709632800123456.9": MOMENT.replace(microsecond=123_456),
                "1709632800000": ["timestamp_out_of_range"],
                "9223372036854775808": ["timestamp_out_of_range"],
            },
        ),
        (
            "ns",
            {
                "1709632800123456789": MOMENT.replace(microsecond=123_456),
                "1709632800123456999.5": MOMENT.replace(microsecond=123_456),
                "12": ["timestamp_out_of_range"],
                "1709632800123456": ["timestamp_out_of_range"],
                "17096328001234567890123": ["timestamp_out_of_range"],
            },
        ),
    ],
)
def test_a_bare_number_is_a_time_in_the_declared_unit_to_the_microsecond(
    spark: SparkSession, unit: str, times: dict[str, Any]
) -> None:
    rows = by_user(spark, "timestamp", list(times), unit=unit, zone="Europe/Berlin")
    assert {value: row.reasons or row.timestamp for value, row in rows.items()} == times


def test_a_timestamp_by_type_is_taken_as_it_is_and_only_its_range_is_judged(
    spark: SparkSession,
) -> None:
    times = [
        datetime(2024, 3, 5, 10, 0, 0, 123_456),
        datetime(2000, 1, 1),
        datetime(1999, 12, 31, 23, 59, 59),
        datetime(2024, 6, 2, 12, 0, 0, 1),
    ]
    rows = [
        {"timestamp": None, "typedTimestamp": t.replace(tzinfo=UTC), "userId": str(at)}
        for at, t in enumerate(times)
    ]
    found = {row.userId: row for row in judged(source(spark, rows), zone="Asia/Tokyo").collect()}
    assert [found[str(at)].timestamp for at in range(4)] == [times[0], times[1], None, None]
    assert [found[str(at)].reasons for at in (2, 3)] == [["timestamp_out_of_range"]] * 2


def test_the_day_of_an_event_is_the_calendar_day_of_the_configured_zone(
    spark: SparkSession,
) -> None:
    times = {
        "2024-03-05T22:59:59Z": date(2024, 3, 5),
        "2024-03-05T23:00:00Z": date(2024, 3, 6),
        "2024-05-05T21:59:59.999999Z": date(2024, 5, 5),
        "2024-05-05T22:00:00Z": date(2024, 5, 6),
    }
    rows = by_user(spark, "timestamp", list(times), timezone="Europe/Berlin")
    assert {value: row.event_date for value, row in rows.items()} == times


# --- Names and ids --------------------------------------------------------------------------------


def test_known_names_and_aliases_are_accepted_in_any_case_and_others_are_not(
    spark: SparkSession,
) -> None:
    known = {name: name for name in EVENT_NAMES} | ALIASES
    known |= {" Video_PLAY\u00a0": "video_play", "PAUSE": "video_pause"}
    unknown = [
        *("", "  ", None, "null", "video_", "video play", "video-play", "played", "seek"),
        *("progress", "heartbeat", "video_play;", "videoplay", "stop", "v\u0131deo_play"),
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
        "NULL": "NULL",
        "null": "null",
        "0": "0",
        "\U0001f600": "\U0001f600",
        "e\u0301": "e\u0301",
        "' OR 1=1; --": "' OR 1=1; --",
        "../../etc": "../../etc",
        "\u200bzero width": "\u200bzero width",
        "x" * 100_000: "x" * 100_000,
    }
    missing = [None, "", " ", "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029\u202f\u205f"]
    values = [*kept, *missing]
    frame = source(spark, [{column: v, "sourceFile": f"{at:02d}"} for at, v in enumerate(values)])
    rows = sorted(judged(frame).collect(), key=lambda row: row.sourceFile)
    assert [row[column] for row in rows] == [*kept.values(), *[None] * len(missing)]
    # Trimming makes the second of the two "a" and nothing else a duplicate.
    assert [row.outcome for row in rows[: len(kept)]] == [
        "duplicate" if value == " a " else "accepted" for value in kept
    ]
    assert [row.reasons for row in rows[len(kept) :]] == [[reason]] * len(missing)


# --- Reasons --------------------------------------------------------------------------------------


def test_a_row_has_every_reason_that_applies_in_the_documented_order(spark: SparkSession) -> None:
    nothing = dict.fromkeys(
        ("timestamp", "userId", "sessionId", "videoId", "eventName", "currentTime")
    )
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, []),
        (
            nothing,
            [
                "missing_timestamp",
                "missing_user",
                "missing_session",
                "missing_video",
                "unknown_event",
                "missing_position",
            ],
        ),
        (
            {"currentTime": "x", "eventName": "x", "timestamp": "x"},
            ["unparsable_timestamp", "unknown_event", "invalid_position"],
        ),
        (
            {"timestamp": "1999-01-01T00:00:00Z", "currentTime": "-1", "videoId": ""},
            ["timestamp_out_of_range", "missing_video", "invalid_position"],
        ),
        ({**nothing, "malformed": True}, ["malformed_row"]),
        ({"malformed": True}, ["malformed_row"]),
        ({"malformed": None}, []),
    ]
    frame = source(spark, [{**case, "sourceFile": str(at)} for at, (case, _) in enumerate(cases)])
    rows = {int(row.sourceFile): row for row in judged(frame).collect()}
    assert [rows[at].reasons for at in range(len(cases))] == [reasons for _, reasons in cases]
    assert {reason for row in rows.values() for reason in row.reasons} <= set(REASONS)


def test_rejected_rows_keep_their_payload_and_others_do_not_carry_it(spark: SparkSession) -> None:
    frame = source(
        spark,
        [
            {"payload": "good"},
            {"payload": "twice"},
            {"payload": "bad", "videoId": None},
            {"payload": "broken", "malformed": True},
        ],
    )
    classified = judged(frame)
    assert Counter((row.outcome, row.payload) for row in classified.collect()) == {
        ("accepted", None): 1,
        ("duplicate", None): 1,
        ("rejected", "bad"): 1,
        ("rejected", "broken"): 1,
    }
    kept = rejected(classified)
    assert kept.schema.names == REJECTED_EVENTS.column_names
    assert [(f.name, f.dataType) for f in kept.schema] == [
        (c.name, c.type) for c in REJECTED_EVENTS.columns
    ]
    assert sorted(row.payload for row in kept.collect()) == ["bad", "broken"]


def test_accepted_rows_have_the_declared_columns_and_types(spark: SparkSession) -> None:
    frame = accepted(
        judged(source(spark, [{"playbackRate": "1.5", "eventId": " e1 ", "eventName": "END"}]))
    )
    assert [(f.name, f.dataType) for f in frame.schema] == [
        (c.name, c.type) for c in RAW_EVENTS.columns
    ]
    assert [tuple(row) for row in frame.collect()] == [
        (DAY, MOMENT, "u", "s", "v", "video_ended", 1500, 1.5, "e1", "events.jsonl")
    ]


# --- Days of rows without a time ------------------------------------------------------------------

PATHS = {
    "events.jsonl": None,
    None: None,
    "2024-02-03.jsonl": date(2024, 2, 3),
    "day=2024-02-03/part-0.jsonl": date(2024, 2, 3),
    "20240203/a.jsonl": date(2024, 2, 3),
    "events_20240203.csv": date(2024, 2, 3),
    "2024-02-03/2024-02-04T10.json": date(2024, 2, 4),
    "a20240203b20240205c": date(2024, 2, 5),
    "2023-12-31.jsonl": START,
    "1999-01-01.jsonl": START,
    "202402031.jsonl": None,
    "2024-02-30.jsonl": None,
    "2024-2-3.jsonl": None,
    "2024/02/03/a.jsonl": None,
    "99999999.jsonl": None,
}


@pytest.mark.parametrize("start_date", [START, None])
def test_a_row_without_a_usable_time_gets_the_day_in_its_path_or_else_the_start_date(
    spark: SparkSession, start_date: date | None
) -> None:
    bad: list[dict[str, Any]] = [
        {"timestamp": None},
        {"timestamp": "x"},
        {"timestamp": "1999-01-01T00:00:00Z"},
        {"malformed": True},
    ]
    rows = [{**b, "sourceFile": path} for path in PATHS for b in bad]
    classified = judged(source(spark, rows), start_date=start_date)
    found = Counter((row.sourceFile, row.event_date, row.timestamp) for row in classified.collect())
    if start_date is None:
        # Nothing raises the days in paths that lie before the start.
        early = {"2023-12-31.jsonl": date(2023, 12, 31), "1999-01-01.jsonl": date(1999, 1, 1)}
        days = {path: early.get(str(path), day) for path, day in PATHS.items()}
    else:
        days = {path: day or START for path, day in PATHS.items()}
    assert found == {(path, day, None): len(bad) for path, day in days.items()}


def test_a_row_with_a_usable_time_has_its_own_day_whatever_else_is_wrong(
    spark: SparkSession,
) -> None:
    rows = [
        {"videoId": None, "sourceFile": "2024-02-03.jsonl"},
        {"currentTime": "x", "timestamp": "2023-01-02T03:04:05Z"},
    ]
    found = {row.event_date for row in judged(source(spark, rows)).collect()}
    assert found == {DAY, date(2023, 1, 2)}


# --- Duplicates -----------------------------------------------------------------------------------


def outcomes(spark: SparkSession, rows: Sequence[dict[str, Any]], **kwargs: Any) -> list[str]:
    """Outcome per row, in the order given; `sourceFile` numbers them."""
    frame = source(spark, [{**row, "sourceFile": f"{at:03d}"} for at, row in enumerate(rows)])
    found = {row.sourceFile: row.outcome for row in judged(frame, **kwargs).collect()}
    return [found[f"{at:03d}"] for at in range(len(rows))]


def test_of_rows_equal_in_user_session_video_name_time_and_position_one_stays(
    spark: SparkSession,
) -> None:
    rows: list[dict[str, Any]] = [
        {},
        {"eventName": "PLAY", "currentTime": "1.5000001", "timestamp": "2024-03-05 11:00+01:00"},
        {"userId": "u2"},
        {"sessionId": "s2"},
        {"videoId": "v2"},
        {"eventName": "video_resume"},
        {"timestamp": "2024-03-05T10:00:00.000001Z"},
        {"currentTime": "1.501"},
        {"userId": "U"},
        {"userId": " u"},
    ]
    assert outcomes(spark, rows) == [
        "accepted",
        "duplicate",
        *["accepted"] * 7,
        "duplicate",
    ]


def test_the_same_sender_id_is_a_duplicate_across_users_but_not_across_days(
    spark: SparkSession,
) -> None:
    rows: list[dict[str, Any]] = [
        {"eventId": "e", "timestamp": "2024-03-05T10:00:02Z", "userId": "b"},
        {"eventId": "e", "timestamp": "2024-03-05T10:00:01Z", "userId": "z"},
        {"eventId": " e ", "timestamp": "2024-03-05T10:00:03Z", "userId": "a"},
        {"eventId": "e", "timestamp": "2024-03-06T10:00:00Z", "userId": "a"},
        {"eventId": "E", "userId": "c"},
        {"eventId": None, "userId": "d"},
        {"eventId": "", "userId": "e"},
        {"eventId": None, "userId": "f"},
    ]
    assert outcomes(spark, rows) == [
        "duplicate",
        "accepted",
        "duplicate",
        *["accepted"] * 5,
    ]


def test_a_rejected_row_takes_no_part_in_the_search_for_duplicates(spark: SparkSession) -> None:
    rows: list[dict[str, Any]] = [
        {"eventId": "e", "currentTime": "x", "timestamp": "2024-03-05T09:00:00Z"},
        {"eventId": "e"},
        {"currentTime": "x"},
        {"currentTime": "x"},
    ]
    assert outcomes(spark, rows) == ["rejected", "accepted", "rejected", "rejected"]


def test_rows_equal_in_everything_leave_exactly_one_also_with_an_id(spark: SparkSession) -> None:
    frame = source(
        spark,
        [{"eventId": "e"}] * 50 + [{"eventId": "f", "userId": "w"}] * 50 + [{"userId": "x"}] * 50,
    ).repartition(7)
    assert Counter(row.outcome for row in judged(frame).collect()) == {
        "accepted": 3,
        "duplicate": 147,
    }


def test_a_duplicate_makes_duplicates_too(spark: SparkSession) -> None:
    rows: list[dict[str, Any]] = [
        {"eventId": "1"},  # first
        {"eventId": "2"},  # same event as the first
        {"eventId": "2", "currentTime": "9"},  # same id as the second
        {"eventId": "3", "currentTime": "9"},  # same event as the third
        {"eventId": "3", "currentTime": "10"},  # same id as the fourth
        {"eventId": "4", "currentTime": "11"},
    ]
    assert outcomes(spark, rows) == ["accepted", *["duplicate"] * 4, "accepted"]


def test_the_row_that_stays_is_chosen_by_id_then_rate_then_file(spark: SparkSession) -> None:
    rows: list[dict[str, Any]] = [
        {"userId": "1", "eventId": None},
        {"userId": "1", "eventId": "b"},
        {"userId": "1", "eventId": "a"},
        {"userId": "2", "playbackRate": None},
        {"userId": "2", "playbackRate": "2"},
        {"userId": "2", "playbackRate": "1.5"},
        {"userId": "3"},
        {"userId": "3"},
    ]
    assert [at for at, o in enumerate(outcomes(spark, rows)) if o == "accepted"] == [2, 5, 6]


def test_a_source_without_ids_is_searched_by_event_alone(spark: SparkSession) -> None:
    frame = source(spark, [{}, {}, {"userId": "w"}, {"videoId": ""}]).drop("eventId")
    rows = judged(frame).collect()
    assert Counter(row.outcome for row in rows) == {"accepted": 2, "duplicate": 1, "rejected": 1}
    assert {row.eventId for row in rows} == {None}


RANK = {name: at for at, name in enumerate(EVENT_NAMES)}


def _expected(rows: Sequence[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """The rule for duplicates, one row after the other."""

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        return (
            *(row["timestamp"], row["userId"], row["sessionId"], row["videoId"]),
            *(RANK[row["eventName"]], float(row["currentTime"])),
            *(row["eventId"] is None, row["eventId"] or ""),
            *(row["playbackRate"] is None, float(row["playbackRate"] or 0), row["sourceFile"]),
        )

    keys: set[Any] = set()
    ids: set[Any] = set()
    result: Counter[tuple[Any, ...]] = Counter()
    for row in sorted(rows, key=order):
        key, day = order(row)[:6], row["timestamp"][:10]
        again = key in keys or (day, row["eventId"]) in ids
        keys.add(key)
        if row["eventId"] is not None:
            ids.add((day, row["eventId"]))
        result[(*order(row), "duplicate" if again else "accepted")] += 1
    return result


def test_shuffling_never_changes_which_rows_are_accepted(spark: SparkSession) -> None:
    dice = random.Random(7)
    rows = [
        {
            **GOOD,
            "timestamp": f"2024-03-0{dice.choice('45')}T10:00:0{dice.randrange(3)}Z",
            "userId": dice.choice("ab"),
            "videoId": dice.choice("vw"),
            "eventName": dice.choice(EVENT_NAMES),
            "currentTime": dice.choice(["1", "2.5"]),
            "playbackRate": dice.choice([None, "1", "2"]),
            "eventId": dice.choice([None, None, *(f"e{n}" for n in range(60))]),
            "sourceFile": dice.choice(["a", "b"]),
        }
        for _ in range(400)
    ]
    expected = _expected(rows)
    for parts in (1, 5):
        dice.shuffle(rows)
        frame = source(spark, rows).repartition(parts)
        found = Counter(
            (
                *(f"{row.timestamp:%Y-%m-%dT%H:%M:%S}Z", row.userId, row.sessionId, row.videoId),
                *(RANK[row.eventName], row.positionMs / 1000),
                *(row.eventId is None, row.eventId or ""),
                *(row.playbackRate is None, row.playbackRate or 0.0, row.sourceFile),
                row.outcome,
            )
            for row in judged(frame).collect()
        )
        assert found == expected


# --- Counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_date", [START, None])
def test_input_is_accepted_and_duplicates_and_rejected_on_every_day(
    spark: SparkSession, start_date: date | None
) -> None:
    rows: list[dict[str, Any]] = [
        *[{}] * 3,
        {"userId": None, "videoId": None},
        {"userId": None},
        {"timestamp": "2024-03-06T00:00:00Z"},
        {"timestamp": "x"},
        {"malformed": True, "sourceFile": "2024-03-06.jsonl"},
    ]
    counts = ingestion_counts(judged(source(spark, rows), start_date=start_date))
    assert [(f.name, f.dataType) for f in counts.schema] == [
        (c.name, c.type) for c in INGESTION_COUNTS.columns
    ]
    found: dict[Any, dict[str, int]] = {}
    for row in counts.collect():
        assert row.measure not in found.setdefault(row.event_date, {})
        found[row.event_date][row.measure] = row.value
    assert set(found) == {start_date, DAY, DAY + timedelta(days=1)}
    for of_day in found.values():
        assert set(of_day) == {
            *("input", "accepted", "duplicates", "rejected"),
            *(f"rejected:{reason}" for reason in REASONS),
        }
        assert of_day["input"] == of_day["accepted"] + of_day["duplicates"] + of_day["rejected"]
    assert found[DAY] == {
        **dict.fromkeys(found[DAY], 0),
        "input": 5,
        "accepted": 1,
        "duplicates": 2,
        "rejected": 2,
        "rejected:missing_user": 2,
        "rejected:missing_video": 1,
    }
    assert found[start_date]["rejected:unparsable_timestamp"] == 1
    assert found[DAY + timedelta(days=1)]["rejected:malformed_row"] == 1


def test_no_input_gives_no_rows_anywhere(spark: SparkSession) -> None:
    classified = judged(source(spark, []))
    assert accepted(classified).collect() == []
    assert rejected(classified).collect() == []
    assert ingestion_counts(classified).collect() == []
