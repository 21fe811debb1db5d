"""KQL executed: duckdb-kql, with the functions over ordered rows that it lacks."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import duckdb_kql
import pyarrow as pa
from duckdb_kql.translate import functions

from vidagg_dagster.azure.pack import RawEvent, Window
from vidagg_dagster_tests.support.reference import EPOCH, Event, day_of

Row = dict[str, Any]

KQL_TYPES = {
    "VARCHAR": "string",
    "DOUBLE": "real",
    "INTEGER": "int",
    "BIGINT": "long",
    "HUGEINT": "long",
    "BOOLEAN": "bool",
    "TIMESTAMP": "datetime",
    "JSON": "dynamic",
}
"""Type of DuckDB -> the type of KQL that it stands for; lists are dynamic too."""

TABLES = (
    "CREATE TABLE customEvents (timestamp TIMESTAMP, name VARCHAR, customDimensions JSON, "
    "customMeasurements JSON, itemCount INTEGER, _ingested TIMESTAMP)",
    "CREATE TABLE AppEvents (TimeGenerated TIMESTAMP, Name VARCHAR, Properties JSON, "
    "Measurements JSON, ItemCount INTEGER, _ingested TIMESTAMP)",
    "CREATE TABLE PlayerEvents (timestamp TIMESTAMP, eventName VARCHAR, viewer VARCHAR, "
    "sessionId VARCHAR, videoId VARCHAR, currentTime DOUBLE, _ingested TIMESTAMP)",
)


class _OverRows(functions.FunctionSpec):
    """A function over the order that the last `sort` left; DuckDB keeps it in `OVER ()`."""

    def render(self, args: list[str]) -> str:
        if self.name in ("prev", "next"):
            return f"{'lag' if self.name == 'prev' else 'lead'}({', '.join(args)}) OVER ()"
        if self.name == "row_number":
            return f"(row_number() OVER () + {args[0] if args else '1'} - 1)"
        (term,) = args
        return f"sum({term}) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"


_STRCMP = "CASE WHEN {0} < {1} THEN -1 WHEN {0} > {1} THEN 1 ELSE 0 END"
ADDED = {
    **{
        name: _OverRows(name, "template", "", ())
        for name in ("prev", "next", "row_number", "row_cumsum")
    },
    "ingestion_time": functions.FunctionSpec("ingestion_time", "template", "_ingested", (0,)),
    "strcmp": functions.FunctionSpec("strcmp", "template", _STRCMP, (2,)),
}
"""What duckdb-kql is taught: six functions that Microsoft documents."""


@contextmanager
def azure(events: Sequence[RawEvent]) -> Iterator["Azure"]:
    """The tables of Azure with these events, for as long as the context lasts."""
    functions.SCALAR_FUNCTIONS.update(ADDED)
    connection = duckdb_kql.connect()
    try:
        for statement in TABLES:
            connection.execute(statement)
        tables = Azure(connection)
        tables.add(events)
        yield tables
    finally:
        connection.close()


class Azure:
    """What a query may be asked of."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def add(self, events: Sequence[RawEvent], ingested: datetime | None = None) -> None:
        """More events; they arrive when they happen, unless it is said otherwise."""
        arrivals = [ingested or event.timestamp for event in events]
        given = pa.table(
            {
                "timestamp": pa.array([event.timestamp for event in events], pa.timestamp("us")),
                "name": pa.array([event.name for event in events], pa.string()),
                "dims": pa.array([json.dumps(dict(event.dims)) for event in events], pa.string()),
                "measures": pa.array(
                    [json.dumps(dict(event.measures)) for event in events], pa.string()
                ),
                "items": pa.array([event.item_count for event in events], pa.int32()),
                "ingested": pa.array(arrivals, pa.timestamp("us")),
            }
        )
        self._connection.register("given", given)
        for table in ("customEvents", "AppEvents"):
            columns = "timestamp, name, dims::JSON, measures::JSON, items, ingested"
            self._connection.execute(f"INSERT INTO {table} SELECT {columns} FROM given")
        self._connection.execute(
            "INSERT INTO PlayerEvents SELECT timestamp, name, dims->>'userId', dims->>'sessionId', "
            "dims->>'videoId', TRY_CAST(dims->>'currentTime' AS DOUBLE), ingested FROM given"
        )
        self._connection.unregister("given")

    def add_progress(self, count: int, begin: datetime) -> None:
        """So many events of one player, spread over the day that begins then."""
        dims = '{"userId": "user-1234", "sessionId": "session-1234", "videoId": "video-1234"}'
        for table in ("customEvents", "AppEvents"):
            self._connection.execute(
                f"""INSERT INTO {table}
                SELECT $begin + to_microseconds(n * 86400000000 // $count),
                    'video_progress', '{dims}', json_object('currentTime', n / 1000), 1, $begin
                FROM range($count) numbers(n)""",
                {"begin": begin, "count": count},
            )

    def columns_and_rows(self, text: str) -> tuple[list[tuple[str, str]], list[Row]]:
        """The result of a query: its columns as (name, KQL type), and its rows."""
        answer = duckdb_kql.execute(self._connection, text)
        columns = [(column[0], _kql_type(str(column[1]))) for column in answer.description or ()]
        dynamic = {name for name, kind in columns if kind == "dynamic"}
        rows = [
            {
                name: _plain(value, name in dynamic)
                for (name, _), value in zip(columns, row, strict=True)
            }
            for row in answer.fetchall()
        ]
        return columns, rows

    def rows(self, text: str) -> list[Row]:
        """The rows of a query."""
        return self.columns_and_rows(text)[1]


def _kql_type(duckdb_type: str) -> str:
    return "dynamic" if duckdb_type.endswith("[]") else KQL_TYPES[duckdb_type]


def _plain(value: Any, dynamic: bool) -> Any:
    if dynamic and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return value


def raw_events(events: Sequence[Event]) -> list[RawEvent]:
    """Events as Application Insights would keep them: every dimension is text."""
    return [
        RawEvent(
            (EPOCH + timedelta(microseconds=event.us)).replace(tzinfo=None),
            event.name,
            {name: str(value) for name, value in _dims(event).items() if value is not None},
        )
        for event in events
    ]


def _dims(event: Event) -> Row:
    return {
        "userId": event.user,
        "sessionId": event.session,
        "videoId": event.video,
        "currentTime": event.position_ms / 1000,
        "playbackRate": event.rate,
        "seekFrom": None if event.seek_from_ms is None else event.seek_from_ms / 1000,
        "eventId": event.event_id,
    }


def window_of(events: Sequence[Event]) -> Window:
    """The days of events, with one more on which their last tails are settled."""
    days = [day_of(event.us, "UTC") for event in events]
    return Window(min(days), max(days) + timedelta(days=1))
