"""The demo's tables as text for people, read by deltalake without an engine."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from vidagg_dagster.core.text import clock, spaced
from vidagg_dagster.core.vocabulary import REJECTED_PREFIX
from vidagg_dagster.metrics.engagement import TIERS


def show_peter(lifetime: Path) -> Iterator[str]:
    """Every column of the row of peter and video_001."""
    rows = _read(lifetime)
    chosen = rows.filter((pc.field("userId") == "peter") & (pc.field("videoId") == "video_001"))
    for row in chosen.to_pylist():
        width = max(map(len, row))
        for name, value in row.items():
            yield f"  {name:<{width}}  {_readable(value)}"


def show_top_videos(lifetime: Path, count: int = 10) -> Iterator[str]:
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
    reasons = ", ".join(
        f"{name.removeprefix(REJECTED_PREFIX)} {spaced(value)}"
        for name, value in counts.items()
        if name.startswith(REJECTED_PREFIX) and value
    )
    return (
        f"{spaced(counts.get('rejected', 0))} of {spaced(counts.get('input', 0))} rows "
        f"({reasons}); duplicates: {spaced(counts.get('duplicates', 0))}"
    )


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


def _readable(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return f"{value['startMs']}-{value['endMs']} ms"
    if isinstance(value, list):
        return ", ".join(map(_readable, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
