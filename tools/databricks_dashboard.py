"""The dashboard file for Databricks, over the views of `deploy/dashboards/views.sql`.

`python -m tools.databricks_dashboard` writes it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

FILE: Final = Path("deploy", "dashboards", "video_engagement.lvdash.json")
SCHEMA: Final = "main.video"
"""Where the views are; readers put theirs in its place."""
COLUMNS: Final = 6
"""A dashboard's grid is so many columns wide."""

Json = dict[str, Any]

DATASETS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "totals": (
        "Totals",
        (
            "SELECT count(DISTINCT userId) AS viewers, count(DISTINCT videoId) AS videos,\n",
            "       sum(watchedSeconds) / 3600 AS watchHours, sum(completions) AS completions\n",
            f"FROM {SCHEMA}.bi_viewing\n",
            "WHERE watchedSeconds > 0",
        ),
    ),
    "days": ("Days", (f"SELECT * FROM {SCHEMA}.bi_days",)),
    "videos": ("Videos", (f"SELECT * FROM {SCHEMA}.bi_videos",)),
    "curve": ("Curve", (f"SELECT * FROM {SCHEMA}.bi_curve",)),
    "cohorts": ("Cohorts", (f"SELECT * FROM {SCHEMA}.bi_cohorts",)),
    "audience": ("Audience", (f"SELECT * FROM {SCHEMA}.bi_audience",)),
    "chapters": ("Chapters", (f"SELECT * FROM {SCHEMA}.bi_chapters",)),
}
"""Name -> title and the lines of its query."""


def dashboard() -> Json:
    """The dashboard, as Databricks exports one."""
    return {
        "datasets": [
            {"name": name, "displayName": title, "queryLines": list(lines)}
            for name, (title, lines) in DATASETS.items()
        ],
        "pages": [
            _page("overview", "Overview", _overview()),
            _page("video", "One video", _one_video()),
            _page("returning", "Who comes back", _returning()),
            _page("audience", "Who should watch", _audience()),
        ],
    }


def _page(name: str, title: str, layout: list[Json]) -> Json:
    return {"name": name, "displayName": title, "pageType": "PAGE_TYPE_CANVAS", "layout": layout}


def _overview() -> list[Json]:
    return [
        _counter("viewers", "Viewers", (0, 0, 2, 2)),
        _counter("watchHours", "Hours watched", (2, 0, 2, 2)),
        _counter("completions", "Completions", (4, 0, 2, 2)),
        _chart(
            "line", "days", ("day", "temporal"), "watchHours", "Hours watched by day", (0, 2, 3, 5)
        ),
        _chart("line", "days", ("day", "temporal"), "viewers", "Viewers by day", (3, 2, 3, 5)),
        _table(
            "videos",
            (
                "title",
                "viewers",
                "watchHours",
                "meanWatchedPercentage",
                "completedPercentage",
                "averageMinuteAudience",
            ),
            "Videos",
            (0, 7, 6, 6),
        ),
        _chart(
            "bar",
            "days",
            ("day", "temporal"),
            "rejectedRows",
            "Rejected rows by day",
            (0, 13, 6, 4),
        ),
    ]


def _one_video() -> list[Json]:
    at = ("atSeconds", "quantitative")
    return [
        _filter("curve", "title", "Video", (0, 0, 6, 1)),
        _chart("area", "curve", at, "percentOfViewers", "Percent of its viewers", (0, 1, 6, 6)),
        _chart(
            "area", "curve", at, "timesWatched", "Times watched, repetition included", (0, 7, 6, 5)
        ),
        _chart("bar", "curve", at, "leftHere", "Left for good", (0, 12, 6, 5)),
    ]


def _audience() -> list[Json]:
    return [
        _filter("audience", "status", "Status", (0, 0, 3, 1)),
        _filter("audience", "title", "Video", (3, 0, 3, 1)),
        _table(
            "audience",
            ("title", "userId", "dueDate", "overdue", "status", "watchedPercentage"),
            "Who should watch",
            (0, 1, 6, 9),
        ),
        _table(
            "chapters",
            ("title", "chapter", "chapterTitle", "reached", "viewers", "leftHere"),
            "Chapters",
            (0, 10, 6, 6),
        ),
    ]


def _returning() -> list[Json]:
    return [
        _table(
            "cohorts",
            ("cohortWeek", "weekOffset", "users", "activeUsers", "activePercentage"),
            "Weeks after the first view",
            (0, 0, 6, 8),
        )
    ]


Place = tuple[int, int, int, int]
"""Left, top, width and height, in the grid."""


def _counter(column: str, title: str, place: Place) -> Json:
    value = {"fieldName": column, "displayName": title}
    return _widget("totals", (column,), 2, "counter", {"value": value}, title, place)


def _chart(
    kind: str, dataset: str, across: tuple[str, str], up: str, title: str, place: Place
) -> Json:
    name, scale = across
    encodings = {
        "x": {"fieldName": name, "scale": {"type": scale}, "displayName": name},
        "y": {"fieldName": up, "scale": {"type": "quantitative"}, "displayName": title},
    }
    return _widget(dataset, (name, up), 3, kind, encodings, title, place)


def _table(dataset: str, columns: Sequence[str], title: str, place: Place) -> Json:
    shown = [
        {"fieldName": column, "displayName": column, "visible": True, "order": order}
        for order, column in enumerate(columns)
    ]
    return _widget(dataset, columns, 1, "table", {"columns": shown}, title, place)


def _filter(dataset: str, column: str, title: str, place: Place) -> Json:
    chosen = {"fieldName": column, "displayName": title, "queryName": "main_query"}
    return _widget(
        dataset, (column,), 2, "filter-single-select", {"fields": [chosen]}, title, place
    )


def _widget(
    dataset: str,
    columns: Sequence[str],
    version: int,
    kind: str,
    encodings: Json,
    title: str,
    place: Place,
) -> Json:
    left, top, width, height = place
    return {
        "widget": {
            "name": f"{dataset}-{kind}-{columns[-1]}".lower(),
            "queries": [
                {
                    "name": "main_query",
                    "query": {
                        "datasetName": dataset,
                        "fields": [{"name": name, "expression": f"`{name}`"} for name in columns],
                        "disaggregated": kind != "filter-single-select",
                    },
                }
            ],
            "spec": {
                "version": version,
                "widgetType": kind,
                "encodings": encodings,
                "frame": {"showTitle": True, "title": title},
            },
        },
        "position": {"x": left, "y": top, "width": width, "height": height},
    }


def dashboard_text() -> str:
    """The text of the file."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(dashboard_text(), encoding="utf-8")
