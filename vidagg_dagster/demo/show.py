"""The demo's tables as text for people, read by deltalake without an engine: a screen of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, INGESTION_COUNTS, WATCH_INTERVALS
from vidagg_dagster.core.text import clock, spaced
from vidagg_dagster.core.vocabulary import REJECTED_PREFIX
from vidagg_dagster.demo.catalogue import CATALOGUE
from vidagg_dagster.demo.plots import PLOTS
from vidagg_dagster.metrics.engagement import TIERS

PETERS_COLUMNS: Final = {
    "totalWatchTime": "seconds played, repeats included",
    "totalUniqueSecondsWatched": "seconds seen at least once",
    "watchPercentage": "% of the video, repeats included",
    "completionPercentage": "% of the video: how far he came",
    "totalBackwardSkips": "skip back",
    "engagementScore": "of 100",
    "engagementTier": "the tier of that score",
}
"""The columns of peter's row that are shown, each with its unit in words."""

TOP_VIDEOS: Final = 5
BUCKETS: Final = 40
BARS: Final = " ▁▂▃▄▅▆▇█"


def show_result(tables: Path, checks: Counter[str]) -> Iterator[str]:
    """What came out of the demo, and how often each check did not pass."""
    lifetime = tables / AGGREGATED_ENGAGEMENT.name
    passed = checks.pop("passed", 0)
    warned = ", ".join(f"{rule} {count}x" for rule, count in sorted(checks.items()))
    yield f"Checks: {spaced(passed)} passed" + (f"; to look at: {warned}" if warned else "")
    yield f"Rejected: {rows_per_reason(tables / INGESTION_COUNTS.name)}"
    yield f"\nPeter's row of {AGGREGATED_ENGAGEMENT.name}, of a video of 300 seconds:"
    yield from show_peter(lifetime)
    yield "\nMost watched:"
    yield from show_top_videos(lifetime)
    yield f"  Tiers of all viewers: {show_tiers(lifetime)}"
    yield "\nHow often each part is watched, from the first second to the last:"
    yield from show_plots(tables / WATCH_INTERVALS.name)
    yield "\nAsk more:"
    yield from show_queries(tables)


def show_peter(lifetime: Path) -> Iterator[str]:
    """The row of peter and video_001, of which the documentation tells."""
    rows = _read(lifetime)
    chosen = rows.filter((pc.field("userId") == "peter") & (pc.field("videoId") == "video_001"))
    for row in chosen.to_pylist():
        width = max(map(len, PETERS_COLUMNS))
        for name, unit in PETERS_COLUMNS.items():
            yield f"  {name:<{width}}  {row[name]!s:>6}  {unit}"


def show_top_videos(lifetime: Path, count: int = TOP_VIDEOS) -> Iterator[str]:
    """The videos with most watch time."""
    videos = (
        _read(lifetime)
        .group_by("videoId")
        .aggregate(
            [
                ("videoTitle", "max"),
                ("userId", "count"),
                ("totalWatchTime", "sum"),
                ("uniqueWatchPercentage", "mean"),
                ("completionCount", "sum"),
            ]
        )
        .sort_by([("totalWatchTime_sum", "descending"), ("videoId", "ascending")])
        .slice(0, count)
    )
    lines = [("video", "title", "viewers", "watched", "of it on average", "completed")]
    for video in videos.to_pylist():
        share = video["uniqueWatchPercentage_mean"]
        lines.append(
            (
                video["videoId"],
                video["videoTitle_max"] or "(not in the metadata)",
                spaced(video["userId_count"]),
                clock(video["totalWatchTime_sum"]),
                "" if share is None else f"{share:.0f} %",
                spaced(video["completionCount_sum"]),
            )
        )
    return _aligned(lines, left=2)


def show_plots(watch_intervals: Path) -> Iterator[str]:
    """A bar chart in text for each video with a plot: the higher, the more often watched."""
    rows = _read(watch_intervals)
    durations = {video.video_id: video.duration_ms for video in CATALOGUE}
    for video, plot in PLOTS.items():
        of_video = rows.filter(pc.field("videoId") == video)
        if of_video.num_rows:
            bars = _bars(watched_ms(of_video, durations[video]))
            viewers = pc.count_distinct(of_video["userId"]).as_py()
            times = pc.sum(of_video["watchMs"]).as_py() / viewers / durations[video]
            yield f"  {video}  {bars}  {times:.1f} times by each: {plot.story}"


def show_queries(tables: Path) -> Iterator[str]:
    """Two queries to copy."""
    folder = tables.parent
    at = "--demo" if folder == Path("demo_data") else f"--folder {folder}"
    yield (
        f'  vidagg query {at} "select videoTitle, count(*) as viewers '
        'from aggregated_user_video_engagement group by all order by 2 desc"'
    )
    yield f'  vidagg query {at} "select reasons, payload from rejected_events limit 5"'


def show_tiers(lifetime: Path) -> str:
    """The number of rows in each tier, the best tier first."""
    counts = {
        row["engagementTier"]: row["userId_count"]
        for row in _read(lifetime)
        .group_by("engagementTier")
        .aggregate([("userId", "count")])
        .to_pylist()
    }
    parts = [f"{tier} {spaced(counts.get(tier, 0))}" for tier in TIERS]
    return ", ".join([*parts, f"none (unknown duration) {spaced(counts.get(None, 0))}"])


def rows_per_reason(ingestion_counts: Path) -> str:
    """How many rows were rejected, and for which reasons. A row may have two."""
    counts = {
        row["measure"]: row["value_sum"]
        for row in _read(ingestion_counts)
        .group_by("measure")
        .aggregate([("value", "sum")])
        .sort_by("measure")
        .to_pylist()
    }
    reasons = sum(1 for name, rows in counts.items() if name.startswith(REJECTED_PREFIX) and rows)
    return (
        f"{spaced(counts.get('rejected', 0))} of {spaced(counts.get('input', 0))} rows, "
        f"for {reasons} reasons; duplicates: {spaced(counts.get('duplicates', 0))}"
    )


def watched_ms(intervals: pa.Table, duration_ms: int) -> npt.NDArray[np.float64]:
    """How many milliseconds of each bucket of a video were watched, by all viewers together."""
    edges = np.linspace(0, duration_ms, BUCKETS + 1)
    starts = intervals["startMs"].to_numpy()[:, None]
    ends = intervals["endMs"].to_numpy()[:, None]
    inside = np.minimum(ends, edges[1:]) - np.maximum(starts, edges[:-1])
    found: npt.NDArray[np.float64] = np.clip(inside, 0, None).sum(axis=0)
    return found


def _bars(values: npt.NDArray[np.float64]) -> str:
    highest = len(BARS) - 1
    scaled = np.ceil(values / max(values.max(), 1) * highest).astype(int)
    return "".join(BARS[height] for height in scaled)


def _read(table: Path) -> pa.Table:
    # Not by `to_pyarrow_table`: its threads call Python for each read. If one still does so while
    # the process ends, the process aborts (one time in ten on a busy machine).
    delta = DeltaTable(str(table))
    return ds.dataset(delta.file_uris(), pa.schema(delta.schema()), format="parquet").to_table()


def _aligned(lines: Sequence[Sequence[str]], *, left: int) -> Iterator[str]:
    """Columns of equal width: the first `left` aligned left, the numbers after them right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            f"{cell:<{width}}" if number < left else f"{cell:>{width}}"
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()
