"""The KQL pack as text: complete, current, and in the words of the definitions."""

import re
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files

import pytest

from tools.kql_pages import FOLDER, pages
from vidagg_dagster.azure.pack import (
    PARTS,
    QUERIES,
    SOURCES,
    RawEvent,
    Video,
    Window,
    inline_source,
    question,
    render,
)
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.vocabulary import ALIASES, EVENT_NAMES, RANKS
from vidagg_dagster_tests.support.kql_engine import azure
from vidagg_dagster_tests.support.peter import EVENTS
from vidagg_dagster_tests.support.repository import REPO

NOON = datetime(2026, 1, 5, 12, 0, 0, 123456)
KQL = files("vidagg_dagster.azure") / "kql"


def test_the_pages_to_paste_are_up_to_date() -> None:
    found = {path.name: path.read_text("utf-8") for path in (REPO / FOLDER).iterdir()}
    assert found == pages(), "run: make docs"


def test_every_file_of_the_pack_is_used() -> None:
    names = {file.name for file in (KQL / "queries").iterdir()}
    assert names == {f"{query}.kql" for query in QUERIES}
    parts = {file.name for file in (KQL / "lib").iterdir()}
    assert parts == {f"{part}.kql" for part in (*PARTS, *(f"source_{name}" for name in SOURCES))}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_says_in_two_sentences_what_it_answers(query: str) -> None:
    asks, says = question(query).split("? ", 1)
    assert asks
    assert says.count(". ") == 0
    assert says.endswith(".")


def test_names_of_events_are_those_of_the_vocabulary() -> None:
    text = (KQL / "lib" / "events.kql").read_text("utf-8")
    ranked = re.findall(r"eventName in \(([^)]*)\), (\d)", text)
    found = {name: int(rank) for names, rank in ranked for name in re.findall(r'"([^"]+)"', names)}
    assert found == {
        **RANKS,
        **{alias: RANKS[name] for alias, name in ALIASES.items()},
    }
    assert len(ranked) == len(EVENT_NAMES)


def test_every_threshold_reaches_the_text() -> None:
    changed = EngagementParameters(
        session_timeout_ms=60_000, repair_seeks=False, coverage_weight=Decimal("50.25")
    )
    text = render("user_video", "customevents", parameters=changed, max_position_s=100)
    assert "let SessionTimeoutMs = 60000;\n" in text
    assert "let RepairSeeks = false;\n" in text
    assert "let CoverageWeightHundredths = 5025;\n" in text
    assert "let MaxPositionS = 100.0;\n" in text
    for name in re.findall(r"^let (\w+) = [\w.]+;$", text, re.M):
        assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is never used"


def test_titles_may_hold_anything() -> None:
    titles = ['a "quoted" one', "back\\slash", "zwölf\nlines", ""]
    videos = [Video(f"v{number}", 1.0, title) for number, title in enumerate(titles)]
    lets = render("data_quality", "example", videos=videos).split("// ---- thresholds")[0]
    with azure([]) as tables:
        rows = tables.rows(f"{lets}Videos | project videoTitle")
    assert [row["videoTitle"] for row in rows] == titles


def test_events_may_be_part_of_the_text() -> None:
    raw = RawEvent(NOON, "play", {"a": "'\"\\"})
    with azure([]) as tables:
        (row,) = tables.rows(f"{inline_source([raw])}RawEvents")
    assert (row["name"], row["dims"], row["itemCount"]) == ("play", {"a": "'\"\\"}, 1)
    assert row["timestamp"].replace(tzinfo=None) == NOON


def test_the_example_holds_the_events_of_the_documentation() -> None:
    example = (KQL / "lib" / "source_example.kql").read_text("utf-8")
    for event in EVENTS:
        assert event["timestamp"] in example
    assert example.count("dynamic({") == len(EVENTS)


def test_a_window_is_of_whole_days() -> None:
    text = render("sessions", "appevents", Window(date(2026, 1, 5), date(2026, 1, 7)))
    assert "let FirstDay = datetime(2026-01-05);\nlet LastDay = datetime(2026-01-07);\n" in text


def test_an_unknown_query_is_refused() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        render("nonsense", "appevents")
