"""What a source holds by its listing alone: which files, in which state, about how many rows."""

from pathlib import Path
from typing import Final

from pyspark.sql import SparkSession

from vidagg_dagster.core.contract import SourceSpec
from vidagg_dagster.sources.catalog import table_state
from vidagg_dagster.sources.delta import latest_commit
from vidagg_dagster.sources.files import (
    TEXT_FORMATS,
    InputFile,
    file_format_of,
    find_files,
    is_delta,
    lies_here,
    local_path,
    status_of,
)
from vidagg_dagster.sources.packed import PACKED_SUFFIXES, member_bytes
from vidagg_dagster.sources.parquet_files import parquet_rows

EMPTY_FILE: Final = "0 bytes,"
"""How the state of a file without content begins."""
_PACKED_EVENT_BYTES: Final = 15
"""About what an event takes as compressed text, or packed by columns."""
_TEXT_EVENT_BYTES: Final = 150
"""About what an event takes as a line of text."""


def list_source(spec: SourceSpec, spark: SparkSession | None = None) -> dict[str, str] | None:
    """Fingerprint of the source: file name -> size and time of change. Reads no rows.

    Names are relative to the source. A Delta table is one entry, with its latest commit; one of a
    catalog needs the session. None for other tables and other file systems, where only reading
    tells.

    Raises:
        SourceError: The files cannot be listed.
    """
    location = spec.location.strip()
    path = None if spec.format == "table" else local_path(location)
    if path is None or (spec.format == "auto" and not lies_here(path)):
        state = table_state(spark, location) if spark is not None else None
        return None if state is None else {spec.location: state}
    if spec.format == "delta" or (spec.format == "auto" and is_delta(path)):
        commit = latest_commit(path)
        return None if commit is None else {spec.location: commit}
    return {file.name: _state(file.path) for file in find_files(path, file_format_of(spec.format))}


def files_of(spec: SourceSpec) -> list[InputFile]:
    """The files of a source that is a file or a folder of files; none of other sources.

    Raises:
        SourceError: The files cannot be listed.
    """
    path = None if spec.format == "table" else local_path(spec.location.strip())
    if path is None or not lies_here(path) or spec.format == "delta" or is_delta(path):
        return []
    return find_files(path, file_format_of(spec.format))


def estimated_rows(spec: SourceSpec) -> int | None:
    """About how many rows the files of a source have; None for other sources.

    Footers of Parquet files say it exactly, sizes of others about.

    Raises:
        SourceError: The files cannot be listed, or a Parquet file is damaged.
    """
    files = files_of(spec)
    return sum(map(_estimated_rows, files)) if files else None


def _estimated_rows(file: InputFile) -> int:
    if file.member is not None:
        size = member_bytes(file.path, file.member)
    else:
        size = file.path.stat().st_size if file.path.exists() else 0
        if file.format == "parquet" and size:
            return parquet_rows(file)
    packed = file.format not in TEXT_FORMATS or (
        file.member is None and file.path.suffix.lower() in PACKED_SUFFIXES
    )
    return size // (_PACKED_EVENT_BYTES if packed else _TEXT_EVENT_BYTES)


def _state(path: Path) -> str:
    status = status_of(path)
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"
