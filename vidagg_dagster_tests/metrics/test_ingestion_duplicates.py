"""Every row is accepted, a duplicate or rejected: which one stays, and that the counts agree."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.schemas import INGESTION_COUNTS
from vidagg_dagster.core.vocabulary import EVENT_NAMES, REASONS
from vidagg_dagster.metrics.ingestion import accepted, ingestion_counts, rejected
from vidagg_dagster_tests.support.judged_rows import DAY, GOOD, START, judged, source


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


def test_the_same_sender_id_is_a_duplicate_within_user_session_video_name_and_day(
    spark: SparkSession,
) -> None:
    rows: list[dict[str, Any]] = [
        {"eventId": "e", "timestamp": "2024-03-05T10:00:02Z"},
        {"eventId": "e", "timestamp": "2024-03-05T10:00:01Z"},
        {"eventId": " e ", "timestamp": "2024-03-05T10:00:03Z", "currentTime": "9"},
        {"eventId": "e", "timestamp": "2024-03-06T10:00:00Z"},
        {"eventId": "e", "timestamp": "2024-03-05T10:00:02Z", "userId": "b"},
        {"eventId": "e", "timestamp": "2024-03-05T10:00:02Z", "sessionId": "b"},
        {"eventId": "e", "timestamp": "2024-03-05T10:00:02Z", "videoId": "b"},
        {"eventId": "e", "timestamp": "2024-03-05T10:00:02Z", "eventName": "pause"},
        {"eventId": "E", "timestamp": "2024-03-05T10:00:05Z"},
        *({"eventId": word, "userId": "c", "currentTime": "1"} for word in (None, "")),
        *({"eventId": word, "userId": "d"} for word in ("NULL",)),
        {"eventId": "NULL", "userId": "d", "currentTime": "7"},
    ]
    assert outcomes(spark, rows) == [
        "duplicate",
        "accepted",
        "duplicate",
        *["accepted"] * 7,
        "duplicate",
        *["accepted"] * 2,
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


def test_the_row_that_says_most_stays(spark: SparkSession) -> None:
    seek = {"eventName": "seek", "userId": "4"}
    rows: list[dict[str, Any]] = [
        {"userId": "1", "eventId": None},
        {"userId": "1", "eventId": "b"},
        {"userId": "1", "eventId": "a"},
        {"userId": "2", "playbackRate": None},
        {"userId": "2", "playbackRate": "2", "eventId": "a"},
        {"userId": "2", "playbackRate": "1.5"},
        {"userId": "3"},
        {"userId": "3"},
        {**seek, "playbackRate": "1"},
        {**seek, "seekFrom": "12", "playbackRate": "2"},
        {**seek, "seekFrom": "12"},
        {**seek, "seekFrom": "13", "playbackRate": "1"},
        # Of no seek a seekFrom means nothing.
        {"userId": "5", "seekFrom": "12"},
        {"userId": "5", "playbackRate": "1"},
        # One id, two times: what says more stays, also if it is later.
        {"userId": "6", "eventId": "e"},
        {"userId": "6", "eventId": "e", "timestamp": "2024-03-05T10:00:05Z", "playbackRate": "1"},
    ]
    stays = [at for at, found in enumerate(outcomes(spark, rows)) if found == "accepted"]
    assert stays == [2, 5, 6, 9, 13, 15]


def test_rows_of_a_name_to_ignore_are_counted_and_are_neither_event_nor_rejected(
    spark: SparkSession,
) -> None:
    rows: list[dict[str, Any]] = [
        {"eventName": "Hover", "userId": None},
        {"eventName": "hover"},
        {"eventName": "hover"},
        {"eventName": "pauseStart"},
        {"eventName": "play"},
        {"eventName": "hover", "malformed": True},
    ]
    names = {"hover": "ignore", "pausestart": "video_pause", "play": "ignore"}
    classified = judged(source(spark, rows), event_names=names)
    assert Counter(row.outcome for row in classified.collect()) == {
        "ignored": 4,
        "accepted": 1,
        "rejected": 1,
    }
    assert [row.eventName for row in accepted(classified).collect()] == ["video_pause"]
    counted = Counter[str]()
    for row in ingestion_counts(classified).collect():
        counted[row.measure] += row.value
    assert (counted["input"], counted["ignored"], counted["rejected:missing_user"]) == (6, 4, 0)


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

    def says_most(row: dict[str, Any]) -> tuple[Any, ...]:
        parts = order(row)
        return (*parts[8:10], parts[0], parts[5], *parts[6:8], parts[10])

    keys: set[Any] = set()
    ids: set[Any] = set()
    result: Counter[tuple[Any, ...]] = Counter()
    for row in sorted(rows, key=says_most):
        key = order(row)[:6]
        named = (row["timestamp"][:10], *key[1:5], row["eventId"])
        again = key in keys or named in ids
        keys.add(key)
        if row["eventId"] is not None:
            ids.add(named)
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
            "eventId": dice.choice([None, None, *(f"e{n}" for n in range(6))]),
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
            *("input", "accepted", "duplicates", "ignored", "rejected"),
            *(f"rejected:{reason}" for reason in REASONS),
        }
        parts = ("accepted", "duplicates", "ignored", "rejected")
        assert of_day["input"] == sum(of_day[part] for part in parts)
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
