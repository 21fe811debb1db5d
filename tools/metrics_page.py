"""The generated part of `docs/metrics.md`: `python -m tools.metrics_page` writes it.

The text around it is written by hand; what is declared in code is never copied by hand.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from pyspark.sql import types as T

from tools.generated_parts import Parts, renewed
from vidagg_dagster.core.schemas import TABLES, TableSpec

PAGE = Path("docs", "metrics.md")


def with_generated_parts(page: str) -> str:
    """The page with its generated parts renewed.

    Raises:
        ValueError: the page lacks a part.
    """
    return renewed(page, PARTS)


def _tables() -> Iterator[str]:
    for number, table in enumerate(TABLES.values()):
        if number:
            yield ""
        yield from _table(table)


def _table(table: TableSpec) -> Iterator[str]:
    yield f"### `{table.name}`"
    yield ""
    yield table.doc
    if table.key:
        yield f"Key: {', '.join(f'`{column}`' for column in table.key)}."
    yield ""
    yield "| column | type | meaning | sums over days |"
    yield "|---|---|---|---|"
    for column in table.columns:
        yield (
            f"| `{column.name}` | {type_name(column.type)} | {escaped(column.doc)} "
            f"| {'yes' if column.additive else ''} |"
        )


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("<", "&lt;").replace("|", "\\|")


def type_name(kind: T.DataType) -> str:
    """A column's type, as SQL has it."""
    if isinstance(kind, T.ArrayType):
        return f"array of {type_name(kind.elementType)}"
    if isinstance(kind, T.StructType):
        fields = ", ".join(f"{field.name} {type_name(field.dataType)}" for field in kind.fields)
        return f"struct ({fields})"
    return kind.simpleString()


PARTS: Parts = {"tables": _tables}


def main(root: Path) -> None:
    """Write the page of the repository at `root` anew."""
    page = root / PAGE
    page.write_text(with_generated_parts(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
