"""Patterns of times: what they match, and which are none."""

import re

import pytest

from vidagg_dagster.core.time_format import parse_time_format, parse_time_formats


@pytest.mark.parametrize(
    ("pattern", "text", "parts"),
    [
        ("%d.%m.%Y %H:%M:%S", "5.3.2024 10:00:07", {"d": "5", "m": "3", "S": "07"}),
        ("%m/%d/%y %I:%M %p", "03/05/24   9:30 pm", {"y": "24", "I": "9", "p": "pm"}),
        ("[%d/%b/%Y:%H:%M:%S %z]", "[05/Mar/2024:10:00:00 +0100]", {"b": "Mar", "z": "+0100"}),
        ("%a %Y%%%m-%d %H.%M.%S,%f", "Tue 2024%3-5 1.2.3,45", {"f": "45", "H": "1"}),
    ],
)
def test_a_pattern_finds_its_parts(pattern: str, text: str, parts: dict[str, str]) -> None:
    parsed = parse_time_format(pattern)
    found = re.match(parsed.expression, text)
    assert found is not None
    told = dict(zip(parsed.directives, found.groups(), strict=True))
    assert {name: told[name] for name in parts} == parts
    assert re.match(parsed.expression, f"{text}x") is None


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("%d.%m.%Y", "tells no moment: %H or %I, %M is missing"),
        ("%d.%m.%Y %I:%M", "%I with %p is missing"),
        ("%d.%m.%Y %H:%M %p", "%I with %p is missing"),
        ("%Q", "%Q is not known; there are %Y"),
        ("%d %d.%m.%Y %H:%M", "names something twice"),
        ("yyyy-MM-dd", "tells no moment"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_time_formats(f"%Y-%m-%d %H:%M| {pattern}")


def test_patterns_stand_between_bars() -> None:
    assert parse_time_formats(" %Y-%m-%d %H:%M |%d.%m.%Y %H:%M|") == (
        *("%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"),
    )
