"""Small pictures for Dagster's pages: SVG inside Markdown, without anything that is loaded."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from vidagg_dagster.core.text import clock

BARS: Final = 8
WIDTH: Final = 560
_ROW, _LABEL, _NUMBER = 22, 220, 90
_FONT: Final = 'font-family="sans-serif" font-size="12"'
_COLOUR: Final = "#4f6df5"


def watch_time_picture(videos: Sequence[Mapping[str, Any]]) -> str:
    """Bars of the watch time of the most watched videos, as an image in Markdown."""
    shown = [video for video in videos if video.get("watchSeconds")][:BARS]
    if not shown:
        return ""
    longest = max(video["watchSeconds"] for video in shown)
    room = WIDTH - _LABEL - _NUMBER
    parts = []
    for row, video in enumerate(shown):
        name = str(video.get("title") or video["videoId"])
        label = name if len(name) <= 34 else f"{name[:33]}…"
        length = max(1, round(room * video["watchSeconds"] / longest))
        y = row * _ROW
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 15}" text-anchor="end" {_FONT}>{escape(label)}</text>'
            f'<rect x="{_LABEL}" y="{y + 3}" width="{length}" height="16" fill="{_COLOUR}"/>'
            f'<text x="{_LABEL + length + 6}" y="{y + 15}" {_FONT}>'
            f"{clock(video['watchSeconds'])}</text>"
        )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{len(shown) * _ROW}">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>'
    )
    encoded = b64encode(svg.encode("utf-8")).decode("ascii")
    return f"![Watch time of the most watched videos](data:image/svg+xml;base64,{encoded})"
