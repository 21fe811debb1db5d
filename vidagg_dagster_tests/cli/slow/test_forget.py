"""`vidagg forget` leaves no byte of a user, and everything of the others."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import StepName
from vidagg_dagster.core.mentions import Mentions
from vidagg_dagster.core.schemas import (
    INGESTION_COUNTS,
    RAW_EVENTS,
    SOURCE_INVENTORY,
    TABLES,
    TableSpec,
)
from vidagg_dagster.defs.verification import rows_told
from vidagg_dagster.pipeline.run import run_step
from vidagg_dagster.pipeline.verify import verify
from vidagg_dagster.report.page import write_page
from vidagg_dagster.report.scope import FILE
from vidagg_dagster.tables import erasure
from vidagg_dagster.tables.staging import Staged, moved_in
from vidagg_dagster_tests.support.byte_search import files_that_hold
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.small_site import Row, Site, anna, day, peter, write_site
from vidagg_dagster_tests.support.stored_rows import rows

USER = "zoë o'brien"
OTHER = "zoë o'brien-smith"
DAYS = [day(0), day(1)]


def named(steps: list[Row], user: str) -> list[Row]:
    return [
        {**row, "userId": user, "sessionId": f"{user}-{row['timestamp'][:10]}"} for row in steps
    ]


def rejected(when: str) -> list[Row | str]:
    return [
        {"timestamp": f"{when}T08:00:00Z", "userId": USER, "eventName": "video_play"},
        f'{{"timestamp": "{when}T08:00:00Z", "userId": "{USER}", broken',
        {"timestamp": f"{when}T08:00:00Z", "userId": "", "note": f"was {USER}", "videoId": "v"},
        {"timestamp": f"{when}T08:00:00Z", "userId": OTHER, "eventName": "video_play"},
    ]


def stored_site(spark: SparkSession, folder: Path) -> Site:
    """Two days of three users, each written twice, so that there is history."""
    site = write_site(folder, len(DAYS))
    for when in DAYS:
        others = [*anna(when), *named(peter(when), OTHER)]
        site.write_day(when, [*named(peter(when), USER), *others, *rejected(str(when))])
    for step in (StepName.RAW_EVENTS, *StepName):
        run_step(spark, site.request(step, DAYS))
    leftover = site.tables / "sessions" / "staging-0123" / "rows"
    shutil.copytree(site.tables / "sessions" / f"event_date={day(0)}", leftover)
    return site


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Dagster's history, with an error that quotes the user."""

    @dg.asset
    def failing() -> None:
        print("printed", USER)
        raise ValueError(f"key userId={USER!r} is repeated")

    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(REPO / "dagster.yaml", folder)
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        dg.materialize([failing], instance=instance, raise_on_error=False)
    return folder


def forget(site: Site, home: Path | None, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vidagg_dagster.cli.main", "forget", USER, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO),
            "VIDAGG_DATA_ROOT": str(site.tables),
            "VIDAGG_SOURCE": str(site.events),
            **({} if home is None else {"DAGSTER_HOME": str(home)}),
        },
        cwd=site.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def without_user(site: Site) -> None:
    for when in DAYS:
        path = site.events / f"{when}.jsonl"
        lines = path.read_text().splitlines()
        escaped = json.dumps(USER)[1:-1]
        kept = [x for x in lines if OTHER in x or json.dumps(OTHER)[1:-1] in x]
        kept += [x for x in lines if USER not in x and escaped not in x]
        path.write_text("".join(f"{line}\n" for line in kept))


def counts(spark: SparkSession, site: Site) -> dict[str, int]:
    return {
        row.split("'measure': '")[1].split("'")[0]: int(row.split("'value': ")[1].rstrip("}"))
        for row in rows(spark, site, INGESTION_COUNTS)
        if repr(day(0)) in row
    }


def compared() -> Iterator[TableSpec]:
    """Tables that a forgotten user leaves as if the user had never been in the source."""
    for table in TABLES.values():
        counted = ("rejected_events", INGESTION_COUNTS.name, "quality_report")
        if table.name not in (*counted, SOURCE_INVENTORY.name):
            yield table


