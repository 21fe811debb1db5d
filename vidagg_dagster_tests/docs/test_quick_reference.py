"""docs/quick-reference.md: its generated parts are current, and its messages are those of today."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.quick_reference import PAGE, commands, quick_reference
from vidagg_dagster.cli.main import main
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.repository import REPO

TEXT = (REPO / PAGE).read_text(encoding="utf-8")
SAID = {
    "Missing columns": ["aggregate", "other_columns.jsonl", "--output", "rows.csv"],
    "no column is recognised as": ["init", "other_columns.jsonl"],
    "no row could be used": ["aggregate", "other_names.jsonl", "--output", "rows.csv"],
    "there are no tables in": ["query", "select 1"],
    "there is no such file or folder": ["aggregate", "missing.jsonl", "--output", "rows.csv"],
}
"""What the page quotes -> a command that says it."""


def test_the_generated_parts_are_current() -> None:
    assert quick_reference(TEXT) == TEXT, "run: make docs"


def test_every_command_has_a_line_that_says_what_it_does() -> None:
    assert {"aggregate", "query", "report", "verify"} <= set(commands())
    assert all(commands().values())


def test_the_code_is_that_of_the_page_of_notebooks() -> None:
    notebook = (REPO / "docs" / "notebook.md").read_text(encoding="utf-8")
    codes = re.findall(r"```python\n.*?```", TEXT, re.S)
    assert codes
    assert all(code in notebook for code in codes)


def test_every_quoted_message_has_its_command() -> None:
    _, _, table = TEXT.partition("## Troubleshooting\n")
    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.M)) == set(SAID)


@pytest.mark.parametrize(("message", "arguments"), SAID.items(), ids=SAID)
def test_a_command_says_what_the_page_quotes(
    message: str,
    arguments: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDAGG_ENGINE", "sail")
    other = [{"at": row["timestamp"], "who": row["userId"]} for row in peter.EVENTS]
    Path("other_columns.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in other))
    events = peter.write_events(Path("other_names.jsonl"))
    events.write_text(events.read_text().replace("video_p", "our_p").replace("video_r", "our_r"))
    assert main(arguments) in (2, 3)
    assert message in capsys.readouterr().err
