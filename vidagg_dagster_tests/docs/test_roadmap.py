"""docs/roadmap.md: each phase ends with commands that exist. The slow lane runs the demo's."""

import argparse
import re
import shlex

import pytest

from vidagg_dagster.cli.main import COMMANDS
from vidagg_dagster_tests.support.repository import REPO

TEXT = (REPO / "docs" / "roadmap.md").read_text(encoding="utf-8")
PHASES = dict(re.findall(r"^## (\d [^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))
LINES = [
    line
    for block in re.findall(r"^```(?:sh|text)\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.splitlines()
]


def test_every_phase_has_a_row_and_its_exit_is_a_command() -> None:
    assert list(PHASES) == re.findall(r"^\| \[(\d [^\]]+)\]", TEXT, re.M)
    assert [title[0] for title in PHASES] == [str(number + 1) for number in range(len(PHASES))]
    for title, text in PHASES.items():
        _, found, rest = text.partition("**Done when**")
        assert found, title
        assert re.search(r"^```(?:sh|text)\n", rest, re.M), title


@pytest.mark.parametrize("line", LINES)
def test_every_command_is_understood_with_all_its_options(line: str) -> None:
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    assert words[0].removeprefix(".venv/bin/") == "vidagg"
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for add in COMMANDS:
        add(commands)
    assert parser.parse_args(words[1:]).run
