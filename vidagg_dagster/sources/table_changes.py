"""What a Delta table of the catalog has gained and lost since a state of it, told by its files."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pyspark.sql import DataFrame, Row, SparkSession

from vidagg_dagster.sources.catalog import TablePart, TableVersion, part_of

_MAX_FILES: Final = 10_000
"""A table that has changed in more files is better read as a whole."""

_FILE_NAME: Final = re.compile(r"[\w.=-]+", re.ASCII)
"""A name that is written alike wherever Spark tells it."""

_APPENDS: Final = frozenset({"WRITE", "STREAMING UPDATE", "COPY INTO"})
_SAME_ROWS: Final = frozenset(
    {
        "CLUSTER BY",
        "COMPUTE STATS",
        "OPTIMIZE",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "VACUUM END",
        "VACUUM START",
    }
)


@dataclass(frozen=True)
class TableChanges:
    """Rows that came, rows that went, and how many the table has now.

    Compacted rows are among both.
    """

    added: TablePart
    removed: TablePart
    rows: int


def table_changes(
    spark: SparkSession, name: str, before: str | None, now: str | None
) -> TableChanges | None:
    """The changes of a table between two states that `list_source` has told of it.

    None where files alone do not tell: the states are no versions of one table, a commit between
    them is not known, has other columns, or may have changed rows of files that stay (their
    deletion vectors).
    """
    old, new = TableVersion.parse(before), TableVersion.parse(now)
    if old is None or new is None or not _only_files_changed(spark, name, old, new):
        return None
    frames = [part_of(spark, name, TablePart(version.number)) for version in (old, new)]
    if frames[0].schema != frames[1].schema:
        return None
    files = [_file_names(frame) for frame in frames]
    if files[0] is None or files[1] is None:
        return None
    added, removed = files[1] - files[0], files[0] - files[1]
    if len(added) + len(removed) > _MAX_FILES:
        return None
    return TableChanges(
        TablePart(new.number, added), TablePart(old.number, removed), frames[1].count()
    )


def _only_files_changed(
    spark: SparkSession, name: str, old: TableVersion, new: TableVersion
) -> bool:
    if old.table_id != new.table_id or old.number >= new.number:
        return False
    told = spark.sql(f"DESCRIBE HISTORY {name}").select(
        "version", "timestamp", "operation", "operationParameters"
    )
    commits = {row["version"]: row for row in told.collect()}
    between = range(old.number + 1, new.number + 1)
    return (
        old.number in commits
        and str(commits[old.number]["timestamp"]) == old.time
        and all(number in commits and _in_whole_files(commits[number]) for number in between)
    )


def _in_whole_files(commit: Row) -> bool:
    parameters = commit["operationParameters"] or {}
    mode = str(parameters.get("mode") or parameters.get("outputMode") or "Append").strip('"')
    appends = commit["operation"] in _APPENDS and mode.lower() == "append"
    return appends or commit["operation"] in _SAME_ROWS


def _file_names(rows: DataFrame) -> frozenset[str] | None:
    """None where names do not tell the files apart."""
    paths: Collection[str] = rows.inputFiles()
    names = frozenset(path.rpartition("/")[2] for path in paths)
    plain = all(map(_FILE_NAME.fullmatch, names))
    return names if plain and len(names) == len(paths) else None
