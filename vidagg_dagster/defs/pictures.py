"""Small pictures for Dagster's pages: SVG inside Markdown, without anything that is loaded."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from vidagg_dagster.core.text import clock

BARS: Final = 5
MAX_LENGTH: Final = 999
"""Dagster shows Markdown in its place up to this length, and longer Markdown behind a link."""

_WIDTH, _ROW, _LABEL, _BAR = 350, 18, 145, 124
"""As wide as the place for a value on an asset's overview, on a screen of 1440 pixels."""
_MAX_TITLE: Final = 22


def watch_time_picture(videos: Sequence[Mapping[str, Any]]) -> str:
    """Bars of the watch time of the most watched videos, as an image in Markdown."""
    shown = [video for video in videos if video.get("watchSeconds")][:BARS]
    while shown:
        picture = _markdown(_svg(shown))
        if len(picture) <= MAX_LENGTH:
            return picture
        shown.pop()
    return ""


def _markdown(svg: str) -> str:
    encoded = b64encode(svg.encode("utf-8")).decode("ascii")
    return f"![Watch time](data:image/svg+xml;base64,{encoded})"


def _svg(videos: Sequence[Mapping[str, Any]]) -> str:
    longest = max(video["watchSeconds"] for video in videos)
    bars, texts = "", ""
    for row, video in enumerate(videos):
        length = max(1, round(_BAR * video["watchSeconds"] / longest))
        middle, end = row * _ROW + 9, _LABEL + length + 4
        bars += f"M{_LABEL} {middle}h{length}"
        texts += (
            f'<text y="{middle + 4}">{escape(_title(video))}</text>'
            f'<text x="{end}" y="{middle + 4}">{clock(video["watchSeconds"])}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{len(videos) * _ROW}" '
        f'font-size="11"><path d="{bars}" stroke="#57f" stroke-width="13"/>{texts}</svg>'
    )


def _title(video: Mapping[str, Any]) -> str:
    title = str(video.get("title") or video["videoId"])
    return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1]}…"
