"""The shapes of the charts."""

from datetime import date

import pytest

from vidagg_dagster.report import charts


def test_an_area_has_a_step_for_each_change_only() -> None:
    assert charts.area([10, 10, 5, 0], top=10) == "M0 200v-200h2v100h1v100h1V200z"


def test_an_area_of_nothing_is_level() -> None:
    assert charts.area([0, 0], top=0) == "M0 200h2V200z"


def test_heat_is_a_path_for_each_colour() -> None:
    assert charts.heat([0, 9, 9, 4.4, 9], top=9) == {9: "M1 1h2M4 1h1", 4: "M3 1h1"}
    assert charts.heat([0, 0], top=0) == {}


@pytest.mark.parametrize(
    ("value", "step"), [(None, 0), (0, 0), (0.01, 1), (50, 4), (100, 9), (150, 9)]
)
def test_a_colour_is_nothing_only_where_there_is_nothing(value: float | None, step: int) -> None:
    assert charts.step_of(value, 100) == step


def test_strips_are_within_the_video() -> None:
    assert charts.strip([(0, 1.5), (99.9, 120)], 100_000, 3) == "M0 3h15M999 3h1"


@pytest.mark.parametrize(
    ("end_ms", "positions"),
    [(30_000, [0, 5_000, 10_000, 15_000, 20_000, 25_000]), (500, [0]), (7_200_000, None)],
)
def test_positions_are_round(end_ms: int, positions: list[int] | None) -> None:
    ticks = charts.ticks_of_time(end_ms)
    assert len(ticks) <= charts.TICKS_ACROSS + 1
    assert positions is None or [tick.value for tick in ticks] == positions


def test_the_grid_is_in_percent_of_what_is_named() -> None:
    # The plot ends at 120 viewers, and 100 % are 100 of them: 50 % is at 50 / 120 of its height.
    assert [(tick.value, round(tick.at, 2)) for tick in charts.ticks_up(120, 100)] == [
        (50, 58.33),
        (100, 16.67),
    ]
    assert charts.ticks_up(120, 0) == []


def test_days_without_a_row_are_gaps() -> None:
    rows = [{"event_date": date(2026, 1, day), "n": n} for day, n in ((14, 4), (5, 8), (6, None))]
    assert [(bar.x, bar.height) for bar in charts.bars(rows, "n")] == [
        (0, 100),
        (10, 0),
        (90, 50),
    ]
    assert charts.bars([], "n") == []
