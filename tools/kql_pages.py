"""The folder `docs/kql`: every query ready to be pasted. `python -m tools.kql_pages` writes it."""

import sys
from pathlib import Path

from vidagg_dagster.azure.pack import QUERIES, SOURCES, question, render

FOLDER = Path("docs", "kql")

_HEAD = """\
# KQL, ready to be pasted

Each file is one whole query: open *Logs* of an Application Insights resource, paste it, run it. It
takes the last seven days, today included, by UTC; change `FirstDay` and `LastDay`, and fill in
`Videos` for percentages, scores and tiers. For a Log Analytics workspace, other days or your own
thresholds let `vidagg kql render` write the text. [azure.md](../azure.md) says what the numbers
claim.

| query | what it answers |
|---|---|
"""


def pages() -> dict[str, str]:
    """File name -> its text."""
    index = _HEAD + "".join(
        f"| [{query}]({query}.kql) | {question(query).replace('|', chr(92) + '|')} |\n"
        for query in QUERIES
    )
    return {"README.md": index} | {f"{query}.kql": render(query, SOURCES[0]) for query in QUERIES}


def main() -> int:
    """Write the folder of the working directory."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        if old.name not in pages():
            old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
