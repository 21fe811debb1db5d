"""Rows that an engine writes, reads again and throws away."""

from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame

_READ_ONCE: Final = {
    "compression": "snappy",
    "dictionary_enabled": "false",
    "max_row_group_size": str(1 << 16),
}
"""Compressed as Spark does by default. What Sail does for files that stay, a level of zstd and
dictionaries of each column, takes nearly twice the processor time. Its writer holds a row group for
each file, and rows that are split have many files open at once. Spark knows only the first."""


def write_scratch(frame: DataFrame, folder: Path, *by: str) -> None:
    """Add the rows of `frame` to the Parquet files in `folder`, split by columns `by`."""
    writer = frame.write.mode("append").options(**_READ_ONCE)
    writer.partitionBy(*by).parquet(str(folder))
