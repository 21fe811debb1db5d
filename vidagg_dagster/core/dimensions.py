"""Further columns of the events, such as device and country, that sessions and pairs carry."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

Dimensions = Mapping[str, str | None]
"""The dimension -> the source's column, or a path to it. None: where the vocabulary has it, else
the column of the dimension's name."""

NO_DIMENSIONS: Final[Dimensions] = MappingProxyType({})

MAX_DIMENSIONS: Final = 8

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_PREFIX: Final = "dimension_"
"""No column of ours begins so, whatever the dimensions are called."""


def carried(name: str) -> str:
    """The column of a dimension on its way from the source to the tables."""
    return f"{_PREFIX}{name}"


def dimensions_among(columns: Iterable[str]) -> tuple[str, ...]:
    """The dimensions that are carried in columns of these names, in their order."""
    return tuple(name.removeprefix(_PREFIX) for name in columns if name.startswith(_PREFIX))


def parse_dimensions(text: str) -> dict[str, str | None]:
    """`device,country=geo.country,...` -> the dimension -> the source's column, if it is named.

    Raises:
        ValueError: A name is missing, twice, impossible or ours, or there are too many.
    """
    dimensions: dict[str, str | None] = {}
    for part in filter(str.strip, text.split(",")):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not ours or (equals and not theirs):
            raise ValueError(f"{text!r}: every pair needs a name on both sides of `=`")
        if ours in dimensions:
            raise ValueError(f"named twice: {ours}")
        dimensions[ours] = theirs or None
    return require_dimensions(dimensions)


def require_dimensions(dimensions: Dimensions) -> dict[str, str | None]:
    """Check the names of dimensions, which become columns of the tables.

    Raises:
        ValueError: A name is impossible, ours, or another one but for its case, or there are too
            many.
    """
    if len(dimensions) > MAX_DIMENSIONS:
        raise ValueError(f"at most {MAX_DIMENSIONS} dimensions, not {len(dimensions)}")
    wrong = [name for name in dimensions if not _NAME.fullmatch(name)]
    if wrong:
        raise ValueError(
            f"no name of a column: {', '.join(wrong)}; use letters, digits and _, a letter first"
        )
    by_folded: dict[str, str] = {}
    for name in dimensions:
        other = by_folded.setdefault(name.lower(), name)
        if other != name:
            raise ValueError(f"{other} and {name} differ only in case, which tables do not tell")
    if dimensions:
        _require_no_column_of_ours(dimensions)
    return dict(dimensions)


def _require_no_column_of_ours(names: Iterable[str]) -> None:
    # The declarations need PySpark's types, which take a second to import.
    from vidagg_dagster.core.contract import EVENT_COLUMNS, VIDEO_COLUMNS
    from vidagg_dagster.core.schemas import TABLES_WITH_DIMENSIONS

    columns = [name for table in TABLES_WITH_DIMENSIONS for name in table.column_names]
    ours = {name.lower() for name in (*EVENT_COLUMNS, *VIDEO_COLUMNS, *columns)}
    taken = [name for name in names if name.lower() in ours]
    if taken:
        raise ValueError(
            f"columns of ours already: {', '.join(taken)}; give them other names, such as "
            f"my_{taken[0]}={taken[0]}"
        )
