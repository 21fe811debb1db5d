"""Mappings as data: how paths are written, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from vidagg_dagster.core.event_mapping import EventMapping, Place
from vidagg_dagster.core.record_path import Element, Entry, parse_path

COLUMNS = {
    "timestamp": "time",
    "userId": ["user", "guest"],
    "sessionId": "session",
    "videoId": {"paths": ["course", "clip.id"], "separator": "/"},
    "eventName": "what",
    "currentTime": [{"path": "at", "unit": "ms"}],
}


def mapping(**changes: Any) -> EventMapping:
    return EventMapping.model_validate({"name": "own", "columns": COLUMNS, **changes})


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("user", ("user",)),
        ("a.b.c", ("a", "b", "c")),
        ("timestamp UTC", ("timestamp UTC",)),
        ('"timestamp [UTC]"', ("timestamp [UTC]",)),
        ('result."https://w3id.org/time".x', ("result", "https://w3id.org/time", "x")),
        ("ids[0]", ("ids", Element(0))),
        ("a[1].b[20]", ("a", Element(1), "b", Element(20))),
        ("params[key=time].value.int", ("params", Entry("key", "time", "value"), "int")),
        ('params[key=a.b]."v.w"', ("params", Entry("key", "a.b", "v.w"))),
    ],
)
def test_a_path_is_read_as_it_is_written(text: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "[0]", "a[", "a[x]", "a[-1]", "a[k=v]", '"a', 'a."b', "a]b"],
)
def test_other_text_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parse_path(text)


def test_short_forms_mean_the_same_as_long_ones() -> None:
    events = {
        "Go": "video_play",
        "Jump": {"to": "video_seek", "currentTime": "to", "seekFrom": {"path": "from"}},
    }
    long = {
        "go": {"to": "video_play", "columns": {}},
        "jump": {
            "to": "video_seek",
            "columns": {"currentTime": [{"paths": ["to"]}], "seekFrom": [{"paths": ["from"]}]},
        },
    }
    assert mapping(events=events) == mapping(events=long)


def test_a_mapping_travels_as_json() -> None:
    there = mapping(events={"a*": "ignore", "b": "reject"}, fill_down=["videoId"], each="list")
    assert EventMapping.model_validate_json(there.model_dump_json()) == there


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"timestamp": "t"}}, "places are missing for userId, sessionId"),
        ({"columns": {**COLUMNS, "user": "x"}}, "Input should be 'timestamp'"),
        (
            {"columns": {**COLUMNS, "currentTime": {"path": "p", "unit": "h"}}},
            "Input should be 's'",
        ),
        ({"columns": {**COLUMNS, "userId": "a..b"}}, "'a..b' is no path"),
        ({"columns": {**COLUMNS, "eventId": "User"}}, "user and User differ only in case"),
        ({"events": {"go": "video_start"}}, "'video_start' is no event of ours"),
        ({"events": {"go": "video_play", "GO": "ignore"}}, "two names differ only in case"),
        ({"events": {"go": {"to": "video_seek", "from": "x"}}}, "Input should be 'timestamp'"),
        ({"each": "a["}, "'a\\['"),
        ({"fill": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_mapping_is_refused_with_its_fault(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        mapping(**changes)


@pytest.mark.parametrize("place", [{}, {"paths": ["a"], "literal": "b"}, {"literal": ""}])
def test_a_place_is_a_path_or_a_literal(place: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Place.model_validate(place)
    assert Place.model_validate({"literal": "b"}).steps == ()
