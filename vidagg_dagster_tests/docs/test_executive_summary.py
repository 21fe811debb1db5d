"""docs/executive-summary.md: its costs are those that were measured, its claims those of others."""

import pytest

from tools.executive_summary import PAGE, executive_summary
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.repository import REPO

TEXT = (REPO / PAGE).read_text(encoding="utf-8")


def test_the_costs_are_those_of_the_benchmarks() -> None:
    assert executive_summary(TEXT) == TEXT, "run: make docs"


def test_a_page_without_room_for_the_costs_is_refused() -> None:
    with pytest.raises(ValueError, match="costs"):
        executive_summary("# No room\n")


def test_its_claims_are_those_of_the_pages_it_links() -> None:
    assert "Of 90 sessions recorded in real browsers, 74 agree within 0.5 s" in TEXT
    recorded = (REPO / "docs" / "recorded-sessions.md").read_text(encoding="utf-8")
    assert "Of 90 sessions recorded" in recorded
    assert "within 0.5 s in 74 as" in recorded
    assert f"{peter.ROW['watchPercentage']} % watched" in TEXT
    assert f"{peter.ROW['totalWatchTime']:g} seconds of a video of {peter.DURATION}" in TEXT
