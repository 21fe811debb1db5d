"""The pages of the documentation, as tests read them."""

import re
from collections.abc import Iterator
from pathlib import Path


def shell_lines(page: Path) -> Iterator[str]:
    for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        yield from (line for line in block.splitlines() if line.strip())
