"""The picture of a day's most watched videos."""

import base64
import re
from xml.etree import ElementTree

from vidagg_dagster.defs.pictures import BARS, MAX_LENGTH, watch_time_picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: str) -> ElementTree.Element:
    encoded = markdown.partition("base64,")[2].rstrip(")")
    return ElementTree.fromstring(base64.b64decode(encoded))


def texts(svg: ElementTree.Element) -> list[str | None]:
    return [text.text for text in svg.iter(f"{SVG}text")]


def test_each_video_has_a_bar_by_its_watch_time_and_its_title_is_escaped() -> None:
    videos: list[dict[str, object]] = [
        {"videoId": "a", "title": "Bread & <butter>", "watchSeconds": 7200.0},
        {"videoId": "b", "title": None, "watchSeconds": 3600.0},
        {"videoId": "c", "title": "Nobody", "watchSeconds": 0.0},
    ]
    svg = drawn(watch_time_picture(videos))
    assert texts(svg) == ["Bread & <butter>", "2 h 00 min", "b", "1 h 00 min"]
    (path,) = svg.iter(f"{SVG}path")
    first, second = map(int, re.findall(r"h(\d+)", path.attrib["d"]))
    assert first == 2 * second


def test_the_first_videos_are_drawn_as_far_as_dagster_shows_the_picture_in_its_place() -> None:
    usual = [
        {"videoId": str(n), "title": "A usual title of", "watchSeconds": 99.0} for n in range(9)
    ]
    assert len(texts(drawn(watch_time_picture(usual)))) == 2 * BARS
    wide = [{"videoId": str(n), "title": "視" * 40, "watchSeconds": 1.0} for n in range(9)]
    picture = watch_time_picture(wide)
    assert len(picture) <= MAX_LENGTH
    assert 0 < len(texts(drawn(picture))) < 2 * BARS


def test_without_watch_time_there_is_no_picture() -> None:
    assert watch_time_picture([{"videoId": "a", "events": 3}]) == ""
    assert watch_time_picture([]) == ""
