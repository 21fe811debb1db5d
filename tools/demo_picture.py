"""The picture of the README: how often each part of the demo's videos with a plot is watched.

`python -m tools.demo_picture` draws it from what `vidagg demo --first-day 2026-11-17` has left in
`demo_data`. On other days other viewers come; the plots stay.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from vidagg_dagster.core.schemas import WATCH_INTERVALS
from vidagg_dagster.demo.catalogue import CATALOGUE
from vidagg_dagster.demo.plots import PLOTS
from vidagg_dagster.demo.show import BUCKETS, watched_ms

PICTURE: Final = "docs/images/demo.svg"
FIRST_DAY: Final = "2026-11-17"
"""The first day of the demo that it shows."""
WIDTH, ROW, HEIGHT, LEFT = 760, 62, 44, 320
_STEP: Final = (WIDTH - LEFT - 10) / BUCKETS


def picture(tables: Path) -> str:
    """The picture as SVG."""
    delta = DeltaTable(str(tables / WATCH_INTERVALS.name))
    rows = ds.dataset(delta.file_uris(), pa.schema(delta.schema()), format="parquet").to_table()
    body = "".join(_rows(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{ROW * len(PLOTS)}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>{body}</svg>\n'
    )


def _rows(rows: pa.Table) -> Iterator[str]:
    videos = {video.video_id: video for video in CATALOGUE}
    for number, (name, plot) in enumerate(PLOTS.items()):
        video, top = videos[name], number * ROW + 8
        values = watched_ms(rows.filter(pc.field("videoId") == name), video.duration_ms)
        yield (
            f'<text x="8" y="{top + 18}" font-size="14">{escape(video.title)}</text>'
            f'<text x="8" y="{top + 37}" font-size="13" fill="#666">{escape(plot.story)}</text>'
        )
        for at, height in enumerate(HEIGHT * values / values.max()):
            yield (
                f'<rect x="{LEFT + at * _STEP:.1f}" y="{top + HEIGHT - height:.1f}" '
                f'width="{_STEP - 1:.1f}" height="{height:.1f}" fill="#4f6df5"/>'
            )


if __name__ == "__main__":
    Path(PICTURE).write_text(picture(Path("demo_data/tables")), encoding="utf-8")
