"""Compute a day that does not fit into memory in slices of its users, who are independent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.spark.arrow import ColumnOrName, Spread
from vidagg_dagster.spark.session import spills

SLICE: Final = "slice-of-users"
"""The column with the number of a row's slice. No dimension can be called so."""


@dataclass(frozen=True)
class Slicing:
    """How many slices rows are cut into, and how each slice is computed.

    Attributes:
        rows: About how many rows there are; None: unknown.
        slices: How many slices to cut them into.
    """

    rows: int | None
    slices: int

    @classmethod
    def of(cls, spark: SparkSession, rows: int | None, *, at_once: int) -> "Slicing":
        """One slice where the engine spills or the rows fit, else about `at_once` rows each."""
        slices = 1
        if rows is not None and not spills(spark):
            slices = max(1, -(-rows // at_once))
        return cls(rows, slices)

    @property
    def spread(self) -> Spread:
        """How the rows of a slice are spread."""
        return Spread(None if self.rows is None else self.rows // self.slices)

    def marked(self, frame: DataFrame, by: ColumnOrName = "userId") -> DataFrame:
        """With the column `SLICE`, by which rows can be kept so that a slice reads no others."""
        return frame.withColumn(SLICE, _slice(by, self.slices))

    def each(
        self,
        frame: DataFrame,
        compute: Callable[[DataFrame, Spread], DataFrame],
        by: ColumnOrName = "userId",
    ) -> list[DataFrame]:
        """Apply `compute` to each slice. All rows that are equal in `by` are in one slice.

        Each slice reads the whole of `frame`, unless it is kept as `marked` says.
        """
        if self.slices == 1:
            return [compute(frame, self.spread)]
        slice_ = F.col(SLICE) if SLICE in frame.columns else _slice(by, self.slices)
        parts = [frame.where(slice_ == at).drop(SLICE) for at in range(self.slices)]
        return [compute(part, self.spread) for part in parts]


AT_ONCE: Final = Slicing(None, 1)
"""For rows that fit, however many there are."""


def _slice(by: ColumnOrName, slices: int) -> Column:
    return F.pmod(F.xxhash64(by), F.lit(slices))
