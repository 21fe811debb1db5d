"""Names that Spark takes for something else than a table's."""

from typing import Final

FILE_FORMATS: Final = frozenset(
    {"avro", "binaryfile", "csv", "delta", "iceberg", "json", "orc", "parquet", "text", "xml"}
)
"""No schemas to Spark: `delta.raw_events` would be the folder raw_events, `text.x` the file x."""
