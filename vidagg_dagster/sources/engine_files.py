"""How an engine reads files: frames of their rows, each row with the name of its file."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from vidagg_dagster.sources.columns import FILE
from vidagg_dagster.sources.files import InputFile, status_of
from vidagg_dagster.sources.staging import Staging

_ADDRESS: Final = "_vidagg_address"
_MIN_MERGED_FILES: Final = 20
_MAX_MERGED_BYTES: Final = 256 << 10
"""Files up to this size are read together, where there are many of them."""
_PATTERN_CHARACTERS: Final = frozenset("*?[]{}\\")
_PLAIN_PATH: Final = re.compile(r"[\w./=-]*", re.ASCII)


@dataclass(frozen=True)
class EngineFiles:
    """Reads files of one source with one engine. File names go to the column `FILE`."""

    spark: SparkSession
    root: Path
    """The folder that the names of files are relative to."""
    example: InputFile
    """Any file of the source."""
    staging: Staging

    @cached_property
    def tells_files(self) -> bool:
        """Whether the engine knows which file a row comes from.

        JVM Spark does. It also accepts escapes in paths, and bytes that are not UTF-8.
        """
        try:
            path = [_escaped(str(self.example.path))]
            return bool(self.spark.read.text(path).select("_metadata.file_path").schema)
        except PySparkException:
            return False

    def text(self, files: Sequence[InputFile]) -> list[DataFrame]:
        """The lines of text files, in the column `value`."""
        return self._small_together(files, self.staging.merged_lines, self._read_text)

    def parquet(self, files: Sequence[InputFile]) -> list[DataFrame]:
        """The rows of Parquet files, which must have equal types."""
        return self._small_together(files, self.staging.merged_parquet, self._read_parquet)

    def _small_together(
        self,
        files: Sequence[InputFile],
        merge: Callable[[Sequence[InputFile]], Path],
        read: Callable[[list[str]], DataFrame],
    ) -> list[DataFrame]:
        """As `_read`. Each frame of its own takes Sail milliseconds, and thousands minutes."""
        small = [] if self.tells_files else [file for file in files if _is_small(file)]
        if len(small) < _MIN_MERGED_FILES:
            return self._read(files, read)
        merged = self.spark.read.parquet(str(merge(small)))
        return [merged, *self._read([file for file in files if not _is_small(file)], read)]

    def _read(
        self, files: Sequence[InputFile], read: Callable[[list[str]], DataFrame]
    ) -> list[DataFrame]:
        together = [file for file in files if self.tells_files and not _needs_own_frame(file)]
        alone = [file for file in files if file not in together]
        frames = []
        if together:
            rows = read([_escaped(str(file.path)) for file in together])
            name = _relative_name(self.root, [file.path for file in together])
            frames.append(rows.withColumn(FILE, name).drop(_ADDRESS))
        for file in alone:
            # Sail takes a name with such characters for a pattern, and finds nothing.
            awkward = _is_hidden(file) or _PATTERN_CHARACTERS & set(str(file.path))
            at = self.staging.linked(file) if awkward and not file.staged else file
            frames.append(read([str(at.path)]).withColumn(FILE, F.lit(file.name)).drop(_ADDRESS))
        return frames

    def _read_text(self, paths: list[str]) -> DataFrame:
        # Without an explicit separator Sail reads a blank line where the two characters of a CRLF
        # fall into two buffers, and a carriage return within a line ends it.
        rows = self.spark.read.option("lineSep", "\n").text(paths)
        return rows.select("value", *self._address)

    def _read_parquet(self, paths: list[str]) -> DataFrame:
        return self.spark.read.parquet(*paths).select("*", *self._address)

    @property
    def _address(self) -> list[Column]:
        return [F.col("_metadata.file_path").alias(_ADDRESS)] if self.tells_files else []


def _is_small(file: InputFile) -> bool:
    return status_of(file.path).st_size <= _MAX_MERGED_BYTES


def _needs_own_frame(file: InputFile) -> bool:
    """Whether JVM Spark would give a copy's name for the file's, or ignore the file."""
    return file.staged or _is_hidden(file)


def _is_hidden(file: InputFile) -> bool:
    return file.path.name.startswith((".", "_"))


def _escaped(path: str) -> str:
    return "".join(f"\\{c}" if c in _PATTERN_CHARACTERS else c for c in path)


def _relative_name(root: Path, paths: Sequence[Path]) -> Column:
    """The path below `root` of an address such as `file:///data/a%20b.csv`."""
    address = F.col(_ADDRESS)
    if not all(_PLAIN_PATH.fullmatch(str(path)) for path in paths):
        # These addresses keep a plus sign as it is, but decoders read it as a blank.
        address = F.url_decode(F.replace(address, F.lit("+"), F.lit("%2B")))
    prefix = str(root).rstrip("/") + "/"
    start = F.instr(address, prefix) + len(prefix)
    return F.substr(address, start, F.length(address))
