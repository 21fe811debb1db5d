"""Files -> frames: JSON lines, CSV and Parquet, of one file or thousands, on any engine."""

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources import text_lines as text
from vidagg_dagster.sources.columns import (
    FILE,
    LINE_NUMBER,
    ColumnRequest,
    empty_frame,
    text_frame,
    typed_frame,
    union,
)
from vidagg_dagster.sources.engine_files import EngineFiles
from vidagg_dagster.sources.files import InputFile, status_of
from vidagg_dagster.sources.parquet_files import ParquetFile, parquet_file
from vidagg_dagster.sources.staging import Staging, staging_in
from vidagg_dagster.sources.text_files import (
    CsvHeader,
    check_text,
    csv_header,
    first_lines,
    numbered_lines,
)
from vidagg_dagster.spark.compat import ltrim, rtrim, valid_utf8
from vidagg_dagster.spark.parsing import trimmed

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE_LINES: Final = 1000
_SAMPLE_FILES: Final = 20
_MAX_CHECKED_BYTES: Final = 4 << 30
"""The driver does not check more text than this. The engine then finds damage while it reads."""
_GZIP_RATIO: Final = 8
"""About how much larger a text is than its gzip file."""


def read_files(
    spark: SparkSession,
    root: Path,
    files: Sequence[InputFile],
    request: ColumnRequest,
    scratch: str | None,
    *,
    whole: bool,
) -> DataFrame:
    """The rows of files of one format, whose names are relative to the folder `root`.

    Copies of files that no engine can read as they are go to `scratch`. `whole` tells that these
    are all files of the source.

    Raises:
        SourceError: A file is damaged, or a required column is missing. Where no line of a whole
            source is a JSON object, none of them is there. Other files without one have columns
            that nobody knows, and rows that are rejected one by one.
    """
    if not files:
        return empty_frame(spark, request)
    staging = staging_in(scratch)
    wanted = list(request.columns.values())
    with ThreadPoolExecutor() as pool:
        files = list(pool.map(staging.readable, files))
        if files[0].format == "jsonl":
            files = list(pool.map(staging.json_lines, files))
        if files[0].format == "csv":
            files = list(pool.map(lambda file: staging.plain_csv(file, wanted), files))
    engine = EngineFiles(spark, root, files[0], staging)
    reader = _Reader(spark, root, tuple(files), request, staging, engine, whole)
    read = {"jsonl": reader.json_lines, "csv": reader.csv, "parquet": reader.parquet}
    return read[files[0].format]()


