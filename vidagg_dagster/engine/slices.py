"""A day that does not fit into memory at once, in slices of its users, who are independent."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from vidagg_dagster.engine.arrow.apply import Kernels


@dataclass(frozen=True)
class Slicing:
    """Into how many slices rows are cut, and how each is computed.

    Attributes:
        rows: How many rows there are, about; None: unknown.
        slices: How many slices to make of them.
        kernels: Whether to compute with kernels.
    """

    rows: int | None
    slices: int
    use_kernels: bool

    @property
    def kernels(self) -> Kernels | None:
        """How to compute a slice; None: by window expressions."""
        if not self.use_kernels:
            return None
        return Kernels(None if self.rows is None else self.rows // self.slices)

    def each(
        self,
        frame: DataFrame,
        compute: Callable[[DataFrame, Kernels | None], DataFrame],
        by: str = "userId",
    ) -> list[DataFrame]:
        """What `compute` makes of each slice: of the rows equal in `by`, all are in one."""
        if self.slices == 1:
            return [compute(frame, self.kernels)]
        slice_ = F.pmod(F.xxhash64(by), F.lit(self.slices))
        return [compute(frame.where(slice_ == at), self.kernels) for at in range(self.slices)]
