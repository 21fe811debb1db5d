"""The generated part of `docs/metrics.md`: `python -m tools.metrics_page` writes it.

The text around it is written by hand; what is declared in code is never copied by hand.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pyspark.sql import types as T

from vidagg_dagster.core.schemas import TABLES, TableSpec

PAGE = Path("docs", "metrics.md")


def with_generated_parts(page: str) -> str:
    """The page with every part between `<!-- NAME: generated -->` and `<!-- NAME: end -->` renewed.

    Raises:
        ValueError: the page lacks a part.
    """
    for name, lines in PARTS.items():
        begin, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        before, found, rest = page.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            raise ValueError(f"{PAGE} lacks the part between {begin.strip()} and {end}")
        page = f"{before}{begin}\n" + "".join(f"{line}\n" for line in lines()) + f"\n{end}{after}"
    return page


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
            f"| `{column.name}` | {_type(column.type)} | {_escaped(column.doc)} "
            f"| {'yes' if column.additive else ''} |"
        )


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


def _type(kind: T.DataType) -> str:
    if isinstance(kind, T.ArrayType):
        return f"array of {_type(kind.elementType)}"
    if isinstance(kind, T.StructType):
        fields = ", ".join(f"{field.name} {_type(field.dataType)}" for field in kind.fields)
        return f"struct ({fields})"
    return kind.simpleString()


PARTS: dict[str, Callable[[], Iterator[str]]] = {"tables": _tables}
"""Name of a generated part -> its lines."""


def main(root: Path) -> None:
    """Write the page of the repository at `root` anew."""
    page = root / PAGE
    page.write_text(with_generated_parts(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
