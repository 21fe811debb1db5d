"""The statements by which tables of a Spark catalog are created and merged, as text."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from pyspark.sql import types as T

from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec
from vidagg_dagster.core.table_spec import ColumnSpec
from vidagg_dagster.tables.interface import NOTE_ENTRY

GONE: Final = "vidagg_gone"
"""Column of the one source that MERGE takes: true for keys to delete, false for rows to write."""

NO_STATISTICS: Final = ("delta.dataSkippingNumIndexedCols", "0")
"""The table property by which Delta's log keeps no smallest and largest values."""


def create_table(name: str, table: TableSpec) -> str:
    """CREATE TABLE, with every column's meaning as its comment."""
    columns = _declared(table.columns)
    days = f"PARTITIONED BY ({EVENT_DATE})" if table.partitioned else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING DELTA {days} "
        f"COMMENT {_quoted(table.doc)} TBLPROPERTIES ({_statistics(table)})"
    )


def add_columns(name: str, columns: Sequence[ColumnSpec]) -> str:
    """ALTER TABLE that adds columns behind those that are there; stored rows have null in them."""
    return f"ALTER TABLE {name} ADD COLUMNS ({_declared(columns)})"


def _declared(columns: Sequence[ColumnSpec]) -> str:
    return ", ".join(
        f"`{c.name}` {c.type.simpleString()} COMMENT {_quoted(c.doc)}" for c in columns
    )


def merge(name: str, table: TableSpec, view: str) -> str:
    """MERGE of the rows of `view`, which have the table's columns and `GONE`, by the key."""
    names = [f"`{column}`" for column in table.column_names]
    return (
        f"MERGE INTO {name} AS old USING {view} AS new "
        f"ON {' AND '.join(f'old.`{key}` = new.`{key}`' for key in table.key)} "
        f"WHEN MATCHED AND new.{GONE} THEN DELETE "
        f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{n} = new.{n}' for n in names)} "
        f"WHEN NOT MATCHED AND NOT new.{GONE} THEN INSERT ({', '.join(names)}) "
        f"VALUES ({', '.join(f'new.{n}' for n in names)})"
    )


def set_note(name: str, note: Mapping[str, str]) -> str:
    """ALTER TABLE that keeps `note` as a property of the table."""
    text = _quoted(json.dumps(dict(note)))
    return f"ALTER TABLE {name} SET TBLPROPERTIES ('{NOTE_ENTRY}' = {text})"


def _statistics(table: TableSpec) -> str:
    """The table property by which Delta's log keeps smallest and largest numbers and times.

    It keeps none of texts: what the log keeps of ids would outlive an erased user.
    """
    kinds = (T.NumericType, T.DateType, T.TimestampType)
    columns = [c.name for c in table.columns if isinstance(c.type, kinds) and c.name != EVENT_DATE]
    measured = ("delta.dataSkippingStatsColumns", ",".join(columns))
    name, value = measured if columns else NO_STATISTICS
    return f"'{name}' = {_quoted(value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
