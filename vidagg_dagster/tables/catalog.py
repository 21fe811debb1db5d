"""Tables of a Spark catalog, written by Spark's own Delta: `replaceWhere` and `MERGE`.

For Databricks, and for any Spark with the Delta jar. Only DataFrames and SQL are used, so Spark
Connect and serverless compute are enough.
"""

import json
import logging
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any, Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.days import days_from_json, days_text, days_to_json
from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, PROCESSED_AT, TableSpec, with_dimensions
from vidagg_dagster.core.unity_catalog import is_schema_name, scratch_table
from vidagg_dagster.spark.compat import error_condition, union
from vidagg_dagster.tables.catalog_sql import (
    GONE,
    NO_STATISTICS,
    add_columns,
    create_table,
    merge,
    set_note,
)
from vidagg_dagster.tables.checks import (
    bad_keys,
    changed_since_error,
    conform,
    dayless_error,
    differing_columns,
    distinct_days,
    each,
    former_dimensions,
    key_error,
    lost_batch_error,
    lost_days_error,
    new_dimensions,
    other_columns_error,
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
from vidagg_dagster.tables.interface import (
    DAYS_ENTRY,
    FROM_ENTRY,
    NO_VERSIONS,
    NOTE_ENTRY,
    Frames,
    Replaced,
    Versions,
)
from vidagg_dagster.tables.retry import retry_conflicts

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 4
"""How often a write of days is tried while other writers replace the same days."""

_KEEPS_ROWS: Final = frozenset(
    {
        "ADD COLUMNS",
        "ADD CONSTRAINT",
        "CHANGE COLUMN",
        "CLUSTER BY",
        "COMPUTE STATS",
        "CREATE TABLE",
        "DROP CONSTRAINT",
        "OPTIMIZE",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "UPGRADE PROTOCOL",
        "VACUUM END",
        "VACUUM START",
    }
)
"""Operations in a history that change no row."""


class CatalogTables:
    """The declared tables as `location.<table name>`, where location is `[catalog.]schema`.

    The schema must exist. A table is created by its first write. `scratch` is a folder that all
    machines of the engine and this process see. For `dimensions` see `LocalTables`.

    Example:
        >>> from vidagg_dagster.core.schemas import RAW_EVENTS
        >>> tables = CatalogTables(spark, "main.engagement")  # doctest: +SKIP
        >>> tables.read(RAW_EVENTS, [date(2024, 1, 1)]).count()  # doctest: +SKIP
        10342
    """

    def __init__(
        self,
        spark: SparkSession,
        location: str,
        scratch: str | None = None,
        dimensions: Sequence[str] = (),
    ) -> None:
        if not is_schema_name(location):
            raise TableError(
                f"{location!r} names no place for tables: use schema or catalog.schema, "
                "of letters, digits, _ and -; no name of a file format."
            )
        self._spark = spark
        self._location = location
        self._scratch = scratch
        self._dimensions = tuple(dimensions)

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """See `Tables.read`."""
        table = with_dimensions(table, self._dimensions)
        require_days(table, days)
        version = self.version(table)
        if version < 0:
            return self._spark.createDataFrame([], table.struct)
        # Spark Connect plans a frame again at each use: without the version its rows would change.
        frame = self._spark.read.option("versionAsOf", version).table(self._name(table))
        if days is not None:
            frame = frame.where(F.col(EVENT_DATE).isin(list(days)))
        return with_every_dimension(table, frame)

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
        """See `Tables.replace_days`."""
        table = with_dimensions(table, self._dimensions)
        days = distinct_days(table, days)
        frame = conform(table, union(each(frames)))
        frame = with_every_dimension(self._require_table(table), frame)
        if not if_changed:
            self._replace(table, frame, days, computed_from)
            return ()
        with self.computed(table, frame) as rows:
            changed = self._changed_days(table, rows, if_changed)
            same = F.col(EVENT_DATE).isin([day for day in if_changed if day not in changed])
            kept = rows.where(~F.coalesce(same, F.lit(False)))
            self._replace(table, kept, sorted({*days, *changed}), computed_from)
        return changed

    def append_once(self, table: TableSpec, rows: DataFrame, writer: str, batch: int) -> bool:
        """See `LandingTables.append_once`. Delta itself compares the batch with the last one."""
        frame = conform(table, rows)
        without_day = rows_of_other_days(frame, []).get("no day", 0)
        if without_day:
            raise dayless_error(table, without_day)
        self._require_table(table)
        before = self.version(table)
        days = [row[0] for row in frame.select(EVENT_DATE).distinct().collect()]
        info = {DAYS_ENTRY: days_to_json(days)}
        try:
            (
                _clustered(table, frame)
                .write.format("delta")
                .mode("append")
                .option("txnAppId", writer)
                .option("txnVersion", batch)
                .option("userMetadata", json.dumps(info))
                .saveAsTable(self._name(table))
            )
        except Exception as error:
            if _is_conflict(error):
                raise lost_batch_error(table, writer, batch) from error
            raise
        return self.version(table) > before

    def upsert(
        self,
        table: TableSpec,
        rows: Frames,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """See `Tables.upsert`.

        The note becomes a property of the table right after the rows: `MERGE` takes no metadata for
        its commit where the session's configuration is closed, as on serverless compute. A step
        killed in between leaves the old note, and the next one upserts the same rows once more.
        """
        table = with_dimensions(table, self._dimensions)
        gone = None if deleted is None else require_key_columns(table, deleted)
        merged = conform(table, union(each(rows)))
        table = self._require_table(table)
        merged = with_every_dimension(table, merged)
        if based_on is not None:
            changes = self.days_replaced_since(table, max(based_on, 0))
            if changes.days is None:
                raise changed_since_error(table, based_on, changes.version)
        for bad in bad_keys(table, merged).limit(1).collect():
            raise key_error(table, bad.asDict())
        try:
            counts = self._merge(table, merged, gone)
        except Exception as error:
            if _is_conflict(error):
                raise changed_since_error(table, based_on, self.version(table)) from error
            raise
        self._spark.sql(set_note(self._name(table), note))
        changed = counts["num_updated_rows"] + counts["num_inserted_rows"]
        removed = int(counts["num_deleted_rows"])
        log.info("%s: %d rows upserted, %d deleted", table.name, changed, removed)
        return changed, removed

    def replace_all(self, table: TableSpec, rows: DataFrame) -> None:
        """See `Tables.replace_all`."""
        table = with_dimensions(table, self._dimensions)
        rows = conform(table, rows)
        self._require_table(table)
        try:
            rows.writeTo(self._name(table)).overwrite(F.lit(True))
        except Exception as error:
            if _is_conflict(error):
                raise changed_since_error(table, None, self.version(table)) from error
            raise
        log.info("%s: all rows written", table.name)

    @contextmanager
    def computed(self, table: TableSpec, frames: Frames, *by: str) -> Iterator[DataFrame]:
        """See `Tables.computed`. Serverless compute caches no rows, so they are written.

        Files of `scratch` are gone at once. A managed table can be restored for a week: it would be
        paid for, and a user who was erased could still be read there. It is for a server that
        shares no folder with this process.
        """
        name, frame = scratch_table(table.name), union(each(frames))
        if self._scratch is not None:
            folder = f"{self._scratch}/{name}"
            try:
                frame.write.partitionBy(*by).parquet(folder)
                yield self._spark.read.schema(frame.schema).parquet(folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return
        scratch = self._name(replace(table, name=name))
        try:
            writer = frame.write.format("delta").option(*NO_STATISTICS)
            writer.partitionBy(*by).saveAsTable(scratch)
            yield self._spark.table(scratch)
        finally:
            self._spark.sql(f"DROP TABLE IF EXISTS {scratch}")

    def version(self, table: TableSpec) -> int:
        """See `Tables.version`."""
        if not self._spark.catalog.tableExists(self._name(table)):
            return -1
        latest = self._spark.sql(f"DESCRIBE HISTORY {self._name(table)} LIMIT 1").collect()
        return int(latest[0]["version"])

    def commit_id(self, table: TableSpec, version: int) -> str | None:
        """See `Tables.commit_id`."""
        if not self._spark.catalog.tableExists(self._name(table)):
            return "none" if version < 0 else None
        history = self._spark.sql(f"DESCRIBE HISTORY {self._name(table)}")
        commit = history.where(F.col("version") == version).select("timestamp").collect()
        detail = self._spark.sql(f"DESCRIBE DETAIL {self._name(table)}").select("id").collect()
        return f"{detail[0]['id']} {commit[0]['timestamp'].isoformat()}" if commit else None

    def discard_damaged(self, table: TableSpec) -> bool:
        """Always False: Spark's own Delta refuses to read what is damaged."""
        del table
        return False

    def days_replaced_since(self, table: TableSpec, version: int | None) -> Replaced:
        """See `Tables.days_replaced_since`."""
        if version is None or not self._spark.catalog.tableExists(self._name(table)):
            latest = self.version(table)
            return Replaced(latest, frozenset() if version == latest else None)
        history: list[Row] = (
            self._spark.sql(f"DESCRIBE HISTORY {self._name(table)}")
            .select("version", "operation", "userMetadata")
            .collect()
        )
        latest = max(int(commit["version"]) for commit in history)
        newer = [commit for commit in history if commit["version"] > version]
        if version > latest or len(newer) < latest - version:
            return Replaced(latest, None)
        days: frozenset[date] = frozenset()
        for commit in newer:
            metadata = _metadata(commit["userMetadata"])
            if DAYS_ENTRY in metadata:
                days |= days_from_json(metadata[DAYS_ENTRY])
            elif commit["operation"] not in _KEEPS_ROWS:
                return Replaced(latest, None)
        return Replaced(latest, days)

    def note(self, table: TableSpec) -> dict[str, str]:
        """See `Tables.note`."""
        if not self._spark.catalog.tableExists(self._name(table)):
            return {}
        detail = self._spark.sql(f"DESCRIBE DETAIL {self._name(table)}").select("properties")
        properties: Mapping[str, str] = detail.collect()[0][0] or {}
        return dict(json.loads(properties.get(NOTE_ENTRY, "{}")))

    def day_counts(self, table: TableSpec, days: Sequence[date]) -> dict[date, int]:
        """See `Tables.day_counts`."""
        return collected_counts(self.read(table, days), days)

    def days_with_rows(self, table: TableSpec) -> set[date]:
        """See `Tables.days_with_rows`."""
        return collected_days(self.read(table))

    def _name(self, table: TableSpec) -> str:
        return ".".join(f"`{part}`" for part in [*self._location.split("."), table.name])

    def _require_table(self, table: TableSpec) -> TableSpec:
        """Create the table unless it exists with the declared columns; gives it as it is stored,
        with dimensions that nobody asks for any more.
        """
        name = self._name(table)
        if not self._spark.catalog.tableExists(name):
            try:
                self._spark.sql(create_table(name, table))
            except PySparkException as error:
                if error_condition(error) == "SCHEMA_NOT_FOUND":
                    raise TableError(
                        f"There is no schema {self._location} for the table {table.name}. "
                        "Create it, or correct the location of the tables."
                    ) from error
                raise
        added = new_dimensions(table, self._spark.table(name).columns)
        if added:
            self._spark.sql(add_columns(name, added))
        stored = self._spark.table(name).schema
        differing = differing_columns(table, stored)
        if differing:
            raise other_columns_error(name, differing)
        former = former_dimensions(table, stored)
        return replace(
            table,
            columns=(*table.columns, *former),
            dimensions=(*table.dimensions, *(column.name for column in former)),
        )

    def _changed_days(
        self, table: TableSpec, rows: DataFrame, days: Sequence[date]
    ) -> tuple[date, ...]:
        """Those of `days` whose rows differ from the stored ones in more than the run's time."""
        columns = [name for name in table.column_names if name != PROCESSED_AT]
        of_days = rows.where(F.col(EVENT_DATE).isin(list(days)))
        new, stored = of_days.select(*columns), self.read(table, days).select(*columns)
        differing = new.exceptAll(stored).unionByName(stored.exceptAll(new))
        return tuple(sorted(row[0] for row in differing.select(EVENT_DATE).distinct().collect()))

    def _replace(
        self,
        table: TableSpec,
        frame: DataFrame,
        days: Sequence[date],
        computed_from: Versions,
    ) -> None:
        info = {DAYS_ENTRY: days_to_json(days), FROM_ENTRY: json.dumps(dict(computed_from))}
        retry_conflicts(lambda: self._overwrite(table, frame, days, info), attempts=MAX_ATTEMPTS)
        log.info("%s: rows written for %s", table.name, days_text(days))

    def _overwrite(
        self, table: TableSpec, frame: DataFrame, days: Sequence[date], info: Mapping[str, str]
    ) -> None:
        try:
            # Delta's replaceWhere. As an option of saveAsTable, Spark 3.5 refuses it.
            (
                _clustered(table, frame)
                .writeTo(self._name(table))
                .option("userMetadata", json.dumps(dict(info)))
                .overwrite(F.col(EVENT_DATE).isin(list(days)))
            )
        except Exception as error:
            if error_condition(error) == "DELTA_REPLACE_WHERE_MISMATCH":
                raise stray_days_error(table, days, rows_of_other_days(frame, days)) from error
            if _is_conflict(error):
                raise lost_days_error(table, days, self.version(table)) from error
            raise

    def _merge(self, table: TableSpec, rows: DataFrame, gone: DataFrame | None) -> Row:
        source = rows.withColumn(GONE, F.lit(False))
        if gone is not None:
            keys = rows.select(*table.key)
            gone = gone.distinct().join(keys, on=list(table.key), how="left_anti")
            empty = [
                F.lit(None).cast(c.type).alias(c.name) if c.name not in table.key else F.col(c.name)
                for c in table.columns
            ]
            source = source.unionByName(gone.select(*empty, F.lit(True).alias(GONE)))
        view = f"vidagg_upsert_{uuid.uuid4().hex}"
        source.createOrReplaceTempView(view)
        try:
            return self._spark.sql(merge(self._name(table), table, view)).collect()[0]
        finally:
            self._spark.catalog.dropTempView(view)


def _clustered(table: TableSpec, frame: DataFrame) -> DataFrame:
    """Few files for each day, with all rows of a user in one of them, side by side.

    These tables cannot use liquid clustering. It excludes partitions, by which days are replaced
    without a conflict, and it needs statistics on the column that it clusters by.
    """
    keys = [EVENT_DATE, *(name for name in ("userId",) if name in table.column_names)]
    return frame.repartition(*keys).sortWithinPartitions(*keys)


def _metadata(text: str | None) -> dict[str, str]:
    try:
        metadata = json.loads(text or "{}")
    except ValueError:  # the text of another program
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _is_conflict(error: Exception) -> bool:
    # Delta's conflicts reach Python as several classes, sometimes as plain text only.
    return bool(re.search(r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)", str(error)))
