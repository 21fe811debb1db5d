"""Tables of a Spark catalog, written by Spark's own Delta: `replaceWhere` and `MERGE`.

For Databricks, and for any Spark with the Delta jar. Only DataFrames and SQL, so Spark Connect and
serverless compute will do.
"""

import json
import logging
import random
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import reduce
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from vidagg_dagster.core.errors import TableError
from vidagg_dagster.core.schemas import EVENT_DATE, TableSpec
from vidagg_dagster.spark.compat import error_condition
from vidagg_dagster.spark.names import FILE_FORMATS
from vidagg_dagster.tables.interface import (
    DAYS_ENTRY,
    NOTE_ENTRY,
    Frames,
    Replaced,
    bad_keys,
    changed_since_error,
    conform,
    days_from_json,
    days_to_json,
    differing_columns,
    distinct_days,
    each,
    key_error,
    lost_days_error,
    other_columns_error,
    require_days,
    require_key_columns,
    rows_of_other_days,
    span,
    stray_days_error,
)

log = logging.getLogger(__name__)

MAX_TRIES: Final = 3
"""How often a write loses against other writers of the same days before it gives up."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?")
"""`schema` or `catalog.schema`. Nothing else: Spark takes other names for files to read."""

_GONE: Final = "vidagg_gone"
"""Tells the keys to delete from the rows to write, in the one source that MERGE takes."""

_NO_STATISTICS: Final = ("delta.dataSkippingNumIndexedCols", "0")
"""The table property by which Delta's log keeps no smallest and largest values."""

_COMPUTED: Final = "computed_"
"""How names of tables go on that last for one step; what a killed one leaves is waste."""

