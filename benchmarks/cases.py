"""What is measured: one case for each goal of the project."""

from benchmarks.generate import Site
from benchmarks.measure import Case

ALL = ("DuckDB", "vidagg on Sail", "vidagg on JVM Spark")
MILLION = 1_000_000


def _uneven(name: str, *, bot_share: float = 0.0, top_video_share: float = 0.0) -> Case:
    site = Site(10 * MILLION, bot_share=bot_share, top_video_share=top_video_share)
    return Case(name, site, ("vidagg on Sail", "vidagg on JVM Spark"), repeat=2)


CASES: dict[str, tuple[Case, ...]] = {
    "lifetime": (
        Case("1 M events", Site(MILLION), (*ALL, "naive Spark"), ALL),
        Case("10 M events", Site(10 * MILLION), (*ALL, "naive Spark"), ALL),
        Case(
            "10 M events with heartbeats", Site(10 * MILLION, heartbeats=True), ALL, ALL, repeat=1
        ),
    ),
    "stages": (Case("10 M events", Site(10 * MILLION), ("stages on Sail",), repeat=2),),
    "daily": (
        Case(
            "whole daily run, 10 M events",
            Site(10 * MILLION),
            ("DuckDB", "daily run on Sail"),
            repeat=2,
        ),
    ),
    "small": (
        Case(
            "day of 1 000 events",
            Site(1_000, days=2),
            (
                "daily run on Sail",
                "daily run on Sail, warm",
                "daily run on JVM Spark",
                "daily run on JVM Spark, warm",
            ),
        ),
    ),
    "uneven": (
        _uneven("even"),
        _uneven("one bot sends all", bot_share=1.0),
        _uneven("one video has 90 %", top_video_share=0.9),
    ),
    "history": (
        Case(
            "a new day of 20 000 events",
            Site(20_000, days=366),
            ("new day after 1", "new day after 365"),
            repeat=1,
        ),
    ),
    "pairs": (
        Case(
            "2 000 pairs into the lifetime table",
            Site(10 * MILLION),
            ("update at 1 M pairs",),
            repeat=1,
        ),
    ),
    "large": (
        Case(
            "100 M events",
            Site(100 * MILLION),
            ("vidagg on Sail", "vidagg on JVM Spark"),
            ("vidagg on Sail", "vidagg on JVM Spark"),
            repeat=1,
        ),
        Case(
            "whole daily run, 100 M events",
            Site(100 * MILLION),
            ("daily run on Sail",),
            repeat=1,
        ),
    ),
}
"""Cases by the name of their group, by which `make bench` selects them."""
