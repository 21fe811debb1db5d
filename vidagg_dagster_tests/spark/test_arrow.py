"""How an engine calls kernels."""

import weakref
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from vidagg_dagster.spark.arrow import Spread

FREED = T.StructType([T.StructField("freed", T.BooleanType())])


@dataclass(frozen=True)
class Deleting:
    """Deletes its argument, and says whether that freed the rows."""

    deletes: bool

    def __call__(self, rows: pa.Table) -> pa.Table:
        seen = weakref.ref(rows)
        if self.deletes:
            del rows
        return pa.table({"freed": [seen() is None]})


def test_a_kernel_that_deletes_its_rows_frees_them(sail: SparkSession) -> None:
    rows = sail.range(10).withColumnRenamed("id", "userId")
    for deletes in (True, False):
        (found,) = Spread(10).apply(rows, Deleting(deletes), FREED).collect()
        assert found["freed"] is deletes
