"""Tables under test, and rows to write into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from vidagg_dagster.core.schemas import (
    AGGREGATED_ENGAGEMENT,
    EVENT_DATE,
    INGESTION_COUNTS,
    TABLES,
    TableSpec,
)
from vidagg_dagster.tables.catalog import CatalogTables
from vidagg_dagster.tables.delta_folder import LocalTables
from vidagg_dagster.tables.interface import LandingTables, Tables
from vidagg_dagster.tables.session_tables import SessionTables
from vidagg_dagster_tests.support.arrow import rows_of

Rows = list[dict[str, Any]]


DAY_1, DAY_2, DAY_3, DAY_4 = (date(2024, 1, number) for number in range(1, 5))


@dataclass(frozen=True)
class Database:
    """A database of a session, for tables without a history."""

    name: str


class Store:
    """Tables under test, with the session that writes them."""

    def __init__(self, spark: SparkSession, place: Path | Database | str) -> None:
        self.spark = spark
        self.place = place
        self.tables = self.open()

    def open(self, dimensions: Sequence[str] = ()) -> Tables:
        """The same tables, opened again as another process would."""
        if isinstance(self.place, Path):
            return LocalTables(self.spark, self.place, dimensions)
        if isinstance(self.place, Database):
            names = {name: f"{self.place.name}.{name}" for name in TABLES}
            return SessionTables(self.spark, names, dimensions=dimensions)
        return CatalogTables(self.spark, self.place, dimensions=dimensions)

    @property
    def landing(self) -> LandingTables:
        """The tables, where rows can be appended to them."""
        tables = self.open()
        assert isinstance(tables, LocalTables | CatalogTables)
        return tables

    def delta(self, table: TableSpec, version: int | None = None) -> DeltaTable:
        assert isinstance(self.place, Path)
        return DeltaTable(str(self.place / table.name), version=version)

    def frame(self, table: TableSpec, rows: Rows) -> DataFrame:
        """Rows of a table; columns left out are null."""
        values = [tuple(row.get(name) for name in table.column_names) for row in rows]
        return self.spark.createDataFrame(values, table.struct)

    def keys(self, *keys: tuple[str, str]) -> DataFrame:
        return self.spark.createDataFrame(list(keys), "userId string, videoId string")

    def counts(self, *rows: tuple[date | None, str, int | None]) -> DataFrame:
        """Rows of ingestion_counts, the smallest partitioned table."""
        return self.spark.createDataFrame(list(rows), INGESTION_COUNTS.struct)

    def stored(
        self, table: TableSpec = INGESTION_COUNTS, days: Sequence[date] | None = None
    ) -> Rows:
        return content(self.tables.read(table, days))

    def values(self, days: Sequence[date] | None = None) -> list[tuple[date, str, int]]:
        return [(r[EVENT_DATE], r["measure"], r["value"]) for r in self.stored(days=days)]

    def lifetime(self) -> dict[tuple[str, str], float | None]:
        return {
            (row["userId"], row["videoId"]): row["totalWatchTime"]
            for row in self.stored(AGGREGATED_ENGAGEMENT)
        }

    def lifetime_keys(self, version: int) -> list[tuple[str, str]]:
        """The keys in the lifetime table at a version."""
        if isinstance(self.place, Path):
            rows = self.delta(AGGREGATED_ENGAGEMENT, version).to_pyarrow_table().to_pylist()
        else:
            reader = self.spark.read.option("versionAsOf", version)
            rows = content(reader.table(f"{self.place}.{AGGREGATED_ENGAGEMENT.name}"))
        return sorted((row["userId"], row["videoId"]) for row in rows)


def content(frame: DataFrame) -> Rows:
    """The rows, sorted by their text."""
    return sorted(rows_of(frame), key=repr)


def types(frame: DataFrame) -> list[tuple[str, T.DataType]]:
    return [(field.name, field.dataType) for field in frame.schema.fields]


def types_of(table: TableSpec) -> list[tuple[str, T.DataType]]:
    return [(column.name, column.type) for column in table.columns]


def pair(user: str, video: str, watched: float | None = None, **more: Any) -> dict[str, Any]:
    return {"userId": user, "videoId": video, "totalWatchTime": watched, **more}


def awkward(kind: T.DataType, variant: int) -> Any:
    """A value that some engine or format might lose, change or refuse."""
    if isinstance(kind, T.StringType):
        return ["", " ü🎬\n\t\"'\\,{}", "null", "a" * 300][variant % 4]
    if isinstance(kind, T.LongType):
        return [0, -(2**63), 2**63 - 1, 1_704_067_200_000][variant % 4]
    if isinstance(kind, T.DoubleType):
        return [0.0, 0.1 + 0.2, -1e-300, 1.7976931348623157e308][variant % 4]
    if isinstance(kind, T.BooleanType):
        return variant % 2 == 0
    if isinstance(kind, T.DateType):
        return [date(2000, 1, 1), date(2024, 2, 29), date(2099, 12, 31)][variant % 3]
    if isinstance(kind, T.TimestampType):
        return [
            datetime(2000, 1, 1, tzinfo=UTC),
            datetime(2024, 3, 31, 1, 30, 0, 1, tzinfo=UTC),
            datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ][variant % 3]
    if isinstance(kind, T.ArrayType):
        one = awkward(kind.elementType, variant)
        return [[], [one, awkward(kind.elementType, variant + 1), one], [one, None]][variant % 3]
    assert isinstance(kind, T.StructType)
    return {
        field.name: None if (variant + place) % 5 == 4 else awkward(field.dataType, variant + place)
        for place, field in enumerate(kind.fields)
    }


def awkward_rows(table: TableSpec, days: Sequence[date]) -> Rows:
    rows: Rows = []
    for variant in range(12):
        row = {
            column.name: awkward(column.type, variant + place)
            for place, column in enumerate(table.columns)
        }
        rows.append(row)
        # Every column except the key may be null.
        rows.append({name: row[name] if name in table.key else None for name in row})
    for number, row in enumerate(rows):
        if EVENT_DATE in table.column_names:
            row[EVENT_DATE] = days[number % len(days)]
        for name in table.key:
            if name in ("userId", "videoId", "sourceFile"):
                row[name] = f"{name} {number} ü"
            if name == "cohortWeek":
                row[name] = date(2024, 1, 1) + timedelta(weeks=number)
    return rows


def left_over(store: Store) -> list[str]:
    """Staging folders or tables that were not removed."""
    if isinstance(store.place, Path):
        return [path.name for path in (store.place / INGESTION_COUNTS.name).glob("staging-*")]
    place = store.place.name if isinstance(store.place, Database) else store.place
    tables = store.spark.sql(f"SHOW TABLES IN {place}").collect()
    return [
        row["tableName"]
        for row in tables
        if row["tableName"] != INGESTION_COUNTS.name and not row["isTemporary"]
    ]
