"""The page of today: one HTML file that a browser opens anew every few seconds. It names nobody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from vidagg_dagster.core.schemas import EVENT_DATE, LIVE_TABLES, LIVE_USER_VIDEO, LIVE_VIDEOS
from vidagg_dagster.core.text import spaced
from vidagg_dagster.insight.html import document, picture
from vidagg_dagster.tables.views import connect, table_names

if TYPE_CHECKING:
    import duckdb

PAGE: Final = "live.html"
"""The file, beside the tables."""

REFRESH_S: Final = 5
SHOWN_MINUTES: Final = 60
_MAX_VIDEOS: Final = 20
_MINUTE: Final = timedelta(minutes=1)
_BAR, _HEIGHT, _FOOT = 12, 120, 24


@dataclass(frozen=True)
class LiveMinute:
    """A minute of all videos: when it begins, and how many users watched."""

    minute: datetime
    watching: int
    starts: int
    stops: int


@dataclass(frozen=True)
class LiveVideo:
    """A video: users who watch it now, starts and stops of the last hour, hours watched today."""

    title: str
    watching: int
    starts: int
    stops: int
    watch_hours: float


@dataclass(frozen=True)
class LiveView:
    """What the page shows.

    Attributes:
        day: Today.
        as_of: The newest event of today; None if there is none yet.
        watching: Users who watched in the minute of the newest event or in the one before.
        viewers: Users with an event today.
        minutes: The last hour, minute by minute; those without anything too.
        videos: The most watched ones of now, then of today.
        rejected: Rows of today that are no usable events.
    """

    day: date
    as_of: datetime | None = None
    watching: int = 0
    viewers: int = 0
    minutes: tuple[LiveMinute, ...] = ()
    videos: tuple[LiveVideo, ...] = ()
    rejected: int = 0


def live_view(root: Path, today: date) -> LiveView:
    """What the live tables have of a day."""
    if not {*LIVE_TABLES} <= {*table_names(root)}:
        return LiveView(today)
    connection = connect(root, LIVE_TABLES)
    try:
        return _view(connection, today)
    finally:
        connection.close()


def write_live_page(root: Path, timezone: str, now: datetime) -> Path:
    """Write the page beside the tables, as a whole: a browser never reads half of it."""
    zone = ZoneInfo(timezone)
    text = live_page(live_view(root, now.astimezone(zone).date()), zone, now)
    draft = root / f"{PAGE}.draft"
    draft.write_text(text, encoding="utf-8")
    return draft.replace(root / PAGE)


def live_page(view: LiveView, zone: ZoneInfo, now: datetime) -> str:
    """The page as HTML."""
    written = f"{now.astimezone(zone):%H:%M:%S}"
    heading = f"Live, {view.day}"
    if view.as_of is None:
        body = [f"<p>No events of today yet. Looked at {written} ({escape(zone.key)}).</p>"]
        return document("Live", heading, body, refresh_s=REFRESH_S)
    as_of = f"{view.as_of.astimezone(zone):%H:%M:%S}"
    late = f" {spaced(view.rejected)} rows of today are rejected." if view.rejected else ""
    body = [
        f"<p><b>{spaced(view.watching)}</b> watching now, {spaced(view.viewers)} viewers today. "
        f"As of {as_of}, written {written} ({escape(zone.key)}).{late}</p>",
        f"<h2>Watching, minute by minute</h2>{minutes_picture(view.minutes, zone)}",
        *_videos(view.videos),
        '<p class="note">Watching now: who was seen watching in the minute of the newest event, or '
        "in the one before. All numbers follow from the events that have arrived, as if nothing "
        "came after them; the daily run has the last word.</p>",
    ]
    return document("Live", heading, body, refresh_s=REFRESH_S)


def minutes_picture(minutes: Sequence[LiveMinute], zone: ZoneInfo) -> str:
    """One bar for each minute: users watching."""
    most = max((one.watching for one in minutes), default=0) or 1
    drawn = f'<text x="0" y="12">{spaced(most)}</text>'
    for at, one in enumerate(minutes):
        height = round(_HEIGHT * one.watching / most, 1)
        x, y = at * _BAR, round(20 + _HEIGHT - height, 1)
        clock = f"{one.minute.astimezone(zone):%H:%M}"
        said = f"{clock}: {one.watching} watching, {one.starts} starts, {one.stops} stops"
        bar = (
            f'<rect x="{x}" y="{y}" width="{_BAR - 2}" height="{height}" fill="#2f5bd0">'
            f"<title>{said}</title></rect>"
        )
        drawn += bar if one.watching else ""
        if at % 10 == 0:
            drawn += f'<text x="{x}" y="{20 + _HEIGHT + 16}">{clock}</text>'
    width = max(len(minutes), 1) * _BAR + 30
    return picture(width, 20 + _HEIGHT + _FOOT, "Users watching in each of the last minutes", drawn)


def _videos(videos: Sequence[LiveVideo]) -> Iterator[str]:
    yield (
        '<h2>Videos</h2><table><tr><th>video<th class="n">watching now'
        '<th class="n">starts, last hour<th class="n">stops, last hour<th class="n">hours today'
    )
    for one in videos:
        counts = "".join(
            f'<td class="n">{spaced(count)}' for count in (one.watching, one.starts, one.stops)
        )
        yield f'<tr><td>{escape(one.title)}{counts}<td class="n">{one.watch_hours:.1f}'
    yield "</table>"


def _view(connection: "duckdb.DuckDBPyConnection", today: date) -> LiveView:
    [(as_of, viewers)] = connection.execute(
        f'SELECT max("asOf"), count(DISTINCT userId) FROM {LIVE_USER_VIDEO.name} '
        f"WHERE {EVENT_DATE} = ?",
        [today],
    ).fetchall()
    if as_of is None:
        return LiveView(today)
    newest = as_of.replace(second=0, microsecond=0)
    [(watching,)] = connection.execute(
        "SELECT count(DISTINCT userId) FROM (SELECT userId, unnest(minutes) AS one "
        f"FROM {LIVE_USER_VIDEO.name} WHERE {EVENT_DATE} = ?) "
        "WHERE one.minute >= ? AND one.watching > 0",
        [today, newest - _MINUTE],
    ).fetchall()
    [(rejected,)] = connection.execute(
        f"SELECT count(*) FROM live_events WHERE {EVENT_DATE} = ? AND len(reasons) > 0", [today]
    ).fetchall()
    return LiveView(
        today,
        as_of,
        watching,
        viewers,
        tuple(_last_minutes(connection, today, newest)),
        tuple(_top_videos(connection, today, newest)),
        rejected,
    )


def _last_minutes(
    connection: "duckdb.DuckDBPyConnection", today: date, newest: datetime
) -> Iterator[LiveMinute]:
    first = newest - _MINUTE * (SHOWN_MINUTES - 1)
    found = {
        minute: counts
        for minute, *counts in connection.execute(
            "SELECT minute, sum(watching), sum(starts), sum(stops) "
            f"FROM {LIVE_VIDEOS.name} WHERE {EVENT_DATE} = ? AND minute >= ? GROUP BY minute",
            [today, first],
        ).fetchall()
    }
    for at in range(SHOWN_MINUTES):
        minute = first + _MINUTE * at
        yield LiveMinute(minute, *map(int, found.get(minute, (0, 0, 0))))


def _top_videos(
    connection: "duckdb.DuckDBPyConnection", today: date, newest: datetime
) -> Iterator[LiveVideo]:
    hour = newest - _MINUTE * (SHOWN_MINUTES - 1)
    rows = connection.execute(
        "SELECT coalesce(max(videoTitle), videoId), "
        # Who watches in both minutes counts once, so the larger one.
        "coalesce(max(watching) FILTER (minute >= ?), 0) AS now, "
        "coalesce(sum(starts) FILTER (minute >= ?), 0), "
        "coalesce(sum(stops) FILTER (minute >= ?), 0), "
        "sum(watchMs) / 3600000 AS hours "
        f"FROM {LIVE_VIDEOS.name} WHERE {EVENT_DATE} = ? "
        f"GROUP BY videoId ORDER BY now DESC, hours DESC, videoId LIMIT {_MAX_VIDEOS}",
        [newest - _MINUTE, hour, hour, today],
    ).fetchall()
    for title, now, starts, stops, hours in rows:
        yield LiveVideo(title, int(now), int(starts), int(stops), float(hours))
