"""What insights read of stored tables, by DuckDB: no engine is started."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from vidagg_dagster.core.errors import StepError
from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    WATCH_INTERVALS,
)
from vidagg_dagster.tables.views import connect

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

NEEDED: Final = (INGESTION_COUNTS.name, WATCH_INTERVALS.name, AGGREGATED_ENGAGEMENT.name)


def open_views(data_root: Path) -> "duckdb.DuckDBPyConnection":
    """A connection with the views of the tables.

    Raises:
        StepError: A table that insights are built on is not there yet.
        TableError: There is no table at all, or DuckDB is not installed.
    """
    connection = connect(data_root)
    there = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    lacking = [name for name in NEEDED if name not in there]
    if lacking:
        connection.close()
        raise StepError(
            f"there is no table {', '.join(lacking)} in {data_root} (VIDAGG_DATA_ROOT) yet; run "
            "days through Dagster first"
        )
    return connection


def read_days(connection: "duckdb.DuckDBPyConnection") -> list[date]:
    """The days that were read, empty ones included, in order."""
    asked = f"SELECT DISTINCT {EVENT_DATE} FROM {INGESTION_COUNTS.name} ORDER BY 1"
    return [day for (day,) in connection.execute(asked).fetchall()]


def end_of(day: date, timezone: str) -> datetime:
    """The moment at which a day of the zone ends."""
    after = day + timedelta(days=1)
    return datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(timezone))


def intervals_of(
    connection: "duckdb.DuckDBPyConnection",
    users: "pa.Table",
    columns: tuple[str, ...],
    days: tuple[date, date],
) -> "pa.Table":
    """Some columns of the watched intervals of some users, from a day to a day.

    Args:
        connection: See `open_views`.
        users: Their ids in the column `unitId`.
        columns: Columns of `watch_intervals`.
        days: The first and the last day.
    """
    connection.register("asked_users", users.select(["unitId"]))
    chosen = ", ".join(f'"{name}"' for name in columns)
    found = connection.sql(
        f"SELECT {chosen} FROM {WATCH_INTERVALS.name} "
        f"WHERE {EVENT_DATE} BETWEEN ? AND ? AND userId IN (SELECT unitId FROM asked_users)",
        params=list(days),
    ).to_arrow_table()
    connection.unregister("asked_users")
    return found


def users_in_slices(
    connection: "duckdb.DuckDBPyConnection", columns: tuple[str, ...], at_once: int
) -> Iterator["pa.Table"]:
    """Some columns of all watched intervals, at least one slice; a user is in one slice whole.

    Args:
        connection: See `open_views`.
        columns: Columns of `watch_intervals`.
        at_once: About so many intervals are in a slice.
    """
    chosen = ", ".join(f'"{name}"' for name in columns)
    (count,) = connection.execute(f"SELECT count(*) FROM {WATCH_INTERVALS.name}").fetchall()[0]
    slices = max(1, ceil(count / at_once))
    for number in range(slices):
        yield connection.sql(
            f"SELECT {chosen} FROM {WATCH_INTERVALS.name} WHERE hash(userId) % ? = ?",
            params=[slices, number],
        ).to_arrow_table()


def durations(connection: "duckdb.DuckDBPyConnection") -> "pa.Table":
    """`videoId` and `durationMs` of each video whose duration is known, the newest where it
    changed."""
    return connection.sql(
        "SELECT videoId, CAST(round(max_by(videoDuration, lastWatchDate) * 1000) AS BIGINT) "
        f"AS durationMs FROM {AGGREGATED_ENGAGEMENT.name} WHERE videoDuration IS NOT NULL "
        "AND lastWatchDate IS NOT NULL GROUP BY videoId ORDER BY videoId"
    ).to_arrow_table()


_READERS: Final[Mapping[str, str]] = {
    ".csv": "read_csv(?, all_varchar = true, header = true)",
    ".parquet": "read_parquet(?)",
    ".jsonl": "read_json(?, format = 'newline_delimited')",
}


def read_rows(location: Path, required: tuple[str, ...]) -> "duckdb.DuckDBPyRelation":
    """The rows of a file of the user, or of the folder of a Delta table.

    Raises:
        StepError: There is no such file, it cannot be read, or lacks a column.
    """
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    try:
        if (location / "_delta_log").is_dir():
            from deltalake import DeltaTable

            stored = DeltaTable(str(location)).to_pyarrow_table()
            found = connection.from_arrow(stored)
        elif location.suffix.lower() in _READERS and location.is_file():
            found = connection.sql(
                f"FROM {_READERS[location.suffix.lower()]}", params=[str(location)]
            )
        else:
            raise StepError(
                f"{location}: there is no such file of {', '.join(sorted(_READERS))}, and no Delta "
                "table"
            )
    except duckdb.Error as error:
        raise StepError(f"{location} cannot be read: {error}") from error
    lacking = [name for name in required if name not in found.columns]
    if lacking:
        raise StepError(
            f"{location} has no column {', '.join(lacking)}; it has {', '.join(found.columns)}"
        )
    return found


def rows_of(relation: "duckdb.DuckDBPyRelation", location: Path) -> "pa.Table":
    """What a relation of `read_rows` comes to.

    Raises:
        StepError: A line of the file cannot be read.
    """
    import duckdb

    try:
        return relation.to_arrow_table()
    except duckdb.Error as error:
        raise StepError(f"{location} cannot be read: {error}") from error