@dataclass(frozen=True)
class _Reader:
    spark: SparkSession
    root: Path
    files: tuple[InputFile, ...]
    request: ColumnRequest
    staging: Staging
    engine: EngineFiles
    whole: bool

    def json_lines(self) -> DataFrame:
        sample = _Sample.of(self.files)
        in_path = self._columns_in_path - sample.names
        request = self.request.resolved(sample.names | in_path)
        if sample.names or (sample.files and self.whole):
            request.require(
                sample.names | in_path, f"the first lines of {self.root / sample.files[0].name}"
            )
        checked, maybe_dropped = self._checked(self.files, request)
        found = set(request.columns.values())
        if maybe_dropped:
            found.discard(request.columns[maybe_dropped])
        columns = request.wanted(found | in_path)
        paths = {
            ours: sample.paths.get(theirs) or tuple(theirs.split("."))
            for ours, theirs in columns.items()
            if theirs not in in_path
        }
        rows = text.with_json_fields(self._lines(checked), "line", list(paths.values()))
        values = {ours: text.json_field(path) for ours, path in paths.items()}
        return text_frame(rows, values, text.json_malformed(), columns, self.request, in_path)

    def csv(self) -> DataFrame:
        groups: dict[CsvHeader, list[InputFile]] = {}
        for file in self.files:
            header = csv_header(file, list(self.request.columns.values()))
            if header is not None:
                self._check_header(file, header)
                groups.setdefault(header, []).append(file)
        if not groups:
            return empty_frame(self.spark, self.request)
        requests = {h: self.request.resolved(set(h.names) | self._columns_in_path) for h in groups}
        kept = {
            ours
            for header, request in requests.items()
            for ours in request.wanted(set(header.names) | self._columns_in_path)
        }
        return union(
            [
                self._csv_group(
                    header, group, {o: t for o, t in requests[header].columns.items() if o in kept}
                )
                for header, group in groups.items()
            ]
        )

    def parquet(self) -> DataFrame:
        opened = [self.staging.plain_parquet(parquet_file(file)) for file in self.files]
        groups: dict[str, list[ParquetFile]] = {}
        kept: set[str] = set()
        for parquet in opened:
            request, own = self._request_of(parquet)
            request.require(own, str(self.root / parquet.file.name))
            kept.update(request.wanted(own))
            # Types may change from file to file, so files of equal types are read together.
            types = parquet.schema.remove_metadata().to_string(show_field_metadata=False)
            groups.setdefault(types, []).append(parquet)
        return union(
            [
                typed_frame(
                    rows,
                    {o: t for o, t in self._request_of(group[0])[0].columns.items() if o in kept},
                    self.request,
                    self._columns_in_path,
                    alone=len(groups) == 1,
                )
                for group in groups.values()
                for rows in self.engine.parquet([parquet.file for parquet in group])
            ]
        )

    def _request_of(self, parquet: ParquetFile) -> tuple[ColumnRequest, set[str]]:
        """The request by the names of a file, and these names."""
        names = set(_arrow_names(parquet.schema)) | self._columns_in_path
        return self.request.resolved(names), names

    def _csv_group(
        self, header: CsvHeader, files: Sequence[InputFile], columns: Mapping[str, str]
    ) -> DataFrame:
        checked, _ = self._checked(files, self.request)
        # A line equal to the header is a header anywhere in the file: CSV files are often joined.
        rows = (
            self._lines(checked)
            .where(F.col("line") != header.line)
            .withColumn("_fields", text.csv_fields(F.col("line"), header.delimiter))
        )
        fields = F.col("_fields")
        malformed = text.csv_malformed(F.col("line"), fields, len(header.names))
        values = {
            ours: text.csv_field(fields, header.names.index(theirs))
            for ours, theirs in columns.items()
            if theirs in header.names
        }
        for ours in self.request.numbers:
            if ours in values:
                values[ours] = text.without_decimal_comma(values[ours], header.delimiter)
        return text_frame(rows, values, malformed, columns, self.request, self._columns_in_path)

    def _lines(self, files: Sequence[InputFile]) -> DataFrame:
        """line, lineNumber, `FILE`; without blank lines, byte order marks and CRs."""
        if self.request.numbered:
            return self._numbered_lines(files)
        frames = self.engine.text(files)
        lines = union([rows.select(F.col("value").alias("line"), FILE) for rows in frames])
        line = valid_utf8(F.col("line")) if self.engine.tells_files else F.col("line")
        line = ltrim(rtrim(line, "\r"), "\ufeff")
        return lines.select(
            line.alias("line"), F.lit(None).cast("bigint").alias(LINE_NUMBER), FILE
        ).where(trimmed(F.col("line")) != "")

    def _numbered_lines(self, files: Sequence[InputFile]) -> DataFrame:
        # Engines do not number lines. Numbered files are small: titles and durations of videos.
        rows = [(line, at, file.name) for file in files for at, line in numbered_lines(file)]
        schema = f"line string, {LINE_NUMBER} bigint, {FILE} string"
        return self.spark.createDataFrame(rows, schema)

    @cached_property
    def _columns_in_path(self) -> set[str]:
        """The source's columns that all files carry in their names, as `name=value` folders."""
        return {
            theirs
            for theirs in self.request.columns.values()
            if all(f"/{theirs}=" in f"/{file.name}".rpartition("/")[0] for file in self.files)
        }

    def _checked(
        self, files: Sequence[InputFile], request: ColumnRequest
    ) -> tuple[list[InputFile], str | None]:
        """The files as the engine can read them; our name of the droppable column if none has it.

        Raises:
            SourceError: A file is cut off, cannot be read, or is in another encoding.
        """
        droppable = request.droppable
        marker = f'"{request.columns[droppable].split(".")[-1]}"' if droppable else ""
        size = sum(status_of(f.path).st_size * (_GZIP_RATIO if f.compressed else 1) for f in files)
        if self.engine.tells_files and size > _MAX_CHECKED_BYTES:
            return list(files), None
        with ThreadPoolExecutor() as pool:
            checks = list(pool.map(lambda file: check_text(file, marker.encode()), files))
        for file, check in zip(files, checks, strict=True):
            if check.latin is not None:
                raise SourceError(
                    f"{self.root / file.name} is not UTF-8, but Latin-1 or Windows-1252: it has "
                    f"the word {check.latin}. Convert it, for instance by iconv -f WINDOWS-1252 "
                    "-t UTF-8."
                )
        readable = [
            file if check.valid_utf8 or self.engine.tells_files else self.staging.valid_utf8(file)
            for file, check in zip(files, checks, strict=True)
        ]
        return readable, None if any(check.has_marker for check in checks) else droppable

    def _check_header(self, file: InputFile, header: CsvHeader) -> None:
        where = str(self.root / file.name)
        found = set(header.names) | self._columns_in_path
        request = self.request.resolved(found)
        request.require(found, f"the header of {where}")
        for theirs in request.columns.values():
            if header.names.count(theirs) > 1:
                raise SourceError(
                    f"The header of {where} has the column {theirs} "
                    f"{header.names.count(theirs)} times. Rename all but one."
                )


@dataclass(frozen=True)
class _Sample:
    """The columns in the first lines of the first JSON files."""

    files: tuple[InputFile, ...]
    """Files with at least one line."""
    paths: Mapping[str, text.FieldPath]
    """Names, those of nested fields with dots between, and where they are."""

    @classmethod
    def of(cls, files: Sequence[InputFile]) -> "_Sample":
        filled: list[InputFile] = []
        nested: dict[str, text.FieldPath] = {}
        top_level: dict[str, text.FieldPath] = {}
        for file in files[:_SAMPLE_FILES]:
            lines = first_lines(file, _SAMPLE_LINES)
            if lines:
                filled.append(file)
            for line in lines:
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(value, dict):
                    top_level.update((name, (name,)) for name in value)
                    nested.update((".".join(path), path) for path in _json_paths(value))
        # Of two fields that are written alike, the column of this name goes before the nested one.
        return cls(tuple(filled), {**nested, **top_level})

    @property
    def names(self) -> frozenset[str]:
        """The columns, and the nested fields, dotted."""
        return frozenset(self.paths)


def _json_paths(
    value: Mapping[str, object], prefix: text.FieldPath = ()
) -> Iterator[text.FieldPath]:
    for key, inner in value.items():
        yield (*prefix, key)
        if isinstance(inner, dict):
            yield from _json_paths(inner, (*prefix, key))


def _arrow_names(fields: "pa.Schema | pa.StructType", prefix: str = "") -> Iterator[str]:
    import pyarrow as pa

    for field in fields:
        yield prefix + field.name
        if pa.types.is_struct(field.type):
            yield from _arrow_names(field.type, f"{prefix}{field.name}.")
