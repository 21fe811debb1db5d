"""The asset bundle makes what the page's SQL makes, with the grants that `deploy` asks for."""

import re
from typing import Any

import yaml

from vidagg_dagster.databricks.deploy import NEEDED_PRIVILEGES
from vidagg_dagster_tests.support.repository import REPO

BUNDLE: dict[str, Any] = yaml.safe_load((REPO / "deploy" / "databricks.yml").read_text())
PAGE = (REPO / "docs" / "databricks.md").read_text()


def privileges(resource: dict[str, Any]) -> set[str]:
    (grant,) = resource["grants"]
    assert grant["principal"] == "${var.runner}"
    return set(grant["privileges"])


def granted_on(kind: str, name: str) -> set[str]:
    found = re.findall(rf"GRANT ([A-Z, ]+) ON {kind} {re.escape(name)} TO", PAGE)
    return {word.strip().replace(" ", "_") for text in found for word in text.split(",")}


def test_the_schema_has_the_privileges_that_steps_need() -> None:
    schema = BUNDLE["resources"]["schemas"]["tables"]
    assert privileges(schema) == set(NEEDED_PRIVILEGES) == granted_on("SCHEMA", "main.video")


def test_the_volume_can_be_read_and_written() -> None:
    volume = BUNDLE["resources"]["volumes"]["files"]
    assert privileges(volume) == granted_on("VOLUME", "main.video.vidagg")
    assert volume["schema_name"] == "${resources.schemas.tables.name}"


def test_every_variable_that_it_uses_is_declared_and_used() -> None:
    text = (REPO / "deploy" / "databricks.yml").read_text()
    assert set(re.findall(r"\$\{var\.(\w+)\}", text)) == set(BUNDLE["variables"])


def test_the_page_grants_by_application_id_and_lets_the_source_be_read() -> None:
    principals = re.findall(r"GRANT .* TO `([^`]+)`", PAGE)
    assert principals
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", p) for p in principals)
    assert granted_on("SCHEMA", "main.raw") == {"USE_SCHEMA"}
    for table in ("main.raw.player_events", "main.raw.videos"):
        assert granted_on("TABLE", table) == {"SELECT"}
