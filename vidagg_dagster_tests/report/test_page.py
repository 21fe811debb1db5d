"""The page as text: languages, what is left out, what is not there, the command."""

import base64
import hashlib
import html
import os
import re
import stat
from pathlib import Path
from string import Formatter

import pytest
from deltalake import DeltaTable

from vidagg_dagster.cli.main import main
from vidagg_dagster.core.errors import OutputError, TableError
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    INSIGHT_TABLES,
    VIDEO_REACH,
)
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, INGESTION_COUNTS, WATCH_INTERVALS
from vidagg_dagster.report.language import LANGUAGES, LanguageName, language
from vidagg_dagster.report.page import write_page
from vidagg_dagster.report.scope import Scope
from vidagg_dagster_tests.support.report_site import IDLE, VIEWERS, write, write_tables
from vidagg_dagster_tests.support.repository import REPO

TEMPLATES = REPO / "vidagg_dagster" / "report" / "templates"


def written(tables: Path, file: Path, name: LanguageName = "en", *, users: bool = True) -> str:
    write_page(tables, file, scope=Scope(), name=name, with_users=users)
    return file.read_text(encoding="utf-8")


def test_the_languages_say_the_same_things() -> None:
    english, german = (language(name).texts for name in LANGUAGES)
    assert list(english) == list(german)
    for key, text in english.items():
        assert fields(text) == fields(german[key]), key


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_text_is_used() -> None:
    templates = "".join(file.read_text() for file in TEMPLATES.glob("*.html"))
    # Of some keys a template has the beginning only, such as `"of_" ~ one.name`.
    begun = [*re.findall(r'"(\w+_)" ~', templates), "finding_"]
    unused = [
        key
        for key in language("en").texts
        if f'"{key}"' not in templates and not key.startswith(tuple(begun))
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("name", "numbers", "percent", "day"),
    [
        ("en", ("1,234,567", "1,234.50"), "12.5\u202f%", "2026-01-05"),
        ("de", ("1.234.567", "1.234,50"), "12,5\u202f%", "05.01.2026"),
    ],
)
def test_numbers_are_written_as_the_language_does(
    name: LanguageName,
    numbers: tuple[str, str],
    percent: str,
    day: str,
    tables: Path,
    tmp_path: Path,
) -> None:
    form = language(name)
    assert (form.number(1_234_567), form.number(1234.5, 2)) == numbers
    assert form.percent(12.5, 1) == percent
    assert [form.number(None), form.percent(None), form.position(None)] == ["\u2013"] * 3
    assert [form.position(ms) for ms in (59_999, 245_000, 3_845_000)] == ["0:59", "4:05", "1:04:05"]
    page = written(tables, tmp_path / "page.html", name)
    assert f'<html lang="{name}">' in page
    assert day in page


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(page_file: Path) -> None:
    page = page_file.read_text(encoding="utf-8")
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="(.*?)"', page)[0])
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    [style] = re.findall(r"<style>(.*?)</style>", page, re.S)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.S)
    for kind, text in (("style-src", style), ("script-src", script)):
        found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[kind] == f"'sha256-{found}'"


def test_the_same_tables_give_the_same_page(tables: Path, page_file: Path, tmp_path: Path) -> None:
    assert written(tables, tmp_path / "again.html") == page_file.read_text(encoding="utf-8")


def test_only_a_page_without_users_is_for_everybody(tables: Path, tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        modes = [mode_of(tables, tmp_path / "page.html", users) for users in (True, False, True)]
    finally:
        os.umask(umask)
    assert modes == [0o600, 0o644, 0o600]


def mode_of(tables: Path, file: Path, users: bool) -> int:
    written(tables, file, users=users)
    return stat.S_IMODE(file.stat().st_mode)


def test_a_page_without_users_names_none(tables: Path, tmp_path: Path) -> None:
    page = written(tables, tmp_path / "page.html", users=False)
    assert [user for user in (*VIEWERS, IDLE) if user in html.unescape(page)] == []
    assert 'id="matrix"' not in page
    assert "Made without users." in page
    assert "stop for good" in page


def test_what_is_not_computed_is_said(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", without=[*INSIGHT_TABLES, WATCH_INTERVALS.name])
    page = written(tables, tmp_path / "page.html")
    assert "the table lifetime_video_engagement does not exist" in page
    assert 'id="v1"' not in page
    assert 'id="cohorts"' not in page
    assert 'id="matrix"' in page
    assert 'class="good"' in page


def test_counts_that_do_not_add_up_are_said(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    counts = DeltaTable(str(tables / INGESTION_COUNTS.name)).to_pyarrow_table().to_pylist()
    lost = [row | {"value": row["value"] + (row["measure"] == "input")} for row in counts]
    write(tables, INGESTION_COUNTS, lost)
    page = written(tables, tmp_path / "page.html")
    assert "The counts do not add up" in page
    assert 'class="good"' not in page


def test_what_nobody_has_told_has_no_place(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    for table in (AUDIENCE_STATUS, CHAPTER_ENGAGEMENT, ATTRIBUTE_COHORTS, VIDEO_REACH):
        write(tables, table, [])
    page = written(tables, tmp_path / "page.html")
    assert [
        text
        for text in ('id="audience"', 'id="reach"', "By plan", ">Chapters", "overdue come first")
        if text in page
    ] == []
    assert "audience_status" not in page
    full = written(write_tables(tmp_path / "full"), tmp_path / "full.html")
    assert 'id="audience"' in full
    assert ">Chapters" in full
    assert "overdue come first" in full


def test_tables_without_rows_give_a_page(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables")
    for table in [*INSIGHT_TABLES.values(), AGGREGATED_ENGAGEMENT, WATCH_INTERVALS]:
        if (tables / table.name).is_dir():
            write(tables, table, [])
    assert "<h1" in written(tables, tmp_path / "page.html")


def test_without_the_table_of_users_and_videos_there_is_no_page(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", without=[AGGREGATED_ENGAGEMENT.name])
    with pytest.raises(TableError, match="run days first"):
        written(tables, tmp_path / "page.html")


def test_a_page_that_cannot_be_written_leaves_nothing(tables: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OutputError, match=r"page\.html: .*--output"):
        written(tables, tmp_path / "page.html")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_the_command_writes_the_page_of_a_folder(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text(f"VIDAGG_DATA_ROOT={tables}\n")
    output = tmp_path / "page.html"
    options = ["--folder", str(tmp_path), "--output", str(output)]
    assert main(["report", *options, "--language", "de", "--videos", "2", "--users", "3"]) == 0
    assert re.fullmatch(rf"{output}: 2 videos, \d+ kB\n", capsys.readouterr().out)
    page = output.read_text(encoding="utf-8")
    assert "Die 2 meistgesehenen von 4 Videos" in page
    assert page.count('<tr><th scope="row">', page.index('class="matrix"')) >= 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--output", "nowhere/page.html"], "name a file in a folder that exists"),
        (["--folder", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_the_command_says_what_is_wrong(
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", *options]) == 2
    assert said in capsys.readouterr().err
