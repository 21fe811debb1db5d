"""The generated parts of `docs/quick-reference.md`: tables, columns of the main table, commands.

`python -m tools.quick_reference` writes them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tools.generated_parts import Parts, renewed
from tools.metrics_page import escaped, type_name
from vidagg_dagster.cli.main import COMMANDS
from vidagg_dagster.core.schemas import AGGREGATED_ENGAGEMENT, TABLES

PAGE: Final = Path("docs", "quick-reference.md")


class _Noted:
    """In place of argparse's list of subcommands: keeps what each says of itself."""

    def __init__(self) -> None:
        self._real = argparse.ArgumentParser(prog="vidagg").add_subparsers()
        self.helps: dict[str, str] = {}

    def add_parser(self, name: str, **given: Any) -> argparse.ArgumentParser:
        """Note the subcommand's help."""
        self.helps[name] = given["help"]
        return self._real.add_parser(name, **given)


def commands() -> dict[str, str]:
    """Name of a command of `vidagg` -> what it does."""
    noted = _Noted()
    for add in COMMANDS:
        add(noted)
    return noted.helps


def _columns() -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for column in AGGREGATED_ENGAGEMENT.columns:
        yield f"| `{column.name}` | {type_name(column.type)} | {escaped(column.doc)} |"


def _tables() -> Iterator[str]:
    yield "| table | rows |"
    yield "|---|---|"
    for table in TABLES.values():
        said = escaped(table.doc).partition(". ")[0].rstrip(".")
        yield f"| [`{table.name}`](metrics.md#{table.name}) | {said}. |"


def _commands() -> Iterator[str]:
    yield "| command | what it does |"
    yield "|---|---|"
    for name, what in commands().items():
        yield f"| `vidagg {name}` | {escaped(what)} |"


PARTS: Final[Parts] = {"columns": _columns, "tables": _tables, "commands": _commands}


def quick_reference(page: str) -> str:
    """The page with its generated parts renewed."""
    return renewed(page, PARTS)


def write_page(root: Path) -> None:
    """Write the generated parts of the page below `root` anew."""
    page = root / PAGE
    page.write_text(quick_reference(page.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_page(Path.cwd())
