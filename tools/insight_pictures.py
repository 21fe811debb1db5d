"""The pictures of the pages on experiments, completion and live, drawn from made-up results.

`python -m tools.insight_pictures` writes them into `docs/images`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from vidagg_dagster.insight.completion.page import reliability_picture
from vidagg_dagster.insight.completion.scoring import Bin
from vidagg_dagster.insight.experiments.curves import Part
from vidagg_dagster.insight.experiments.pictures import curves_picture, intervals_picture
from vidagg_dagster.insight.experiments.result import Effect
from vidagg_dagster.live.page import LiveMinute, minutes_picture

FOLDER: Final = Path("docs", "images")

_BINS: Final = tuple(
    Bin(landmarks=count, probability=told, completed=happened)
    for count, told, happened in (
        (4_120, 0.04, 0.05),
        (2_310, 0.15, 0.14),
        (1_480, 0.25, 0.27),
        (990, 0.35, 0.33),
        (760, 0.45, 0.47),
        (640, 0.55, 0.53),
        (410, 0.65, 0.68),
        (220, 0.74, 0.71),
    )
)
"""Made-up moments: their number, what was told, and the share that completed."""


def _effect(title: str, control: float, effect: float, half: float, always: float) -> Effect:
    return Effect(
        metric=title,
        title=title,
        unit="",
        variant="new",
        control=control,
        treatment=control + effect,
        effect=effect,
        lower=effect - half,
        upper=effect + half,
        always_lower=effect - always,
        always_upper=effect + always,
        relative=effect / control,
        p=0.05,
        adjusted_p=0.05,
        detectable=None,
    )


def experiment_picture() -> str:
    """Five metrics of a made-up experiment."""
    return intervals_picture(
        [
            _effect("Watched per user", 1_840, 61, 44, 78),
            _effect("Users who watched anything", 0.62, 0.004, 0.011, 0.019),
            _effect("Videos started per user", 3.1, -0.05, 0.09, 0.15),
            _effect("Completed per started video", 0.41, 0.021, 0.012, 0.02),
            _effect("Seen share of started videos", 0.55, 0.018, 0.01, 0.017),
        ]
    )


def curves_of_an_experiment() -> str:
    """Curves of two arms that part after the middle of the videos."""
    parts = []
    for number in range(20):
        control = 0.92 - 0.031 * number
        effect = 0.004 if number < 9 else 0.005 * (number - 8)
        half, band = 0.016, 0.024
        parts.append(
            Part(
                from_percent=5 * number,
                to_percent=5 * number + 5,
                control=control,
                treatment=control + effect,
                effect=effect,
                lower=effect - half,
                upper=effect + half,
                band_lower=effect - band,
                band_upper=effect + band,
            )
        )
    return curves_picture(parts, "control", "new")


def live_picture() -> str:
    """The last hour of a made-up evening."""
    begin = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
    minutes = [
        LiveMinute(begin + timedelta(minutes=at), round(180 + 60 * sin(at / 9) + at), 9, 7)
        for at in range(60)
    ]
    return minutes_picture(minutes, ZoneInfo("UTC"))


def pictures() -> Mapping[str, str]:
    """Name of the file -> its text."""
    return {
        "completion.svg": reliability_picture(_BINS) + "\n",
        "experiment.svg": experiment_picture() + "\n",
        "experiment_curves.svg": curves_of_an_experiment() + "\n",
        "live.svg": live_picture() + "\n",
    }


def write_pictures(root: Path) -> None:
    """Write the pictures below `root`."""
    for name, text in pictures().items():
        (root / FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pictures(Path.cwd())
