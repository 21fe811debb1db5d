"""Managed tables of a Spark session in any format, for notebooks. A write replaces a whole table.

Plain Spark and Sail write Parquet here, Databricks writes Delta. What only Delta's log tells (which
days changed since a version) is not known: who asks is told to take every day.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec, with_dimensions
from vidagg_dagster.spark.compat import union
from vidagg_dagster.tables.checks import (
    bad_keys,
    conform,
    distinct_days,
    each,
    key_error,
    require_days,
    require_key_columns,
    rows_of_other_days,
    stray_days_error,
    with_every_dimension,
)
from vidagg_dagster.tables.collected import (
    collected_counts,
    collected_days,
    collected_rows,
)
from vidagg_dagster.tables.interface import NO_VERSIONS, Frames, Replaced, Versions

DELTA: Final = "delta"


class SessionTables:
    """The declared tables under names of the session's catalog.

    With Delta each write is one commit. Other formats delete before they write: killed in between,
    a table has to be written again.

    Args:
        spark: Any session that can save tables.
        names: Declared name -> name in the catalog, `[catalog.][schema.]table`.
        table_format: The format of new tables; None: the session's default.
        dimensions: Further columns of the tables that carry dimensions.
    """

    def __init__(
        self,
        spark: SparkSession,
        names: Mapping[str, str],
        table_format: str | None = None,
        dimensions: Sequence[str] = (),
    ) -> None:
        self._spark = spark
        self._names = names
        self._format = table_format or _default_format(spark)
        self._dimensions = tuple(dimensions)

    def exists(self, table: TableSpec) -> bool:
        """Whether the table was ever written."""
        return self._spark.catalog.tableExists(self.name(table))

    def name(self, table: TableSpec) -> str:
        """The table's name in the catalog."""
        return self._names.get(table.name, table.name)

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """See `Tables.read`, but for one thing: a later write changes a frame not yet computed."""
        table = with_dimensions(table, self._dimensions)
        require_days(table, days)
        if not self.exists(table):
            return self._spark.createDataFrame([], table.struct)
        frame = with_every_dimension(table, self._spark.table(self.name(table)))
        return frame if days is None else frame.where(F.col(EVENT_DATE).isin(list(days)))

    def rows(self, table: TableSpec, days: Sequence[date] | None = None) -> list[dict[str, Any]]:
        """See `Tables.rows`."""
        return collected_rows(self.read(table), days)

    def replace_days(
        self,
        table: TableSpec,
        frames: Frames,
        days: Sequence[date],
        *,
        if_changed: Sequence[date] = (),
        computed_from: Versions = NO_VERSIONS,
    ) -> tuple[date, ...]:
        """See `Tables.replace_days`. The whole table is written, so `if_changed` always is too."""
        del computed_from
        table = with_dimensions(table, self._dimensions)
        days = distinct_days(table, [*days, *if_changed])
        rows = conform(table, _together(frames))
        stray = rows_of_other_days(rows, days)
        if stray:
            raise stray_days_error(table, days, stray)
        if self.exists(table):
            others = ~F.col(EVENT_DATE).isin(list(days))
            rows = self.read(table).where(others).unionByName(rows)
        self.overwrite(table, rows)
        return tuple(if_changed)

    def upsert(
        self,
        table: TableSpec,
        rows: Frames,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """See `Tables.upsert`. Keeps no note, and cannot tell whether others write meanwhile."""
        del note, based_on
        table = with_dimensions(table, self._dimensions)
        gone = None if deleted is None else require_key_columns(table, deleted)
        with self.computed(table, [conform(table, frame) for frame in each(rows)]) as new:
            for bad in bad_keys(table, new).limit(1).collect():
                raise key_error(table, bad.asDict())
            key = list(table.key)
            kept = self.read(table).join(new.select(*key), on=key, how="left_anti")
            removed = 0
            if gone is not None:
                staying = kept.join(gone, on=key, how="left_anti")
                removed = kept.count() - staying.count()
                kept = staying
            self.overwrite(table, kept.select(*table.column_names).unionByName(new))
            return new.count(), removed

    def replace_all(self, table: TableSpec, rows: DataFrame) -> None:
        """See `Tables.replace_all`."""
        table = with_dimensions(table, self._dimensions)
        self.overwrite(table, conform(table, rows))

    @contextmanager
    def computed(self, table: TableSpec, frames: Frames, *by: str) -> Iterator[DataFrame]:
        """See `Tables.computed`. The catalog keeps the rows together."""
        del by
        beside = f"{self.name(table)}_computed_{uuid.uuid4().hex}"
        try:
            self._save(beside, _together(frames))
            yield self._spark.table(beside)
        finally:
            self._spark.sql(f"DROP TABLE IF EXISTS {beside}")

    def version(self, table: TableSpec) -> int:
        """0 where there is a table, -1 where there is none; versions are not counted."""
        return 0 if self.exists(table) else -1

    def commit_id(self, table: TableSpec, version: int) -> str | None:
        """Always None: there are no commits."""
        del table, version
        return None

    def discard_damaged(self, table: TableSpec) -> bool:
        """Always False: the engine itself refuses to read what is damaged."""
        del table
        return False

    def days_replaced_since(self, table: TableSpec, version: int | None) -> Replaced:
        """Always every day: nothing here tells which have changed."""
        del version
        return Replaced(self.version(table), None)

    def note(self, table: TableSpec) -> dict[str, str]:
        """Always empty: notes are not kept."""
        del table
        return {}

    def day_counts(self, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
        """See `Tables.day_counts`."""
        return collected_counts(self.read(table, days), days)

    def days_with_rows(self, table: TableSpec) -> set[date]:
        """See `Tables.days_with_rows`."""
        return collected_days(self.read(table))

    def overwrite(self, table: TableSpec, rows: DataFrame) -> None:
        """Make `rows` the whole table, whatever their columns are. They may be read from it."""
        name = self.name(table)
        if self._format == DELTA or not self.exists(table):
            self._save(name, rows)
            return
        # Other formats delete before they read.
        with self.computed(table, rows) as staged:
            self._save(name, staged)

    def drop(self, table: TableSpec) -> None:
        """Remove the table, if there is one."""
        self._spark.sql(f"DROP TABLE IF EXISTS {self.name(table)}")

    def _save(self, name: str, rows: DataFrame) -> None:
        writer = rows.write.mode("overwrite").format(self._format)
        if self._format == DELTA:
            writer = writer.option("overwriteSchema", "true")
        writer.saveAsTable(name)


def _together(frames: Frames) -> DataFrame:
    return union(each(frames))


def _default_format(spark: SparkSession) -> str:
    return spark.conf.get("spark.sql.sources.default", "parquet") or "parquet"
