"""The pages of the documentation, as tests read them."""

import re
from collections.abc import Iterator
from pathlib import Path

from vidagg_dagster_tests.support.repository import REPO

PAGES = (REPO / "README.md", *sorted((REPO / "docs").rglob("*.md")))


def shell_lines(page: Path) -> Iterator[str]:
    for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        yield from (line for line in block.splitlines() if line.strip())


COMMANDS = [
    line
    for page in PAGES
    if page.name
    != "databricks.md"  # whose commands need a workspace: end_to_end/slow/test_databricks
    for line in shell_lines(page)
]
