"""Every way in which a row can be unusable."""

import random
from collections.abc import Callable
from typing import Final

from vidagg_dagster.demo.rows import Row, line_of

Damage = Callable[[random.Random, Row], tuple[str, tuple[str, ...]]]
"""A good row -> a damaged line, and the reasons for which it is rejected."""


def _replaced(reason: str, column: str, *values: object) -> Damage:
    def damage(rng: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
        return line_of(row | {column: rng.choice(values)}), (reason,)

    return damage


def _removed(reason: str, column: str) -> Damage:
    def damage(_: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
        return line_of({name: value for name, value in row.items() if name != column}), (reason,)

    return damage


def _malformed(rng: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
    line = line_of(row)
    return rng.choice(
        (
            line[: len(line) // 2],
            f"[{line}]",
            f"{line}{line}",
            "<html>502 Bad Gateway</html>",
            '"video_play"',
        )
    ), ("malformed_row",)


def _doubly_wrong(_: random.Random, row: Row) -> tuple[str, tuple[str, ...]]:
    line = line_of(row | {"userId": " ", "currentTime": -1})
    return line, ("missing_user", "invalid_position")


DAMAGES: Final[tuple[Damage, ...]] = (
    _removed("missing_timestamp", "timestamp"),
    _replaced(
        "unparsable_timestamp",
        "timestamp",
        "yesterday",
        "2026-13-40T00:00:00Z",
        "05.01.2026 10:00",
        1767607200000,
    ),
    _replaced(
        "timestamp_out_of_range", "timestamp", "1970-01-01T00:00:03Z", "2106-02-07T06:28:15Z"
    ),
    _replaced("missing_user", "userId", None, "", "   "),
    _replaced("missing_session", "sessionId", None, ""),
    _removed("missing_video", "videoId"),
    _replaced("unknown_event", "eventName", "ad_start", "volume_change", None),
    _replaced("missing_position", "currentTime", None, "", "null"),
    _replaced(
        "invalid_position", "currentTime", "NaN", float("nan"), "Infinity", -3, 1e9, "abc", True
    ),
    _malformed,
    _doubly_wrong,
)
"""Together they give each rejection reason of the specification."""
