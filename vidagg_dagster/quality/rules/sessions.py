"""Rules of sessions."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import SESSIONS, VISIT
from vidagg_dagster.core.vocabulary import VISIT_SUMS
from vidagg_dagster.quality.evaluate import RowRule, Rule
from vidagg_dagster.quality.rules.shared import (
    BROKEN_TABLE,
    NUMBERS_VALID,
    any_of,
    keys_present,
    missing_or_negative,
    one_row_per_key,
)

_VISIT_NUMBERS: Final = tuple(
    field for field in VISIT_SUMS.values() if isinstance(VISIT[field].dataType, T.LongType)
)
"""The numbers that every visit has; `maxPositionMs` may be null."""


def _bad_number() -> Column:
    own = (
        missing_or_negative(F.col(column.name))
        for column in SESSIONS.columns
        if isinstance(column.type, T.LongType)
    )
    return any_of(own) | F.col("visits").isNull() | F.exists("visits", _bad_visit)


def _bad_visit(visit: Column) -> Column:
    numbers = (missing_or_negative(visit[name]) for name in _VISIT_NUMBERS)
    return any_of(numbers) | F.coalesce(visit["maxPositionMs"] < 0, F.lit(False))


RULES: Final[tuple[Rule, ...]] = (
    keys_present(SESSIONS),
    one_row_per_key(SESSIONS),
    RowRule(
        name=NUMBERS_VALID,
        description="No count and no duration of a session, or of a video in it, is missing or "
        f"negative. {BROKEN_TABLE}",
        violates=_bad_number,
    ),
)
