"""What the README and the docs say is true: links resolve, pages are current, commands exist."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tools.metrics_page import PAGE, with_generated_parts
from vidagg_dagster.cli.main import main
from vidagg_dagster.core.contract import Severity
from vidagg_dagster.core.schemas import TABLES
from vidagg_dagster.quality.rules import RULES
from vidagg_dagster_tests.support import peter
from vidagg_dagster_tests.support.pages import COMMANDS, PAGES
from vidagg_dagster_tests.support.repository import REPO


def test_the_metrics_page_is_what_the_declarations_say() -> None:
    page = (REPO / PAGE).read_text(encoding="utf-8")
    assert with_generated_parts(page) == page, "run: make docs"


def test_the_metrics_page_documents_every_column_and_flag() -> None:
    page = (REPO / PAGE).read_text(encoding="utf-8")
    for table in TABLES.values():
        assert f"### `{table.name}`" in page
        assert all(f"| `{column}` |" in page for column in table.column_names)


def test_a_page_without_its_generated_part_is_refused() -> None:
    with pytest.raises(ValueError, match="tables"):
        with_generated_parts("# Nothing to fill\n")


def test_the_readme_is_short() -> None:
    assert len((REPO / "README.md").read_text(encoding="utf-8").split()) < 900


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_states_peter_s_numbers() -> None:
    lines = (REPO / "README.md").read_text(encoding="utf-8").splitlines()
    header = next(number for number, line in enumerate(lines) if "| totalWatchTime |" in line)
    names, values = (
        [cell.strip() for cell in lines[number].strip("|").split("|")]
        for number in (header, header + 2)
    )
    assert dict(zip(names, values, strict=True)) == {
        name: f"{peter.ROW[name]:g}" if name != "engagementTier" else peter.ROW[name]
        for name in names
    }


def test_every_make_target_of_the_docs_exists() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for target in re.findall(r"`?make ([a-z][a-z-]*)`", text):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_vidagg_command_of_the_docs_is_understood(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for line in COMMANDS:
        words = line.split()
        if words[0].endswith("vidagg"):
            with pytest.raises(SystemExit) as stop:
                main([*words[1:], "--help"])
            assert stop.value.code == 0
    capsys.readouterr()


def test_constraints_are_plain_versions() -> None:
    lines = (REPO / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)


def test_the_compose_file_is_valid_and_its_image_has_what_it_needs() -> None:
    """Valid by the Compose specification. test_operations runs its commands."""
    deploy = REPO / "deploy"
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"),
            deploy / "docker-compose.yml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    services = yaml.safe_load((deploy / "docker-compose.yml").read_text())["services"]
    assert set(services) == {"postgres", "code", "webserver", "daemon"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
    recipe = (deploy / "Dockerfile").read_text().replace("\\\n", " ")
    known = ("FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER")
    lines = [line for line in recipe.splitlines() if line.strip() and not line.startswith("#")]
    assert all(line.split()[0] in known for line in lines), lines
    for line in lines:
        if line.startswith("COPY"):
            assert all((REPO / source).exists() for source in line.split()[1:-1]), line
    [extras] = re.findall(r"'\.\[(.*?)\]'", recipe)
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    given = set(services["daemon"]["environment"])
    storage = (deploy / "postgres-storage.yaml").read_text()
    assert set(re.findall(r"env: (\w+)", storage)) == given


def test_the_runbook_names_every_warning_and_every_alert() -> None:
    page = (REPO / "docs" / "operations.md").read_text(encoding="utf-8")
    warnings = [
        rule.name for rules in RULES.values() for rule in rules if rule.severity is Severity.WARN
    ]
    assert len(warnings) > 4
    assert [name for name in warnings if f"`{name}`" not in page] == []
    for heading in ("### Check failed", "### Run failed", "### Day missing"):
        assert heading in page
