"""The pack beside the sequential reference: which rows KQL must give, and where it may differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from vidagg_dagster.azure.pack import Video, Window, render
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster_tests.support.kql_engine import Azure, Row, azure, raw_events, window_of
from vidagg_dagster_tests.support.reference import (
    DEFAULT_PARAMETERS,
    Event,
    ReferenceParameters,
    daily_rows,
    lifetime_rows,
    published,
)

Pair = tuple[str, str]


def text_of(
    query: str,
    window: Window,
    durations: Mapping[str, int],
    parameters: Mapping[str, Any] | None = None,
    source: str = "customevents",
) -> str:
    return render(
        query,
        source,
        window,
        parameters=EngagementParameters(**(parameters or {})),
        videos=[Video(name, ms / 1000) for name, ms in durations.items()],
    )


def expected_rows(
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: ReferenceParameters = DEFAULT_PARAMETERS,
) -> dict[Pair, Row]:
    """The rows of the reference as KQL shows them: there is no null text, a day is an instant."""
    daily = daily_rows(events, durations, parameters)
    days: dict[Pair, list[str]] = {}
    for user, video, day in sorted(daily):
        days.setdefault((user, video), []).append(f"{day}")
    rows = {}
    for (user, video), row in lifetime_rows(daily).items():
        columns = published(row, durations.get(video), "", parameters)
        rows[user, video] = {
            **columns,
            "userId": user,
            "videoId": video,
            "videoDurationSource": "metadata" if durations.get(video) else "",
            "engagementTier": columns["engagementTier"] or "",
            "watchedIntervals": [list(span) for span in row.intervals],
            "activeDays": days[user, video],
        }
    return rows


def found_rows(
    events: Sequence[Event],
    durations: Mapping[str, int],
    parameters: Mapping[str, Any] | None = None,
) -> dict[Pair, Row]:
    with azure(raw_events(events)) as tables:
        return keyed(tables, text_of("user_video", window_of(events), durations, parameters))


def keyed(tables: Azure, text: str) -> dict[Pair, Row]:
    """The rows of a text of user_video."""
    return by_pair(tables.rows(text))


def by_pair(rows: Sequence[Row]) -> dict[Pair, Row]:
    """Rows of user_video by their key, with spans as pairs."""
    found = {
        (row["userId"], row["videoId"]): {
            **row,
            "videoTitle": row["videoTitle"] or "",
            "watchedIntervals": [[s["startMs"], s["endMs"]] for s in row["watchedIntervals"]],
            "activeDays": [f"{day:%Y-%m-%d}" for day in row["activeDays"]],
        }
        for row in rows
    }
    assert len(found) == len(rows), "a user and video has several rows"
    return found


def assert_exact_or_said(found: Mapping[Pair, Row], expected: Mapping[Pair, Row]) -> int:
    """The same pairs; each row equals the reference to the last digit, or says it is not exact.

    Returns how many say so.
    """
    assert found.keys() == expected.keys()
    differing = {
        pair: {
            column: (found[pair].get(column), value)
            for column, value in row.items()
            if found[pair].get(column) != value
        }
        for pair, row in expected.items()
        if found[pair]["isExact"]
    }
    wrong = {pair: columns for pair, columns in differing.items() if columns}
    assert not wrong, f"(KQL, reference) of {len(wrong)} rows: {dict(list(wrong.items())[:5])}"
    return len(expected) - len(differing)