_KEEPS_ROWS: Final = frozenset(
    {
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
"""Operations of a history that leave every row as it is."""


class CatalogTables:
    """The declared tables as `location.<table name>`, where location is `[catalog.]schema`.

    The schema must exist; tables are made when they are first written.

    Example:
        >>> from vidagg_dagster.core.schemas import RAW_EVENTS
        >>> tables = CatalogTables(spark, "main.engagement")  # doctest: +SKIP
        >>> tables.read(RAW_EVENTS, [date(2024, 1, 1)]).count()  # doctest: +SKIP
        10342
    """

    def __init__(self, spark: SparkSession, location: str) -> None:
        if not _NAME.fullmatch(location) or location.lower() in FILE_FORMATS:
            raise TableError(
                f"{location!r} names no place for tables: use schema or catalog.schema, "
                "of letters, digits, _ and -; no name of a file format."
            )
        self._spark = spark
        self._location = location

    def read(self, table: TableSpec, days: Sequence[date] | None = None) -> DataFrame:
        """See `Tables.read`."""
        require_days(table, days)
        version = self.version(table)
        if version < 0:
            return self._spark.createDataFrame([], table.struct)
        # Spark Connect plans a frame anew at each use: without the version it would change.
        frame = self._spark.read.option("versionAsOf", version).table(self._name(table))
        if days is not None:
            frame = frame.where(F.col(EVENT_DATE).isin(list(days)))
        return frame.select(*table.column_names)

    def replace_days(self, table: TableSpec, frames: Frames, days: Sequence[date]) -> None:
        """See `Tables.replace_days`."""
        days = distinct_days(table, days)
        frame = conform(table, reduce(DataFrame.unionByName, each(frames)))
        self._require_table(table)
        lost = 0
        while True:
            try:
                # Delta's replaceWhere. As an option of saveAsTable, Spark 3.5 refuses it.
                (
                    _clustered(table, frame)
                    .writeTo(self._name(table))
                    .option("userMetadata", json.dumps({DAYS_ENTRY: days_to_json(days)}))
                    .overwrite(F.col(EVENT_DATE).isin(list(days)))
                )
            except Exception as error:
                if error_condition(error) == "DELTA_REPLACE_WHERE_MISMATCH":
                    raise stray_days_error(table, days, rows_of_other_days(frame, days)) from error
                if not _is_conflict(error):
                    raise
                lost += 1
                if lost > MAX_TRIES:
                    raise lost_days_error(table, days, lost, self.version(table)) from error
                time.sleep(random.uniform(0.1, 1) * lost)
            else:
                log.info("%s: rows written for %s", table.name, span(days))
                return

    def upsert(
        self,
        table: TableSpec,
        rows: DataFrame,
        deleted: DataFrame | None,
        note: Mapping[str, str],
        *,
        based_on: int | None = None,
    ) -> tuple[int, int]:
        """See `Tables.upsert`.

        The note becomes a property of the table right after the rows: `MERGE` takes no metadata for
        its commit where the session's configuration is closed, as on serverless compute. Killed in
        between, the old note stays, and the same rows are upserted once more.
        """
        gone = None if deleted is None else require_key_columns(table, deleted)
        rows = conform(table, rows)
        self._require_table(table)
        if based_on is not None:
            changes = self.days_replaced_since(table, max(based_on, 0))
            if changes.days is None:
                raise changed_since_error(table, based_on, changes.version)
        for bad in bad_keys(table, rows).limit(1).collect():
            raise key_error(table, bad.asDict())
        try:
            counts = self._merge(table, rows, gone)
        except Exception as error:
            if _is_conflict(error):
                raise changed_since_error(table, based_on, self.version(table)) from error
            raise
        text = _quoted(json.dumps(dict(note)))
        self._spark.sql(
            f"ALTER TABLE {self._name(table)} SET TBLPROPERTIES ('{NOTE_ENTRY}' = {text})"
        )
        changed = counts["num_updated_rows"] + counts["num_inserted_rows"]
        removed = int(counts["num_deleted_rows"])
        log.info("%s: %d rows upserted, %d deleted", table.name, changed, removed)
        return changed, removed

    @contextmanager
    def computed(self, table: TableSpec, frames: Frames) -> Iterator[DataFrame]:
        """See `Tables.computed`. A table of its own, because serverless compute caches nothing."""
        beside = replace(table, name=f"{table.name}_{_COMPUTED}{uuid.uuid4().hex}")
        try:
            frame = reduce(DataFrame.unionByName, each(frames))
            rows = frame.write.format("delta").option(*_NO_STATISTICS)
            rows.saveAsTable(self._name(beside))
            yield self._spark.table(self._name(beside))
        finally:
            self._spark.sql(f"DROP TABLE IF EXISTS {self._name(beside)}")

    def version(self, table: TableSpec) -> int:
        """See `Tables.version`."""
        if not self._spark.catalog.tableExists(self._name(table)):
            return -1
        latest = self._spark.sql(f"DESCRIBE HISTORY {self._name(table)} LIMIT 1").collect()
        return int(latest[0]["version"])

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
        counts = dict.fromkeys(days, 0)
        rows = self.read(table, days).groupBy(EVENT_DATE).agg(F.count(F.lit(1)).alias("rows"))
        counts.update({row[EVENT_DATE]: row["rows"] for row in rows.collect()})
        return counts

    def _name(self, table: TableSpec) -> str:
        return ".".join(f"`{part}`" for part in [*self._location.split("."), table.name])

    def _require_table(self, table: TableSpec) -> None:
        name = self._name(table)
        if not self._spark.catalog.tableExists(name):
            columns = ", ".join(
                f"`{c.name}` {c.type.simpleString()} COMMENT {_quoted(c.doc)}"
                for c in table.columns
            )
            days = f"PARTITIONED BY ({EVENT_DATE})" if table.partitioned else ""
            try:
                self._spark.sql(
                    f"CREATE TABLE IF NOT EXISTS {name} ({columns}) USING DELTA {days} "
                    f"COMMENT {_quoted(table.doc)} "
                    f"TBLPROPERTIES ({_statistics(table)})"
                )
            except PySparkException as error:
                if error_condition(error) == "SCHEMA_NOT_FOUND":
                    raise TableError(
                        f"There is no schema {self._location} for the table {table.name}. "
                        "Create it, or correct the location of the tables."
                    ) from error
                raise
        differing = differing_columns(
            table, {field.name: field.dataType for field in self._spark.table(name).schema.fields}
        )
        if differing:
            raise other_columns_error(name, differing)

    def _merge(self, table: TableSpec, rows: DataFrame, gone: DataFrame | None) -> Row:
        source = rows.withColumn(_GONE, F.lit(False))
        if gone is not None:
            keys = rows.select(*table.key)
            gone = gone.distinct().join(keys, on=list(table.key), how="left_anti")
            empty = [
                F.lit(None).cast(c.type).alias(c.name) if c.name not in table.key else F.col(c.name)
                for c in table.columns
            ]
            source = source.unionByName(gone.select(*empty, F.lit(True).alias(_GONE)))
        view = f"vidagg_upsert_{uuid.uuid4().hex}"
        names = [f"`{name}`" for name in table.column_names]
        source.createOrReplaceTempView(view)
        try:
            return self._spark.sql(
                f"MERGE INTO {self._name(table)} AS old USING {view} AS new "
                f"ON {' AND '.join(f'old.`{name}` = new.`{name}`' for name in table.key)} "
                f"WHEN MATCHED AND new.{_GONE} THEN DELETE "
                f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{n} = new.{n}' for n in names)} "
                f"WHEN NOT MATCHED AND NOT new.{_GONE} THEN INSERT ({', '.join(names)}) "
                f"VALUES ({', '.join(f'new.{n}' for n in names)})"
            ).collect()[0]
        finally:
            self._spark.catalog.dropTempView(view)


def _statistics(table: TableSpec) -> str:
    """The table property by which Delta's log keeps smallest and largest numbers and times.

    And none of ids: what the log keeps of them would outlive an erased user.
    """
    kinds = (T.NumericType, T.DateType, T.TimestampType)
    columns = [c.name for c in table.columns if isinstance(c.type, kinds) and c.name != EVENT_DATE]
    measured = ("delta.dataSkippingStatsColumns", ",".join(columns))
    name, value = measured if columns else _NO_STATISTICS
    return f"'{name}' = {_quoted(value)}"


def _clustered(table: TableSpec, frame: DataFrame) -> DataFrame:
    """Few files for each day, with all rows of a user in one of them, side by side.

    Liquid clustering is none for these tables: it excludes partitions, by which days are replaced
    without a conflict, and demands statistics on the column that it clusters by.
    """
    keys = [EVENT_DATE, *(name for name in ("userId",) if name in table.column_names)]
    return frame.repartition(*keys).sortWithinPartitions(*keys)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _metadata(text: str | None) -> dict[str, str]:
    try:
        metadata = json.loads(text or "{}")
    except ValueError:  # another program's words
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _is_conflict(error: Exception) -> bool:
    # Delta's conflicts reach Python under several classes, on some roads as plain text only.
    return bool(re.search(r"DELTA_(CONCURRENT|METADATA_CHANGED|PROTOCOL_CHANGED)", str(error)))
