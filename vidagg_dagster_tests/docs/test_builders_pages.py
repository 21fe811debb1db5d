"""What the pages for builders say is true: what they name exists, and the house is as drawn."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest
import yaml

import vidagg_dagster
from vidagg_dagster_tests.support.pages import PAGES
from vidagg_dagster_tests.support.repository import REPO

PACKAGE = REPO / "vidagg_dagster"
TESTS = REPO / "vidagg_dagster_tests"
CONTRIBUTING, CHANGELOG = REPO / "CONTRIBUTING.md", REPO / "CHANGELOG.md"
ARCHITECTURE, INDEX = REPO / "docs" / "architecture.md", REPO / "docs" / "README.md"
DECISIONS = sorted((REPO / "docs" / "decisions").glob("*.md"))
FOR_BUILDERS = [CONTRIBUTING, ARCHITECTURE, INDEX, REPO / "SECURITY.md", *DECISIONS]
FILE_ENDINGS = (".py", ".md", ".sql", ".toml", ".yaml", ".yml", ".txt", ".lock")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_words(page: Path) -> Iterator[str]:
    """What stands between backticks on one line."""
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S))


def first_block_after(page: Path, heading: str) -> list[str]:
    _, _, rest = text(page).partition(f"## {heading}\n")
    block = re.search(r"^```\n(.*?)^```", rest, re.M | re.S)
    assert block, heading
    return block[1].splitlines()


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", text(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def wings() -> set[str]:
    return {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_to_a_page_and_to_a_heading_of_it(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("page", FOR_BUILDERS, ids=lambda page: page.name)
def test_files_and_folders_that_a_page_names_exist(page: Path) -> None:
    for word in code_words(page):
        if re.fullmatch(r"[\w.-]+(/[\w.-]*)*", word) and (
            "/" in word or word.endswith(FILE_ENDINGS)
        ):
            assert any((root / word).exists() for root in (REPO, PACKAGE, TESTS)), word


@pytest.mark.parametrize("page", FOR_BUILDERS, ids=lambda page: page.name)
def test_classes_that_a_page_names_exist(page: Path) -> None:
    for word in code_words(page):
        if re.fullmatch(r"[A-Z]+[a-z]+[A-Z]\w*", word):
            assert re.search(rf"\b{word}\b", sources()), word


@cache
def sources() -> str:
    return "\n".join(text(module) for module in sorted(PACKAGE.rglob("*.py")))


def test_tests_that_the_pages_name_exist() -> None:
    defined = {
        name
        for module in TESTS.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", text(module), re.M)
    }
    named = {
        word
        for page in FOR_BUILDERS
        for word in code_words(page)
        if re.fullmatch(r"test_\w+", word)
    }
    assert len(named) > 20
    assert named - defined == set()


@pytest.mark.parametrize("page", [*FOR_BUILDERS, CHANGELOG], ids=lambda page: page.name)
def test_dotted_names_of_the_package_can_be_imported(page: Path) -> None:
    """Of a table in the changelog the last column counts; the first has the old names."""
    for line in text(page).splitlines():
        now = line.rstrip("| ").rpartition("|")[2]
        for name in re.findall(r"`(vidagg_dagster(?:\.\w+)+)`", now):
            assert importable(name), name


def importable(name: str) -> bool:
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    module, _, attribute = name.rpartition(".")
    return find_spec(module) is not None and hasattr(import_module(module), attribute)


def test_the_tree_of_the_architecture_page_is_the_tree_of_the_package() -> None:
    first, *lines = first_block_after(ARCHITECTURE, "The tree")
    assert first == "vidagg_dagster/"
    drawn = {line.split()[0] for line in lines}
    assert {name.rstrip("/") for name in drawn if name.endswith("/")} == wings()
    modules = {module.name for module in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert {name for name in drawn if not name.endswith("/")} == modules


def test_the_floors_of_the_architecture_page_are_those_that_import_linter_holds() -> None:
    drawn = first_block_after(ARCHITECTURE, "Arrows go down only")
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    [floors] = [contract for contract in contracts if contract["id"] == "floors"]
    assert [set(line.split(", ")) for line in drawn] == [
        set(layer.split(" | ")) for layer in floors["layers"]
    ]


def pyproject() -> dict[str, Any]:
    return tomllib.loads(text(REPO / "pyproject.toml"))


def test_the_glossary_is_in_order_and_names_a_word_once() -> None:
    _, _, glossary = text(ARCHITECTURE).partition("## Glossary\n")
    words = re.findall(r"^\| ([a-z][\w, ]*) \|", glossary, re.M)[1:]
    assert len(words) >= 25
    assert words == sorted(set(words))


def test_the_index_names_every_page() -> None:
    linked = {
        (INDEX.parent / target.partition("#")[0]).resolve()
        for target in re.findall(r"\]\(([^)\s]+)\)", text(INDEX))
    }
    assert {page.resolve() for page in PAGES if page != INDEX} <= linked


@pytest.mark.parametrize("record", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_its_four_parts_and_its_line_in_the_index(record: Path) -> None:
    title, body = text(record).removeprefix("# ").split("\n", 1)
    assert title.split()[0] == record.name[:4]
    assert re.findall(r"^## (.*)$", body, re.M) == ["Context", "Decision", "Consequences", "Status"]
    assert len(body.split()) < 300, "a record is short"
    status = re.split("[.;]", body.partition("## Status\n\n")[2])[0].lower()
    [line] = [
        line for line in text(INDEX).splitlines() if f"({record.parent.name}/{record.name})" in line
    ]
    assert line.startswith(f"| [{title}](")
    assert line.split("|")[-2].split(",")[0].strip() == status


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [record.name[:4] for record in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]


def test_the_changelog_has_the_next_release_and_the_version_of_the_project() -> None:
    releases = re.findall(r"^## (\S+)", text(CHANGELOG), re.M)
    assert releases[0] == "Unreleased"
    assert vidagg_dagster.__version__ in releases


def test_the_wheel_carries_the_licence_and_who_holds_it(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [info] = [
            folder for folder in ZipPath(archive).iterdir() if folder.name.endswith(".dist-info")
        ]
        licence = (info / "licenses" / "LICENSE").read_text(encoding="utf-8")
        metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert licence == text(REPO / "LICENSE")
    assert licence.startswith("MIT License\n")
    assert "License-Expression: MIT\n" in metadata
    assert "Author: The vidagg_dagster authors\n" in metadata
    assert "The vidagg_dagster authors\n" in licence


def test_the_hooks_call_tools_that_make_installs() -> None:
    hooks = [
        hook
        for source in yaml.safe_load(text(REPO / ".pre-commit-config.yaml"))["repos"]
        for hook in source["hooks"]
    ]
    extras = pyproject()["project"]["optional-dependencies"]
    installed = {re.split("[^a-z-]", requirement)[0] for requirement in extras["dev"]}
    assert hooks
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["entry"].split()[0].removeprefix(".venv/bin/") in installed
