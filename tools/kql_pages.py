"""The folder `docs/kql`: every query ready to be pasted. `python -m tools.kql_pages` writes it."""

import json
import sys
from pathlib import Path

from pyspark.sql import types as T

from vidagg_dagster.azure.export import TABLE, view
from vidagg_dagster.azure.pack import QUERIES, SOURCES, question, render
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT

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

_TAIL = """
For rows that are [sent to Azure](../azure.md#and-back): the columns of the
[custom table](VidaggEngagement_CL.json), the [view](engagement_view.kql) of one row per user and
video, and a [workbook](workbook.json) with four tiles over it.
"""

_TYPES = {
    T.StringType: "string",
    T.DoubleType: "real",
    T.LongType: "long",
    T.BooleanType: "boolean",
    T.TimestampType: "datetime",
    T.ArrayType: "dynamic",
}

_TILES = (
    (
        "Videos with the most viewers",
        "table",
        "| summarize uniqueViewers = count(), avgWatchPercentage = avg(watchPercentage),\n"
        "            watchedHours = sum(totalWatchTime) / 3600.0 by videoId\n"
        "| top 20 by uniqueViewers desc",
    ),
    (
        "Viewers by tier of engagement",
        "piechart",
        '| where engagementTier != ""\n| summarize pairs = count() by engagementTier',
    ),
    (
        "Power users",
        "table",
        "| summarize videosWatched = count(), watchedHours = sum(totalWatchTime) / 3600.0\n"
        "    by userId\n"
        "| top 20 by watchedHours desc",
    ),
    (
        "Where viewers stop who do not complete",
        "barchart",
        "| where completionCount == 0\n"
        "| summarize dropoffCount = count() by videoId, position = bin(maxPositionReached, 30.0)\n"
        "| top 50 by dropoffCount desc",
    ),
)
"""Title, how it is shown, and what follows the view."""


def pages() -> dict[str, str]:
    """File name -> its text."""
    index = _HEAD + "".join(
        f"| [{query}]({query}.kql) | {question(query).replace('|', chr(92) + '|')} |\n"
        for query in QUERIES
    )
    return {
        "README.md": index + _TAIL,
        **{f"{query}.kql": render(query, SOURCES[0]) for query in QUERIES},
        "engagement_view.kql": view(),
        f"{TABLE}.json": _json(_table()),
        "workbook.json": _json(_workbook()),
    }


def _table() -> dict[str, object]:
    """The custom table, as `az monitor` and data collection rules name its columns."""
    columns = [{"name": "TimeGenerated", "type": "datetime"}]
    columns += [
        {"name": column.name, "type": _TYPES[type(column.type)]}
        for column in AGGREGATED_ENGAGEMENT.columns
    ]
    return {"name": TABLE, "columns": columns}


def _workbook() -> dict[str, object]:
    """A workbook with a tile for each of `_TILES`."""
    items = [
        {
            "type": 3,
            "name": f"tile {number}",
            "content": {
                "version": "KqlItem/1.0",
                "title": title,
                "query": view().rstrip("\n") + "\n" + query,
                "size": 0,
                "queryType": 0,
                "resourceType": "microsoft.operationalinsights/workspaces",
                "visualization": shown,
            },
        }
        for number, (title, shown, query) in enumerate(_TILES)
    ]
    return {"version": "Notebook/1.0", "items": items, "isLocked": False}


def _json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2) + "\n"


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
