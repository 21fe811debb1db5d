"""New files of a folder: each is taken in once, whatever happened to the process before."""

import json
import os
import random
import shlex
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import TableStore
from vidagg_dagster.core.errors import SourceError, StepError
from vidagg_dagster.core.schemas import LIVE_EVENTS, LIVE_TABLES, LIVE_USER_VIDEO
from vidagg_dagster.live.batch import Batch, LiveTables
from vidagg_dagster.live.folder import recent_files, take_new_files
from vidagg_dagster.live.notes import read_notes, write_notes
from vidagg_dagster.live.upkeep import BETWEEN, keep_live_tables_small
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster.tables.delta_log import live_files, open_table
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


def test_new_and_grown_files_are_taken_in_and_others_are_not(
    sail: SparkSession, tmp_path: Path
) -> None:
    site = live_site(tmp_path)
    request = request_of(site, files_at_once=2)
    for number, lines in enumerate(cut(LINES[:9], random.Random(3))):
        deliver(site, f"{number}.jsonl", lines)
    count = len(recent_files(request, NOW))
    assert len(list(take_new_files(sail, request, NOW))) == -(-count // 2)
    assert list(take_new_files(sail, request, NOW)) == []
    deliver(site, "0.jsonl", LINES[:12])
    [taken] = take_new_files(sail, request, NOW)
    assert taken.input == 12
    whole = live_site(tmp_path / "whole")
    deliver(whole, "all.jsonl", LINES[:12])
    assert len(list(take_new_files(sail, request_of(whole), NOW))) == 1
    assert live_rows(sail, site) == live_rows(sail, whole)


@pytest.mark.parametrize("killed", ["before its rows were kept", "after", "and a file is gone"])
def test_a_batch_in_which_the_process_was_killed_is_taken_again(
    sail: SparkSession, tmp_path: Path, whole: Site, killed: str
) -> None:
    site = live_site(tmp_path)
    request = request_of(site)
    deliver(site, "a.jsonl", LINES[:6])
    deliver(site, "b.jsonl", LINES[6:12])
    list(take_new_files(sail, request, NOW))
    first = read_notes(request.notes_folder)
    deliver(site, "c.jsonl", LINES[12:20])
    deliver(site, "d.jsonl", LINES[20:])
    begun = {n: state for n, state in recent_files(request, NOW).items() if n in "c.jsonl d.jsonl"}
    write_notes(request.notes_folder, first.model_copy(update={"begun": begun}))
    if killed != "before its rows were kept":
        # What is left of a process that was killed right after its rows were kept.
        live = LiveTables(sail, request)
        live.take(Batch(first.writer, first.taken + 1, sorted(begun)), NOW)
        kept = len(table_rows(sail, site, LIVE_EVENTS))
    if killed == "and a file is gone":
        (site.events / "d.jsonl").unlink()
    list(take_new_files(sail, request, NOW))
    assert live_rows(sail, site) == live_rows(sail, whole)
    if killed != "before its rows were kept":
        assert len(table_rows(sail, site, LIVE_EVENTS)) == kept
    assert read_notes(request.notes_folder).begun == {}


def test_other_rules_compute_all_rows_anew(sail: SparkSession, tmp_path: Path) -> None:
    site = live_site(tmp_path)
    deliver(site, "a.jsonl", LINES)
    list(take_new_files(sail, request_of(site), NOW))
    before = table_rows(sail, site, LIVE_USER_VIDEO)
    titles = {row["videoTitle"] for row in before}
    site.videos.write_text('{"videoId": "video_001", "duration": 200, "title": "Hello"}\n')
    assert list(take_new_files(sail, request_of(site), NOW)) == []
    after = table_rows(sail, site, LIVE_USER_VIDEO)
    assert titles == {"Welcome", "Trailer"}
    assert {row["videoTitle"] for row in after} == {"Hello", None}
    assert len(after) == len(before)


def test_files_of_long_ago_are_not_even_read(tmp_path: Path) -> None:
    site = live_site(tmp_path)
    request = request_of(site)
    old = site.events / deliver(site, "old.jsonl", LINES)
    deliver(site, "new.jsonl", LINES)
    kept_from = request.first_instant(NOW)
    for name, when in (("old.jsonl", kept_from - timedelta(seconds=1)), ("new.jsonl", kept_from)):
        os.utime(site.events / name, (when.timestamp(), when.timestamp()))
    assert old.exists()
    assert [*recent_files(request, NOW)] == ["new.jsonl"]


def test_what_is_no_folder_of_files_is_refused(sail: SparkSession, tmp_path: Path) -> None:
    site = live_site(tmp_path)
    request = request_of(site)
    name = deliver(site, "a.jsonl", LINES)
    one_file = request.source.model_copy(update={"location": str(site.events / name)})
    with pytest.raises(SourceError, match="VIDAGG_LIVE"):
        recent_files(request.model_copy(update={"source": one_file}), NOW)
    elsewhere = request.model_copy(
        update={"store": TableStore(kind="local", location="s3://bucket/tables")}
    )
    with pytest.raises(StepError, match="folder of this machine"):
        list(take_new_files(sail, elsewhere, NOW))


def test_a_folder_that_is_not_there_yet_has_no_files(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert recent_files(request_of(site), NOW) == {}


def test_notes_that_cannot_be_read_are_new_ones(tmp_path: Path) -> None:
    notes = read_notes(tmp_path)
    write_notes(tmp_path, notes)
    assert read_notes(tmp_path) == notes
    (tmp_path / "notes.json").write_text(json.dumps({"other": "version"}))
    assert read_notes(tmp_path).writer != notes.writer


def test_tables_are_kept_small_and_keep_their_rows(sail: SparkSession, tmp_path: Path) -> None:
    site = live_site(tmp_path)
    live = LiveTables(sail, request_of(site))
    for number in range(1, 4):
        name = deliver(site, f"{number}.jsonl", LINES[number * 4 : number * 4 + 4])
        live.take(Batch("w", number, [name]), NOW)
    before = live_rows(sail, site)
    assert keep_live_tables_small(site.tables, NOW)
    assert not keep_live_tables_small(site.tables, NOW + BETWEEN / 2)
    assert live_rows(sail, site) == before
    for name in LIVE_TABLES:
        snapshot = open_table(site.tables / name)
        assert snapshot is not None
        assert snapshot.metadata().configuration["delta.logRetentionDuration"]
        assert live_files(snapshot, site.tables / name)
    # Batches go on where they were.
    live.take(Batch("w", 3, ["3.jsonl"]), NOW)
    assert live_rows(sail, site) == before
    assert keep_live_tables_small(site.tables, NOW + BETWEEN)


@pytest.mark.parametrize("spoilt", ["a file", "the last commit", "the whole table"])
def test_what_verify_says_of_a_damaged_live_table_heals_it(
    sail: SparkSession, tmp_path: Path, spoilt: str
) -> None:
    site = live_site(tmp_path / "Meine Daten ü")
    request = request_of(site)
    deliver(site, "a.jsonl", LINES[:12])
    assert len(list(take_new_files(sail, request, NOW))) == 1
    rows = live_rows(sail, site)
    assert verify(site.tables) == []
    folder = site.tables / LIVE_USER_VIDEO.name
    if spoilt == "a file":
        snapshot = open_table(folder)
        assert snapshot is not None
        live_files(snapshot, folder)[0].path.unlink()
    elif spoilt == "the last commit":
        max((folder / "_delta_log").glob("*.json")).write_text("")
    else:
        shutil.rmtree(folder / "_delta_log")
    [finding] = verify(site.tables)
    removal, _, again = finding.command.partition(" && ")
    assert again == "vidagg live --once"
    subprocess.run(shlex.split(removal), check=True)
    assert len(list(take_new_files(sail, request, NOW))) == 1
    assert live_rows(sail, site) == rows
    assert verify(site.tables) == []
