"""Rows of equal events are equal where the text of the rules is, and only there."""

from typing import Any

import pytest

from vidagg_dagster.core.edition import EDITION, rules_of
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.settings import Settings
from vidagg_dagster_tests.support.repository import REPO

PUBLISHED = rules_of(EngagementParameters(), "UTC", estimates=False)


def test_the_page_names_the_edition() -> None:
    page = (REPO / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert f"This is edition {EDITION} of the rules" in page


def test_the_edition_comes_first() -> None:
    assert PUBLISHED.startswith(f"{EDITION}-")


@pytest.mark.parametrize(
    "changed",
    [
        {"timezone": "Asia/Tokyo"},
        {"estimate_missing_durations": True},
        {"parameters": EngagementParameters(tolerance_ms=500)},
    ],
)
def test_what_changes_rows_changes_the_text(changed: dict[str, Any]) -> None:
    assert Settings(**changed).rules != PUBLISHED


def test_a_threshold_at_its_default_is_no_other_rule() -> None:
    same = EngagementParameters(tolerance_ms=EngagementParameters().tolerance_ms)
    assert Settings(parameters=same).rules == PUBLISHED


def test_what_changes_no_row_does_not() -> None:
    assert Settings(engine="sail", events_at_once=1_000_000).rules == PUBLISHED
