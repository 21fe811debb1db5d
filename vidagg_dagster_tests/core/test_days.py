from datetime import date

import pytest

from vidagg_dagster.core.days import (
    days_from_json,
    days_text,
    days_to_json,
    span_text,
    stretches,
    with_day_before,
)


def days(*numbers: int) -> list[date]:
    return [date(2026, 1, number) for number in numbers]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((), ""),
        ((1,), "2026-01-01"),
        ((2, 1, 2), "2026-01-01, 2026-01-02"),
        ((1, 2, 3), "2026-01-01 to 2026-01-03"),
        ((1, 2, 3, 9), "2026-01-01 to 2026-01-03, 2026-01-09"),
        ((1, 3, 5), "2026-01-01, 2026-01-03, 2026-01-05"),
        ((1, 3, 5, 6, 9), "5 days from 2026-01-01 to 2026-01-09"),
    ],
)
def test_days_as_text_name_each_stretch_and_stay_short(given: tuple[int, ...], text: str) -> None:
    assert days_text(days(*given)) == text


def test_a_range_is_named_by_its_ends() -> None:
    assert span_text("2026-01-01", "2026-01-02") == "2026-01-01 to 2026-01-02"
    assert span_text(*days(1, 1)) == "2026-01-01"


def test_stretches_end_at_gaps_and_at_the_limit() -> None:
    assert stretches(days(3, 1, 2, 5, 5)) == [days(1, 2, 3), days(5)]
    assert stretches(days(1, 2, 3), max_days=2) == [days(1, 2), days(3)]


def test_the_day_before_is_added_once() -> None:
    assert with_day_before(days(3, 2, 9)) == days(1, 2, 3, 8, 9)


def test_days_survive_json() -> None:
    assert days_to_json(days(2, 1, 2)) == '["2026-01-01", "2026-01-02"]'
    assert days_from_json(days_to_json(days(2, 1))) == frozenset(days(1, 2))
