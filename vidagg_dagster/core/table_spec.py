"""What a table is declared with: columns, their types and their meaning."""

from dataclasses import dataclass

from pyspark.sql import types as T

EVENT_DATE = "event_date"
"""The partition column: the calendar day, in the configured zone, of the event that settles a
number."""

LONG, DOUBLE, STRING, BOOLEAN = T.LongType(), T.DoubleType(), T.StringType(), T.BooleanType()
TIMESTAMP, DATE = T.TimestampType(), T.DateType()


@dataclass(frozen=True)
class ColumnSpec:
    """One column of a table: what a value means, and in which unit."""

    name: str
    type: T.DataType
    doc: str
    additive: bool = False
    """Whether the values of several days may be summed."""


@dataclass(frozen=True)
class TableSpec:
    """One table. `key` names the columns that identify a row; a table without a key has none."""

    name: str
    doc: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...] = ()
    partitioned: bool = True
    dimensions: tuple[str, ...] = ()
    """Those of the columns that the settings ask for."""

    @property
    def column_names(self) -> list[str]:
        """Names of all columns, in order."""
        return [column.name for column in self.columns]

    @property
    def additive_columns(self) -> list[str]:
        """Names of the columns whose daily values may be summed."""
        return [column.name for column in self.columns if column.additive]

    @property
    def struct(self) -> T.StructType:
        """The columns as a Spark schema. Every column may be null."""
        return T.StructType([T.StructField(c.name, c.type, nullable=True) for c in self.columns])


DAY = ColumnSpec(EVENT_DATE, DATE, "Calendar day in the configured time zone (partition).")
USER = ColumnSpec("userId", STRING, "The user, trimmed.")
VIDEO = ColumnSpec("videoId", STRING, "The video, trimmed.")
