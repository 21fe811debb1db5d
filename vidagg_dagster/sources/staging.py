"""Copies of files for engines that cannot read the originals."""

import codecs
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from vidagg_dagster.core.errors import SourceError
from vidagg_dagster.sources.columns import FILE
from vidagg_dagster.sources.csv_dialects import dialect_of, plain_lines
from vidagg_dagster.sources.error_text import reason
from vidagg_dagster.sources.files import TEXT_FORMATS, InputFile, status_of
from vidagg_dagster.sources.json_documents import document_lines, is_document
from vidagg_dagster.sources.other_formats import CONVERTED, convert
from vidagg_dagster.sources.packed import packing_of
from vidagg_dagster.sources.parquet_files import ParquetFile, plain_rows, plain_schema
from vidagg_dagster.sources.text_files import decoded_chunks, encoding_of, read_chunks, read_head

if TYPE_CHECKING:
    import pyarrow as pa

_FILES_A_BATCH: Final = 500
_HEAD_BYTES: Final = 4096


class Staging:
    """Copies and links of files in a temporary folder, each made once.

    The folder lives until the process ends, because frames are computed late. On a cluster its
    parent must be a folder that all machines see.
    """

    def __init__(self, parent: str | None = None) -> None:
        self._parent = parent
        self._done: dict[tuple[str, int, int, str], Path] = {}

    @cached_property
    def _folder(self) -> "tempfile.TemporaryDirectory[str]":
        if self._parent is not None:
            Path(self._parent).mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="vidagg-", dir=self._parent)

    def linked(self, file: InputFile) -> InputFile:
        """The file under a name that no engine takes for a pattern or ignores.

        It is a link, or a copy where the temporary folder cannot hold links.
        """
        target = self._target(file, "link", "".join(file.path.suffixes[-2:]))
        if not (target.is_symlink() or target.exists()):
            try:
                target.symlink_to(file.path)
            except OSError:  # volumes of Databricks know no links
                beside = target.with_suffix(".begun")
                shutil.copyfile(file.path, beside)
                beside.rename(target)
        return replace(file, path=target, staged=True)

    def readable(self, file: InputFile) -> InputFile:
        """A copy that is JSON lines, CSV or Parquet, in UTF-8; or the file itself if it is that.

        Gzip stays as it is, since engines read it.

        Raises:
            SourceError: The file is damaged, or its reader is not installed.
        """
        if file.member is not None and file.format not in TEXT_FORMATS:
            file = self._unpacked(file)
        if file.format in CONVERTED:
            return self._converted(file)
        if file.format not in TEXT_FORMATS:
            return file
        encoding = encoding_of(read_head(file, _HEAD_BYTES))
        packing = packing_of(file.path)
        as_it_is = packing is None or (packing == "gz" and file.compressed)
        if as_it_is and file.member is None and encoding is None:
            return file
        return self._text(file, encoding)

    def _text(self, file: InputFile, encoding: str | None) -> InputFile:
        def write(target: Path) -> None:
            with target.open("wb") as out:
                out.writelines(decoded_chunks(file, encoding))

        return self._written(file, "text", ".txt", write)

    def _unpacked(self, file: InputFile) -> InputFile:
        def write(target: Path) -> None:
            with target.open("wb") as out:
                out.writelines(decoded_chunks(file, None))

        suffix = PurePosixPath(file.name).suffix
        return replace(self._written(file, "unpacked", suffix, write), member=None)

    def _converted(self, file: InputFile) -> InputFile:
        kind = CONVERTED[file.format]
        copy = self._written(file, kind, f".{kind}", lambda target: convert(file, target))
        return replace(copy, format=kind)

    def _written(
        self, file: InputFile, purpose: str, suffix: str, write: Callable[[Path], None]
    ) -> InputFile:
        """A copy that `write` makes, once. What it leaves half written is no copy."""
        target = self._target(file, purpose, suffix)
        if not target.exists():
            beside = target.with_suffix(".begun")
            write(beside)
            beside.rename(target)
        return replace(file, path=target, staged=True, member=None)

    def plain_csv(self, file: InputFile, wanted: Sequence[str]) -> InputFile:
        """A copy of CSV in the dialect that is read here, or the file itself if it is in that."""
        dialect = dialect_of(file, wanted)
        if dialect is None or dialect.plain:
            return file

        def write(target: Path) -> None:
            with target.open("w", encoding="utf-8", newline="") as out:
                out.writelines(f"{line}\n" for line in plain_lines(file, dialect))

        return self._written(file, f"csv {dialect}", ".csv", write)

    def valid_utf8(self, file: InputFile) -> InputFile:
        """A copy of a text file with U+FFFD for every byte sequence that is not UTF-8."""
        target = self._target(file, "utf8", ".txt")
        if not target.exists():
            decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
            with target.open("w", encoding="utf-8", newline="") as out:
                for chunk in read_chunks(file):
                    out.write(decoder.decode(chunk))
                out.write(decoder.decode(b"", final=True))
        return replace(file, path=target, staged=True)

    def json_lines(self, file: InputFile) -> InputFile:
        """A copy with one object a line, or the file itself if it has that form."""
        if not is_document(file):
            return file

        def write(target: Path) -> None:
            with target.open("w", encoding="utf-8", newline="") as out:
                out.writelines(f"{line}\n" for line in document_lines(file))

        return self._written(file, "lines", ".jsonl", write)

    def merged_lines(self, files: Sequence[InputFile]) -> Path:
        """A Parquet file of the lines of text files: `value`, and the file's name in `FILE`."""
        import pyarrow as pa

        def lines(file: InputFile) -> "pa.Table":
            found = b"".join(read_chunks(file)).decode("utf-8", "replace").split("\n")
            return pa.table({"value": pa.array(found, pa.string())})

        return self._merged(files, lines)

    def merged_parquet(self, files: Sequence[InputFile]) -> Path:
        """A Parquet file of the rows of files of equal types, with the file's name in `FILE`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        def rows(file: InputFile) -> "pa.Table":
            try:
                with pq.ParquetFile(file.path) as whole:
                    return whole.read().replace_schema_metadata(None)
            except (OSError, pa.ArrowException) as error:
                raise SourceError(
                    f"Cannot read {file.path} as Parquet: {reason(error)}. Restore the file or "
                    "take it away."
                ) from error

        return self._merged(files, rows)

    def _merged(self, files: Sequence[InputFile], read: "Callable[[InputFile], pa.Table]") -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        key = "\n".join(f"{file.name} {self._state(file)}" for file in files)
        target = self._path((str(files[0].path), 0, len(key), key), ".parquet")
        if target.exists():
            return target
        beside = target.with_suffix(".begun")
        writer: pq.ParquetWriter | None = None
        for start in range(0, len(files), _FILES_A_BATCH):
            tables = []
            for file in files[start : start + _FILES_A_BATCH]:
                table = read(file)
                names = pa.array([file.name] * table.num_rows, pa.string())
                tables.append(table.append_column(FILE, names))
            together = pa.concat_tables(tables)
            writer = writer or pq.ParquetWriter(beside, together.schema)
            writer.write_table(together)
        if writer is not None:
            writer.close()
        beside.rename(target)
        return target

    def plain_parquet(self, parquet: ParquetFile) -> ParquetFile:
        """A copy with types that every engine reads, or the file itself: see `plain_schema`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = plain_schema(parquet)
        if schema is None:
            return parquet
        file = parquet.file
        target = self._target(file, "plain", ".parquet")
        if not target.exists():
            try:
                with pq.ParquetFile(file.path) as whole, pq.ParquetWriter(target, schema) as out:
                    for batch in whole.iter_batches():
                        out.write_table(plain_rows(batch, schema))
            except (OSError, pa.ArrowException) as error:
                target.unlink(missing_ok=True)
                raise SourceError(
                    f"Cannot read {file.path} as Parquet: {reason(error)}. Restore the file or "
                    "write it with other types."
                ) from error
        return ParquetFile(replace(file, path=target, staged=True), schema)

    def _target(self, file: InputFile, purpose: str, suffix: str) -> Path:
        path = str(file.path) if file.member is None else f"{file.path}/{file.member}"
        return self._path((path, *self._state(file), purpose), suffix)

    def _state(self, file: InputFile) -> tuple[int, int]:
        state = status_of(file.path)
        return state.st_mtime_ns, state.st_size

    def _path(self, key: tuple[str, int, int, str], suffix: str) -> Path:
        if key not in self._done:
            self._done[key] = Path(self._folder.name) / f"{len(self._done):06d}{suffix}"
        return self._done[key]


@cache
def staging_in(parent: str | None) -> Staging:
    """The copies below `parent`; None: below this machine's folder for temporary files."""
    return Staging(parent)
