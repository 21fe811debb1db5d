"""The answers to the queries of the page, over the tables of a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vidagg_dagster.report.queries import Query

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Row = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a query came to."""

    query: Query
    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @cached_property
    def rows(self) -> list[Row]:
        """The rows by the names of their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.values]

    def by_video(self) -> dict[str, list[Row]]:
        """The rows of each video, in their order."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row["videoId"], []).append(row)
        return found

    @cached_property
    def as_json(self) -> Mapping[str, Any]:
        """Query, names of columns and rows, as the page carries them."""
        return {
            "sql": self.query.sql,
            "columns": self.columns,
            "rows": [[_plain(value) for value in row] for row in self.values],
        }


def ask(connection: "duckdb.DuckDBPyConnection", query: Query) -> Answer:
    """The answer to one query."""
    found = connection.sql(query.sql)
    return Answer(query, tuple(found.columns), tuple(map(tuple, found.fetchall())))


def ask_for_table(connection: "duckdb.DuckDBPyConnection", query: Query) -> "pa.Table":
    """The answer to a query of many rows, as Arrow."""
    return connection.sql(query.sql).to_arrow_table()


def answerable(queries: Mapping[str, Query], there: frozenset[str]) -> Iterator[Query]:
    """The queries whose tables exist."""
    return (query for query in queries.values() if there.issuperset(query.tables))


def _plain(value: object) -> object:
    """As JSON has it; DuckDB sums whole numbers to whole numbers of any size."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
