"""Times: which texts, numbers and types are one, and which day they fall on."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster_tests.support.judged_rows import MOMENT, by_user, judged, source, utc

GOOD_TIMES: dict[str | None, datetime] = {
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
    "20240305T100000Z": utc(2024, 3, 5, 10),
    "20240305t100000.25+0100": utc(2024, 3, 5, 9, 0, 0, 250_000),
    "2024-03-05T10:00:00,5Z": utc(2024, 3, 5, 10, 0, 0, 500_000),
    "2024-03-05 10:00:00,123": utc(2024, 3, 5, 10, 0, 0, 123_000),
    "2024-03-05t10:00:00z": utc(2024, 3, 5, 10),
    "2024-03-05T10:00:00 Z": utc(2024, 3, 5, 10),
    "2024-03-05 10:00:00 UTC": utc(2024, 3, 5, 10),
    "2024-03-05 10:00:00.5 UTC": utc(2024, 3, 5, 10, 0, 0, 500_000),
    "2024-03-05T10:00:00GMT": utc(2024, 3, 5, 10),
    "2024-03-05T10:00:00Z[UTC]": utc(2024, 3, 5, 10),
    "2024-03-05 10:00:00.000 +0100": utc(2024, 3, 5, 9),
    "2024-03-05 10:00:00 -01:30": utc(2024, 3, 5, 11, 30),
    "Tue, 05 Mar 2024 10:00:00 GMT": utc(2024, 3, 5, 10),
    "Tue, 5 Mar 2024 10:00:00 +0100": utc(2024, 3, 5, 9),
    "05 mar 2024 10:00:00 -0130": utc(2024, 3, 5, 11, 30),
    "2000-01-01T00:00:00Z": utc(2000, 1, 1),
    "2000-01-01T01:00:00+01:00": utc(2000, 1, 1),
    "2024-06-02T12:00:00Z": utc(2024, 6, 2, 12),
}


UNPARSABLE_TIMES = [
    *(
        "2024-03-05",
        "20240305T1000Z",
        "20240305",
        "2024-03-05T10",
        "2024-3-5T10:00:00Z",
        "10:00:00",
    ),
    *("2024-02-30T10:00:00Z", "2023-02-29T10:00:00Z", "2024-13-01T10:00:00Z"),
    *("2024-00-10T10:00:00Z", "2024-01-00T10:00:00Z", "2024-03-05T24:00:00Z"),
    *("2024-03-05T10:60:00Z", "2024-03-05T23:59:60Z", "2024-03-05T10:00:00.Z"),
    *("2024-03-05T10:00:00.1234567890Z", "2024-03-05T10:00:00,Z", "2024-03-05T10:00:00  Z"),
    *("2024-03-05T10:00:00 CET", "2024-03-05T10:00:00z z", "2024-03-05T10:00:00 UTC+1"),
    *("2024-03-05T10:00:00ZUTC", "2024-03-05,10:00:00Z", "20240305T256161Z", "20241305T100000Z"),
    *("2024-03-05T10:00:00+1:00", "2024-03-05T10:00:00+24:00", "2024-03-05T10:00:00+01:60"),
    *("2024-03-05T10:00:00[Europe/Berlin]", "2024-03-05  10:00:00", "03/05/2024 10:00"),
    *(
        "Tue, 05 Mar 2024 10:00:00 CET",
        "Tue, 05 Mai 2024 10:00:00 GMT",
        "5 Mar 2024",
        "now",
        "today",
        "null",
        "NaN",
        "true",
        "epoch",
    ),
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
    expected: dict[str | None, Any] = {
        **GOOD_TIMES,
        **{text: ["unparsable_timestamp"] for text in UNPARSABLE_TIMES},
        **{text: ["timestamp_out_of_range"] for text in TIMES_OUT_OF_RANGE},
        **{text: ["missing_timestamp"] for text in missing},
    }
    assert {value: row.reasons or row.timestamp for value, row in rows.items()} == expected


def test_without_a_clock_only_times_of_another_century_are_out_of_range(
    spark: SparkSession,
) -> None:
    times: dict[str, Any] = {
        "1999-12-31T23:59:59.999999Z": ["timestamp_out_of_range"],
        "2000-01-01T00:00:00Z": utc(2000, 1, 1),
        "2099-12-31T23:59:59.999999Z": utc(2099, 12, 31, 23, 59, 59, 999_999),
        "2100-01-01T00:00:00Z": ["timestamp_out_of_range"],
        "9999-12-31T23:59:59Z": ["timestamp_out_of_range"],
    }
    rows = by_user(spark, "timestamp", list(times), run_time=None)
    assert {value: row.reasons or row.timestamp for value, row in rows.items()} == times


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


def test_times_of_other_notations_are_read_by_patterns(spark: SparkSession) -> None:
    formats = (
        *("%d.%m.%Y %H:%M:%S", "%m/%d/%y %I:%M %p", "%d/%b/%Y:%H:%M:%S %z", "%Y%m%d%H%M%S%f"),
        "%a %d %b %Y %H:%M:%S",
    )
    times: dict[str, Any] = {
        "5.3.2024 11:00:07": utc(2024, 3, 5, 10, 0, 7),
        "05.03.2024 11:00:00": MOMENT,
        "03/05/24  12:30 AM": utc(2024, 3, 4, 23, 30),
        "3/5/24 12:30 pm": utc(2024, 3, 5, 11, 30),
        "05/Mar/2024:10:00:00 +0000": MOMENT,
        "05/March/2024:10:00:00 UTC": MOMENT,
        "20240305110000123": utc(2024, 3, 5, 10, 0, 0, 123_000),
        "Tue 05 Mar 2024 11:00:00": MOMENT,
        "2024-03-05T10:00:00Z": MOMENT,
        "1709632800": ["unparsable_timestamp"],
        "31.2.2024 11:00:00": ["unparsable_timestamp"],
        "13/13/24 10:30 PM": ["unparsable_timestamp"],
        "3/5/24 13:30 PM": ["unparsable_timestamp"],
        "05/Mai/2024:10:00:00 +0000": ["unparsable_timestamp"],
        "05.03.2024": ["unparsable_timestamp"],
    }
    rows = by_user(spark, "timestamp", list(times), time_formats=formats, zone="Europe/Berlin")
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
