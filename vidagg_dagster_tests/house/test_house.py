"""The package stays a house of rooms: few modules at its root, no room that holds most of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vidagg_dagster

PACKAGE = Path(vidagg_dagster.__file__).parent
MAX_MODULES_AT_THE_ROOT = 3
MAX_SHARE_OF_A_FOLDER = 0.2


def modules_at_the_root(package: Path) -> list[str]:
    return sorted(path.name for path in package.glob("*.py"))


def folders(package: Path) -> Iterator[Path]:
    """The package and every folder below it that Python can import from."""
    yield from sorted({path.parent for path in package.rglob("*.py")})


def large_folders(package: Path) -> list[str]:
    """Folders with more than their share of the lines, those of folders below them included."""
    lines = {path: len(path.read_text().splitlines()) for path in package.rglob("*.py")}
    most = MAX_SHARE_OF_A_FOLDER * sum(lines.values())
    return [
        f"{folder.name}: {held} lines, more than {most:.0f}"
        for folder in folders(package)
        if folder != package
        and (held := sum(n for path, n in lines.items() if folder in path.parents)) > most
    ]


def folders_without_docstring(package: Path) -> list[str]:
    return [folder.name for folder in folders(package) if not _says_what_it_is(folder)]


def _says_what_it_is(folder: Path) -> bool:
    init = folder / "__init__.py"
    return init.is_file() and bool(ast.get_docstring(ast.parse(init.read_text())))


def test_few_modules_lie_at_the_root() -> None:
    found = modules_at_the_root(PACKAGE)
    assert len(found) <= MAX_MODULES_AT_THE_ROOT, f"give it a folder: {found}"


def test_no_folder_holds_more_than_its_share() -> None:
    assert large_folders(PACKAGE) == []


def test_every_folder_says_what_it_is() -> None:
    assert folders_without_docstring(PACKAGE) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package of six folders of ten lines each, all in order."""
    package = tmp_path / "package"
    for name in ("", "core", "spark", "tables", "metrics", "quality", "cli"):
        folder = package / name
        folder.mkdir()
        (folder / "__init__.py").write_text('"""What it is."""\n')
        if name:
            (folder / "module.py").write_text("x = 1\n" * 9)
    return package


def test_a_tree_in_order_passes(tree: Path) -> None:
    assert modules_at_the_root(tree) == ["__init__.py"]
    assert large_folders(tree) == folders_without_docstring(tree) == []


def test_a_module_at_the_root_would_be_counted(tree: Path) -> None:
    (tree / "stray.py").touch()
    assert modules_at_the_root(tree) == ["__init__.py", "stray.py"]


def test_a_large_folder_would_be_found_also_by_what_lies_below_it(tree: Path) -> None:
    below = tree / "metrics" / "kernels"
    below.mkdir()
    (below / "module.py").write_text("x = 1\n" * 11)
    assert large_folders(tree) == ["metrics: 21 lines, more than 14"]


def test_a_folder_that_says_nothing_would_be_found(tree: Path) -> None:
    (tree / "cli" / "__init__.py").write_text("x = 1\n")
    (tree / "core" / "__init__.py").unlink()
    assert folders_without_docstring(tree) == ["cli", "core"]
