"""The curve against a cell for each millisecond, whatever was watched, in whatever parts."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidagg_dagster.core.insight_schemas import BIN_COUNTS
from vidagg_dagster.insight.bins import BinsKernel
from vidagg_dagster.insight.sweep import SeenKernel, WatchedKernel
from vidagg_dagster.metrics.coverage import Spans, unite
from vidagg_dagster_tests.support.curve_by_ms import (
    BACKWARD_MS,
    FORWARD_MS,
    Curve,
    Visit,
    Watching,
    bins_of,
    curve,
)

DAY = date(2026, 1, 5)
KERNEL = WatchedKernel(FORWARD_MS, BACKWARD_MS)
Viewers = list[list[Visit]]

_SPAN = pa.struct([("startMs", pa.int64()), ("endMs", pa.int64())])
_INTERVAL = pa.struct(
    [
        *_SPAN,
        ("openedAt", pa.timestamp("us", tz="UTC")),
        ("closedAt", pa.timestamp("us", tz="UTC")),
    ]
)


def rows(spans: Sequence[Any], kind: pa.DataType, durations: Sequence[int | None]) -> pa.Table:
    """One row per viewer or visit of the videos "0", "1", ..., which it names by its place."""
    return pa.table(
        {
            "day": pa.array([DAY] * len(spans), pa.date32()),
            "videoId": pa.array([str(video) for video, _ in spans], pa.string()),
            "durationMs": pa.array([durations[video] for video, _ in spans], pa.int64()),
            "spans": pa.array([listed for _, listed in spans], pa.list_(kind)),
        }
    )


def union(visits: Sequence[Visit]) -> list[dict[str, int]]:
    spans = [one for visit in visits for one in visit]
    start, end = (np.array([one[at] for one in spans], np.int64) for at in (0, 1))
    united = unite(Spans(np.zeros(len(spans), np.int64), start, end))
    return [
        {"startMs": int(a), "endMs": int(b)} for a, b in zip(united.start, united.end, strict=True)
    ]


def computed(videos: Sequence[Viewers], durations: Sequence[int | None]) -> list[Curve]:
    """Both kernels over the rows of all videos, mixed, in parts; and the bins of these."""
    seen = [
        (video, union(visits))
        for video, viewers in enumerate(videos)
        for visits in viewers
        if any(visits)
    ]
    watched = [
        (
            video,
            [
                {"startMs": a, "endMs": b, "openedAt": opened, "closedAt": closed}
                for a, b, opened, closed in visit
            ],
        )
        for video, viewers in enumerate(videos)
        for visits in viewers
        for visit in visits
        if visit
    ]
    found: list[dict[tuple[str, int], int]] = [{} for _ in videos]
    parts = [
        *([SeenKernel()(rows(seen[::-1], _SPAN, durations))] if seen else []),
        *([KERNEL(rows(watched[::2], _INTERVAL, durations))] if watched else []),
        *([KERNEL(rows(watched[1::2], _INTERVAL, durations))] if watched[1:] else []),
    ]
    for row in BinsKernel()(pa.concat_tables(parts)).to_pylist() if parts else []:
        video, duration = int(row["videoId"]), durations[int(row["videoId"])]
        furthest = max(one.end for visits in videos[video] for v in visits for one in v)
        bins = bins_of(duration, furthest)
        number = [start for start, _ in bins].index(row["binStartMs"])
        assert row["binEndMs"] == bins[number][1]
        for name in BIN_COUNTS:
            if row[name]:
                assert (name, number) not in found[video]
                found[video][name, number] = row[name]
    return list(found)


@st.composite
def visits(draw: st.DrawFn, furthest: int) -> Visit:
    """Intervals of a visit: each goes on from the one before, or begins elsewhere."""
    listed: list[Watching] = []
    clock = draw(st.integers(0, 5))
    for _ in range(draw(st.integers(0, 5))):
        place = draw(st.integers(0, furthest - 1))
        if listed and listed[-1].end < furthest and draw(st.booleans()):
            place = listed[-1].end
        end = draw(st.integers(place + 1, furthest))
        clock += draw(st.integers(0, 1))
        listed.append(Watching(place, end, clock, clock + 1))
        clock += 1
    return listed


@st.composite
def watched_videos(draw: st.DrawFn) -> tuple[list[Viewers], list[int | None]]:
    durations, videos = [], []
    for _ in range(draw(st.integers(1, 2))):
        duration = draw(st.one_of(st.none(), st.sampled_from([700, 2_000, 20_500, 204_001])))
        # A duration that was longer when the day was computed leaves spans behind its end.
        furthest = (duration or draw(st.integers(1, 30_000))) + draw(st.sampled_from([0, 0, 1_500]))
        durations.append(duration)
        videos.append(draw(st.lists(st.lists(visits(furthest), max_size=2), max_size=3)))
    return videos, durations


@settings(deadline=None, max_examples=60)
@given(watched_videos())
def test_every_bin_is_what_its_milliseconds_say(
    drawn: tuple[list[Viewers], list[int | None]],
) -> None:
    videos, durations = drawn
    expected = [
        curve(viewers, duration) for viewers, duration in zip(videos, durations, strict=True)
    ]
    assert computed(videos, durations) == expected


def test_compiled_and_plain_loops_give_the_same_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    visit = [
        Watching(0, 12_345, 0, 1),
        Watching(12_345, 20_000, 1, 2),
        Watching(31_000, 60_000, 3, 4),
    ]
    viewers: list[Viewers] = [[[visit], [visit[:1], visit[1:]]]]
    plain = computed(viewers, [60_000])
    monkeypatch.setattr("vidagg_dagster.metrics.compiled.COMPILED_FROM", 1)
    monkeypatch.setattr("vidagg_dagster.metrics.compiled.COMPILED_ONCE_LOADED_FROM", 1)
    assert computed(viewers, [60_000]) == plain


def test_a_curve_by_hand() -> None:
    """Watches 0 to 3 s with a heartbeat, jumps to 10 s, pauses at 12 s and goes on to 12.5 s."""
    visit = [
        Watching(0, 1_500, 0, 1),
        Watching(1_500, 3_000, 1, 2),
        Watching(10_000, 12_000, 2, 3),
        Watching(12_000, 12_500, 7, 8),
    ]
    [found] = computed([[[visit]]], [13_000])
    bins = {
        name: {at: n for (column, at), n in found.items() if column == name} for name in BIN_COUNTS
    }
    assert bins["starts"] == {0: 1, 10: 1, 12: 1}
    assert bins["stops"] == {2: 1, 11: 1, 12: 1}
    assert bins["skippedOver"] == dict.fromkeys(range(3, 10), 1)
    assert bins["jumpedTo"] == {10: 1}
    assert bins["lastSeenHere"] == {12: 1}
    assert (
        bins["watchMs"] == bins["uniqueMs"] == dict.fromkeys((0, 1, 2, 10, 11), 1_000) | {12: 500}
    )


def test_a_short_skip_is_no_jump() -> None:
    visit = [Watching(0, 1_000, 0, 1), Watching(6_000, 7_000, 1, 2), Watching(5_000, 6_000, 2, 3)]
    [found] = computed([[[visit]]], [10_000])
    assert not {name for name, _ in found} & {"skippedOver", "jumpedTo"}
