"""The KQL pack: ready queries for Azure, composed from a window, thresholds, a source and parts.

What a query answers is in the first lines of its file in `kql/queries/`. Composed texts hold
everything that they need, so that they can be pasted into any window for queries.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from vidagg_dagster.core.contract import DEFAULT_MAX_POSITION_S
from vidagg_dagster.core.parameters import EngagementParameters

PARTS: Final = ("events", "players", "pairs", "sessions", "engagement")
"""The parts in order. Each needs all those before it."""

QUERIES: Final[Mapping[str, str]] = {
    "user_video": "engagement",
    "top_videos": "engagement",
    "segments": "engagement",
    "drop_off": "engagement",
    "replays": "engagement",
    "unfinished": "engagement",
    "skips": "sessions",
    "sessions": "sessions",
    "watch_intervals": "sessions",
    "videos_per_day": "sessions",
    "switching": "events",
    "data_quality": "events",
}
"""Query -> the last part that it needs."""

TABLES: Final[Mapping[str, str]] = {"customevents": "customEvents", "appevents": "AppEvents"}
"""Source -> the table that it reads: Application Insights, or a Log Analytics workspace."""

EXAMPLE: Final = "example"
"""The source that needs no table: the events of the worked example, inside the text."""

SOURCES: Final = (*TABLES, EXAMPLE)


class Window(NamedTuple):
    """Days of UTC, both included."""

    first: date
    last: date


class Video(NamedTuple):
    """What the events do not say of a video; duration in seconds."""

    video_id: str
    duration_s: float
    title: str = ""


class RawEvent(NamedTuple):
    """A row as Application Insights keeps it: the event's columns are texts in `dims`.

    What Microsoft's SDK for browsers is given as a number is in `measures` instead.
    """

    timestamp: datetime
    name: str
    dims: Mapping[str, str]
    item_count: int = 1
    measures: Mapping[str, float] = MappingProxyType({})


EXAMPLE_WINDOW: Final = Window(date(2026, 1, 5), date(2026, 1, 5))
EXAMPLE_VIDEOS: Final = (Video("video_001", 300.0),)


def question(query: str) -> str:
    """What `query` answers: two sentences."""
    return " ".join(line.removeprefix("//").strip() for line in _head_and_body(query)[0])


def render(
    query: str,
    source: str,
    window: Window | None = None,
    *,
    parameters: EngagementParameters | None = None,
    max_position_s: float = DEFAULT_MAX_POSITION_S,
    videos: Sequence[Video] = (),
) -> str:
    """The whole text of a query.

    Args:
        query: One of `QUERIES`.
        source: One of `SOURCES`.
        window: The days; None: the last seven, today included.
        parameters: The thresholds; None: the published ones.
        max_position_s: Positions above are invalid.
        videos: Durations and titles. Without a duration there is no percentage, score or tier.

    Raises:
        KeyError: There is no such query.
    """
    if source == EXAMPLE:
        window, videos = window or EXAMPLE_WINDOW, videos or EXAMPLE_VIDEOS
    return compose(
        query,
        _read("lib", f"source_{source}"),
        window,
        parameters=parameters or EngagementParameters(),
        max_position_s=max_position_s,
        videos=videos,
    )


def compose(
    query: str,
    source_text: str,
    window: Window | None,
    *,
    parameters: EngagementParameters,
    max_position_s: float,
    videos: Sequence[Video],
) -> str:
    """Like `render`, with the text that defines `RawEvents`."""
    head, body = _head_and_body(query)
    needed = PARTS[: PARTS.index(QUERIES[query]) + 1]
    return "".join(
        [
            *(f"{line}\n" for line in head),
            _window_text(window),
            _videos_text(videos),
            _thresholds_text(parameters, max_position_s),
            source_text,
            *(_read("lib", part) for part in needed),
            "// ---- the answer " + "-" * 81 + "\n",
            body,
        ]
    )


def inline_source(events: Sequence[RawEvent]) -> str:
    """A source that is part of the text, so that a query runs where there is no table of events."""
    rows = "".join(
        f"    datetime({event.timestamp:%Y-%m-%dT%H:%M:%S.%f}), {_text(event.name)}, "
        f"dynamic({json.dumps(dict(event.dims), ensure_ascii=False)}), "
        f"dynamic({json.dumps(dict(event.measures))}), {event.item_count},\n"
        for event in events
    )
    columns = "timestamp: datetime, name: string, dims: dynamic, measures: dynamic, itemCount: long"
    return f"let RawEvents = datatable({columns}) [\n{rows}];\n"


def _window_text(window: Window | None) -> str:
    first, last = ("startofday(ago(6d))", "startofday(now())")
    if window is not None:
        first, last = (f"datetime({day.isoformat()})" for day in window)
    return (
        "// ---- the days, of UTC, both included; one more day before them is read as context\n"
        f"let FirstDay = {first};\nlet LastDay = {last};\n"
    )


def _videos_text(videos: Sequence[Video]) -> str:
    rows = "".join(
        f"    {_text(video.video_id)}, {float(video.duration_s)!r}, {_text(video.title)},\n"
        for video in videos
    )
    return (
        "// ---- seconds and title of each video; without them: no percentage, score or tier\n"
        "let Videos = datatable(videoId: string, videoDuration: real, videoTitle: string) [\n"
        f"{rows}];\n"
    )


def _thresholds_text(parameters: EngagementParameters, max_position_s: float) -> str:
    lines = [_let(name, value) for name, value in parameters.model_dump().items()]
    lines.append(_let("max_position_s", float(max_position_s)))
    return "// ---- thresholds\n" + "".join(lines)


def _let(name: str, value: Any) -> str:
    kql_name = "".join(part.capitalize() for part in name.split("_"))
    if isinstance(value, Decimal):
        return f"let {kql_name}Hundredths = {int(value * 100)};\n"
    literal = str(value).lower() if isinstance(value, bool) else repr(value)
    return f"let {kql_name} = {literal};\n"


def _text(text: str) -> str:
    """A literal; KQL takes the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _head_and_body(query: str) -> tuple[list[str], str]:
    lines = _read("queries", query).splitlines(keepends=True)
    end = next(number for number, line in enumerate(lines) if not line.startswith("//"))
    return [line.rstrip("\n") for line in lines[:end]], "".join(lines[end:])


def _read(folder: str, name: str) -> str:
    if folder == "queries" and name not in QUERIES:
        raise KeyError(name)
    return (files(__package__) / "kql" / folder / f"{name}.kql").read_text(encoding="utf-8")
