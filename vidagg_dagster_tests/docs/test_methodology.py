"""docs/methodology.md and docs/glossary.md: what they name exists, and defaults are today's."""

import re

import pytest

from vidagg_dagster.core.contract import EVENT_COLUMNS
from vidagg_dagster.core.parameters import EngagementParameters
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.core.vocabulary import EVENT_NAMES, EVIDENCE, IGNORE
from vidagg_dagster.metrics.engagement import QUALITY_FLAGS
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster_tests.support.repository import REPO

METHODOLOGY, GLOSSARY = (
    (REPO / "docs" / name).read_text(encoding="utf-8") for name in ("methodology.md", "glossary.md")
)
OF_YOUTUBE = {
    "estimatedMinutesWatched",
    "averageViewPercentage",
    "averageViewDuration",
    "views",
    "engagedViews",
    "audienceWatchRatio",
    "relativeRetentionPerformance",
}
KNOWN = {
    *TABLES,
    *(column for table in TABLES.values() for column in table.column_names),
    *EVENT_COLUMNS,
    *EVENT_NAMES,
    *QUALITY_FLAGS,
    *EngagementParameters.model_fields,
    *(rule.name for rules in RULES.values() for rule in rules),
    *EVIDENCE,
    IGNORE,
}


@pytest.mark.parametrize("page", [METHODOLOGY, GLOSSARY], ids=["methodology", "glossary"])
def test_what_the_page_names_exists(page: str) -> None:
    named = {
        word for word in re.findall(r"`([^`\n]+)`", page) if not re.match(r"VIDAGG_[A-Z_]+$", word)
    }
    assert len(named) > 15
    assert named - KNOWN - OF_YOUTUBE == set()


def test_the_defaults_are_those_of_the_parameters() -> None:
    default = EngagementParameters()
    assert "after 30 minutes" in METHODOLOGY
    assert default.session_timeout_ms == 30 * 60_000
    assert "below 5 s" in METHODOLOGY
    assert default.very_short_watch_ms == 5_000
    assert "up to 1.1 times" in METHODOLOGY
    assert default.position_limit_percent == 110
    assert "more than 1.2 times" in METHODOLOGY
    assert default.excessive_watch_percent == 120
    assert "only where 75 % were seen" in GLOSSARY
    assert default.completion_coverage_percent == 75


def test_every_flag_and_evidence_is_disclosed() -> None:
    assert [
        flag for flag in (*QUALITY_FLAGS, *EVIDENCE) if f"`{flag}`" not in METHODOLOGY + GLOSSARY
    ] == []


def test_the_words_are_in_order_and_each_has_its_german() -> None:
    _, _, rest = GLOSSARY.partition("## Words\n")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", rest, re.M)[1:]
    words = [row[0] for row in rows]
    assert words == sorted(words)
    assert len(words) > 15
