"""A first look at files of events, by DuckDB and without an engine: columns, names, days."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.days import EARLIEST
from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.files import InputFile, find_files, is_delta
from vidagg_dagster.sources.recognise import COLUMN_WORDS, timestamp_unit
from vidagg_dagster.sources.staging import staging_in

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

COLUMN_NAMES: Final = tuple(COLUMN_WORDS)
"""Tell the delimiter of CSV where it has our names."""

MAX_NAMES: Final = 50
SAMPLE_ROWS: Final = 20_000
"""So many lines of JSON are searched for fields."""

_LINES: Final = (
    "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, "
    "auto_detect = false, null_padding = true, max_line_size = 16777216"
)
"""How DuckDB's reader of CSV gives whole lines."""

_SECONDS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@dataclass(frozen=True)
class Look:
    """An open view of a source, until `close`."""

    connection: "duckdb.DuckDBPyConnection"
    field: Callable[[str], str]
    """The expression of a column."""
    columns: tuple[str, ...]
    """All columns; a dot leads into nested fields."""
    rows: int

    def values(self, column: str, limit: int = MAX_NAMES) -> dict[str, int]:
        """The commonest values of a column, as text -> their rows."""
        field = self.field(column)
        found = self.connection.execute(
            f"SELECT trim(CAST({field} AS VARCHAR)) AS v, count(*) FROM source "
            f"WHERE {field} IS NOT NULL GROUP BY v ORDER BY 2 DESC, 1 LIMIT {limit}"
        ).fetchall()
        return dict(found)

    def unit(self, column: str) -> str | None:
        """The unit of a column of which most times are numbers; None if they are not."""
        number = f"TRY_CAST({self.field(column)} AS DOUBLE)"
        if not self._one(f"count({number}) * 2 > count({self.field(column)})"):
            return None
        return timestamp_unit(float(str(self._one(f"median({number})"))))

    def days(
        self, column: str, unit: str | None, patterns: Sequence[str] = ()
    ) -> tuple[date, date] | None:
        """The first and the last day (UTC) of a column of times, if they can be read so.

        Args:
            column: The column.
            unit: The unit of times that are numbers.
            patterns: How times are written that are text; without any, as ISO 8601 has it.
        """
        field = self.field(column)
        time = f"TRY_CAST(CAST({field} AS VARCHAR) AS TIMESTAMPTZ)"
        if unit:
            time = f"to_timestamp(TRY_CAST({field} AS DOUBLE) / {_SECONDS[unit]})"
        elif patterns:
            time = f"CAST(try_strptime(trim({field}), {_list(patterns)}) AS TIMESTAMPTZ)"
        usable = f"{time} BETWEEN '{EARLIEST}' AND now() + INTERVAL 1 DAY"
        first, last = (
            self._one(f"({end}({time}) FILTER (WHERE {usable}))::DATE") for end in ("min", "max")
        )
        return (first, last) if isinstance(first, date) and isinstance(last, date) else None

    def close(self) -> None:
        """Close the view."""
        self.connection.close()

    def _one(self, expression: str) -> object:
        row = self.connection.execute(f"SELECT {expression} FROM source").fetchone()
        return row[0] if row else None


def look_at(location: str) -> Look:
    """Open files of events, or the folder of a Delta table.

    Raises:
        SourceError: There is nothing that can be read; the message says what to do.
    """
    import duckdb

    path = Path(location).expanduser().absolute()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    files = [] if is_delta(path) else find_files(path, None)
    try:
        staging = staging_in(None)
        files = [staging.readable(file) for file in files]
        if files and files[0].format == "jsonl":
            return _look_at_lines(connection, [staging.json_lines(file) for file in files])
        if files and files[0].format == "csv":
            files = [staging.plain_csv(file, COLUMN_NAMES) for file in files]
        return _look_at_table(connection, _table(path, files))
    except duckdb.Error as error:
        connection.close()
        raise SourceError(f"{location} cannot be read: {str(error).splitlines()[0]}") from None


def _look_at_lines(connection: "duckdb.DuckDBPyConnection", files: Sequence[InputFile]) -> Look:
    connection.execute(
        "CREATE VIEW source AS SELECT row FROM (SELECT TRY_CAST(line AS JSON) AS row "
        f"FROM read_csv({_list([str(file.path) for file in files])}, {_LINES})) "
        "WHERE json_type(row) = 'OBJECT'"
    )
    sample = connection.execute(f"SELECT row FROM source LIMIT {SAMPLE_ROWS}").fetchall()
    found: dict[str, None] = {}
    for (row,) in sample:
        found |= dict.fromkeys(_keys("", json.loads(row)))

    def field(column: str) -> str:
        path = ".".join('"' + part + '"' for part in column.split("."))
        return f"json_extract_string(row, {_text(f'$.{path}')})"

    return Look(connection, field, tuple(found), _rows(connection))


def _look_at_table(connection: "duckdb.DuckDBPyConnection", reader: str) -> Look:
    connection.execute(f"CREATE VIEW source AS FROM {reader}")
    schema = connection.sql("FROM source LIMIT 0").to_arrow_table().schema

    def field(column: str) -> str:
        quoted = ('"' + part.replace('"', '""') + '"' for part in column.split("."))
        return _uncast(".".join(quoted))

    return Look(connection, field, tuple(_paths("", list(schema))), _rows(connection))


def _uncast(column: str) -> str:
    """The column, so that `TRY_CAST` of it gives null.

    DuckDB 2.0 lets its reader of CSV convert a column that is only cast, and that fails at the
    first value which it cannot read (duckdb/duckdb, issue 23818).
    """
    return f"CASE WHEN {column} IS NOT NULL THEN {column} END"


def _rows(connection: "duckdb.DuckDBPyConnection") -> int:
    counted = connection.execute("SELECT count(*) FROM source").fetchall()
    return int(counted[0][0])


def _table(path: Path, files: Sequence[InputFile]) -> str:
    if not files and not is_delta(path):
        raise SourceError(f"{path}: there are no files of events in this folder")
    if not files:
        from deltalake import DeltaTable

        return f"read_parquet({_list(DeltaTable(str(path)).file_uris())}, union_by_name = true)"
    listed = _list([str(file.path) for file in files])
    if files[0].format == "parquet":
        return f"read_parquet({listed}, union_by_name = true)"
    return f"read_csv({listed}, all_varchar = true, header = true, union_by_name = true)"


def _keys(prefix: str, row: Mapping[str, object]) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _keys(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}"


def _paths(prefix: str, fields: "Sequence[pa.Field]") -> Iterator[str]:
    import pyarrow as pa

    for field in fields:
        if pa.types.is_struct(field.type):
            yield from _paths(f"{prefix}{field.name}.", list(field.type))
        else:
            yield f"{prefix}{field.name}"


def _list(files: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, files)) + "]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
