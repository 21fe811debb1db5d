"""Rejected rows: their reasons, their payload and their day."""

from collections import Counter
from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import RAW_EVENTS, REJECTED_EVENTS
from vidagg_dagster.core.vocabulary import REASONS
from vidagg_dagster.metrics.ingestion import accepted, rejected
from vidagg_dagster_tests.support.judged_rows import DAY, MOMENT, START, judged, source


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
        (DAY, MOMENT, "u", "s", "v", "video_ended", 1500, 1.5, None, "e1", "events.jsonl")
    ]


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
    rows: list[dict[str, Any]] = [
        {"videoId": None, "sourceFile": "2024-02-03.jsonl"},
        {"currentTime": "x", "timestamp": "2023-01-02T03:04:05Z"},
    ]
    found = {row.event_date for row in judged(source(spark, rows)).collect()}
    assert found == {DAY, date(2023, 1, 2)}


def test_a_report_has_a_begin_that_lies_before_its_end(spark: SparkSession) -> None:
    begins: dict[Any, Any] = {
        "0": (1500, 0),
        "1.5": (1500, 1500),
        "1.6": ["invalid_position"],
        "-1": ["invalid_position"],
        "nan?": ["invalid_position"],
        None: ["missing_position"],
        "NULL": ["missing_position"],
    }
    rows = [
        {"userId": str(at), "eventName": "Video_Reported", "seekFrom": begin}
        for at, begin in enumerate(begins)
    ]
    found = {row.userId: row for row in judged(source(spark, rows)).collect()}
    assert [
        row.reasons or (row.positionMs, row.seekFromMs)
        for row in (found[str(at)] for at in range(len(begins)))
    ] == list(begins.values())
    assert {row.eventName for row in found.values()} == {"video_reported"}
