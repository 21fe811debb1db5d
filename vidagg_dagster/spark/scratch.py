"""Rows that an engine writes, reads again and throws away."""

from pathlib import Path

from pyspark.sql import DataFrame


def write_scratch(frame: DataFrame, folder: Path, *by: str) -> None:
    """Add the rows of `frame` to the Parquet files in `folder`, split by columns `by`.

    Compressed as Spark does by default. Sail's default, a level of zstd for files that stay, takes
    a quarter more processor time.
    """
    writer = frame.write.mode("append").option("compression", "snappy")
    writer.partitionBy(*by).parquet(str(folder))
