"""Rows that an engine writes, reads again and throws away."""

from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame

_ROW_GROUP: Final = ("max_row_group_size", str(1 << 16))
"""Rows that Sail's writer holds for each file: rows that are split have many files open at once.
Spark, which bounds groups by bytes, knows no such option."""


def write_scratch(frame: DataFrame, folder: Path, *by: str) -> None:
    """Add the rows of `frame` to the Parquet files in `folder`, split by columns `by`.

    Compressed as Spark does by default. Sail's default, a level of zstd for files that stay, takes
    a quarter more processor time.
    """
    writer = frame.write.mode("append").option("compression", "snappy").option(*_ROW_GROUP)
    writer.partitionBy(*by).parquet(str(folder))
