"""Rules that several tables share, and the columns that rules are made of."""

from collections.abc import Iterable
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import TableSpec
from vidagg_dagster.quality.evaluate import KeyRule, RowRule

NUMBERS_VALID: Final = "numbers_valid"

BROKEN_TABLE: Final = (
    "If it fails, the table was changed by something else, or the code that writes it is wrong: "
    "run the day again; if it fails again, report it."
)
"""The second half of the description of a rule that only a bug or a foreign writer violates."""


def any_of(conditions: Iterable[Column]) -> Column:
    """Whether any of the conditions holds; there is at least one.

    Joined in halves: one after the other they would nest deeper than Spark Connect reads.
    """
    every = list(conditions)
    if len(every) == 1:
        return every[0]
    middle = len(every) // 2
    return any_of(every[:middle]) | any_of(every[middle:])


def missing_or_negative(number: Column) -> Column:
    """True where an integer is null or below 0; never null."""
    return F.coalesce(number < 0, F.lit(True))


def keys_present(table: TableSpec) -> RowRule:
    """No row has a null or an empty text in a key column."""
    types = {column.name: column.type for column in table.columns}
    return RowRule(
        name="keys_present",
        description=f"Every row names its {', '.join(table.key)}: "
        f"a row without one belongs to nobody. {BROKEN_TABLE}",
        violates=lambda: any_of(_missing(name, types[name]) for name in table.key),
    )


def one_row_per_key(table: TableSpec) -> KeyRule:
    """No two rows have the same key."""
    return KeyRule(
        name="one_row_per_key",
        description=f"No two rows share {', '.join(table.key)}: "
        f"sums over the table would count twice. {BROKEN_TABLE}",
    )


def numbers_valid(table: TableSpec, nullable: frozenset[str] = frozenset()) -> RowRule:
    """Every number is finite and not negative; only the `nullable` columns may be null."""
    numbers = [c for c in table.columns if isinstance(c.type, T.LongType | T.DoubleType)]

    def violates() -> Column:
        null = [F.col(c.name).isNull() for c in numbers if c.name not in nullable]
        bad = [_bad_number(F.col(c.name), c.type) for c in numbers]
        return any_of(F.coalesce(condition, F.lit(False)) for condition in (*null, *bad))

    return RowRule(
        name=NUMBERS_VALID,
        description="No number is negative, NaN or infinite, and no required number is missing: "
        f"a single bad one spoils every sum and average over it. {BROKEN_TABLE}",
        violates=violates,
    )


def _missing(name: str, kind: T.DataType) -> Column:
    column = F.col(name)
    return column.isNull() | (column == "") if isinstance(kind, T.StringType) else column.isNull()


def _bad_number(column: Column, kind: T.DataType) -> Column:
    """Negative, NaN or infinite. Spark sorts NaN above every number, so `< 0` lets it pass."""
    bad = column < 0
    if isinstance(kind, T.DoubleType):
        bad = bad | F.isnan(column) | (column == F.lit(float("inf")))
    return bad
