"""A few rejected rows of each day for people to look at, without the ids of people.

What is shown ends in Dagster's history, where nobody looks for a user who wants to be forgotten. So
of the columns only those are shown that name no person, and only where the row can be read.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from pyspark.sql import Window
from pyspark.sql import functions as F

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.core.schemas import EVENT_DATE, REJECTED_EVENTS
from vidagg_dagster.tables.interface import Tables

MAX_ROWS: Final = 5
MAX_TEXT: Final = 40

_SHOWN: Final = ("timestamp", "videoId", "eventName", "currentTime")
_ONLY_WHETHER: Final = ("userId", "sessionId")
_PLACE: Final = "__place"


def rejected_samples(
    tables: Tables, counted: Mapping[date, Mapping[str, int]], source: SourceSpec
) -> dict[date, list[dict[str, Any]]]:
    """Up to `MAX_ROWS` rejected rows of each day that has any, of as many reasons as possible."""
    days = [day for day, counts in counted.items() if counts.get("rejected")]
    found: dict[date, list[dict[str, Any]]] = {day: [] for day in days}
    if not days:
        return found
    again = Window.partitionBy(EVENT_DATE, F.concat_ws(",", "reasons")).orderBy("payload")
    ranked = (
        tables.read(REJECTED_EVENTS, days)
        .withColumn("__again", F.row_number().over(again))
        .withColumn(
            _PLACE,
            F.row_number().over(
                Window.partitionBy(EVENT_DATE).orderBy(
                    "__again", F.concat_ws(",", "reasons"), "payload"
                )
            ),
        )
        .where(F.col(_PLACE) <= MAX_ROWS)
        .orderBy(EVENT_DATE, _PLACE)
    )
    for row in ranked.collect():
        found[row[EVENT_DATE]].append(
            {"reasons": ", ".join(row["reasons"]), **_without_ids(row["payload"], source)}
        )
    return found


def _without_ids(payload: str | None, source: SourceSpec) -> dict[str, str]:
    try:
        row = json.loads(payload or "")
    except ValueError:
        row = None
    if not isinstance(row, dict) or source.mapping is not None:
        return dict.fromkeys((*_SHOWN, *_ONLY_WHETHER), "")
    names = {ours: source.columns.get(ours, ours) for ours in (*_SHOWN, *_ONLY_WHETHER)}
    shown = {ours: _text(_value(row, names[ours])) for ours in _SHOWN}
    there = {ours: "there" if _text(_value(row, names[ours])) else "" for ours in _ONLY_WHETHER}
    return shown | there


def _value(row: Mapping[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    text = "" if value is None or isinstance(value, dict | list) else str(value).strip()
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
