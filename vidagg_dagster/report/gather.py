"""The queries of the page are asked here, and their answers become its contents."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.insight_schemas import (
    ATTRIBUTE_COHORTS,
    AUDIENCE_STATUS,
    CHAPTER_ENGAGEMENT,
    VIDEO_REACH,
)
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT
from vidagg_dagster.report.contents import Answers, Page, Video
from vidagg_dagster.report.language import Language
from vidagg_dagster.report.peaks import Peak, peaks, watched_by_users
from vidagg_dagster.report.queries import queries
from vidagg_dagster.report.read import Answer, Row, answerable, ask, ask_for_table
from vidagg_dagster.report.scope import Scope
from vidagg_dagster.tables.views import connect, table_names

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_OF_WHAT_IS_TOLD: Final = {
    table.name for table in (ATTRIBUTE_COHORTS, VIDEO_REACH, AUDIENCE_STATUS, CHAPTER_ENGAGEMENT)
}


def read_page(tables: Path, scope: Scope, texts: Language, *, with_users: bool = True) -> Page:
    """What the tables of a folder answer to the queries of the page.

    Raises:
        TableError: There are no tables, or none of users and videos.
    """
    if AGGREGATED_ENGAGEMENT.name not in table_names(tables):
        raise TableError(
            f"{tables}: there is no table {AGGREGATED_ENGAGEMENT.name}; run days first"
        )
    connection = connect(tables)
    try:
        there = tables_with_something(connection)
        asked = queries(scope, there)
        told = list(answerable(asked, there))
        answers = {
            query.name: ask(connection, query)
            for query in told
            if query.shown and (with_users or not query.personal)
        }
        rewatching = asked["rewatching"]
        intervals = ask_for_table(connection, rewatching) if rewatching in told else None
    finally:
        connection.close()
    used = {query.name: query for query in told if query.name in answers or not query.shown}
    return Page(texts, answers, used, _videos(answers, intervals), with_users)


def tables_with_something(connection: "duckdb.DuckDBPyConnection") -> frozenset[str]:
    """The tables that the page can tell of: those of what nobody has told are empty."""
    names = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    empty = {
        name
        for name in names & _OF_WHAT_IS_TOLD
        if not connection.execute(f"FROM {name} LIMIT 1").fetchall()
    }
    return frozenset(names - empty)


def _videos(answers: Answers, intervals: "pa.Table | None") -> list[Video]:
    by_video = {name: answer.by_video() for name, answer in answers.items() if _of_video(answer)}
    parts = {} if intervals is None else _parts(intervals)
    found = []
    for number, [row] in enumerate(by_video.get("videos", {}).values(), start=1):
        video = row["videoId"]
        [curve] = by_video.get("curve", {}).get(video, [None])
        [starters] = by_video["starters"][video]
        [audience] = by_video.get("audience", {}).get(video, [{"expected": None}])
        shown = curve if curve is not None and any(curve["viewers"]) else None
        found.append(
            Video(
                number,
                row,
                starters,
                shown,
                _peaks(shown, parts.get(video)),
                by_video.get("chapters", {}).get(video, []),
                by_video.get("strips", {}).get(video, []),
                audience["expected"],
            )
        )
    return found


def _of_video(answer: Answer) -> bool:
    return "videoId" in answer.columns


def _parts(intervals: "pa.Table") -> dict[str, "pa.Table"]:
    """The intervals of each video; its rows follow each other."""
    ids = intervals["videoId"].to_numpy(zero_copy_only=False)
    edges = [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist(), len(ids)]
    return {ids[a]: intervals.slice(a, b - a) for a, b in pairwise(edges) if a < b}


def _peaks(curve: Row | None, intervals: "pa.Table | None") -> list[Peak]:
    if curve is None or intervals is None:
        return []
    starts = np.arange(len(curve["viewers"]), dtype=np.int64) * curve["binMs"]
    return peaks(watched_by_users(intervals, np.r_[starts, curve["endMs"]]))
