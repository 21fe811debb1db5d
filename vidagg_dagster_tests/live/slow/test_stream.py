"""Structured Streaming of JVM Spark: files, in pieces, with ends and starts in between."""

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.core.schemas import LIVE_EVENTS
from vidagg_dagster.live.batch import Batch, LiveTables, Taken
from vidagg_dagster.live.follow import Pace
from vidagg_dagster.live.stream import run_stream
from vidagg_dagster_tests.support.live_site import (
    NOW,
    all_lines,
    cut,
    deliver,
    live_rows,
    live_site,
    request_of,
    table_rows,
)
from vidagg_dagster_tests.support.small_site import Site

LINES = all_lines()


def stream(jvm: SparkSession, site: Site) -> list[Taken]:
    """What is there is taken in by a stream that starts and ends."""
    taken: list[Taken] = []
    run_stream(
        jvm,
        request_of(site, files_at_once=2),
        taken.append,
        Pace(1, once=True),
        clock=lambda: NOW,
    )
    return taken


def test_a_stream_that_ends_and_starts_again_gives_the_rows_of_one_batch(
    jvm: SparkSession, tmp_path: Path
) -> None:
    site = live_site(tmp_path / "Events ü")
    pieces = list(cut(LINES, random.Random(5)))
    rows = 0
    for number, lines in enumerate(pieces):
        deliver(site, f"piece {number}.jsonl", lines)
        if number % 2 or number == len(pieces) - 1:
            taken = stream(jvm, site)
            assert len(taken) == 1
            rows += taken[0].input
    assert rows == sum(map(len, pieces))
    assert stream(jvm, site) == []
    whole = live_site(tmp_path / "whole")
    deliver(whole, "all.jsonl", LINES)
    LiveTables(jvm, request_of(whole)).take(Batch("w", 1, ["all.jsonl"]), NOW)
    assert live_rows(jvm, site) == live_rows(jvm, whole)


def test_a_batch_whose_end_was_not_noted_comes_again_and_is_kept_once(
    jvm: SparkSession, tmp_path: Path
) -> None:
    site = live_site(tmp_path)
    deliver(site, "a.jsonl", LINES)
    [taken] = stream(jvm, site)
    kept, before = len(table_rows(jvm, site, LIVE_EVENTS)), live_rows(jvm, site)
    [checkpoint] = (site.tables / "live" / "checkpoint").iterdir()
    for note in (checkpoint / "commits").iterdir():
        note.unlink()  # killed before Spark noted that the batch was complete
    assert stream(jvm, site) == [taken]
    assert len(table_rows(jvm, site, LIVE_EVENTS)) == kept
    assert live_rows(jvm, site) == before


def test_a_file_that_cannot_be_read_ends_the_stream_with_its_name(
    jvm: SparkSession, tmp_path: Path
) -> None:
    site = live_site(tmp_path)
    (site.events / "cut.jsonl.gz").write_bytes(b"\x1f\x8b\x08 cut")
    with pytest.raises(SourceError, match=r"cut\.jsonl\.gz"):
        stream(jvm, site)
