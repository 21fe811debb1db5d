"""The fold by itself, without an engine: every example of docs/metrics.md, then rule by rule."""

import pytest

from vidagg_dagster_tests.support.players import settled, totals

TEN_SECONDS_AHEAD = "\n".join(
    ["0 play 0", *(f"{15 * n} seek {25 * n}" for n in range(1, 20)), "300 pause 490"]
)

EXAMPLES = {
    "a +10 s button every 15 s": (None, TEN_SECONDS_AHEAD, 300, 300, (19, 0)),
    "a rewind": (None, "0 play 0, 60 seek 30, 120 pause 90", 120, 90, (0, 1)),
    "a drag in video.js": (
        None,
        "0 play 0, 20 pause 35, 20.09 play 35, 20.15 seek 35, 40.15 pause 55",
        *(40, 40, (1, 0)),
    ),
    "a drag on a slow line": (
        None,
        "0 play 0, 20 pause 35, 21 seek 35, 21.05 play 35, 41.05 pause 55",
        *(40, 40, (1, 0)),
    ),
    "a replay whose play still reports the end": (
        70,
        """
        0 play 0, 70 ended 70, 75 play 70
        79.3 progress 4, 83.3 progress 8, 85.3 pause 10
        """,
        *(80, 70, (0, 0)),
    ),
    "a seek that says where it began": (
        None,
        "0 play 0, 10 progress 10, 20 seek 100 from=12, 30 pause 110",
        *(22, 22, (1, 0)),
    ),
    "no play at all": (None, "0 progress 0, 3 progress 3, 13 progress 13", 13, 13, (0, 0)),
    "buffering": (None, "0 play 0, 10 waiting 10, 25 playing 10, 35 pause 20", 20, 20, (0, 0)),
    "a loop": (8, "0 play 0, 8 seek 0, 16 seek 0, 20 pause 4", 20, 8, (0, 2)),
    "a restart button": (None, "0 play 0, 8 seek 0, 13.3 pause 5.3", 13.3, 8, (0, 1)),
    "a drag in WebKit": (
        None,
        "0 play 0, 4 pause 30, 4.7 play 30, 4.8 waiting 30, 4.8 seek 30, 8 pause 33.2",
        *(7.2, 7.2, (1, 0)),
    ),
    "a slow line, both ends of the seek sent": (
        None,
        "0 play 0, 5 seeking 60, 12 seeked 60, 20 pause 68",
        *(13, 13, (1, 0)),
    ),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_the_examples_of_the_definitions_hold_exactly(
    example: tuple[float | None, str, float, float, tuple[int, int]],
) -> None:
    duration, text, total, unique, skips = example
    found = totals(settled(text, duration=duration))
    assert (found["total"], found["unique"], found["skips"]) == (total, unique, skips)


def test_peter() -> None:
    found = settled(
        """
        0 play 0, 30 pause 30, 35 resume 30, 125 pause 120, 130 resume 110, 140 pause 120
        """,
        duration=300,
    )
    assert totals(found) == {
        "total": 130,
        "unique": 120,
        "clock": 130,
        "skips": (0, 1),
        "pauses": 3,
        "completions": 0,
        "open": 0,
        "tail": 0,
        "sessions": 1,
    }