def test_no_byte_of_the_user_is_left_and_all_others_are_as_they_were(
    sail: SparkSession, tmp_path: Path, home: Path
) -> None:
    site = stored_site(sail, tmp_path / "site")
    assert len(files_that_hold(site.tables, f"{USER}-2026")) >= 9
    assert files_that_hold(home, USER)
    before = counts(sail, site)
    page = site.tables / FILE
    write_page(site.tables, page)

    code, out, err = forget(site, home, "--dry-run")
    assert (code, err) == (0, "")
    assert "raw_events: 12 rows of 2 days would be erased" in out
    assert counts(sail, site) == before
    assert page.exists()

    code, out, err = forget(site, home, "--json")
    assert (code, err) == (1, "")
    assert USER not in out
    receipt: dict[str, Any] = json.loads(out)
    assert [place["name"] for place in receipt["source"]] == [f"{when}.jsonl" for when in DAYS]
    assert (receipt["remaining"], receipt["not_searched"]) == ([], [])
    assert {table["table"]: table["rows"] for table in receipt["tables"]} == {
        "raw_events": 12,
        "rejected_events": 6,
        "sessions": 2,
        "watch_intervals": 6,
        "user_video_engagement": 2,
        "aggregated_user_video_engagement": 1,
    }
    for table in receipt["tables"]:
        stored = DeltaTable(str(site.tables / table["table"])).version()
        assert table["version_before"] < table["version_after"] <= stored
    assert receipt["history_files"] > 10
    assert receipt["page_removed"]
    assert not page.exists()
    left = set(files_that_hold(site.tables, USER)) | set(files_that_hold(home, USER))
    assert left == set(files_that_hold(site.tables, OTHER)) | set(files_that_hold(home, OTHER))
    assert files_that_hold(site.tables, f"{USER}-2026") == []
    assert not (site.tables / "sessions" / "staging-0123").exists()

    with dg.DagsterInstance.local_temp(str(home)) as instance:
        told = rows_told(instance)
    assert told["raw_events"] == dict.fromkeys(DAYS, 13)
    assert [finding.line for finding in verify(site.tables, told)] == []

    after = counts(sail, site)
    assert after["input"] == before["input"]
    assert after["accepted"] == before["accepted"] - 6
    assert after["ignored"] == after["ignored:erased"] == 6
    results = [run_step(sail, site.request(step, DAYS)) for step in list(StepName)[1:]]
    assert [o.rule for r in results for o in r.outcomes if not o.passed] == []

    clean = Site(tmp_path / "clean")
    shutil.copytree(site.events, clean.events)
    shutil.copy(site.videos, clean.videos)
    without_user(clean)
    for step in StepName:
        run_step(sail, clean.request(step, DAYS))
    for table in compared():
        assert rows(sail, site, table) == rows(sail, clean, table), table.name

    without_user(site)
    code, out, _ = forget(site, home)
    assert code == 0
    assert out.endswith("Nothing that is stored mentions the user any more.\n")


@pytest.mark.parametrize("checkpointed", [False, True])
def test_what_another_program_wrote_into_the_log_is_erased_too(
    sail: SparkSession, tmp_path: Path, checkpointed: bool
) -> None:
    site = write_site(tmp_path / "site", 1)
    site.write_day(day(0), [*anna(day(0)), *named(peter(day(0)), USER)])
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    place = site.tables / RAW_EVENTS.name
    before = rows(sail, site, RAW_EVENTS)
    table = DeltaTable(str(place))
    table.alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "32"})
    write_deltalake(table, table.to_pyarrow_table(), mode="overwrite")
    if checkpointed:
        table.create_checkpoint()
    assert any(name.startswith("_delta_log") for name in files_that_hold(place, USER))
    assert rows(sail, site, RAW_EVENTS) == before
    forget(site, None)
    assert files_that_hold(site.tables, USER) == []
    assert rows(sail, site, RAW_EVENTS) == [row for row in before if "anna" in row]


def test_what_cannot_be_searched_is_said(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 1)
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    code, out, _ = forget(site, None)
    assert code == 1
    assert "NOT SEARCHED: Dagster's history: DAGSTER_HOME is not set to a folder" in out


def test_packed_files_of_the_source_are_searched_too(sail: SparkSession, tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 1)
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    line = json.dumps({"userId": USER}).encode()
    (site.events / "late.jsonl.gz").write_bytes(gzip.compress(line + b"\n" + line))
    code, out, _ = forget(site, None)
    assert code == 1
    assert "STILL IN THE SOURCE: late.jsonl.gz: 2 (a run of its days" in out


def test_a_folder_without_tables_gives_no_receipt(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 1)
    code, out, err = forget(site, None)
    assert (code, out) == (2, "")
    assert f"there are no tables in {site.tables}" in err


@pytest.mark.parametrize("commits", [0, 1, 3])
def test_an_erasure_that_is_killed_is_completed_by_the_next(
    sail: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    site = stored_site(sail, tmp_path / "site")
    before = counts(sail, site)
    left = iter(range(commits))

    def killed_after_some(folder: Path, staged: Staged) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return moved_in(folder, staged)

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "moved_in", killed_after_some)
        with pytest.raises(KeyboardInterrupt):
            list(erasure.erase(site.tables, Mentions(USER), dry_run=False))
    list(erasure.erase(site.tables, Mentions(USER), dry_run=False))
    erasure.erase_history(site.tables, Mentions(USER), dry_run=False)
    assert files_that_hold(site.tables, f"{USER}-2026") == []
    assert verify(site.tables) == []
    after = counts(sail, site)
    assert after["input"] == before["input"]
    assert after["accepted"] == before["accepted"] - 6
    assert after["ignored:erased"] == 6


def test_nothing_is_forgotten_while_a_run_is_active(
    sail: SparkSession, tmp_path: Path, home: Path
) -> None:
    site = write_site(tmp_path / "site", 1)
    run_step(sail, site.request(StepName.RAW_EVENTS, [day(0)]))
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        started = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
    before = DeltaTable(str(site.tables / RAW_EVENTS.name)).version()
    code, _, err = forget(site, home)
    assert code == 1
    assert f"The run {started.run_id} is active" in err
    assert forget(site, home, "--dry-run")[0] == 0
    assert DeltaTable(str(site.tables / RAW_EVENTS.name)).version() == before
