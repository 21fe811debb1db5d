"""docs/test-scenarios.md is what the scenarios and the fold say, pictures included."""

from xml.etree import ElementTree

import pytest

from tools.scenario_timeline import COLOURS
from tools.scenarios_page import CHAPTERS, FOLDER, pages, rows_of
from vidagg_dagster.core.vocabulary import EVIDENCE
from vidagg_dagster_tests.support.repository import REPO
from vidagg_dagster_tests.support.scenarios import SCENARIOS, Scenario, differences

SHOWN = {name for names in CHAPTERS.values() for name in names}


def test_the_page_and_its_pictures_are_current() -> None:
    found = pages()
    for path, text in found.items():
        assert (REPO / path).read_text(encoding="utf-8") == text, f"{path}: run: make docs"
    there = {path.relative_to(REPO) for path in (REPO / FOLDER).iterdir()}
    assert there == {path for path in found if path.suffix == ".svg"}


@pytest.mark.parametrize(
    "scenario", [scenario for scenario in SCENARIOS if scenario.name in SHOWN], ids=str
)
def test_a_row_of_the_page_has_the_numbers_worked_out_by_hand(scenario: Scenario) -> None:
    assert not scenario.parameters
    rows = rows_of(scenario)
    assert set(rows) == set(scenario.rows)
    for key, expected in scenario.rows.items():
        assert differences(rows[key], expected) == []


def test_every_evidence_has_a_colour_of_its_own() -> None:
    assert list(COLOURS) == list(EVIDENCE)
    assert len(set(COLOURS.values())) == len(EVIDENCE)


def test_a_picture_has_each_event_and_each_stretch_that_counts() -> None:
    picture = ElementTree.fromstring(
        next(text for path, text in pages().items() if path.name == "02-1.svg")
    )
    name = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{name}circle")) == 6
    thick = [path for path in picture.iter(f"{name}path") if path.get("stroke-width")]
    assert len(thick) == 3 + 1, "three stretches and their legend"
    assert picture.findall(f"{name}text")[-1].text == "observed"
