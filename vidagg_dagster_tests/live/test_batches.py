"""However events arrive: the live tables are those of one batch, and those of the daily run."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.errors import SettingsError, SourceError
from vidagg_dagster.core.schemas import (
    EVENT_DATE,
    LIVE_EVENTS,
    LIVE_USER_VIDEO,
    LIVE_VIDEOS,
    USER_VIDEO_ENGAGEMENT,
)
from vidagg_dagster.live.batch import Batch, LiveTables
from vidagg_dagster.live.compare import compare_closed_days
from vidagg_dagster.sources.mappings.vocabularies import find_mapping
from vidagg_dagster.tables.open import open_tables
from vidagg_dagster_tests.support.live_site import (
    DAYS,
    NOW,
    all_lines,
    deliver,
    live_rows,
    live_site,
    request_of,
    table_rows,
)
from vidagg_dagster_tests.support.small_site import Site, day

LINES = all_lines()


def test_any_batches_in_any_order_with_repeats_are_one_batch(
    sail: SparkSession, tmp_path: Path, whole: Site
) -> None:
    """In two pieces here; in any pieces, with kills in between, in slow/test_kills."""
    site, shuffled = live_site(tmp_path), random.Random(1).sample(LINES, len(LINES))
    live, half = LiveTables(sail, request_of(site)), len(LINES) // 2
    for number, lines in enumerate([shuffled[half - 5 :], shuffled[: half + 5]], start=1):
        live.take(Batch("w", number, [deliver(site, f"{number}.jsonl", lines)]), NOW)
    assert live_rows(sail, site) == live_rows(sail, whole)


def test_the_rows_are_those_of_the_daily_run(sail: SparkSession, whole: Site) -> None:
    compared = compare_closed_days(whole.tables, day(0))
    assert [one.day for one in compared] == [day(number) for number in range(DAYS)]
    assert all(one.equal and one.rows for one in compared)
    daily = {
        (row[EVENT_DATE], row["userId"], row["videoId"]): row
        for row in table_rows(sail, whole, USER_VIDEO_ENGAGEMENT)
    }
    live = table_rows(sail, whole, LIVE_USER_VIDEO)
    assert {(row[EVENT_DATE], row["userId"], row["videoId"]) for row in live} >= {*daily}
    for row in live:
        of_day = daily.get((row[EVENT_DATE], row["userId"], row["videoId"]))
        # On the day after the last one there is only what the evening before left open.
        assert (of_day is None) == (row[EVENT_DATE] == day(DAYS))
        if of_day is not None:
            assert {name: row[name] for name in of_day if name != "processedAt"} == {
                name: value for name, value in of_day.items() if name != "processedAt"
            }


def test_minutes_add_up_to_what_was_watched(sail: SparkSession, whole: Site) -> None:
    pairs = table_rows(sail, whole, LIVE_USER_VIDEO)
    assert sum(len(row["minutes"]) for row in pairs) > 20
    for row in pairs:
        watched = sum(minute["watchMs"] for minute in row["minutes"])
        assert watched == round(row["totalWatchTime"] * 1000)
        assert row["minutes"] == sorted(row["minutes"], key=lambda minute: minute["minute"])
        assert sum(minute["starts"] for minute in row["minutes"]) == row["sessionCount"]
    by_minute: dict[Any, dict[str, int]] = {}
    for row in pairs:
        for minute in row["minutes"]:
            sums = by_minute.setdefault((row[EVENT_DATE], row["videoId"], minute["minute"]), {})
            for name in ("watching", "starts", "stops", "watchMs"):
                sums[name] = sums.get(name, 0) + minute[name]
    videos = table_rows(sail, whole, LIVE_VIDEOS)
    assert len(videos) == len(by_minute)
    for row in videos:
        expected = by_minute[row[EVENT_DATE], row["videoId"], row["minute"]]
        assert {name: row[name] for name in expected} == expected


def test_peters_minutes_are_those_worked_out_by_hand(sail: SparkSession, whole: Site) -> None:
    [peter] = [
        row
        for row in table_rows(sail, whole, LIVE_USER_VIDEO)
        if row["userId"] == "peter" and row[EVENT_DATE] == day(1)
    ]
    # Plays 10:00:00-10:00:30, 10:00:35-10:02:05 and 10:02:10-10:02:20.
    assert [
        (f"{minute['minute']:%H:%M}", *(minute[name] for name in ("starts", "stops", "watchMs")))
        for minute in peter["minutes"]
    ] == [("10:00", 1, 0, 55_000), ("10:01", 0, 0, 60_000), ("10:02", 0, 1, 15_000)]
    assert f"{peter['asOf']:%H:%M:%S}" == "10:02:20"


def test_a_batch_is_kept_once(sail: SparkSession, tmp_path: Path) -> None:
    site = live_site(tmp_path)
    name = deliver(site, "one.jsonl", LINES[:6])
    for _ in range(2):
        # Another process, after the first one was killed.
        LiveTables(sail, request_of(site)).take(Batch("w", 1, [name]), NOW)
    assert len(table_rows(sail, site, LIVE_EVENTS)) == 6


def test_lines_that_are_no_json_are_rejected_and_what_comes_later_is_taken_in(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = live_site(tmp_path)
    live = LiveTables(sail, request_of(site))
    junk = live.take(Batch("w", 1, [deliver(site, "1.jsonl", ['{"cut', "junk"])]), NOW)
    assert (junk.input, junk.rejected, junk.events, junk.days) == (2, 2, 0, ())
    assert live.take(Batch("w", 2, [deliver(site, "2.jsonl", LINES[:6])]), NOW).events == 6
    other = [deliver(site, "3.jsonl", ['{"user": "anna"}'])]
    with pytest.raises(SourceError, match="Missing columns"):
        live.take(Batch("w", 3, other), NOW)


def test_the_comparison_finds_a_row_that_was_tampered_with(
    sail: SparkSession, tmp_path: Path, whole: Site
) -> None:
    site = Site(tmp_path)
    shutil.copytree(whole.tables, site.tables)
    tables = open_tables(sail, request_of(site).store)
    stored = table_rows(sail, site, LIVE_USER_VIDEO)
    of_day = [row for row in stored if row[EVENT_DATE] == day(1)]
    changed = [{**of_day[0], "pauseCount": 7}, {**of_day[1], "userId": "mallory"}, *of_day[2:]]
    values = [tuple(row[column] for column in LIVE_USER_VIDEO.column_names) for row in changed]
    frame = sail.createDataFrame(values, LIVE_USER_VIDEO.struct)
    tables.replace_days(LIVE_USER_VIDEO, frame, [day(1)])
    first, second, third = compare_closed_days(site.tables, day(0))
    assert first.equal
    assert third.equal
    assert (second.rows, second.differing, second.columns) == (len(of_day), 1, ("pauseCount",))
    assert (second.only_live, second.only_daily) == (1, 1)
    assert compare_closed_days(site.tables, day(2)) == [third]


def test_days_that_have_grown_too_old_go_and_their_late_events_are_counted(
    sail: SparkSession, tmp_path: Path, whole: Site
) -> None:
    site = live_site(tmp_path)
    shutil.copytree(whole.tables, site.tables)
    name = deliver(site, "one.jsonl", LINES)
    # Today and no other day; of yesterday only the events, as what today begins with.
    taken = LiveTables(sail, request_of(site, days=1)).take(Batch("w", 2, [name]), NOW)
    assert taken.input == taken.events + taken.ignored + taken.rejected + taken.too_old
    assert taken.too_old == sum(f'"{day(0)}T' in line for line in LINES)
    days = {row[EVENT_DATE] for row in table_rows(sail, site, LIVE_EVENTS)}
    assert days == {day(1), day(2)}
    for table in (LIVE_USER_VIDEO, LIVE_VIDEOS):
        assert min(row[EVENT_DATE] for row in table_rows(sail, site, table)) == day(2)


def test_a_vocabulary_that_lives_by_the_order_of_rows_is_refused(
    sail: SparkSession, tmp_path: Path
) -> None:
    request = request_of(live_site(tmp_path))
    for name, refused in (("html5", False), ("edx", True)):
        mapping = find_mapping(name)
        assert mapping.in_sequence == refused
        source = SourceSpec(location=request.source.location, mapping=mapping)
        of_vocabulary = request.model_copy(update={"source": source})
        if refused:
            with pytest.raises(SettingsError, match="VIDAGG_MAPPING"):
                LiveTables(sail, of_vocabulary)
        else:
            LiveTables(sail, of_vocabulary)
