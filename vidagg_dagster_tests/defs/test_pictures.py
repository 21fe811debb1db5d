"""The picture of a day's most watched videos."""

import base64
from xml.etree import ElementTree

from vidagg_dagster.defs.pictures import BARS, watch_time_picture


def drawn(markdown: str) -> ElementTree.Element:
    encoded = markdown.partition("base64,")[2].rstrip(")")
    return ElementTree.fromstring(base64.b64decode(encoded))


def test_each_video_has_a_bar_by_its_watch_time_and_its_title_is_escaped() -> None:
    videos: list[dict[str, object]] = [
        {"videoId": "a", "title": "Bread & <butter>", "watchSeconds": 7200.0},
        {"videoId": "b", "title": None, "watchSeconds": 3600.0},
        {"videoId": "c", "title": "Nobody", "watchSeconds": 0.0},
    ]
    svg = drawn(watch_time_picture(videos))
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["Bread & <butter>", "2 h 00 min", "b", "1 h 00 min"]
    _, first, second = svg.iter("{http://www.w3.org/2000/svg}rect")
    assert int(first.attrib["width"]) == 2 * int(second.attrib["width"])


def test_only_the_first_videos_are_drawn() -> None:
    videos = [{"videoId": str(n), "title": "x" * 90, "watchSeconds": 1.0} for n in range(20)]
    svg = drawn(watch_time_picture(videos))
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}text"))) == 2 * BARS


def test_without_watch_time_there_is_no_picture() -> None:
    assert watch_time_picture([{"videoId": "a", "events": 3}]) == ""
    assert watch_time_picture([]) == ""
